package roomtoken

import (
	"time"

	"github.com/roomtoken/roomtoken/internal/policy"
)

// account is what is known of the other side as a whole, beyond any one room: a
// rate limit holds all calls, and a source that has failed for all is probed
// with one call at a time.
//
// It is open, or guarded. Guarded, no call begins before until, and after it
// only one at a time, the probe. What the source answers to the probe, were it a
// refusal, opens the account again.
type account struct {
	guarded bool
	limited bool  // until comes from a rate limit, which only time can end
	until   int64 // monotonic: no call begins before
	probe   *call // in flight
	row     int   // passing failures in a row, over all rooms
	steps   int   // waits in a row
	err     error // what led to it
}

// admits reports whether a call may begin now.
func (a *account) admits(now int64) bool {
	return !a.guarded || now >= a.until && a.probe == nil
}

// opens returns when the next call may begin: a monotonic time, 0 if now or once
// the probe has an answer.
func (a *account) opens(now int64) int64 {
	if a.guarded && now < a.until {
		return a.until
	}
	return 0
}

// begin is told of every call that begins.
func (a *account) begin(c *call) {
	if a.guarded {
		a.probe = c
	}
}

// answered is told when the source gave a call any answer but a passing failure
// or a rate limit: it is there.
func (a *account) answered(c *call, now int64) {
	a.row = 0
	a.lost(c)
	// A rate limit is not lifted by a call that began before it, the probe
	// included: no call begins while it lasts.
	if a.guarded && !(a.limited && now < a.until) {
		*a = account{}
	}
}

// failed is told of every passing failure: a call that failed so, or is overdue.
// It reports whether it holds calls back.
func (a *account) failed(c *call, err error, now int64, trip int, b policy.Backoff) (held bool) {
	a.row++
	switch {
	case a.guarded && a.probe == c:
		a.probe = nil
		if a.limited && now < a.until {
			return false // a rate limit that came while it ran stands
		}
		a.steps++
		a.until = now + int64(b.Wait(a.steps))
		a.limited = false
		a.err = err
		return true
	case !a.guarded && a.row >= trip:
		// The first probe may begin at once: every room that has failed waits for
		// its own next attempt anyway.
		*a = account{guarded: true, row: a.row, err: err}
	}
	return false
}

// rateLimited is told of every call that met a rate limit, with the wait that
// came with it, 0 if none. It reports whether it holds calls longer than before.
func (a *account) rateLimited(c *call, err error, wait time.Duration, now int64, b policy.Backoff) (held bool) {
	a.lost(c)
	already := a.limited && now < a.until
	if wait == 0 {
		if already {
			return false // a call that began before the hold tells nothing new
		}
		a.steps++
		wait = b.Wait(a.steps)
	}
	until := max(a.until, now+int64(wait)) // neither a hold nor a probe's wait is cut short
	if already && until == a.until {
		return false
	}
	a.guarded, a.limited, a.err = true, true, err
	a.until = until
	return true
}

// lost is told when a call ends that nobody may learn from, so that a probe does
// not stay in flight for ever.
func (a *account) lost(c *call) {
	if a.probe == c {
		a.probe = nil
	}
}
