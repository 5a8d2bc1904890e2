package roomtoken

import (
	"fmt"
	"math"
	"math/rand" // not v2: backoff draws from this one too, and the simulation seeds both
	"time"

	"github.com/roomtoken/roomtoken/internal/moment"
)

// briefGap is how far apart calls for a room begin at least whose tokens are due
// for renewal sooner than that: such a source is broken, and would be called in a
// loop.
const briefGap = 100 * time.Millisecond

// accept publishes the grant of a call, or turns the outcome into a failure if
// it is none that can be used. Caller must hold mu.
func (m *Manager) accept(c *call, now moment.Moment) {
	r, g := c.room, c.outcome.grant
	line, lifetime, err := m.appraise(c, now)
	switch {
	case c.forgotten != nil:
	case m.refused(c, g.Token.Value):
		r.forgetRefresh() // the next call is to be a create
	case c.op == CallCreate && err == nil, !g.RefreshToken.IsZero():
		// It is kept even if the token beside it is no good: the previous one may be
		// void by now.
		m.keepRefresh(c, g, now)
	}
	if err != nil {
		c.outcome = outcome{err: err, text: err.Error()}
		return
	}
	if c.forgotten != nil {
		c.spare = line
		return
	}
	if t := r.trouble; t != nil {
		c.recovered = t.failures + t.permanent
	}
	if r.rec.text != "" {
		r.trouble = nil // the token before was not refused: so much for that
	} else if t := r.trouble; t != nil {
		r.trouble = nil
		if t.refusals > 0 {
			r.trouble = &trouble{refusals: t.refusals, rejected: t.rejected}
		}
	}
	r.lifetime = int64(lifetime)
	age := m.renewal.At(lifetime, rand.Float64()) // spreads load, guards nothing
	r.renewLeft = int64(lifetime - age)
	if left := line.end().left(now, m.base); left <= r.renewLeft {
		// It was old when it came, and the next may be this very one: renew it by
		// what it has left beyond its margin.
		r.renewLeft = left - int64(m.renewal.At(time.Duration(left-line.margin), 0))
	}
	r.nextAttempt = 0
	if line.end().left(now, m.base)-r.renewLeft < int64(briefGap) {
		r.nextAttempt = c.begun.Mono + int64(briefGap)
	}
	r.generation++
	m.show(r, line)
}

// appraise returns the grant of a call as a line of the cache, and the token's
// lifetime, or why it is no grant that can be used.
//
// A token ages by the larger of monotonic and wall time since its call began: on
// the monotonic clock it ends a lifetime after that, on the wall clock at
// ExpiresAt. If the wall clock was stepped while the call ran, whatever is read
// from it is ambiguous, and the reading that makes the token older counts.
func (m *Manager) appraise(c *call, now moment.Moment) (*record, time.Duration, error) {
	g := c.outcome.grant
	switch {
	case g.Token.Value.IsZero():
		return nil, 0, fmt.Errorf("%w: no token", ErrInvalidGrant)
	case g.Token.ExpiresAt.IsZero():
		return nil, 0, fmt.Errorf("%w: no expiry", ErrInvalidGrant)
	case m.refused(c, g.Token.Value):
		return nil, 0, fmt.Errorf("%w: the token that was invalidated", ErrInvalidGrant)
	}
	issued, age := m.issued(c, g, now)
	lifetime := clampLife(g.Token.ExpiresAt.Sub(issued))
	line := c.room.rec.blank()
	line.text = g.Token.Value.Reveal()
	line.mono = c.begun.Mono + int64(lifetime) - age
	line.margin = int64(m.renewal.Margin(lifetime))
	line.sec, line.nsec = g.Token.ExpiresAt.Unix(), uint32(g.Token.ExpiresAt.Nanosecond())
	if !m.serves(line, now, 0) {
		return nil, 0, fmt.Errorf("%w: it expires at %s, with %v left of %v; a token is handed out with at least %v left",
			ErrInvalidGrant, g.Token.ExpiresAt.UTC().Format(timeFormat),
			time.Duration(line.end().left(now, m.base)).Round(time.Millisecond), lifetime, time.Duration(line.margin))
	}
	return line, lifetime, nil
}

// maxLife cuts lifetimes, so that nothing that is added to them overflows.
const maxLife = 100 * 365 * 24 * time.Hour

func clampLife(d time.Duration) time.Duration { return min(max(d, -maxLife), maxLife) }

// issued returns when the lifetimes of a grant began, on the wall clock, and how
// old it was when its call began.
func (m *Manager) issued(c *call, g Grant, now moment.Moment) (at time.Time, age int64) {
	// What the wall clock would have shown when the call began, had it been then
	// where it is now.
	stepped := time.Duration(now.Ahead() - c.begun.Ahead())
	began := m.clock.Time(c.begun, c.begun.Mono).Add(max(stepped, 0))
	if g.IssuedAt.IsZero() {
		return began, 0
	}
	return g.IssuedAt, int64(clampLife(max(began.Sub(g.IssuedAt), 0)))
}

// keepRefresh makes the grant's refresh token the room's, or leaves it without
// one if the grant has none. Caller must hold mu.
func (m *Manager) keepRefresh(c *call, g Grant, now moment.Moment) {
	r, expires := c.room, g.RefreshToken.ExpiresAt
	r.refresh = g.RefreshToken.Value
	if expires.IsZero() {
		r.refreshMono, r.refreshSec, r.refreshNsec = farFuture, math.MaxInt64, 0
		return
	}
	issued, age := m.issued(c, g, now)
	r.refreshMono = c.begun.Mono + int64(clampLife(expires.Sub(issued))) - age
	r.refreshSec, r.refreshNsec = expires.Unix(), uint32(expires.Nanosecond())
}

// refused reports whether the token is one that was invalidated.
func (m *Manager) refused(c *call, token Secret) bool {
	for _, s := range c.rejected {
		if s.Equal(token) {
			return true
		}
	}
	t := c.room.trouble
	return c.forgotten == nil && t != nil && !t.rejected.IsZero() && t.rejected.Equal(token)
}
