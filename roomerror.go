package roomtoken

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/roomtoken/roomtoken/internal/monotime"
)

// roomError is what a caller gets who leaves without a token: what happened, to which
// room, and what will happen next. It wraps the source's error and what ended the
// caller's wait.
type roomError struct {
	roomID    string
	call      CallKind // that failed last; 0: none
	err       error    // of the source; nil: it has not failed
	failures  int      // consecutive transient ones
	permanent bool
	ended     error // the Err of the caller's ctx
	cause     error // the Cause of the caller's ctx
	waited    time.Duration
	held      bool          // all calls are held back
	next      time.Time     // of the next attempt; zero: now, or unknown
	in        time.Duration // until next
	state     string        // of the call in flight or in line
}

// explain fills in what is known about the room's failures and what happens next.
func (e *engine) explain(err *roomError, r *room, now monotime.Reading) {
	if f := r.failure; f != nil {
		err.call, err.err, err.failures = f.lastCall, f.lastErr, f.transient
		err.permanent = r.failedPermanently(now)
		if err.err == nil && f.refusals > 0 {
			err.err = fmt.Errorf("the last %d tokens were refused soon after they were issued", f.refusals)
		}
	}
	next := r.nextAttempt
	if opens := e.account.opens(now.Mono); opens > 0 {
		next = max(next, opens)
		err.held = true
	}
	if e.account.guarded && err.err == nil {
		err.err = e.account.err
	}
	switch {
	case r.call != nil:
		err.state = fmt.Sprintf("a %v has been in flight for %v", r.call.kind, r.call.took(now).Round(time.Millisecond))
		if r.call.overdue {
			err.state += "; no other can begin until it returns"
			if err.err == nil {
				err.err = &timeoutError{after: e.config.CallTimeout}
			}
		}
	case next.After(now.Mono):
		err.next, err.in = e.clock.Time(now, next), next.Sub(now.Mono)
	case r.queue == callerQueue || r.queue == warmQueue || r.queue == renewalQueue:
		err.state = fmt.Sprintf("its call waits for one of %d to end", len(e.calls))
	}
}

func (e *roomError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "roomtoken: room %q: ", shorten(e.roomID))
	switch {
	case e.ended != nil:
		fmt.Fprintf(&b, "no token before the caller's ctx ended: %v", e.ended)
		if e.cause != e.ended { //nolint:errorlint // the very same
			fmt.Fprintf(&b, " (%v)", e.cause)
		}
	case e.waited > 0:
		fmt.Fprintf(&b, "no token within MaxWait (%v)", e.waited)
	}
	if e.err != nil {
		if e.ended != nil || e.waited > 0 {
			b.WriteString("; ")
		}
		if e.call != 0 {
			fmt.Fprintf(&b, "%v failed", e.call)
			if e.permanent {
				b.WriteString(" for good")
			}
			b.WriteString(": ")
		}
		fmt.Fprintf(&b, "%v", e.err)
	}
	if e.failures > 1 {
		fmt.Fprintf(&b, "; %d failures in a row", e.failures)
	}
	if e.state != "" {
		fmt.Fprintf(&b, "; %s", e.state)
	}
	if !e.next.IsZero() {
		if e.held {
			b.WriteString("; all calls are held back")
		}
		fmt.Fprintf(&b, "; next attempt at %s (in %v)", e.next.Format(timeFormat), e.in.Round(time.Millisecond))
	}
	return b.String()
}

// Unwrap returns what ended the caller's wait, and the source's error.
func (e *roomError) Unwrap() []error {
	var errs []error
	if e.ended != nil {
		errs = append(errs, e.ended, e.cause)
	}
	if e.err != nil {
		errs = append(errs, e.err)
	} else if e.waited > 0 {
		errs = append(errs, context.DeadlineExceeded)
	}
	return errs
}

// RetryAfter returns how long after the error was made the next attempt for the room
// begins, 0 if that is unknown.
func (e *roomError) RetryAfter() time.Duration { return e.in }
