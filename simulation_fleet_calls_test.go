package roomtoken_test

import (
	"errors"
	"time"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/internal/policy"
)

// begins checks a call of the source that begins.
func (f *fleetSim) begins(p *simProcess, kind roomtoken.CallKind, room, token string, leased time.Duration) *simCall {
	r, now := f.room(room), f.now()
	c := &simCall{p: p, r: r, kind: kind, began: now, leased: leased}
	if r.by == p && r.rejected == now { // the call before had the lease
		c.leased = r.leased
	}
	if kind == refresh {
		c.uses = f.refreshes[token]
	}
	f.calls++
	f.checks++
	f.note("  process %d calls %v(%s) with the refresh token of %v; newest %v", p.n, kind, r.id, c.uses, r.newest())
	if f.over {
		return c
	}
	if p.calls[r] > 0 {
		f.breaks("2", "process %d: a second call for %s", p.n, r.id)
	}
	p.calls[r]++
	tok, had := p.m.Cached(r.id)
	c.renews = had
	if had && !f.plan.needs {
		m := f.mints[tok.Value.Reveal()]
		if age, due := now-m.leased, f.renewal().Age(m.lifetime, 0, 1)-3*f.config.StoreTimeout; age < due && m.refused == 0 {
			f.breaks("2", "process %d calls for %s, whose token %v is %v old; it is due at %v", p.n, r.id, m, age, due)
		}
	}
	f.checkHolds(c)
	f.checkBackoff(c)
	f.checkOneCall(c)
	c.holdBack = f.holdBack(r)
	r.calls = append(r.calls, c)
	if f.called != nil {
		f.called <- p
		f.called = nil
	}
	return c
}

// checkHolds checks that no call begins during a rate limit.
func (f *fleetSim) checkHolds(c *simCall) {
	now := f.now()
	for _, h := range f.holds {
		from, until := h.from, h.until
		if c.p.reset >= h.from { // it tries at once
			continue
		}
		if h.by != c.p {
			from = max(from, c.p.started) + time.Second
			until -= maxRetryAfter / 10 // it may be over for the one who met it a draw later
			if !h.by.isFine(h.from-time.Second) || !c.p.isFine(min(h.from, c.p.started)) {
				continue
			}
		}
		if now > from && now < until && h.by.state == processRuns {
			f.breaks("F7", "process %d calls for %s during a rate limit that process %d has met %v ago; it ends in %v", c.p.n, c.r.id, h.by.n, now-h.from, h.until-now)
		}
	}
}

// checkBackoff checks that the fleet makes one attempt per step of a failing room.
func (f *fleetSim) checkBackoff(c *simCall) {
	r, now := c.r, f.now()
	if r.by == c.p && r.rejected == now { // it falls back to a create
		return
	}
	if c.p.forgot[r] { // its first attempt disregards the failure
		delete(c.p.forgot, r)
		r.forgotten, r.fresh = true, now
		return
	}
	if max(f.unrest, r.unrest) > r.failedAt-f.leaseTTL() || r.failedAt <= r.fresh || r.failures == 0 || f.plan.needs {
		return
	}
	if f.refused > 0 && now-f.refused < time.Minute { // a process may have seen that the credential is mended
		return
	}
	if now < r.notBefore {
		f.breaks("F7", "process %d calls for %s %v after %d failures in a row, want %v", c.p.n, r.id, now-r.failedAt, r.failures, r.notBefore-r.failedAt)
	}
}

// checkOneCall checks that the fleet makes one call per cold room, and one per renewal.
func (f *fleetSim) checkOneCall(c *simCall) {
	r, now := c.r, f.now()
	if !f.strict(r) {
		return
	}
	for _, other := range r.calls {
		f.breaks("F1", "process %d calls for %s, though process %d does since %v", c.p.n, r.id, other.p.n, other.began)
	}
	m := r.newest()
	if c.kind == refresh && c.uses != nil && f.plan.issuer.rotates && c.uses.refused > 0 && now-c.uses.refused > 1200*time.Millisecond {
		f.breaks("F6", "process %d uses the refresh token of %v for %s, which was refused %v ago", c.p.n, c.uses, r.id, now-c.uses.refused)
	}
	if m == nil || m.refused > 0 || now >= m.ends || f.plan.needs {
		return
	}
	if age, due := now-m.leased, f.renewal().Age(m.lifetime, 0, 1)-10*f.plan.latency-time.Millisecond; age < due {
		f.breaks("F1", "process %d calls for %s, whose newest token %v is %v old; it is due at %v", c.p.n, r.id, m, age, due)
	}
	if m.ends-now < f.renewal().Margin(m.lifetime)+f.config.StoreTimeout { // too late to be adopted
		return
	}
	if m.refresh == "" || f.dropped[m.refresh] || now >= m.refreshEnds-f.plan.latency*10 || m.began < f.sourceQuiet || !f.sourceIsWell(0) || f.plan.issuer.refresh < 0 {
		return
	}
	if c.kind == create || c.uses == nil || c.uses.refresh != m.refresh {
		f.breaks("F1", "process %d makes a %v for %s with the refresh token of %v; the newest token, %v, has one", c.p.n, c.kind, r.id, c.uses, m)
	}
}

