package roomtoken

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/roomtoken/roomtoken/internal/flight"
)

// verdict is what the outcome of a call means.
type verdict uint8

const (
	transient verdict = iota // it failed, and the same call later may succeed
	granted                  // the source returned a grant
	rejected                 // the refresh token was refused
	permanent                // repeating the call cannot help
	limited                  // the account must wait
)

// outcome is the result of a call, as far as it is known without the lock.
type outcome struct {
	verdict verdict
	grant   Grant
	err     error
	text    string        // err.Error(), called where a panic in it is contained
	wait    time.Duration // that the server asked for
}

// classify returns what an error of the source means.
func classify(kind CallKind, err error) outcome {
	o := outcome{err: err, text: err.Error(), wait: retryAfterOf(err)}
	switch {
	case errors.Is(err, ErrRateLimited):
		o.verdict = limited
	case kind == CallRefresh && (errors.Is(err, ErrRefreshRejected) || errors.Is(err, ErrPermanent)):
		o.verdict = rejected
	case errors.Is(err, ErrPermanent):
		o.verdict = permanent
	}
	return o
}

// failed returns the outcome of a call that failed for a reason of the Manager's
// own.
func failed(err error) outcome { return outcome{err: err, text: err.Error()} }

// thrown returns the outcome of a call whose source panicked or called Goexit. Its
// text does not hold the refresh token that the source was called with.
func thrown(err error, refreshToken Secret) outcome {
	text := err.Error()
	var p *flight.PanicError
	if errors.As(err, &p) {
		text = "the source threw a " + text
	}
	if secret := refreshToken.Reveal(); secret != "" {
		text = strings.ReplaceAll(text, secret, redacted)
	}
	return failed(errors.New(text))
}

// errCallTimeout is the cause with which a call's ctx ends at CallTimeout.
var errCallTimeout = fmt.Errorf("roomtoken: CallTimeout has passed: %w", context.DeadlineExceeded)

// timeoutError says that the source did not answer within CallTimeout. It wraps
// context.DeadlineExceeded and, if the source has returned, its error.
type timeoutError struct {
	after time.Duration
	err   error // nil: the source has not returned
}

func (e *timeoutError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("no answer within CallTimeout (%v), and the call has not returned", e.after)
	}
	return fmt.Sprintf("no answer within CallTimeout (%v): %v", e.after, e.err)
}

func (e *timeoutError) Unwrap() []error {
	if e.err == nil {
		return []error{context.DeadlineExceeded}
	}
	return []error{e.err, context.DeadlineExceeded}
}
