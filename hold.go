package roomtoken

import (
	"context"
	"math/rand"
	"time"

	"github.com/roomtoken/roomtoken/internal/breaker"
	"github.com/roomtoken/roomtoken/internal/monotime"
)

// learnHold holds all calls back while a rate limit is in force that another process has
// met, and ends the hold once a call of any process was answered.
func (e *engine) learnHold(hold Hold, now monotime.Reading) {
	s := e.share
	known := hold.ID == s.hold
	switch {
	case hold.ID == "" || hold.Wait > maxNotBefore || known && (s.over || !hold.Over):
		return
	case hold.Over:
		s.hold, s.over = hold.ID, true
		if !e.breaker.HeldUntil().After(s.held) { // else a newer hold of its own is not in the news yet
			e.openUp(e.breaker.Lifted(now.Mono), now)
		}
		return
	}
	s.hold, s.over = hold.ID, false
	if hold.Left <= 0 {
		return
	}
	left := min(hold.Left, e.config.MaxRetryAfter)
	o := outcome{verdict: limited, err: errorOf(hold.Failure)}
	o.cause = causeOf(o.err)
	until := now.Mono.Add(left)
	if e.breaker.Limited() && !until.After(e.breaker.Opens(now.Mono).Add(s.timeout)) {
		e.breaker.Told(e.breaker.Err(), until) // it is known, if not to the millisecond
		s.held = e.breaker.HeldUntil()
		return
	}
	change := e.breaker.Told(o.err, until.Add(e.probeDelay(hold.Wait)))
	s.held = e.breaker.HeldUntil()
	if change.Later {
		e.pace.RateLimited(now.Mono, e.breaker.Opens(now.Mono))
	}
	e.follow(change, &call{}, &o, now)
}

// openUp lets calls come back after a change of another process's making.
func (e *engine) openUp(change breaker.Change, now monotime.Reading) {
	e.follow(change, &call{}, &outcome{}, now)
	e.dispatch(now)
}

// probeDelay draws how long after the end of a hold this process tries whether it is over,
// so that not all processes of a fleet do so at once.
func (e *engine) probeDelay(hold time.Duration) time.Duration {
	if e.share == nil {
		return 0
	}
	return time.Duration(rand.Float64() * float64(min(hold/10, e.config.BackoffMax)))
}

// tellHold tells the fleet of a rate limit; 0: it is over.
func (e *engine) tellHold(wait time.Duration, failure Failure, now monotime.Reading) {
	if e.share == nil {
		return
	}
	until := now.Mono.Add(wait)
	e.send(&message{
		tell: func(ctx context.Context) (func(monotime.Reading), error) {
			left := until.Sub(e.clock.Now().Mono)
			if wait == 0 {
				left = 0
			} else if left <= 0 {
				return nil, nil
			}
			return nil, e.share.store.Hold(ctx, left, failure)
		},
		until: max(until, now.Mono.Add(newsEvery)),
	})
}
