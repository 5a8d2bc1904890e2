package telnyx

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"
	"strings"
)

// errorObject is an error object of the API, from {"errors":[{...}]}, {"error":{...}} or on
// its own, with the fields of {"message":"Error","success":false} added. A field is empty if
// its JSON value has an unusable type.
type errorObject struct {
	Code    looseText   `json:"code"` // a string or a number
	Title   looseText   `json:"title"`
	Detail  looseText   `json:"detail"`
	Source  errorSource `json:"source"`
	Message looseText   `json:"message"`
}

func (o errorObject) isEmpty() bool { return o == errorObject{} }

// errorSource is the "source" of an error object.
type errorSource struct {
	Pointer   looseText `json:"pointer"`
	Parameter looseText `json:"parameter"`
}

// UnmarshalJSON decodes an object, and anything else as an empty one. It never fails.
func (s *errorSource) UnmarshalJSON(data []byte) error {
	type plain errorSource
	_ = json.Unmarshal(data, (*plain)(s))
	return nil
}

// looseText is the text of a JSON string or number. It is empty for any other value.
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

// errorObjects is the first nonempty error object of an array, or the object that takes
// the place of the array. That one may also have a message for each bad field of the
// request.
type errorObjects errorObject

// UnmarshalJSON never fails.
func (o *errorObjects) UnmarshalJSON(data []byte) error {
	var object errorObject
	switch data[0] {
	case '[':
		var elements []json.RawMessage
		_ = json.Unmarshal(data, &elements)
		for _, element := range elements {
			if object = (errorObject{}); json.Unmarshal(element, &object) == nil && !object.isEmpty() {
				break
			}
		}
	case '{':
		if _ = json.Unmarshal(data, &object); object.isEmpty() {
			object.Detail = fieldMessages(data)
		}
	}
	*o = errorObjects(object)
	return nil
}

// fieldMessages returns the messages of an object such as {"field":"message"} or
// {"field":["message"]}.
func fieldMessages(object []byte) looseText {
	var text strings.Builder
	for field, value := range members(object) {
		var messages []looseText
		if value[0] != '[' {
			value = slices.Concat([]byte{'['}, value, []byte{']'})
		}
		_ = json.Unmarshal(value, &messages)
		messages = slices.DeleteFunc(messages, func(message looseText) bool { return message == "" })
		for i, message := range messages {
			switch {
			case i > 0:
				text.WriteString(", ")
			case text.Len() > 0:
				text.WriteString("; ")
			}
			if i == 0 { // once, since it may be long
				text.Write(field)
				text.WriteString(": ")
			}
			text.WriteString(string(message))
		}
	}
	return looseText(text.String())
}

// innerError is an "error": an error object, or a text.
type innerError struct {
	text   looseText
	object errorObjects
}

// UnmarshalJSON never fails.
func (e *innerError) UnmarshalJSON(data []byte) error {
	_ = e.text.UnmarshalJSON(data)
	return e.object.UnmarshalJSON(data)
}

// maxErrorBody limits how much of an error body is decoded, in bytes. Those of the API
// have less than 1 KB; decoded, a list of tiny errors takes about a hundred times its
// size.
const maxErrorBody = 32 << 10

// decodeErrorBody decodes an error body in any of the API's JSON formats. A proxy's plain
// text or HTML title becomes the Detail.
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
			Error  innerError   `json:"error"`
		}
		if json.Unmarshal(body, &document) != nil {
			return errorObject{} // malformed, so not worth showing
		}
		object := document.errorObject
		for _, inner := range [...]errorObjects{document.Error.object, document.Errors} {
			if inner := errorObject(inner); !inner.isEmpty() {
				object = inner
			}
		}
		object.Title = cmp.Or(object.Title, object.Message, document.Error.text)
		return object
	case '<':
		return errorObject{Detail: looseText(htmlTitle(body))}
	}
	return errorObject{Detail: looseText(body)}
}

// isJSONOrEmpty reports whether an error body has one of the formats of the API.
func isJSONOrEmpty(body []byte) bool {
	body = bytes.TrimSpace(body)
	return len(body) == 0 || json.Valid(body)
}

// htmlTitle returns a short description of an HTML page, with its title if it has one.
func htmlTitle(page []byte) string {
	const most = 8 << 10 // titles are near the beginning
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

// lowerASCII converts ASCII letters to lower case. Unlike [strings.ToLower] it preserves
// the length, so that indexes into the result are valid in text.
func lowerASCII(text string) string {
	lower := []byte(text)
	for i, c := range lower {
		if 'A' <= c && c <= 'Z' {
			lower[i] = c + 'a' - 'A'
		}
	}
	return string(lower)
}
