package roomtoken

import (
	"fmt"
	"math"
	"math/rand" // not v2: backoff draws from this one too, and the simulation seeds both
	"time"

	"github.com/roomtoken/roomtoken/internal/breaker"
	"github.com/roomtoken/roomtoken/internal/monotime"
)

// minCallGap is the least time between the beginnings of two calls for a room whose
// tokens are due for renewal sooner than that. The source of such tokens is broken,
// and would be called in a loop.
const minCallGap = 100 * time.Millisecond

// minForcedGap is the least time between the beginnings of two calls for callers whom a
// valid token of the room does not serve: where a new token just suffices they must not
// cost a call each.
const minForcedGap = time.Second

// accept makes the grant of a call the room's, or turns the call's outcome into a
// failure if the grant is unusable.
func (e *engine) accept(c *call, now monotime.Reading) {
	r, g := c.room, c.outcome.grant
	rec, lifetime, err := e.validateGrant(c, now)
	switch {
	case c.orphaned:
	case e.isRejected(c, g.Token.Value):
		r.dropRefresh() // the next call must be a create
	case c.kind == CallCreate && err == nil, !g.RefreshToken.IsZero():
		// It is kept even if the token beside it is unusable: the previous refresh token
		// may be void by now.
		e.keepRefresh(c, now)
	}
	if err != nil {
		*c.outcome = failed(err)
		return
	}
	if c.orphaned {
		c.result = rec
		return
	}
	left := e.clock.Left(rec.validity().expiry, now)
	if e.valid(r.rec, now, 0) && left < e.left(r, now) {
		e.refuseShorter(c, left, now)
		return
	}
	next := grantRecord{rec: rec, lifetime: lifetime, renewLeft: e.renewLeft(r, rec, lifetime, left), number: c.number}
	c.recovered = int32(r.failure().total())
	e.scheduleAttempt(c, next, left)
	r.setFailure(e.failureAfterSuccess(r))
	if f := r.failure(); f != nil {
		if age := min(f.handOutAge, lifetime/3); age > c.took(now) {
			pending := next
			f.pending, f.handOutAfter = &pending, c.began.Mono.Add(age)
			return
		}
	}
	c.result = rec
	e.publish(r, next, now)
}

// refuseShorter turns the outcome of a call into a failure because its token, which has
// that much left, ends before the valid one that it would replace. A refresh that does so
// is of no use any more; a create is made again when the present token is no better.
func (e *engine) refuseShorter(c *call, left time.Duration, now monotime.Reading) {
	r := c.room
	*c.outcome = failed(fmt.Errorf("%w: it ends before the token that it would replace", ErrInvalidGrant))
	c.outcome.blames = breaker.Success // the source works
	if c.kind == CallRefresh {
		c.outcome.verdict = rejected
		r.refresh = e.packer.Pack(c.refresh) // judgeRoom drops it if it is the one that was used: the next call is a create
		return
	}
	c.outcome.verdict = shorter
	better := min(e.left(r, now)-left, e.validUntil(r, now).Sub(now.Mono))
	r.renewLeft = e.left(r, now) - max(better, minCallGap)
	r.setNextAttempt(c.began.Mono.Add(minForcedGap))
}

// publish hands a token out from now on.
func (e *engine) publish(r *room, g grantRecord, now monotime.Reading) {
	e.noteSlack(r, now)
	r.lifetime, r.renewLeft = g.lifetime, g.renewLeft
	r.generation++
	if sh := e.share.known(r); sh != nil {
		sh.putOff, sh.lookAt, sh.polls = 0, 0, 0
	}
	e.replace(r, g.rec)
}

// noteSlack notes for how long the token that is replaced would still have been handed
// out.
func (e *engine) noteSlack(r *room, now monotime.Reading) {
	skipped := r.flags&flagSkipped != 0
	r.flags.set(flagSkipped, false)
	if r.rec.text == "" || skipped {
		return
	}
	slack := max(e.validUntil(r, now).Sub(now.Mono), 0)
	e.stats.Slack.observe(slack)
	if slack == 0 {
		e.stats.Lapses++
	}
}

// handOut publishes a token that was held back after refusals, once its time has come.
func (e *engine) handOut(r *room, now monotime.Reading) {
	g := r.pending()
	if g == nil || r.failure().handOutAfter.After(now.Mono) {
		return
	}
	r.failure().pending = nil
	if !e.valid(g.rec, now, 0) {
		return // it has not lasted so long: another is created
	}
	e.publish(r, *g, now)
	if g.number == 0 {
		e.reportAdopted(r)
	} else {
		e.reportToken(r, CallCreate, 0, "")
	}
	if d := r.demand(); d != nil {
		if d.waiters != nil {
			d.waiters.servedBy = g.number
			r.use(now)
		}
		e.release(d, g.rec, nil)
		d.watches.wake()
	}
}

// failureAfterSuccess returns what is left of the room's memory of failures after a
// success. Refusals are remembered until a token has lasted.
func (e *engine) failureAfterSuccess(r *room) *failureState {
	f := r.failure()
	if f == nil || f.refusals == 0 || r.rec.text != "" && !f.learned { // the token before was not refused early
		return nil
	}
	return f.refusalsOnly()
}

// renewLeft returns how much the token in rec has left when it is renewed.
func (e *engine) renewLeft(r *room, rec *record, lifetime, left time.Duration) time.Duration {
	draw := rand.Float64() // spreads load, guards nothing
	need := time.Duration(r.rec.need.Load()) * time.Millisecond
	at := lifetime - e.renewal.Age(lifetime, need, draw)
	if left <= at {
		// It was old when it came, and the next one may be the very same: renew it by the
		// time that it has left beyond its margin.
		at = left - e.renewal.Age(left-rec.margin, 0, 0)
	}
	return at
}

// scheduleAttempt decides before when no further call begins, and whether it is a create:
// where a chain of refreshes brings less and less, its session is about to end.
func (e *engine) scheduleAttempt(c *call, g grantRecord, left time.Duration) {
	r := c.room
	r.setNextAttempt(0)
	switch {
	case c.forced:
		r.setNextAttempt(c.began.Mono.Add(minForcedGap))
	case left-g.renewLeft < minCallGap:
		r.setNextAttempt(c.began.Mono.Add(minCallGap))
	}
	shrunk := c.kind == CallRefresh && g.lifetime < r.lifetime/4*3
	if shrunk && r.flags&flagShrunk != 0 {
		r.dropRefresh()
	}
	r.flags.set(flagShrunk, shrunk)
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
func (e *engine) keepRefresh(c *call, now monotime.Reading) {
	g := c.outcome.grant
	until := monotime.Expiry{Mono: monotime.Never, Sec: math.MaxInt64} // unknown
	if expires := g.RefreshToken.ExpiresAt; !expires.IsZero() {
		issued, age := e.issued(c, g, now)
		until.Mono = c.began.Mono.Add(clampLife(expires.Sub(issued)) - age)
		until.Sec, until.Nsec = expires.Unix(), uint32(expires.Nanosecond())
	}
	c.room.refresh, c.room.refreshUntil = c.outcome.refresh, e.clock.Pack(until)
}

// isRejected reports whether the token is one that was invalidated.
func (e *engine) isRejected(c *call, token Secret) bool {
	for _, s := range c.rejected {
		if s.Equal(token) {
			return true
		}
	}
	if e.share != nil && e.share.refuses(c.room.rec.roomID(), token) {
		return true
	}
	f := c.room.failure()
	return !c.orphaned && f != nil && !f.refused.IsZero() && f.refused.Equal(token)
}
