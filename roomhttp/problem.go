package roomhttp

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/roomtoken/roomtoken"
)

// The codes of problems. The package documentation has the list.
const (
	codeNotFound             = "not_found"
	codeMethodNotAllowed     = "method_not_allowed"
	codeBadRoomID            = "bad_room_id"
	codeUnauthenticated      = "unauthenticated"
	codeForbidden            = "forbidden"
	codeCrossOrigin          = "cross_origin"
	codeRoomNotFound         = "room_not_found"
	codeSourceRefused        = "source_refused"
	codeRateLimited          = "rate_limited"
	codeTooManyRooms         = "too_many_rooms"
	codeClosing              = "closing"
	codeUnavailable          = "unavailable"
	codeTooManyStreams       = "too_many_streams"
	codeStreamingUnsupported = "streaming_unsupported"
	codeBadRequest           = "bad_request"
	codeUnsupportedMediaType = "unsupported_media_type"
	codeTooLarge             = "too_large"
)

// problems has what is fixed about the problem of each code: nothing in it depends on the
// error, so nothing of the error can leak.
var problems = map[string]struct {
	status int
	detail string
}{
	codeNotFound:             {http.StatusNotFound, "There is nothing at this path."},
	codeMethodNotAllowed:     {http.StatusMethodNotAllowed, "This path has no such method; the Allow header names those it has."},
	codeBadRoomID:            {http.StatusBadRequest, "A room ID is 1 to 1,024 bytes of UTF-8 without control characters."},
	codeUnauthenticated:      {http.StatusUnauthorized, "Sign in to get a token for this room."},
	codeForbidden:            {http.StatusForbidden, "You may not have a token for this room."},
	codeCrossOrigin:          {http.StatusForbidden, "Pages of this origin may not ask for tokens here."},
	codeRoomNotFound:         {http.StatusNotFound, "There is no such room."},
	codeSourceRefused:        {http.StatusBadGateway, "The video service refuses to issue a token for this room."},
	codeRateLimited:          {http.StatusServiceUnavailable, "The video service allows no more requests for now."},
	codeTooManyRooms:         {http.StatusServiceUnavailable, "The server has too many rooms in use."},
	codeClosing:              {http.StatusServiceUnavailable, "The server is shutting down."},
	codeUnavailable:          {http.StatusServiceUnavailable, "There is no token at the moment."},
	codeTooManyStreams:       {http.StatusServiceUnavailable, "The server has too many streams open."},
	codeStreamingUnsupported: {http.StatusInternalServerError, "The server is set up in a way that does not let it stream."},
	codeBadRequest:           {http.StatusBadRequest, `The body must be a JSON object with the refused token: {"token": "..."}.`},
	codeUnsupportedMediaType: {http.StatusUnsupportedMediaType, "The body must be application/json."},
	codeTooLarge:             {http.StatusRequestEntityTooLarge, "The body may have 16 KiB at most."},
}

// problem is an error as the client sees it (RFC 9457).
type problem struct {
	Type       string `json:"type"`
	Title      string `json:"title"`
	Status     int    `json:"status"`
	Code       string `json:"code"`
	Detail     string `json:"detail"`
	RetryAfter int64  `json:"retry_after,omitempty"` // in seconds; with 503 only
}

// problemOf returns the problem of that code. Of err, which may be nil, only its wait
// enters.
func problemOf(code string, err error) problem {
	fixed := problems[code]
	p := problem{
		Type:   "about:blank",
		Title:  http.StatusText(fixed.status),
		Status: fixed.status,
		Code:   code,
		Detail: fixed.detail,
	}
	if fixed.status == http.StatusServiceUnavailable {
		p.RetryAfter = secondsToWait(err)
	}
	return p
}

// secondsToWait returns the whole seconds after which to try again, rounded up: what err
// carries, else 2. At least 1.
func secondsToWait(err error) int64 {
	wait := 2 * time.Second
	var carrier interface{ RetryAfter() time.Duration }
	if errors.As(err, &carrier) {
		wait = min(carrier.RetryAfter(), longest)
	}
	return max(ceilSeconds(wait), 1)
}

// ceilSeconds returns the whole seconds of d, rounded up.
func ceilSeconds(d time.Duration) int64 {
	seconds := int64(d / time.Second)
	if d%time.Second > 0 {
		seconds++
	}
	return seconds
}

// Status returns how a [Handler] answers an error of a [roomtoken.Manager], for handlers of
// your own: the status, a code for programs, and for status 503 the time in whole seconds
// after which to try again, at least 1 s; else 0. The codes are those of the package
// documentation: room_not_found, source_refused, rate_limited, too_many_rooms, closing and
// unavailable, and for errors of Config.Authorize unauthenticated and unavailable.
//
// Any other error is unavailable. The status of a nil error is 200, its code "".
func Status(err error) (status int, code string, retryAfter time.Duration) {
	if err == nil {
		return http.StatusOK, "", 0
	}
	p := problemOf(codeOf(err), err)
	return p.Status, p.Code, time.Duration(p.RetryAfter) * time.Second
}

// codeOf returns the code of an error for want of a token.
func codeOf(err error) string {
	switch {
	case errors.Is(err, roomtoken.ErrClosed):
		return codeClosing
	case errors.Is(err, roomtoken.ErrTooManyRooms):
		return codeTooManyRooms
	case errors.Is(err, roomtoken.ErrRateLimited):
		return codeRateLimited
	case errors.Is(err, ErrUnauthenticated):
		return codeUnauthenticated
	case errors.Is(err, roomtoken.ErrRoomNotFound):
		return codeRoomNotFound
	case errors.Is(err, roomtoken.ErrPermanent):
		return codeSourceRefused
	default:
		return codeUnavailable
	}
}

// refuse answers with a problem. err, which may be nil, is for the log.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, roomID, code string, err error) {
	p := problemOf(code, err)
	h.log.refused(r, roomID, p, err)
	if p.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.FormatInt(p.RetryAfter, 10))
	}
	if p.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	writeJSON(w, p.Status, "application/problem+json", p)
}

// writeJSON answers with a JSON body. What cannot be written is not reported: the client
// has gone.
func writeJSON(w http.ResponseWriter, status int, contentType string, body any) {
	text := compactJSON(body)
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	_, _ = w.Write(text) //nolint:gosec // it is JSON, and marked as such
}

// compactJSON returns v, a struct of strings and numbers, in one line.
func compactJSON(v any) []byte {
	text, _ := json.Marshal(v) // which cannot fail for such a struct
	return text
}
