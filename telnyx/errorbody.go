package telnyx

import (
	"bytes"
	"encoding/json"
	"strings"
)

// errorObject is an error as the API describes it, as {"errors":[{...}]} or on its
// own, together with the fields of {"message":"Error","success":false}. Each field
// is read if it has a usable type and is empty otherwise.
type errorObject struct {
	Code    looseText   `json:"code"` // a string or a number
	Title   looseText   `json:"title"`
	Detail  looseText   `json:"detail"`
	Source  errorSource `json:"source"`
	Message looseText   `json:"message"`
	Error   looseText   `json:"error"`
}

func (o errorObject) isEmpty() bool { return o == errorObject{} }

// errorSource is what of a request an error is about.
type errorSource struct {
	Pointer   looseText `json:"pointer"`
	Parameter looseText `json:"parameter"`
}

// UnmarshalJSON reads an object and takes anything else for an empty one.
func (s *errorSource) UnmarshalJSON(data []byte) error {
	type plain errorSource
	_ = json.Unmarshal(data, (*plain)(s))
	return nil
}

// looseText is the text of a JSON string or number, and empty for anything else.
type looseText string

// UnmarshalJSON never fails.
func (t *looseText) UnmarshalJSON(data []byte) error {
	switch data[0] {
	case '"':
		_ = json.Unmarshal(data, (*string)(t))
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		*t = looseText(data)
	}
	return nil
}

// errorObjects is an array of which the first useful element counts, or an
// object in its place.
type errorObjects errorObject

// UnmarshalJSON never fails.
func (o *errorObjects) UnmarshalJSON(data []byte) error {
	elements := []json.RawMessage{data}
	if data[0] == '[' {
		elements = nil
		_ = json.Unmarshal(data, &elements)
	}
	for _, element := range elements {
		var object errorObject
		if json.Unmarshal(element, &object) == nil && !object.isEmpty() {
			*o = errorObjects(object)
			break
		}
	}
	return nil
}

// maxErrorBody bounds how much of an error is looked at. One of the API's has
// less than 1 KB; what encoding/json makes of a list of tiny errors takes some
// hundred times the list's size.
const maxErrorBody = 32 << 10

// decodeErrorBody returns what an error body says, whatever its shape: JSON of
// any of the API's kinds, a proxy's text, a proxy's HTML page, of which the title
// is taken, or nothing.
func decodeErrorBody(body []byte) errorObject {
	body = bytes.TrimSpace(body)
	body = body[:min(len(body), maxErrorBody)]
	if len(body) == 0 {
		return errorObject{}
	}
	switch body[0] {
	case '{', '[':
		var document struct {
			errorObject
			Errors errorObjects `json:"errors"`
		}
		if json.Unmarshal(body, &document) != nil {
			return errorObject{} // half of it, say: no text to show to people
		}
		object := document.errorObject
		if errors := errorObject(document.Errors); !errors.isEmpty() {
			object = errors
		}
		object.Title = firstOf(object.Title, object.Message, object.Error)
		return object
	case '<':
		return errorObject{Detail: looseText(htmlTitle(body))}
	}
	return errorObject{Detail: looseText(body)}
}

func firstOf(texts ...looseText) looseText {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}

// htmlTitle describes an HTML page in a few words.
func htmlTitle(page []byte) string {
	const most = 8 << 10 // a title comes early
	text := string(page[:min(len(page), most)])
	lower := lowerASCII(text)
	if start := strings.Index(lower, "<title>"); start >= 0 {
		start += len("<title>")
		if end := strings.Index(lower[start:], "</title>"); end > 0 {
			return "an HTML page: " + text[start:start+end]
		}
	}
	return "an HTML page"
}

// lowerASCII is [strings.ToLower] for ASCII letters alone: what it returns is as
// long as text, so that an index into the one is an index into the other.
func lowerASCII(text string) string {
	lower := []byte(text)
	for i, c := range lower {
		if 'A' <= c && c <= 'Z' {
			lower[i] = c + 'a' - 'A'
		}
	}
	return string(lower)
}
