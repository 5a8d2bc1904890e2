package telnyx

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/roomtoken/roomtoken"
)

// APIError is an answer of the API, or of a proxy in front of it, that is not a
// success. Its texts are the server's, each cut to 300 bytes, on one line, and
// without credentials; any may be empty.
//
// With [errors.Is] it is [roomtoken.ErrPermanent], [roomtoken.ErrRefreshRejected],
// [roomtoken.ErrRateLimited] or none of them, by Op and StatusCode alone, as the
// table in the package's text says.
type APIError struct {
	// Op is the method that failed: "create" or "refresh".
	Op string

	// RoomID is the room that it was called for.
	RoomID string

	// StatusCode is the HTTP status, from 300 on.
	StatusCode int

	// Code is Telnyx's code, "10009" say.
	Code string

	// Title is the error in a few words, Detail in a sentence. Where an answer
	// is not of the API's making, Detail says what it is.
	Title, Detail string

	// Source is what of the request the error is about.
	Source ErrorSource

	// RequestID is the X-Request-Id of the answer, to ask Telnyx's support with.
	RequestID string

	retryAfter time.Duration
}

// ErrorSource says what of a request an [APIError] is about.
type ErrorSource struct {
	// Pointer is a JSON pointer (RFC 6901) into the body of the request.
	Pointer string

	// Parameter is the name of a parameter of the request.
	Parameter string
}

// newAPIError reads an answer that is not a success. body is what came of it.
func newAPIError(c call, resp *http.Response, body []byte, now time.Time) *APIError {
	if contentEncoding(resp.Header) != "" {
		body = nil // nothing to show to people
	}
	object := decodeErrorBody(body)
	if location := resp.Header.Get("Location"); location != "" && resp.StatusCode <= 399 {
		object.Detail = looseText(refusedRedirect(location))
	}
	clean := func(text looseText) string { return c.clean(string(text), maxServerText) }
	return &APIError{
		Op:         c.op,
		RoomID:     c.roomID,
		StatusCode: resp.StatusCode,
		Code:       clean(object.Code),
		Title:      clean(object.Title),
		Detail:     clean(object.Detail),
		Source:     ErrorSource{Pointer: clean(object.Source.Pointer), Parameter: clean(object.Source.Parameter)},
		RequestID:  clean(looseText(resp.Header.Get("X-Request-Id"))),
		retryAfter: retryAfter(resp.StatusCode, resp.Header, now),
	}
}

// refusedRedirect says where a redirect led. The rest of the location may be a
// credential of somebody's.
func refusedRedirect(location string) string {
	if target, err := url.Parse(location); err == nil && target.Host != "" {
		return "a redirect to " + target.Host + " was refused"
	}
	return "a redirect was refused"
}

// Error says what failed, for which room, and all that the server said of it.
func (e *APIError) Error() string {
	var b strings.Builder
	b.WriteString(prefix(e.Op, e.RoomID))
	b.WriteString(statusName(e.StatusCode))
	title := e.Title
	if title == "" {
		title = codeNames[e.Code]
	}
	for _, text := range [...]string{title, e.Detail} {
		if text != "" {
			b.WriteString(": " + text)
		}
	}
	notes := make([]string, 0, 4)
	for _, note := range [...]struct{ name, value string }{
		{"code", e.Code}, {"at", e.Source.Pointer}, {"parameter", e.Source.Parameter}, {"request", e.RequestID},
	} {
		if note.value != "" {
			notes = append(notes, note.name+" "+note.value)
		}
	}
	if len(notes) > 0 {
		b.WriteString(" (" + strings.Join(notes, ", ") + ")")
	}
	return b.String()
}

// RetryAfter is the wait that the server asked for, from 0 (none) to 24 hours,
// counted from the moment of the answer. It is taken from the header Retry-After,
// or, with status 429, from x-ratelimit-reset.
func (e *APIError) RetryAfter() time.Duration { return e.retryAfter }

// Is tells [errors.Is] what a Manager should make of the error.
func (e *APIError) Is(target error) bool {
	switch target {
	case roomtoken.ErrRateLimited:
		return e.StatusCode == http.StatusTooManyRequests
	case roomtoken.ErrPermanent:
		return e.Op == opCreate && (e.isRedirect() || e.isRefusal())
	case roomtoken.ErrRefreshRejected:
		// A redirect says nothing of the refresh token, and a Create would
		// probably meet the same one: so it is kept and tried again.
		return e.Op == opRefresh && e.isRefusal()
	}
	return false
}

func (e *APIError) isRedirect() bool { return e.StatusCode >= 300 && e.StatusCode <= 399 }

// isRefusal reports whether the status says that the same request will fail
// again.
func (e *APIError) isRefusal() bool {
	switch e.StatusCode {
	case http.StatusRequestTimeout, http.StatusConflict, http.StatusTooManyRequests:
		return false
	}
	return e.StatusCode >= 400 && e.StatusCode <= 499
}

// codeNames says what the codes mean that Telnyx's documents name, for answers
// that do not say it themselves.
var codeNames = map[string]string{
	"10005": "not found",
	"10009": "authentication failed",
	"10010": "authorization failed",
	"10011": "too many requests",
	"10033": "value out of range",
	"20006": "expired access token",
	"20012": "account inactive",
	"20013": "account blocked",
	"65001": "invalid room ID",
}
