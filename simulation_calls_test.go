package roomtoken_test

import (
	"errors"
	"fmt"
	"slices"
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
	valid := m.valid(r, now, 0)
	c.renewal = valid && len(r.waiting) == 0 && r.left != now
	gone := r.cur == nil || !r.cur.vague && m.leftOf(r.cur, now) <= 0
	c.forCaller = gone && len(r.waiting) > 0 && r.warming == 0 && !r.vague && r.left != now && r.rejectedAt != now
	m.slot(c, now)
	if !r.vague && now < r.notBefore {
		m.breaks(5, "%s(%s) begins %v too early, after %d transient and %d permanent failures and %d refusals",
			kind, id, r.notBefore-now, r.failures, r.permanent, r.refusals)
	}
	if ctxRoom != nil && ctxRoom != id && ctxRoom != "*" {
		m.breaks(4, "the ctx of a call for %s carries the values of a caller of %v", id, ctxRoom)
	}
	if ctxRoom == nil && len(r.waiting) > 0 && !r.had && !r.vague && r.left != now && m.account.states&isRefused == 0 {
		m.breaks(4, "the ctx of the first call for %s carries no values of its caller", id)
	}
	m.needed(r, kind, now)

	m.admits(c, now)
	m.goesFirst(c, now)
	m.whichCall(r, c, refreshToken, now)
	r.call, r.lastBegun, r.inLine = c, now, 0
	for _, w := range r.waiting {
		if r.inLine == 0 || w.begun < r.inLine {
			r.inLine = w.begun
		}
	}
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
	probes := !idle && (m.account.guarded() || m.account.states != isOpen || m.account.mayBeLimited) // no state ends only by somebody asking
	if !asked && !r.vague && (!r.had && !probes || idle) {
		m.breaks(10, "%s(%s) begins, but the room is not in use", kind, r.id)
	}
	if t := r.cur; t != nil && now < t.shown.lo && m.leftOf(t, now) > 0 && !forced && !r.vague && !t.vague && r.left != now {
		m.breaks(7, "%s(%s) begins while the replacement of a refused token waits to be handed out", kind, r.id)
	}
	if !m.valid(r, now, 0) || r.left == now {
		return
	}
	t, left := r.cur, m.leftOf(r.cur, now)
	if m.plan.wall && m.stepped > t.came { // it may have been due before
		return
	}
	due := m.due(r, r.cur).hi
	switch {
	case left <= due, r.kept: // or another try for a better one
	case forced:
		if gap := now - r.forced; gap < time.Second && !r.blurred && t.begun == r.forced {
			m.breaks(1, "%s(%s) begins %v after the last one, again for a caller whom the token with %v left does not serve", kind, r.id, gap, left)
		}
		r.forced = now
	default:
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
	case !usable || r.blurred:
	case r.shrinks() && c.kind == create: // the session ends
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

// shrinks reports whether the source's refreshed tokens live shorter and shorter.
func (r *modelRoom) shrinks() bool {
	longest := time.Duration(0)
	for _, left := range r.lefts {
		longest = max(longest, left)
	}
	return r.kept || r.newest < longest*3/4
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
	c.room.call, c.room.ended = nil, now
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
	wait = min(max(wait, 0), m.config.MaxRetryAfter)
	switch {
	case errors.Is(err, roomtoken.ErrRateLimited):
		m.rateLimits(c, wait, now)
		if !c.forgotten {
			r.lastErr = err
			r.failedHi = now
		}
	case c.kind == refresh && (errors.Is(err, roomtoken.ErrRefreshRejected) || errors.Is(err, roomtoken.ErrPermanent)):
		b := blameNobody
		if errors.Is(err, roomtoken.ErrUnauthorized) {
			b = blameEither
		}
		m.judge(c, b, now)
		r.rejectedAt = now
		if !c.forgotten {
			if r.refresh == c.refresh {
				r.refresh = nil
			}
			m.postpone(c, err, wait, now)
		}
	case errors.Is(err, roomtoken.ErrPermanent):
		m.permanently(c, err, wait, now)
	default:
		m.transient(c, err, wait, now)
	}
}

// permanently accounts for a create that failed permanently.
func (m *model) permanently(c *modelCall, err error, wait, now time.Duration) {
	r := c.room
	b, longest := blameDenial, longestPermanent
	switch {
	case errors.Is(err, roomtoken.ErrUnauthorized):
		b, longest = blameKey, longestCredential
	case errors.Is(err, roomtoken.ErrRoomNotFound):
		b = blameNobody
	}
	m.judge(c, b, now)
	r.permErr = now
	if c.forgotten {
		return
	}
	if r.lastErr == nil || errors.Is(r.lastErr, roomtoken.ErrUnauthorized) != errors.Is(err, roomtoken.ErrUnauthorized) {
		r.permanentLo = 0 // the other kind need not count
	}
	r.permanent++
	r.permanentLo++
	r.failures, r.failuresLo = 0, 0
	r.lastErr = err
	r.failedHi = now
	if b != blameNobody {
		r.failedLo = now
	}
	least, _ := permanentWait(r.permanentLo, longest)
	_, most := permanentWait(r.permanent, longest)
	m.waits(c, least, most, wait, now)
}

// waits sets when the room's next call may, and must, begin.
func (m *model) waits(c *modelCall, least, most, wait, now time.Duration) {
	r := c.room
	r.notBefore, r.notAfter = now+max(least, wait), now+max(most, wait)
	if c.begun == r.resetAt { // it may have been in flight
		r.notBefore = now
	}
	if c.wasReset { // it is tried again at once
		r.notBefore, r.notAfter = now, now+wait
	}
}

// transient accounts for a call that failed transiently.
func (m *model) transient(c *modelCall, err error, wait, now time.Duration) {
	if !c.overdue {
		m.failed(c, err, wait, now)
		return
	}
	if !c.forgotten {
		m.postpone(c, err, wait, now)
	}
}

func (m *model) postpone(c *modelCall, err error, wait, now time.Duration) {
	if r := c.room; wait > 0 {
		if !c.wasReset && c.begun != r.resetAt {
			r.notBefore = max(r.notBefore, now+wait)
		}
		r.notAfter = max(r.notAfter, now+wait)
		r.lastErr = err
	}
}

// failed counts a transient failure.
func (m *model) failed(c *modelCall, err error, wait, now time.Duration) {
	m.judge(c, blameSource, now)
	timedOut := now-c.begun >= m.config.CallTimeout // also if it returned before it was overdue
	cuts := !timedOut && !c.maybeFailing && !c.forgotten
	m.account.window.failed(c, cuts, m.config.MaxConcurrentCalls, now)
	if r := c.room; !c.forgotten {
		r.failures++
		r.failuresLo++
		r.permanent, r.permanentLo = 0, 0
		r.lastErr = err
		r.failedLo, r.failedHi = now, now
		least, _ := m.backoff(r.failuresLo)
		_, most := m.backoff(r.failures)
		m.waits(c, least, most, wait, now)
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
		came: now, begun: c.begun, order: c.order, invalid: t.invalid, doubtful: t.doubtful, vague: c.steps,
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
			m.succeeded(c, now)
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
		r.vague = c.steps || r.mixed
		return
	}
	r.newest, r.newestLife, r.newestBegun = left, fresh.lifetime, c.begun
	if r.lefts = append(r.lefts, max(left, fresh.lifetime)); len(r.lefts) > 5 {
		r.lefts = r.lefts[1:]
	}
	ambiguous := false
	if cur := r.cur; cur != nil && cur != t && (m.leftOf(cur, now) >= max(m.margin(cur), 1) || r.mixed && now < r.lastEnd) {
		end := m.leftOf(cur, now)
		if r.mixed {
			end = max(end, r.lastEnd-now)
		}
		certain := !cur.vague && !r.vague && !c.steps && !(m.plan.wall && m.stepped > cur.begun)
		switch {
		case certain && left < end-fuzz: // it does not replace the better one
			m.keeps(c, now)
			return
		case left < end+fuzz || !certain && m.plan.wall:
			ambiguous = true
			r.lastEnd = now + max(end, left)
		}
	}
	if t.doubtful { // it was invalidated before the room was evicted or forgotten
		ambiguous, r.lastEnd = true, now+left
		t.doubtful = false
	}
	r.kept = false
	r.mixed = ambiguous
	r.vague = c.steps || r.mixed
	m.succeeded(c, now)
	r.failures, r.failuresLo, r.permanent, r.permanentLo = 0, 0, 0, 0
	r.notBefore, r.notAfter = 0, c.begun+100*time.Millisecond
	if r.forced == c.begun {
		r.notAfter = c.begun + time.Second
	}
	r.lastErr, r.blurred, r.came = nil, false, now
	if len(r.waiting) > 0 {
		r.active, r.asked = now, now
	}
	if r.refusedBy > 1 && r.cur == nil {
		m.heldBack(r, t, now)
	}
	if r.cur != nil {
		r.cur.replaced = now
		switch shown := r.cur.shown; {
		case shown.hi == 0, now > shown.hi && m.leftOf(r.cur, shown.hi) > m.margin(r.cur): // it was handed out, and lasted
			r.refusals, r.refusedBy = 0, 0
		default:
			r.refusals = 0 // unless it was handed out
			m.heldBack(r, t, now)
		}
	}
	r.before, r.cur = r.cur, t
	if r.before == nil {
		r.before = r.refused
	}
	if r.before == t {
		t.replaced = 0
	}
	r.had = true
}

// keeps notes that a grant does not replace the room's token, which ends later: an
// answer of the source, that says nothing of the room's failures. If it was a refresh, a
// create may follow at once.
func (m *model) keeps(c *modelCall, now time.Duration) {
	r := c.room
	m.note("%s: the token is not replaced by one that ends sooner", r.id)
	m.probeEnds(c, blameNobody, now)
	m.isUp(c, now)
	if a := &m.account; a.states&(isSuspect|isRefused) != 0 {
		a.states |= isOpen
	}
	for _, row := range []*witnesses{&m.account.failing, &m.account.denied, &m.account.unauthorized} {
		row.lo = map[*modelRoom]bool{} // it may count as a success
		if row.hi == nil {
			row.hi = map[*modelRoom]bool{}
		}
	}
	for _, other := range m.rooms {
		other.failedLo = -1
	}
	m.account.news.hi = now
	r.kept, r.rejectedAt = true, now
	r.notBefore, r.notAfter = 0, now+m.config.BackoffMax+fuzz
	r.failuresLo, r.permanentLo = 0, 0
	r.failedHi, r.lastErr, r.blurred = now, nil, true
}

// heldBack notes when the replacement of a token that was refused soon after its issue,
// not for the first time, is handed out.
func (m *model) heldBack(r *modelRoom, t *modelToken, now time.Duration) {
	if r.refused == nil {
		return
	}
	had := min(t.lifetime, t.end-now)
	least, _ := m.backoff(r.refusals - 1)
	_, most := m.backoff(r.refusedBy - 1)
	// The step counts from the invalidation or from the call, whichever is later.
	t.shown.hi = max(r.refused.invalid, t.begun) + min(most, t.lifetime/3+fuzz) + late
	if r.refusals > 1 {
		t.shown.lo = min(r.refused.invalid, t.begun) + min(least, min(had, r.refused.lifetime)/3-fuzz)
	}
	if t.shown.hi <= now {
		t.shown = span{}
		return
	}
	r.notAfter = max(r.notAfter, t.shown.hi)
}

// forgets clears the state of a room, its memory of failures included.
func (m *model) forgets(r *modelRoom, now time.Duration) {
	m.drops(r, now)
	r.lastErr = nil
	r.failures, r.permanent = 0, 0
	r.notBefore, r.notAfter = 0, 0
	r.failedLo, r.failedHi = -1, -1
	r.refusals, r.refusedBy, r.refused = 0, 0, nil
}

// drops clears the state of a room that was forgotten or evicted.
func (m *model) drops(r *modelRoom, now time.Duration) {
	for _, t := range m.tokens {
		if t.room == r {
			t.doubtful = t.doubtful || t.invalid > 0
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
	r.cur, r.before, r.refresh = nil, nil, nil
	r.had, r.vague, r.mixed, r.kept = false, false, false, false
	r.failuresLo, r.permanentLo, r.refusals = 0, 0, 0
	r.lefts, r.inLine = nil, 0
	r.needs = slices.DeleteFunc(r.needs, func(n need) bool { return n.at < forever })
	r.lastKindFailures = -1
}

// target returns the token that a step invalidates: the newest that anybody has seen, or
// the one before; nil: there is none.
func (m *model) target(r *modelRoom, back bool) *modelToken {
	m.mu.Lock()
	defer m.mu.Unlock()
	if t := r.cur; t != nil && !back && m.now() > t.shown.hi {
		return t
	}
	return r.before
}

// invalidates calls Invalidate and checks its result.
func (m *model) invalidates(r *modelRoom, t *modelToken, invalidate func(roomtoken.Token) bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	m.catchUp(now)
	m.checks++
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
	due := m.due(r, t)
	early := left > due.hi
	late := left < min(due.lo, had)-fuzz
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
	r.notAfter = max(r.notAfter, now) // it is replaced at once, whether it is handed out or not
	r.before, r.refused, r.cur, r.refresh = t, t, nil, nil
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
		m.drops(r, now) // its failures are remembered
		if r.failures+r.permanent == 0 || errors.Is(r.lastErr, roomtoken.ErrRateLimited) {
			r.lastErr, r.blurred = nil, true
		}
	}
}
