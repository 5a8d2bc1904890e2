package roomtoken

import (
	"errors"
	"time"
)

// What a [TokenSource] says with its errors; wrap them, or use [Permanent] and
// [RetryAfter].
var (
	// ErrRefreshRejected says that this refresh token is no good: the Manager
	// calls Create instead, at once.
	ErrRefreshRejected = errors.New("roomtoken: refresh token rejected")

	// ErrPermanent says that the same call again cannot help: a wrong API key, a
	// room that does not exist. [Permanent] wraps an error in it.
	ErrPermanent = errors.New("roomtoken: permanent failure")

	// ErrRateLimited says that the account, not the room, must wait: the Manager
	// begins no call for any room until the wait that the error carries is over
	// (see [RetryAfter]), or a step of its own backoff where it carries none.
	ErrRateLimited = errors.New("roomtoken: rate limited")
)

// What a [Manager] says of itself. Errors of the source reach the caller
// wrapped, so that [errors.Is] and [errors.As] find both.
var (
	// ErrClosed is returned by every call on a Manager that was closed.
	ErrClosed = errors.New("roomtoken: manager closed")

	// ErrInvalidGrant says that the source returned something that is no usable
	// grant: no token, no expiry, one with too little time left, or a token that
	// was invalidated before. It counts as a passing failure.
	ErrInvalidGrant = errors.New("roomtoken: source returned an invalid grant")

	// ErrTooShort says that no token of this source lives as long as
	// [Manager.TokenValidFor] was asked for.
	ErrTooShort = errors.New("roomtoken: no token lives that long")

	// ErrTooManyRooms says that Config.MaxRooms is reached and no room can be
	// let go: each is watched, waited for, or has a call in flight.
	ErrTooManyRooms = errors.New("roomtoken: too many rooms")
)

// Permanent wraps err in [ErrPermanent]; its text stays. Permanent(nil) is nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &permanentError{err}
}

type permanentError struct{ err error }

func (e *permanentError) Error() string   { return e.err.Error() }
func (e *permanentError) Unwrap() []error { return []error{e.err, ErrPermanent} }

// RetryAfter wraps err in a wait that the other side asked for, counted from the
// moment the source returns it: no call for the room (with [ErrRateLimited]: for
// any room) begins earlier. Waits of more than 24 hours are cut to 24 hours,
// negative ones count as none. Its text stays. RetryAfter(nil, d) is nil.
func RetryAfter(err error, d time.Duration) error {
	if err == nil {
		return nil
	}
	return &retryAfterError{err, d}
}

type retryAfterError struct {
	err  error
	wait time.Duration
}

func (e *retryAfterError) Error() string             { return e.err.Error() }
func (e *retryAfterError) Unwrap() error             { return e.err }
func (e *retryAfterError) RetryAfter() time.Duration { return e.wait }

// maxRetryAfter bounds what a source can make the Manager wait.
const maxRetryAfter = 24 * time.Hour

// retryAfterOf returns the wait that err carries, 0 if none.
func retryAfterOf(err error) time.Duration {
	return min(longestWait(err), maxRetryAfter)
}

// longestWait returns the longest wait that an error in err's tree carries, so
// that none is broken.
func longestWait(err error) (wait time.Duration) {
	var carrier interface{ RetryAfter() time.Duration }
	if errors.As(err, &carrier) {
		wait = max(carrier.RetryAfter(), 0)
	}
	switch e := err.(type) { //nolint:errorlint // it walks the tree
	case interface{ Unwrap() error }:
		wait = max(wait, longestWait(e.Unwrap()))
	case interface{ Unwrap() []error }:
		for _, branch := range e.Unwrap() {
			wait = max(wait, longestWait(branch))
		}
	}
	return wait
}