// holdBack returns at which age the next token of a room is handed out, at the earliest:
// later with each token in a row that was refused early.
func (f *fleetSim) holdBack(r *simRoom) time.Duration {
	n := 0
	for i := len(r.mints) - 1; i >= 0 && r.mints[i].early && r.mints[i].began > r.fresh; i-- {
		if r.mints[i].told == 0 {
			return 0
		}
		if n++; r.mints[i].renewed { // its process knew nothing of the refusals before
			break
		}
	}
	if n < 2 {
		return 0
	}
	return backoffStep(f.backoff(), n-1)
}

// backoffStep returns the shortest wait after so many failures in a row.
func backoffStep(b policy.Backoff, failures int) time.Duration {
	step := b.Min
	for i := 1; i < failures && step < b.Max/3*2; i++ {
		step = min(2*step, b.Max/3*2)
	}
	return step
}

// ends notes what came of a call of the source.
func (f *fleetSim) ends(c *simCall, m *simMint, err error) (roomtoken.Grant, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p, r, now := c.p, c.r, f.now()
	f.note("  process %d: %v(%s) ends with %v, %v", p.n, c.kind, r.id, m, err)
	p.calls[r]--
	r.ended, r.endedBy = now, p
	for i, other := range r.calls {
		if other == c {
			r.calls = append(r.calls[:i:i], r.calls[i+1:]...)
		}
	}
	if err != nil {
		if p.state != processKilled && p.state != processClosed && !f.over && p.reset < c.began-f.config.StoreTimeout {
			f.fails(c, err)
		}
		return roomtoken.Grant{}, err
	}
	m.came = now
	r.mints = append(r.mints, m)
	if f.came != nil {
		f.came <- c
		f.came = nil
	}
	r.failures, r.forgotten = 0, false
	return m.grant(p), nil
}

// fails notes that a call has failed.
func (f *fleetSim) fails(c *simCall, err error) {
	r, p, now := c.r, c.p, f.now()
	switch {
	case errors.Is(err, roomtoken.ErrRefreshRejected), c.kind == refresh && errors.Is(err, roomtoken.ErrPermanent): // a create follows
		r.leased, r.rejected, r.by = c.leased, now, p
	case errors.Is(err, roomtoken.ErrRateLimited):
		f.holds = append(f.holds, simHold{p, now, now + c.wait})
	case errors.Is(err, roomtoken.ErrUnauthorized): // its rooms are tried by a rule of their own
		r.failures, f.refused = 0, now
	default:
		permanent := errors.Is(err, roomtoken.ErrPermanent) || errors.Is(err, roomtoken.ErrRoomNotFound)
		if r.permanent != permanent || now-r.failedAt > 30*time.Second {
			r.failures = 0
		}
		if r.failures++; r.forgotten {
			r.failures = 1
		}
		r.permanent, r.failedAt = permanent, now
		backoff := f.backoff()
		if permanent {
			backoff = policy.Permanent
		}
		r.notBefore = now + max(backoffStep(backoff, r.failures), c.wait)
	}
}

// told notes that the store has learned that a token was refused.
func (f *fleetSim) told(token roomtoken.Digest) {
	if m := f.names[token]; m != nil && m.told == 0 {
		m.told = max(f.now(), 1)
	}
}

// committed checks a record that the store has taken.
func (f *fleetSim) committed(p *simProcess, r *simRoom, rec roomtoken.Record) {
	m := f.names[rec.Token.Digest()]
	if m != nil {
		m.shared = true
	}
	switch {
	case m == nil || m.room != r:
		f.breaks("F5", "process %d commits %s a token of another room", p.n, r.id)
	case rec.Ends() > f.base.Add(m.ends+time.Microsecond):
		f.breaks("F10", "process %d commits %v as one that ends %v after it does", p.n, m, rec.Ends().Sub(f.base.Add(m.ends)))
	}
}

// recorded checks what the store has for a room after a call of it.
func (f *fleetSim) recorded(p *simProcess, what string, r *simRoom) {
	m := f.names[f.store.Record(r.id).Token.Digest()]
	if m != nil && m.told > 0 && !m.lost {
		f.breaks("F6", "%s of process %d leaves %v as the record of %s; it was refused at %v", what, p.n, m, r.id, m.refused)
	}
}

// lost notes that the store has refused a grant of the process: it must not hand it out.
func (f *fleetSim) lost(p *simProcess, rec roomtoken.Record) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if m := f.nameOf(rec.Token); m != nil {
		p.lost[m] = true
	}
}
