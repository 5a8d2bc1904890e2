package roomtoken

import (
	"fmt"
	"math"
	"math/rand" // not v2: backoff draws from this one too, and the simulation seeds both
	"time"

	"github.com/roomtoken/roomtoken/internal/monotime"
)

// minCallGap is the least time between the beginnings of two calls for a room whose
// tokens are due for renewal sooner than that. The source of such tokens is broken,
// and would be called in a loop.
const minCallGap = 100 * time.Millisecond

// publish makes the grant of a call the room's, or turns the call's outcome into a
// failure if the grant is unusable.
func (e *engine) publish(c *call, now monotime.Reading) {
	r, g := c.room, c.outcome.grant
	rec, lifetime, err := e.validateGrant(c, now)
	switch {
	case c.orphaned:
	case e.isRejected(c, g.Token.Value):
		r.dropRefresh() // the next call must be a create
	case c.kind == CallCreate && err == nil, !g.RefreshToken.IsZero():
		// It is kept even if the token beside it is unusable: the previous refresh token
		// may be void by now.
		e.keepRefresh(c, g, now)
	}
	if err != nil {
		c.outcome = failed(err)
		return
	}
	c.result = rec
	if c.orphaned {
		return
	}
	c.recovered = r.failure.total()
	e.clearFailures(r)
	e.scheduleRenewal(c, rec, lifetime, now)
	r.generation++
	e.replace(r, rec)
}

// clearFailures drops the room's memory of failures after a success. Refusals are
// remembered until a token has lasted.
func (e *engine) clearFailures(r *room) {
	f := r.failure
	r.failure = nil
	if f != nil && f.refusals > 0 && r.rec.text == "" { // the token before was refused
		r.failure = &failureState{refusals: f.refusals, refused: f.refused}
	}
}

// scheduleRenewal decides when the token in rec is renewed.
func (e *engine) scheduleRenewal(c *call, rec *record, lifetime time.Duration, now monotime.Reading) {
	r := c.room
	r.lifetime = lifetime
	age := e.renewal.At(lifetime, rand.Float64()) // spreads load, guards nothing
	r.renewLeft = lifetime - age
	left := e.clock.Left(rec.validity().expiry, now)
	if left <= r.renewLeft {
		// It was old when it came, and the next one may be the very same: renew it by the
		// time that it has left beyond its margin.
		r.renewLeft = left - e.renewal.At(left-rec.margin, 0)
	}
	r.nextAttempt = 0
	if left-r.renewLeft < minCallGap {
		r.nextAttempt = c.began.Mono.Add(minCallGap)
	}
}

// validateGrant returns the grant of a call as a record, and the token's lifetime, or
// why the grant is unusable.
//
// A token ages by the larger of monotonic and wall time since its call began: on the
// monotonic clock it ends a lifetime after that, on the wall clock at ExpiresAt. If
// the wall clock was stepped while the call ran, all that is read from it is
// ambiguous, and the reading that makes the token older counts.
func (e *engine) validateGrant(c *call, now monotime.Reading) (*record, time.Duration, error) {
	g := c.outcome.grant
	switch {
	case g.Token.Value.IsZero():
		return nil, 0, fmt.Errorf("%w: no token", ErrInvalidGrant)
	case g.Token.ExpiresAt.IsZero():
		return nil, 0, fmt.Errorf("%w: no expiry", ErrInvalidGrant)
	case e.isRejected(c, g.Token.Value):
		return nil, 0, fmt.Errorf("%w: the token that was invalidated", ErrInvalidGrant)
	}
	issued, age := e.issued(c, g, now)
	lifetime := clampLife(g.Token.ExpiresAt.Sub(issued))
	rec := c.room.rec.blank()
	rec.text = g.Token.Value.Reveal()
	rec.mono = c.began.Mono.Add(lifetime - age)
	rec.margin = e.renewal.Margin(lifetime)
	rec.sec, rec.nsec = g.Token.ExpiresAt.Unix(), uint32(g.Token.ExpiresAt.Nanosecond())
	if !e.valid(rec, now, 0) {
		left := e.clock.Left(rec.validity().expiry, now)
		return nil, 0, fmt.Errorf("%w: it expires at %s, with %v left of %v; a token is handed out with at least %v left",
			ErrInvalidGrant, g.Token.ExpiresAt.UTC().Format(timeFormat), left.Round(time.Millisecond), lifetime, rec.margin)
	}
	return rec, lifetime, nil
}

// clampLife cuts a lifetime, so that sums with it do not overflow.
func clampLife(d time.Duration) time.Duration { return min(max(d, -maxLife), maxLife) }

// issued returns when the lifetimes of a grant began, on the wall clock, and how old
// the grant was when its call began.
func (e *engine) issued(c *call, g Grant, now monotime.Reading) (at time.Time, age time.Duration) {
	// What the wall clock would have shown when the call began, had it been stepped
	// before.
	stepped := now.Ahead() - c.began.Ahead()
	began := e.clock.Time(c.began, c.began.Mono).Add(max(stepped, 0))
	if g.IssuedAt.IsZero() {
		return began, 0
	}
	return g.IssuedAt, clampLife(max(began.Sub(g.IssuedAt), 0))
}

// keepRefresh makes the grant's refresh token the room's, or leaves the room without
// one if the grant has none.
func (e *engine) keepRefresh(c *call, g Grant, now monotime.Reading) {
	r, expires := c.room, g.RefreshToken.ExpiresAt
	r.refresh = g.RefreshToken.Value
	if expires.IsZero() {
		r.refreshMono, r.refreshSec, r.refreshNsec = monotime.Never, math.MaxInt64, 0
		return
	}
	issued, age := e.issued(c, g, now)
	r.refreshMono = c.began.Mono.Add(clampLife(expires.Sub(issued)) - age)
	r.refreshSec, r.refreshNsec = expires.Unix(), uint32(expires.Nanosecond())
}

// isRejected reports whether the token is one that was invalidated.
func (e *engine) isRejected(c *call, token Secret) bool {
	for _, s := range c.rejected {
		if s.Equal(token) {
			return true
		}
	}
	f := c.room.failure
	return !c.orphaned && f != nil && !f.refused.IsZero() && f.refused.Equal(token)
}
