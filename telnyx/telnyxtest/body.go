package telnyxtest

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// Body is the body of an answer. Its zero value stands for what fits the status:
// a documented error from 400 on, nothing below.
type Body struct {
	set         bool
	contentType string
	text        string
}

// The shapes in which failures have been seen, beside [ErrorList] and
// [ErrorObject].
var (
	// EmptyBody is no body at all.
	EmptyBody = RawBody("", "")

	// MessageBody is {"message":"Error","success":false}.
	MessageBody = RawBody("application/json; charset=utf-8", `{"message":"Error","success":false}`)

	// HTMLBody is the page of a proxy in front of the API.
	HTMLBody = RawBody("text/html", "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n"+
		"<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n")
)

// RawBody is any body. An empty contentType sends no Content-Type header.
func RawBody(contentType, text string) Body { return Body{true, contentType, text} }

// JSONBody is v as JSON. It panics if v cannot be written so.
func JSONBody(v any) Body {
	text, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("telnyxtest: JSONBody: %v", err))
	}
	return RawBody("application/json; charset=utf-8", string(text))
}

// ErrorList is {"errors":[...]}, the usual shape.
func ErrorList(errs ...Error) Body { return JSONBody(map[string][]Error{"errors": errs}) }

// ErrorObject is the bare error object, the documented shape of a 403.
func ErrorObject(err Error) Body { return JSONBody(err) }

// Error is an error object of the API (video_Error in the document).
type Error struct {
	Code   any               `json:"code"` // a string by the document; a number occurs
	Title  string            `json:"title"`
	Detail string            `json:"detail,omitempty"`
	Source map[string]string `json:"source,omitempty"` // "pointer" or "parameter"
	Meta   map[string]any    `json:"meta,omitempty"`
}

// KnownError returns the error with this code. Title and detail are those of
// Telnyx's published list up to 10015, and of this package's making beyond; a code
// that the server itself never uses has neither.
func KnownError(code string) Error {
	text := texts[code]
	return Error{
		Code:   code,
		Title:  text.title,
		Detail: text.detail,
		Meta:   map[string]any{"url": "https://developers.telnyx.com/docs/overview/errors/" + code},
	}
}

var texts = map[string]struct{ title, detail string }{
	"10004": {"Missing required parameter", "A required parameter was missing."},
	"10005": {"Resource not found", "The requested resource or URL could not be found."},
	"10007": {"Unexpected error", "An unexpected error occurred."},
	"10008": {"Request timeout", "The request timed out."},
	"10009": {"Authentication failed", "The required authentication headers were either invalid or not included in the request."},
	"10010": {"Authorization failed", "You do not have permission to perform the requested action on the specified resource or resources."},
	"10011": {"Too many requests", "You have exceeded the maximum number of allowed requests."},
	"10014": {"Unsupported Media Type", "The request failed because the server does not support the media type."},
	"10015": {"Bad Request", "The request failed because it was not well-formed."},
	"10033": {"Value out of range", "The value is outside of the allowed range."},
	"20006": {"Expired access token", "The access token has expired."},
	"65001": {"Invalid room ID", "The room ID is invalid."},
}

// codes are the errors that fit a status; any other is 10007.
var codes = map[int]string{
	http.StatusBadRequest:           "10015",
	http.StatusUnauthorized:         "10009",
	http.StatusForbidden:            "10010",
	http.StatusNotFound:             "10005",
	http.StatusRequestTimeout:       "10008",
	http.StatusUnsupportedMediaType: "10014",
	http.StatusUnprocessableEntity:  "10033",
	http.StatusTooManyRequests:      "10011",
}

// or returns b, or what fits the status where b is zero.
func (b Body) or(status int) Body {
	switch {
	case b.set:
		return b
	case status < 400:
		return EmptyBody
	}
	code, ok := codes[status]
	if !ok {
		code = "10007"
	}
	return errorBody(status, KnownError(code))
}

// errorBody is the shape in which the API itself answers.
func errorBody(status int, err Error) Body {
	if status == http.StatusForbidden {
		return ErrorObject(err)
	}
	return ErrorList(err)
}
