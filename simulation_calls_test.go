package roomtoken_test

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/roomtoken/roomtoken"
)

// How the model checks calls of the source.

// begins is called when a call of the source begins.
func (m *model) begins(kind roomtoken.CallKind, id, refreshToken string, ctxRoom any) *modelCall {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	m.catchUp(now)
	m.calls++
	m.checks++
	if now != m.instant {
		m.instant, m.burst = now, 0
	}
	if m.burst++; m.burst > 500 {
		m.breaks(5, "%d calls at the same time", m.burst)
	}
	var r *modelRoom
	for _, one := range m.rooms {
		if one.id == id {
			r = one
		}
	}
	c := &modelCall{room: r, kind: kind, epoch: m.epoch, begun: now, order: m.next(), wall: m.wallNow(), ahead: m.ahead}
	if r == nil {
		m.breaks(2, "a call for the unknown room %q", id)
		return c
	}
	m.note("%s: %s begins (%d failures)", id, kind, r.failures)
	if m.closed {
		if now != m.closedAt || !m.watchCloses {
			m.breaks(8, "%s(%s) begins after Close", kind, id)
		}
		return c
	}
	if r.call != nil {
		m.breaks(2, "%s(%s) begins while a %s of the room is in flight", kind, id, r.call.kind)
	}
	c.had = r.had
	cold := 0
	for _, f := range m.flights {
		if !f.had {
			cold++
		}
	}
	switch {
	case len(m.flights) >= m.config.MaxConcurrentCalls:
		m.breaks(10, "call %d begins, MaxConcurrentCalls is %d", len(m.flights)+1, m.config.MaxConcurrentCalls)
	case !c.had && cold >= m.slots():
		m.breaks(10, "a call for a caller begins in a slot reserved for renewals")
	}
	if !r.vague && now < r.notBefore {
		m.breaks(5, "%s(%s) begins %v too early, after %d transient and %d permanent failures and %d refusals",
			kind, id, r.notBefore-now, r.failures, r.permanent, r.refusals)
	}
	if ctxRoom != nil && ctxRoom != id && ctxRoom != "*" {
		m.breaks(4, "the ctx of a call for %s carries the values of a caller of %v", id, ctxRoom)
	}
	if ctxRoom == nil && len(r.waiting) > 0 && !r.had && !r.vague {
		m.breaks(4, "the ctx of the first call for %s carries no values of its caller", id)
	}
	m.needed(r, kind, now)

	a := &m.account
	// A call that the Manager began at the same time may reach the source after the
	// answer that starts the hold.
	crossed := now == a.heldAt
	switch {
	case !a.guarded, crossed && now < a.until:
	case now < a.until:
		m.breaks(5, "%s(%s) begins %v before the end of the hold of all calls", kind, id, a.until-now)
	case a.probe != nil && !crossed:
		m.breaks(5, "%s(%s) begins while the probe, %s(%s), is in flight", kind, id, a.probe.kind, a.probe.room.id)
	default:
		a.probe = c
		c.guarded = true
	}
	m.whichCall(r, c, refreshToken, now)
	r.call = c
	m.flights = append(m.flights, c)
	return c
}

// needed checks that a call is needed.
func (m *model) needed(r *modelRoom, kind roomtoken.CallKind, now time.Duration) {
	forced := false
	for _, w := range r.waiting {
		forced = forced || w.atLeast > 0
	}
	asked := len(r.waiting) > 0 || r.warming > 0 || r.watched() || r.left == now
	idle := m.config.IdleAfter > 0 && now-r.active > m.config.IdleAfter+grain
	if !asked && !r.vague && (!r.had || idle) {
		m.breaks(10, "%s(%s) begins, but the room is not in use", kind, r.id)
	}
	if !m.valid(r, now, 0) || forced || r.left == now {
		return
	}
	t, left := r.cur, m.leftOf(r.cur, now)
	if m.plan.wall && m.stepped > t.came { // it may have been due before
		return
	}
	due := time.Duration(float64(t.lifetime)*(1-m.config.RefreshAfter+m.config.Jitter)) + fuzz
	if left > due {
		m.breaks(2, "%s(%s) begins with %v left of %v, want a renewal with at most %v left", kind, r.id, left, t.lifetime, due)
	}
}

