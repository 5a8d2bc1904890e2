package roomtoken

import (
	"errors"
	"time"
)

// RetryAfter returns an error with the text of err that wraps err and carries the
// wait that the server asked for. The wait counts from the moment the source
// returns the error: no call for the room, or with [ErrRateLimited] for any room,
// begins earlier. Waits are cut to Config.MaxRetryAfter, negative ones count as none. RetryAfter(nil, d) is nil.
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

// maxRetryAfter bounds the waits that a source can ask for.
const maxRetryAfter = 24 * time.Hour

// retryAfterOf returns the wait that err carries, 0 if it carries none.
func retryAfterOf(err error) time.Duration {
	return min(longestWait(err), maxRetryAfter)
}

// longestWait returns the longest wait that an error in err's tree carries, so
// that all of them are kept.
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
