package roomhttp

import (
	"errors"
	"net/http"

	"github.com/roomtoken/roomtoken"
)

// Errors that Config.Authorize wraps to say why it refuses a request.
// [roomtoken.ErrRoomNotFound] is answered with 404, any other error with 403.
var (
	// ErrUnauthenticated means that the client has not said who it is, or that its session
	// has ended: 401.
	ErrUnauthenticated = errors.New("roomhttp: unauthenticated")

	// ErrUnavailable means that it cannot be decided now, because a database is down for
	// instance: 503. The client may try again, after the time that [roomtoken.RetryAfter]
	// has added, or else after 2 s.
	ErrUnavailable = errors.New("roomhttp: unavailable")
)

// authorize asks Config.Authorize. It returns the code of the refusal, "" if there is
// none.
func (h *Handler) authorize(r *http.Request, roomID string) (code string, err error) {
	err = h.config.Authorize(r, roomID)
	if err == nil {
		return "", nil
	}
	h.count(&h.counts.denied, r)
	switch {
	case errors.Is(err, ErrUnauthenticated):
		return codeUnauthenticated, err
	case errors.Is(err, ErrUnavailable):
		return codeUnavailable, err
	case errors.Is(err, roomtoken.ErrRoomNotFound):
		return codeRoomNotFound, err
	default:
		return codeForbidden, err
	}
}
