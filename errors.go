package roomtoken

import "errors"

// Errors that a [TokenSource] wraps to tell the Manager what a failure means. See
// also [Permanent] and [RetryAfter].
var (
	// ErrRefreshRejected means that the refresh token is not accepted. The Manager
	// calls Create instead, at once.
	ErrRefreshRejected = errors.New("roomtoken: refresh token rejected")

	// ErrPermanent means that repeating the call cannot help: the API key is wrong,
	// the room does not exist. [Permanent] wraps an error in it.
	ErrPermanent = errors.New("roomtoken: permanent failure")

	// ErrUnauthorized means that the server refused the source's own credential, whichever
	// room the call was for. It is an ErrPermanent.
	ErrUnauthorized error = &permanentError{errors.New("roomtoken: unauthorized")}

	// ErrRoomNotFound means that there is no such room. It is an ErrPermanent.
	ErrRoomNotFound error = &permanentError{errors.New("roomtoken: room not found")}

	// ErrRateLimited means that the account, not only the room, must wait. The
	// Manager begins no call for any room until the wait that the error carries (see
	// [RetryAfter]) is over, or a step of its own backoff where it carries none.
	ErrRateLimited = errors.New("roomtoken: rate limited")
)

// Errors of the [Manager] itself. Errors of the source reach the caller wrapped,
// so that [errors.Is] and [errors.As] find both.
var (
	// ErrClosed is returned by every call on a Manager that was closed.
	ErrClosed = errors.New("roomtoken: manager closed")

	// ErrInvalidGrant means that the source returned an unusable grant: without a
	// token, without an expiry, with too little time left, or with a token that was
	// invalidated before. It counts as a transient failure.
	ErrInvalidGrant = errors.New("roomtoken: source returned an invalid grant")

	// ErrTooShort means that no token of this source lives as long as the caller of
	// [Manager.TokenValidFor] asked for.
	ErrTooShort = errors.New("roomtoken: no token lives that long")

	// ErrTooManyRooms means that Config.MaxRooms is reached and that no room can be
	// evicted: each is watched, waited for, or has a call in flight.
	ErrTooManyRooms = errors.New("roomtoken: too many rooms")
)

// Permanent returns an error with the text of err that wraps err and
// [ErrPermanent]. Permanent(nil) is nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &permanentError{err}
}

type permanentError struct{ err error }

func (e *permanentError) Error() string   { return e.err.Error() }
func (e *permanentError) Unwrap() []error { return []error{e.err, ErrPermanent} }