// whichCall checks the kind of a call.
func (m *model) whichCall(r *modelRoom, c *modelCall, refreshToken string, now time.Duration) {
	rt := r.refresh
	lapsed := rt != nil && (now >= rt.end || !rt.expires.IsZero() && !m.wallNow().Before(rt.expires))
	usable := rt != nil && !lapsed && now < rt.mustEnd
	switch {
	case r.vague:
	case c.kind == refresh && rt == nil:
		m.breaks(6, "Refresh(%s) with a refresh token that was refused or dropped", r.id)
	case c.kind == refresh && rt.value != refreshToken:
		m.breaks(6, "Refresh(%s) with another refresh token than the newest", r.id)
	case c.kind == refresh && lapsed:
		m.breaks(6, "Refresh(%s) with a refresh token that has lapsed", r.id)
	case !usable:
	case r.failures < 3 && c.kind == create:
		m.breaks(6, "Create(%s) with a valid refresh token after %d failures, want a refresh", r.id, r.failures)
	case r.failures == 3 && c.kind == refresh:
		m.breaks(6, "Refresh(%s) after the third consecutive failure, want a create", r.id)
	case r.failures > 3 && r.lastKindFailures == r.failures-1 && r.lastRefresh == rt && r.lastKind == c.kind:
		m.breaks(6, "%s(%s) again after %d consecutive failures, want them to alternate", c.kind, r.id, r.failures)
	}
	c.refresh = rt
	r.lastKind, r.lastKindFailures, r.lastRefresh = c.kind, r.failures, nil
	if usable {
		r.lastRefresh = rt
	}
}

// ends removes a call and reports whether it belongs to the current Manager.
func (m *model) ends(c *modelCall, what string) (now time.Duration, ours bool) {
	now = m.now()
	m.catchUp(now)
	m.note("%s: %s ends: %s", c.room.id, c.kind, what)
	if c.epoch != m.epoch {
		return now, false
	}
	for i, f := range m.flights {
		if f == c {
			m.flights = append(m.flights[:i:i], m.flights[i+1:]...)
		}
	}
	if m.closed {
		return now, false
	}
	c.room.call = nil
	return now, true
}

// fails is called when a call ends with an error.
func (m *model) fails(c *modelCall, err error, wait time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now, ours := m.ends(c, err.Error())
	if !ours {
		return
	}
	r := c.room
	wait = min(max(wait, 0), 24*time.Hour)
	switch {
	case errors.Is(err, roomtoken.ErrRateLimited):
		m.limited(c, wait, now)
		if !c.forgotten {
			r.lastErr = err
		}
	case c.kind == refresh && (errors.Is(err, roomtoken.ErrRefreshRejected) || errors.Is(err, roomtoken.ErrPermanent)):
		m.answered(c, now)
		if !c.forgotten {
			if r.refresh == c.refresh {
				r.refresh = nil
			}
			m.postpone(r, err, wait, now)
		}
	case errors.Is(err, roomtoken.ErrPermanent):
		m.answered(c, now)
		r.permErr = now
		if !c.forgotten {
			r.permanent++
			r.failures = 0
			r.lastErr = err
			step := min(10*time.Second<<min(r.permanent-1, 10), 5*time.Minute)
			r.notBefore = now + max(step, wait)
			r.notAfter = r.notBefore
		}
	default:
		m.transient(c, err, wait, now)
	}
}

// transient accounts for a call that failed transiently.
func (m *model) transient(c *modelCall, err error, wait, now time.Duration) {
	if !c.overdue {
		m.failed(c, err, wait, now)
		return
	}
	if m.account.probe == c {
		m.account.probe = nil
	}
	if !c.forgotten {
		m.postpone(c.room, err, wait, now)
	}
}

func (m *model) postpone(r *modelRoom, err error, wait, now time.Duration) {
	if wait > 0 {
		r.notBefore = max(r.notBefore, now+wait)
		r.notAfter = max(r.notAfter, now+wait)
		r.lastErr = err
	}
}

// failed counts a transient failure.
func (m *model) failed(c *modelCall, err error, wait, now time.Duration) {
	a := &m.account
	a.consecutiveFailures++
	switch {
	case a.guarded && a.probe == c:
		a.probe = nil
		if a.limited && now < a.until {
			break
		}
		if a.limited && now < a.untilMax { // a draw decides whether the limit was over
			_, most := m.backoff(60)
			a.unsure, a.untilMax = true, now+most
			break
		}
		a.steps++
		least, most := m.backoff(a.steps)
		a.until, a.untilMax, a.limited = now+least, max(a.untilMax, now+most), false
	case !a.guarded && a.consecutiveFailures >= m.config.MaxConcurrentCalls:
		*a = modelAccount{guarded: true, consecutiveFailures: a.consecutiveFailures, unsure: a.unsure, untilMax: a.untilMax, heldAt: now}
	}
	if r := c.room; !c.forgotten {
		r.failures++
		r.permanent = 0
		r.lastErr = err
		least, most := m.backoff(r.failures)
		r.notBefore = now + max(least, wait)
		r.notAfter = now + max(most, wait)
	}
}

