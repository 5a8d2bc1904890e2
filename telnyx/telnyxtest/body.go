package telnyxtest

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// Body is the body of a response. The zero Body stands for the default body of the
// response's status: a documented error from 400 on, and no body below that.
type Body struct {
	set         bool
	contentType string
	text        string
}

// Error bodies that real responses have, besides [ErrorList], [ErrorObject], [ErrorFields]
// and [ErrorMember].
var (
	// EmptyBody is an empty body without a Content-Type.
	EmptyBody = RawBody("", "")

	// MessageBody is {"message":"Error","success":false}.
	MessageBody = RawBody("application/json; charset=utf-8", `{"message":"Error","success":false}`)

	// HTMLBody is the error page of a proxy in front of the API.
	HTMLBody = RawBody("text/html", "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n"+
		"<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n")
)

// RawBody returns a body of any text. With an empty contentType the response has no
// Content-Type header.
func RawBody(contentType, text string) Body { return Body{true, contentType, text} }

// JSONBody returns v encoded as JSON. It panics if [json.Marshal] fails.
func JSONBody(v any) Body {
	text, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("telnyxtest: JSONBody: %v", err))
	}
	return RawBody("application/json; charset=utf-8", string(text))
}

// ErrorList returns {"errors":[...]}, the usual error body of the API.
func ErrorList(errs ...Error) Body { return JSONBody(map[string][]Error{"errors": errs}) }

// ErrorObject returns err on its own: the body that the API document has for the 403 of
// the rooms endpoints, and that the server uses for their 404, too.
func ErrorObject(err Error) Body { return JSONBody(err) }

// ErrorFields returns {"errors":{"field":"message"}} for messages that are strings, or
// {"errors":{"field":["message"]}} for lists of strings: what parts of the API that
// validate fields respond with.
func ErrorFields[M string | []string](messages map[string]M) Body {
	return JSONBody(map[string]map[string]M{"errors": messages})
}

// ErrorMember returns {"error":err}: an error object that is not at the top level.
func ErrorMember(err Error) Body { return JSONBody(map[string]Error{"error": err}) }

// Error is an error object of the API (video_Error in the OpenAPI document).
type Error struct {
	Code   any               `json:"code"` // documented as a string; numbers occur, too
	Title  string            `json:"title"`
	Detail string            `json:"detail,omitempty"`
	Source map[string]string `json:"source,omitempty"` // keys "pointer" and "parameter"
	Meta   map[string]any    `json:"meta,omitempty"`
}

// KnownError returns an error with the given code. Title and detail are those of Telnyx's
// published list of error codes; the detail of an error that the server finds itself has
// the type or the limits in question filled in. Both are empty for a code that the server
// never uses itself.
func KnownError(code string) Error {
	text := texts[code]
	return Error{
		Code:   code,
		Title:  text.title,
		Detail: text.detail,
		Meta:   map[string]any{"url": "https://developers.telnyx.com/docs/overview/errors/" + code},
	}
}

// texts are from https://developers.telnyx.com/development/api-fundamentals/api-errors, as
// of April 2026. Which code goes with which status is not documented there: the choice is
// this package's own.
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
	"10023": {"Invalid JSON", "The supplied JSON is invalid."},
	"10026": {"Invalid parameter type", "The parameter is not of the required type."}, // shortened
	"10029": {"Expected JSON Content-Type", "Must encode request as 'application/json'"},
	"10030": {"Method not allowed", "The URL is valid, but the method is not allowed."},
	"10033": {"Value outside of range", "The value is outside of the allowed range."}, // shortened
	"20006": {"Expired access token", "The access token provided is expired."},
	"65001": {"Invalid Room ID", "The provided room_id was not valid."},
}

// codes are the default error codes by status; any other status gets 10007.
var codes = map[int]string{
	http.StatusBadRequest:           "10015",
	http.StatusUnauthorized:         "10009",
	http.StatusForbidden:            "10010",
	http.StatusNotFound:             "10005",
	http.StatusMethodNotAllowed:     "10030",
	http.StatusRequestTimeout:       "10008",
	http.StatusUnsupportedMediaType: "10014",
	http.StatusUnprocessableEntity:  "10033",
	http.StatusTooManyRequests:      "10011",
}

// or returns b, or the default body of the endpoint for the status if b is zero.
func (b Body) or(e Endpoint, status int) Body {
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
	return errorBody(e, status, KnownError(code))
}

// errorBody returns err in the form that the endpoint uses for the status.
func errorBody(e Endpoint, status int, err Error) Body {
	if e != CredentialToken && (status == http.StatusForbidden || status == http.StatusNotFound) {
		return ErrorObject(err)
	}
	return ErrorList(err)
}
