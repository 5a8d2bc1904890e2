package telnyx

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/roomtoken/roomtoken"
)

// APIError is a response with an error status, from the API or from a proxy in front of
// it. Code, Title, Detail, Source and RequestID come from the server: each is limited to
// 300 bytes, on one line, with credentials redacted, and may be empty.
//
// For [errors.Is], an APIError matches at most one of [roomtoken.ErrPermanent],
// [roomtoken.ErrRefreshRejected] and [roomtoken.ErrRateLimited], depending on Op and
// StatusCode only. If it matches ErrPermanent, it may match [roomtoken.ErrUnauthorized] or
// [roomtoken.ErrRoomNotFound], too, depending on StatusCode, Code and the kind of body.
// The package documentation has the table.
type APIError struct {
	// Op is the call that failed: roomtoken.CallCreate or roomtoken.CallRefresh.
	Op roomtoken.CallKind

	// RoomID is the ID of the room of the call, or for a [CredentialSource] of the
	// credential.
	RoomID string

	// StatusCode is the HTTP status, 300 or higher.
	StatusCode int

	// Code is Telnyx's error code, for example "10009".
	Code string

	// Title is a summary of the error, and Detail an explanation. If the response
	// is not the API's, Detail describes it.
	Title, Detail string

	// Source is the part of the request that caused the error.
	Source ErrorSource

	// RequestID is the X-Request-Id header, for questions to Telnyx's support.
	RequestID string

	noun       string // what RoomID names; "": a room
	wrongHost  string // the host that may not be the API's; "": there is no doubt
	retryAfter time.Duration

	// The body is not the API's: it is neither JSON nor empty, or could not be read.
	foreign bool
}

// ErrorSource is the part of a request that caused an [APIError], as in the "source" of
// Telnyx's error object. Usually one field is set, or none.
type ErrorSource struct {
	// Pointer is a JSON pointer (RFC 6901) into the body of the request.
	Pointer string

	// Parameter is the name of a parameter of the request.
	Parameter string
}

// newAPIError returns the error for a response with an error status.
func (c *client) newAPIError(of call, resp *response) *APIError {
	object := decodeErrorBody(resp.body)
	if location := resp.header.Get("Location"); location != "" && resp.status <= 399 {
		object.Detail = looseText(refusedRedirect(location))
	}
	clean := func(text looseText) string { return of.clean(string(text), maxServerText) }
	err := &APIError{
		Op:         of.kind,
		RoomID:     of.id,
		StatusCode: resp.status,
		Code:       clean(object.Code),
		Title:      clean(object.Title),
		Detail:     clean(object.Detail),
		Source:     ErrorSource{Pointer: clean(object.Source.Pointer), Parameter: clean(object.Source.Parameter)},
		RequestID:  clean(looseText(resp.header.Get("X-Request-Id"))),
		noun:       of.noun,
		retryAfter: retryAfter(resp.status, resp.header, c.clock.Now()),
		foreign:    resp.bodyErr != nil || contentEncoding(resp.header) != "" || !isJSONOrEmpty(resp.body),
	}
	if err.StatusCode == http.StatusNotFound && (err.foreign || !strings.HasSuffix(c.baseURL, "/v2")) {
		err.wrongHost = c.host
	}
	return err
}

// refusedRedirect describes a redirect. It names the host only: the rest of the location
// may contain credentials.
func refusedRedirect(location string) string {
	if target, err := url.Parse(location); err == nil && target.Host != "" {
		return "a redirect to " + target.Host + " was refused"
	}
	return "a redirect was refused"
}

// Error returns the call, the first characters of the room ID, the status, and all texts
// from the server.
func (e *APIError) Error() string {
	var b strings.Builder
	b.WriteString(prefix(e.Op, cmp.Or(e.noun, roomIDs.noun), e.RoomID))
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
	if e.wrongHost != "" {
		b.WriteString("; this came from " + e.wrongHost + ": does the base URL end in /v2?")
	}
	return b.String()
}

// RetryAfter returns how long the server asked to wait, counted from the response: 0 (not
// at all) to 24 hours. It comes from the Retry-After header (RFC 9110, 10.2.3) or, with
// status 429, from x-ratelimit-reset or ratelimit-reset.
func (e *APIError) RetryAfter() time.Duration { return e.retryAfter }

// Is implements the interface of [errors.Is] for the sentinel errors of roomtoken.
func (e *APIError) Is(target error) bool {
	switch target {
	case roomtoken.ErrRateLimited:
		return e.StatusCode == http.StatusTooManyRequests
	case roomtoken.ErrPermanent:
		return e.Op == roomtoken.CallCreate && (e.isRedirect() || e.isRefusal())
	case roomtoken.ErrUnauthorized:
		return e.isUnauthorized()
	case roomtoken.ErrRoomNotFound:
		return e.isRoomNotFound()
	case roomtoken.ErrRefreshRejected:
		// A redirect says nothing about the refresh token, and a Create would
		// probably be redirected, too: keep the token and try again.
		return e.Op == roomtoken.CallRefresh && e.isRefusal()
	}
	return false
}

func (e *APIError) isRedirect() bool { return e.StatusCode >= 300 && e.StatusCode <= 399 }

// isRefusal reports whether the status means that the same request would fail again.
func (e *APIError) isRefusal() bool {
	switch e.StatusCode {
	case http.StatusRequestTimeout, http.StatusConflict, http.StatusTooManyRequests:
		return false
	}
	return e.StatusCode >= 400 && e.StatusCode <= 499
}

// isUnauthorized reports whether a Create failed because of the API key or the account.
func (e *APIError) isUnauthorized() bool {
	return e.Op == roomtoken.CallCreate && e.isRefusal() &&
		(e.StatusCode == http.StatusUnauthorized || slices.Contains(accountCodes, e.Code))
}

// isRoomNotFound reports whether a Create failed because there is no such room. A 404
// that is not the API's says more about the base URL than about the room.
func (e *APIError) isRoomNotFound() bool {
	return e.Op == roomtoken.CallCreate && e.isRefusal() && !e.isUnauthorized() &&
		(e.StatusCode == http.StatusNotFound && !e.foreign || slices.Contains(roomCodes, e.Code))
}

// Error codes that say what is wrong whatever the status is.
var (
	// accountCodes: the API key is bad, revoked, forbidden or invalid; authentication
	// failed; the account is inactive, blocked or out of funds.
	accountCodes = []string{"20001", "20002", "20003", "20008", "10009", "20012", "20013", "20100"}

	// roomCodes: the room was not found; its ID is invalid.
	roomCodes = []string{"10005", "65001"}
)

// codeNames are the meanings of error codes in Telnyx's documents, for responses without
// a title.
var codeNames = map[string]string{
	"10005": "not found",
	"10009": "authentication failed",
	"10010": "authorization failed",
	"10011": "too many requests",
	"10033": "value out of range",
	"20001": "bad API key",
	"20002": "revoked API key",
	"20003": "forbidden API key",
	"20006": "expired access token",
	"20008": "invalid API key",
	"20012": "account inactive",
	"20013": "account blocked",
	"20100": "insufficient funds",
	"65001": "invalid room ID",
}