// limited accounts for a rate limit.
func (m *model) limited(c *modelCall, wait, now time.Duration) {
	a := &m.account
	if a.probe == c {
		a.probe = nil
	}
	already := a.limited && now < a.until
	least, most := wait, wait
	if wait == 0 {
		if already {
			return
		}
		if (a.limited || a.unsure) && now < a.untilMax { // a draw decides whether there is already a hold
			_, most = m.backoff(60)
			a.unsure, a.untilMax = true, now+most
			return
		}
		a.steps++
		least, most = m.backoff(a.steps)
	}
	if a.unsure {
		_, most = m.backoff(60)
		most = max(most, wait)
	}
	a.guarded, a.limited, a.heldAt = true, true, now
	a.until, a.untilMax = max(a.until, now+least), max(a.untilMax, now+most)
}

// answered records that the server has answered.
func (m *model) answered(c *modelCall, now time.Duration) {
	a := &m.account
	a.consecutiveFailures = 0
	if a.probe == c {
		a.probe = nil
	}
	switch {
	case a.limited && now >= a.until && now < a.untilMax:
		*a = modelAccount{unsure: true, untilMax: a.untilMax}
	case (a.guarded || a.unsure) && !(a.limited && now < a.untilMax):
		*a = modelAccount{unsure: a.unsure && now < a.untilMax, untilMax: a.untilMax}
	}
}

// grants is called when a call returns a grant.
func (m *model) grants(c *modelCall, g roomtoken.Grant, issuerEnd time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	value := g.Token.Value.Reveal()
	now, ours := m.ends(c, fmt.Sprintf("a grant, %q expires at %v", strings.ReplaceAll(value, canary, ""), g.Token.ExpiresAt.Sub(m.start)))
	if !ours {
		return
	}
	r := c.room
	began := c.wall
	if m.ahead > c.ahead {
		began = began.Add(m.ahead - c.ahead)
	}
	issued := g.IssuedAt
	if issued.IsZero() {
		issued = began
	}
	age := max(began.Sub(issued), 0)
	t := m.tokens[value]
	if t == nil {
		t = &modelToken{value: value, room: r}
		m.tokens[value] = t
	}
	fresh := modelToken{
		value: value, room: r,
		lifetime: g.Token.ExpiresAt.Sub(issued), expires: g.Token.ExpiresAt, issuerEnd: issuerEnd,
		came: now, begun: c.begun, order: c.order, invalid: t.invalid, vague: c.steps,
	}
	fresh.end = c.begun + fresh.lifetime - age
	left := m.leftOf(&fresh, now)
	usable := value != "" && !g.Token.ExpiresAt.IsZero() && left > 0 && left >= m.margin(&fresh)
	refused := t.invalid > 0
	for _, v := range c.refused {
		refused = refused || v == value
	}
	if !refused || c.forgotten {
		*t = fresh
	}
	if c.forgotten {
		if usable && !refused {
			m.answered(c, now)
			for _, w := range r.waiting {
				if w.owed == c && w.atLeast == 0 {
					w.served = now
				}
			}
		} else {
			m.transient(c, roomtoken.ErrInvalidGrant, 0, now)
		}
		return
	}
	switch {
	case value != "" && refused:
		r.refresh = nil
	case c.kind == create && usable, !g.RefreshToken.IsZero():
		r.refresh = nil
		if rt := g.RefreshToken; !rt.IsZero() {
			r.refresh = &modelRefresh{value: rt.Value.Reveal(), end: forever, mustEnd: forever}
			if !rt.ExpiresAt.IsZero() {
				r.refresh.expires = rt.ExpiresAt
				r.refresh.mustEnd = c.begun + rt.ExpiresAt.Sub(issued) - age
				r.refresh.end = r.refresh.mustEnd
				if !c.steps {
					r.refresh.end = rt.ExpiresAt.Sub(c.wall) + c.begun
				}
			}
		}
	}
	if !usable || refused {
		m.transient(c, roomtoken.ErrInvalidGrant, 0, now)
		r.vague = c.steps
		return
	}
	m.answered(c, now)
	r.vague = c.steps
	if r.cur != nil {
		r.cur.replaced = now
		r.refusals, r.refusedBy = 0, 0
	}
	r.before, r.cur = r.cur, t
	if r.before == t {
		t.replaced = 0
	}
	r.had = true
	r.failures, r.permanent = 0, 0
	r.notBefore, r.notAfter = 0, c.begun+100*time.Millisecond
	r.lastErr = nil
	if len(r.waiting) > 0 {
		r.active, r.asked = now, now
	}
}

