package roomtoken

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/roomtoken/roomtoken/internal/breaker"
	"github.com/roomtoken/roomtoken/internal/monotime"
)

// Error is what [Manager.Token], [Manager.TokenValidFor], [Manager.Warm],
// [Manager.Watch] and [Manager.Subscribe] return for a room: what failed, and when the
// next attempt may begin. Use [errors.As] to get it. Only [ErrClosed] may come without
// one.
//
// Its text is for people and changes between versions. It holds no secret and no stack.
type Error struct {
	// RoomID is the room.
	RoomID string

	// Call is the call that failed last. Zero: none has failed.
	Call CallKind

	// Failures is the number of consecutive calls for the room that failed.
	Failures int

	// NotBefore is the time before which no call for the room begins, on Config.Clock.
	// Zero: nothing holds it back. Whether one begins then by itself depends on whether
	// the room is in use; to ask again always helps.
	NotBefore time.Time

	// Err is why there is no token: an error of the source, a [PanicError],
	// [ErrTooShort], [ErrTooManyRooms], or an invalid room ID. Nil: nothing has failed,
	// and Unwrap says what ended the wait.
	Err error

	ended   error         // the Err of the caller's ctx; nil: it has not ended
	cause   error         // the Cause of the caller's ctx
	watched bool          // the caller is a watch
	waited  time.Duration // MaxWait, which has passed; 0: it has not
	held    bool          // all calls are held back
	planned bool          // a call begins at NotBefore without anybody asking
	in      time.Duration // from when the Error was made until NotBefore
	state   string        // of the call in flight or in line
}

// Error describes the failure in one line: the room, what failed, how often in a row,
// and what happens next.
func (e *Error) Error() string {
	var parts []string
	if left := e.whyLeft(); left != "" {
		parts = append(parts, left)
	}
	if e.Err != nil {
		text := strings.TrimPrefix(textOf(e.Err), "roomtoken: ")
		if e.Call != 0 {
			text = fmt.Sprintf("%v failed: %s", e.Call, text)
		}
		parts = append(parts, text)
	}
	if e.Failures > 1 {
		parts = append(parts, fmt.Sprintf("%d failures in a row", e.Failures))
	}
	if e.state != "" {
		parts = append(parts, e.state)
	} else if !e.NotBefore.IsZero() {
		parts = append(parts, e.whatNext()...)
	}
	if len(parts) == 0 {
		parts = append(parts, "no token")
	}
	return fmt.Sprintf("roomtoken: room %q: %s", shorten(e.RoomID), strings.Join(parts, "; "))
}

// whyLeft returns what ended the caller's wait, "" if a failure did.
func (e *Error) whyLeft() string {
	switch {
	case e.ended == nil && e.waited > 0:
		return fmt.Sprintf("no token within MaxWait (%v)", e.waited)
	case e.ended == nil:
		return ""
	}
	// The texts are compared because the errors are the caller's, and may be of a type
	// that cannot be.
	ended, cause := textOf(e.ended), textOf(e.cause)
	left := "no token before the caller's ctx ended: " + ended
	if e.watched {
		left = "the ctx of the watch has ended: " + ended
	}
	if e.cause != nil && cause != ended {
		left += " (" + cause + ")"
	}
	return left
}

// whatNext returns when the next call begins, and what holds it back.
func (e *Error) whatNext() (parts []string) {
	if e.held {
		parts = append(parts, "all calls are held back")
	}
	next := "not before " + e.NotBefore.Format(timeFormat)
	if e.planned {
		next = "next attempt at " + e.NotBefore.Format(timeFormat)
	}
	if e.in > 0 {
		next += fmt.Sprintf(" (in %v)", e.in.Round(time.Millisecond))
	}
	return append(parts, next)
}

// textOf returns the text of an error, also where its Error panics.
func textOf(err error) string { return fmt.Sprint(err) }

// Unwrap returns what ended the caller's wait, if that was no failure, and Err: the Err
// and the [context.Cause] of the caller's ctx, or [context.DeadlineExceeded] where
// Config.MaxWait has passed and nothing has failed.
func (e *Error) Unwrap() []error {
	var errs []error
	for _, err := range []error{e.ended, e.cause, e.Err} {
		if err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) == 0 && e.waited > 0 {
		errs = append(errs, context.DeadlineExceeded)
	}
	return errs
}

// RetryAfter returns the time from when the Error was made until NotBefore, 0 if
// nothing holds the next attempt back.
func (e *Error) RetryAfter() time.Duration {
	if e.in == 0 && !e.NotBefore.IsZero() { // not made by a Manager
		return max(time.Until(e.NotBefore), 0)
	}
	return e.in
}

// MarshalText implements [encoding.TextMarshaler]: the text of the error.
func (e *Error) MarshalText() ([]byte, error) { return []byte(e.Error()), nil }

// explain fills in what is known about the room's failures and what happens next.
func (e *engine) explain(err *Error, r *room, now monotime.Reading) {
	if f := r.failure(); f != nil {
		err.Call, err.Err, err.Failures = f.lastCall, f.lastErr, f.total()
		if err.Err == nil && f.refusals > 0 {
			err.Err = fmt.Errorf("the last %d tokens were refused soon after they were issued", f.refusals)
		}
	}
	next := e.nextAllowed(r, now)
	err.held = r.pending() == nil && next.After(max(r.nextAttempt(), now.Mono))
	switch {
	case e.breaker.State() == breaker.Refused && r.call() == nil: // whatever the room's own failure was
		err.Call, err.Err = 0, e.breaker.Err()
	case err.Err == nil && e.breaker.Guarded():
		err.Err = e.breaker.Err()
	}
	overdue := r.call() != nil && r.call().overdue
	if next.After(now.Mono) && (r.call() == nil || overdue) {
		err.NotBefore, err.in = e.clock.Time(now, next), next.Sub(now.Mono)
		err.planned = e.goesOn(r, now)
	}
	switch {
	case overdue:
		err.state = fmt.Sprintf("a %v has been in flight for %v; no other can begin until it returns", r.call().kind, r.call().took(now).Round(time.Millisecond))
		if err.Err == nil {
			err.Err = &timeoutError{after: e.config.CallTimeout}
		}
	case r.call() != nil && r.call().phase != running:
		err.state = "the store is being asked"
	case r.call() != nil:
		err.state = fmt.Sprintf("a %v has been in flight for %v", r.call().kind, r.call().took(now).Round(time.Millisecond))
	case next.After(now.Mono):
	case e.leasedElsewhere(r, now) > 0:
		err.state = fmt.Sprintf("another process is getting it, for %v more at most", e.leasedElsewhere(r, now).Round(time.Millisecond))
	case inLine(r.queue):
		err.state = "its call waits in line"
		if len(e.calls) == e.config.MaxConcurrentCalls {
			err.state = fmt.Sprintf("its call waits for one of %d to end", len(e.calls))
		}
	}
}

// goesOn reports whether the room's next call begins without anybody asking again,
// whoever is about to leave with an error.
func (e *engine) goesOn(r *room, now monotime.Reading) bool {
	d := r.demand()
	switch {
	case d != nil && len(d.watches) > 0:
		return true
	case d != nil && d.waiters != nil && d.waiters.count > 1 && !e.permanentlyFailed(r, now):
		return true
	default:
		return r.lifetime > 0 && !e.idle(r, now)
	}
}
