package roomtoken

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/roomtoken/roomtoken/internal/breaker"
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
	shorter                  // the grant is good, but ends before the present token
)

// outcome is the result of a call, as far as it is known without the lock.
type outcome struct {
	verdict verdict
	grant   Grant
	refresh string // the grant's refresh token, packed
	err     error
	cause   string        // of err, see causeOf; found where a panic in its methods is contained
	wait    time.Duration // that the server asked for

	blames   breaker.Verdict // of a permanent failure or a refused refresh token: whose it is
	timedOut bool            // of a transient failure: there was no answer in time
	local    bool            // of a transient failure: this process could not make the call
}

// classify returns what an error of the source means.
func classify(kind CallKind, err error) outcome {
	o := outcome{err: err, cause: causeOf(err), wait: retryAfterOf(err)}
	switch {
	case errors.Is(err, ErrRateLimited):
		o.verdict = limited
	case kind == CallRefresh && (errors.Is(err, ErrRefreshRejected) || errors.Is(err, ErrPermanent)):
		o.verdict, o.blames = rejected, breaker.Answer
	case errors.Is(err, ErrUnauthorized):
		o.verdict, o.blames = permanent, breaker.Unauthorized
	case errors.Is(err, ErrRoomNotFound):
		o.verdict, o.blames = permanent, breaker.Answer
	case errors.Is(err, ErrPermanent):
		o.verdict, o.blames = permanent, breaker.Denial
	default:
		o.timedOut = errors.Is(err, context.DeadlineExceeded)
		o.local = isLocal(err)
	}
	return o
}

// isLocal reports whether a call failed for want of this process's own resources.
func isLocal(err error) bool {
	for _, want := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM} {
		if errors.Is(err, want) {
			return true
		}
	}
	return false
}

// granted returns the outcome of a call that got a grant. It needs no lock.
func (e *engine) granted(g Grant) outcome {
	return outcome{verdict: granted, grant: g, refresh: e.packer.Pack(g.RefreshToken.Value.Reveal())}
}

// failed returns the outcome of a call that failed for a reason of the Manager's
// own.
func failed(err error) outcome { return outcome{err: err, cause: causeOf(err)} }

// thrown returns the outcome of a call whose source panicked or called Goexit. It
// does not hold the refresh token that the source was called with.
func thrown(err error, refreshToken Secret) outcome {
	var p *flight.PanicError
	if !errors.As(err, &p) {
		return failed(err)
	}
	return failed(newPanicError(p, refreshToken))
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