// forgets clears the state of a room.
func (m *model) forgets(r *modelRoom, now time.Duration) {
	for _, t := range m.tokens {
		if t.room == r {
			t.invalid = 0
		}
	}
	for _, w := range r.waiting {
		w.forgets = true
		if r.call != nil && !r.call.forgotten {
			w.owed = r.call
		}
	}
	for _, w := range r.watches {
		w.lastOf = ""
	}
	if r.call != nil {
		r.call.forgotten = true
	}
	r.forgotAt, r.forgot = now, m.next()
	r.resident = r.watched()
	r.cur, r.before, r.refresh, r.lastErr = nil, nil, nil, nil
	r.had, r.vague = false, false
	r.failures, r.permanent, r.refusals, r.refusedBy = 0, 0, 0, 0
	r.notBefore, r.notAfter = 0, 0
	r.lastKindFailures = -1
}

// invalidates calls Invalidate and checks its result.
func (m *model) invalidates(r *modelRoom, back bool, invalidate func(roomtoken.Token) bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	m.catchUp(now)
	m.checks++
	t := r.cur
	if back || t == nil {
		t = r.before
	}
	if t == nil {
		return
	}
	did := invalidate(roomtoken.Token{Value: roomtoken.NewSecret(t.value), ExpiresAt: t.expires})
	m.note("%s: Invalidate(%s): %v", r.id, strings.ReplaceAll(t.value, canary, ""), did)
	if m.closed {
		if did {
			m.breaks(8, "%s: Invalidate returns true after Close", r.id)
		}
		return
	}
	if c := r.call; c != nil {
		c.refused = append(c.refused, t.value)
	}
	switch {
	case did && t != r.cur && !r.vague:
		m.breaks(7, "%s: Invalidate drops another token than the refused one", r.id)
	case !did && t == r.cur && !r.vague && !t.vague:
		m.breaks(7, "%s: Invalidate does not drop the refused token", r.id)
	case !did:
		return
	}
	t.invalid = now
	left, had := m.leftOf(t, now), t.end-t.came
	after, jitter := m.config.RefreshAfter, m.config.Jitter
	early := left > time.Duration(float64(t.lifetime)*(1-after+jitter))+fuzz
	late := left < time.Duration(float64(min(t.lifetime, had))*(1-after))-fuzz
	switch {
	case early:
		r.refusals++
		r.refusedBy++
	case late && !m.plan.wall:
		r.refusals, r.refusedBy = 0, 0
	default:
		r.refusals = 0
		r.refusedBy++
	}
	if r.refusals > 1 {
		least, _ := m.backoff(r.refusals - 1)
		r.notBefore = max(r.notBefore, now+least)
	}
	if r.refusedBy > 1 {
		_, most := m.backoff(r.refusedBy - 1)
		r.notAfter = max(r.notAfter, now+most)
	}
	r.before, r.cur, r.refresh = t, nil, nil
}

// evicted is called for every eviction.
func (m *model) evicted(id, reason string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return
	}
	now := m.now()
	m.checks++
	m.note("%s: evicted: %s", id, reason)
	for _, r := range m.rooms {
		if r.id != id {
			continue
		}
		valid := m.valid(r, now, 0)
		if r.watched() || r.call != nil {
			m.breaks(10, "%s is evicted (%s), but it is watched or has a call in flight", id, reason)
		}
		if reason == roomtoken.ReasonIdle {
			if valid || now-r.asked < m.config.IdleAfter-grain {
				m.breaks(10, "%s is evicted as idle, token valid: %v, last used %v ago", id, valid, now-r.asked)
			}
		} else if valid && (!m.plan.wall || now-m.stepped > 11*time.Second) {
			for _, q := range m.rooms {
				if q == r || q.pinned() || !q.resident || q.vague || q.left == now {
					continue
				}
				if q.cur == nil || !q.cur.vague && m.leftOf(q.cur, now) <= 0 {
					m.breaks(10, "%s is evicted with a valid token, but %s stays without one", id, q.id)
				} else if m.valid(q, now, 0) && r.asked > q.active+grain {
					m.breaks(10, "%s, last used %v ago, is evicted, but %s, last used %v ago, stays", id, now-r.asked, q.id, now-q.active)
				}
			}
		}
		m.forgets(r, now)
	}
}
