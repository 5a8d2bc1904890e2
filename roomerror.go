package roomtoken

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/roomtoken/roomtoken/internal/moment"
)

// tooShort is the error for a caller whose token would have to live longer than
// any of this source does.
func tooShort(r *room, atLeast time.Duration) error {
	return fmt.Errorf("%w: room %q: asked for a token with %v left, the newest had a lifetime of %v",
		ErrTooShort, shorten(r.rec.roomID()), atLeast, time.Duration(r.lifetime))
}

// explain fills in what is known of the room's failures and of what happens
// next. Caller must hold mu.
func (m *Manager) explain(e *roomError, r *room, now moment.Moment) {
	if t := r.trouble; t != nil {
		e.op, e.err, e.failures = t.op, t.err, t.failures
		e.permanent = r.failedForGood(now)
		if e.err == nil && t.refusals > 0 {
			e.err = fmt.Errorf("the last %d tokens were refused soon after their issue", t.refusals)
		}
	}
	next := r.nextAttempt
	if opens := m.account.opens(now.Mono); opens > 0 {
		next = max(next, opens)
		e.held = true
	}
	if m.account.guarded && e.err == nil {
		e.err = m.account.err
	}
	switch {
	case r.call != nil:
		e.state = fmt.Sprintf("a %v has been in flight for %v", r.call.op, r.call.took(now).Round(time.Millisecond))
		if r.call.overdue {
			e.state += "; no other can begin until it returns"
			if e.err == nil {
				e.err = &timeoutError{after: m.config.CallTimeout}
			}
		}
	case next > now.Mono:
		e.next, e.in = m.clock.Time(now, next), time.Duration(next-now.Mono)
	case r.place == inCallers || r.place == inWarming || r.place == inRenewals:
		e.state = fmt.Sprintf("its call waits for one of %d to end", len(m.calls))
	}
}

// roomError is what a caller gets who leaves without a token: what happened, to
// which room, and what will happen next. It wraps the error of the source, and
// what ended the caller's wait.
type roomError struct {
	roomID    string
	op        CallKind
	err       error // of the source; nil: it has not failed
	failures  int
	permanent bool
	ended     error // of the caller's ctx
	cause     error // why it ended
	waited    time.Duration
	held      bool
	next      time.Time // of the next attempt; zero: now, or not known
	in        time.Duration
	state     string
}

// timeFormat is how errors and logs show a moment.
const timeFormat = "2006-01-02T15:04:05.000Z07:00"

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
		if e.op != 0 {
			fmt.Fprintf(&b, "%v failed", e.op)
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

// Unwrap returns what ended the caller's wait and the source's error.
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

// RetryAfter returns how long after the error was made the next attempt for the
// room begins, 0 if that is not known.
func (e *roomError) RetryAfter() time.Duration { return e.in }

// shorten cuts a room ID to what is fit to be shown.
func shorten(roomID string) string {
	const most = 80
	if len(roomID) <= most {
		return roomID
	}
	return roomID[:most] + "..."
}
