package roomtoken

import (
	"github.com/roomtoken/roomtoken/internal/monotime"
	"github.com/roomtoken/roomtoken/internal/policy"
)

// account is what is known about the source as a whole, beyond any one room: a rate
// limit holds all calls, and a source that has failed for all rooms is probed with
// one call at a time.
//
// It is open or guarded. While it is guarded no call begins before until, and after
// that only one at a time, the probe. Any answer to the probe, even a refusal, opens
// the account again.
type account struct {
	guarded bool
	limited bool          // until comes from a rate limit, which only time can end
	until   monotime.Time // no call begins before
	probe   *call         // in flight; nil: none
	err     error         // why the account is guarded

	consecutiveFailures int // transient failures, over all rooms
	steps               int // consecutive waits
}

// admits reports whether a call may begin now.
func (a *account) admits(now monotime.Time) bool {
	return !a.guarded || !now.Before(a.until) && a.probe == nil
}

// opens returns when the next call may begin, 0 if it may begin now or once the
// probe is answered.
func (a *account) opens(now monotime.Time) monotime.Time {
	if a.guarded && now.Before(a.until) {
		return a.until
	}
	return 0
}

// rateLimitHolds reports whether a rate limit is in force.
func (a *account) rateLimitHolds(now monotime.Time) bool { return a.limited && now.Before(a.until) }

// begin notes that a call begins.
func (a *account) begin(c *call) {
	if a.guarded {
		a.probe = c
	}
}

// answered notes that the source gave a call any answer other than a transient
// failure or a rate limit: it is up.
func (a *account) answered(c *call, now monotime.Time) {
	a.consecutiveFailures = 0
	a.lost(c)
	// A call that began before a rate limit does not lift it, not even the probe: no
	// call begins while it lasts.
	if a.guarded && !a.rateLimitHolds(now) {
		*a = account{}
	}
}

// failed notes a transient failure: of a call that failed so, or that is overdue.
// After trip consecutive ones the account is guarded. It reports whether it holds
// calls back.
func (a *account) failed(c *call, err error, now monotime.Time, trip int, b policy.Backoff) (held bool) {
	a.consecutiveFailures++
	switch {
	case a.guarded && a.probe == c:
		a.probe = nil
		if a.rateLimitHolds(now) {
			return false // it came while the probe ran
		}
		a.steps++
		a.until = now.Add(b.Wait(a.steps))
		a.limited = false
		a.err = err
		return true
	case !a.guarded && a.consecutiveFailures >= trip:
		// The first probe may begin at once: every room that has failed waits for its
		// own next attempt anyway.
		*a = account{guarded: true, consecutiveFailures: a.consecutiveFailures, err: err}
	}
	return false
}

// rateLimited notes that a call met a rate limit that asked for a wait, 0 if it
// asked for none. It reports whether calls are held back longer than before.
func (a *account) rateLimited(c *call, o outcome, now monotime.Time, b policy.Backoff) (held bool) {
	a.lost(c)
	already := a.rateLimitHolds(now)
	wait := o.wait
	if wait == 0 {
		if already {
			return false // a call that began before the hold says nothing new
		}
		a.steps++
		wait = b.Wait(a.steps)
	}
	until := max(a.until, now.Add(wait)) // neither a hold nor a probe's wait is cut short
	if already && until == a.until {
		return false
	}
	a.guarded, a.limited, a.err = true, true, o.err
	a.until = until
	return true
}

// lost notes the end of a call that says nothing about the source. If it was the
// probe, the next one may begin.
func (a *account) lost(c *call) {
	if a.probe == c {
		a.probe = nil
	}
}
