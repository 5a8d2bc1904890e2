package roomtoken_test

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/roomtoken/roomtoken"
)

// How the model checks answers to callers and the pairs of watches.

// handedOut checks a token that a caller or a watch gets.
func (m *model) handedOut(r *modelRoom, tok roomtoken.Token, order int, begun, atLeast, now time.Duration) *modelToken {
	t := m.tokens[tok.Value.Reveal()]
	switch {
	case t == nil:
		m.breaks(1, "%s: got a token that the source never granted", r.id)
		return nil
	case t.room != r:
		m.breaks(2, "%s: got the token of %s", r.id, t.room.id)
	case !tok.ExpiresAt.Equal(t.expires):
		m.breaks(1, "%s: got a token that expires at %v with ExpiresAt %v", r.id, t.expires.Sub(m.start), tok.ExpiresAt.Sub(m.start))
	}
	left := t.issuerEnd - now
	if !m.plan.wall || now-m.stepped > 100*time.Millisecond {
		left = min(left, t.expires.Sub(m.wallNow()))
	}
	least := max(m.margin(t), atLeast)
	if t.vague {
		least = 1
	}
	if left < least || left <= 0 {
		promise := 1
		if m.plan.wall && m.stepped > t.begun {
			promise = 11
		}
		m.breaks(promise, "%s: got a token with %v left of %v, want at least %v", r.id, left, t.lifetime, least)
	}
	switch {
	case now < t.shown.lo:
		m.breaks(7, "%s: got the replacement of a token that was refused early %v too soon", r.id, t.shown.lo-now)
	case t.invalid > 0 && t.invalid < begun:
		m.breaks(7, "%s: got a token that was invalidated %v before", r.id, begun-t.invalid)
	case t.order < r.forgot && order > r.forgot:
		m.breaks(7, "%s: got a token from before the room was forgotten", r.id)
	case order > r.forgot && t != r.cur && t.replaced != now && !r.vague && !t.vague && (r.cur == nil || !r.cur.vague):
		m.breaks(7, "%s: got a token that is not the newest", r.id)
	}
	return t
}

// cached checks an answer of Cached, or of a Token call that does not wait.
func (m *model) cached(r *modelRoom, tok roomtoken.Token, ok, used bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	m.checks++
	switch {
	case ok && m.closed:
		m.breaks(8, "%s: got a token after Close", r.id)
	case ok:
		m.handedOut(r, tok, m.next(), now, 0, now)
		if used {
			m.used(r, now)
		}
	case !m.closed && m.valid(r, now, 0):
		m.breaks(3, "%s: nothing in memory, want the token with %v left", r.id, m.leftOf(r.cur, now))
	}
}

// asks is called when a caller asks for a token.
func (m *model) asks(r *modelRoom, atLeast, timeout, hangUp time.Duration) *caller {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	c := &caller{room: r, begun: now, order: m.next(), atLeast: atLeast, ends: forever, wait: forever, epoch: m.epoch}
	if m.config.MaxWait > 0 {
		c.wait = now + m.config.MaxWait
	}
	if timeout > 0 {
		c.ends = now + timeout
	}
	c.limit = min(c.ends, c.wait)
	if hangUp > 0 {
		c.ends = min(c.ends, now+hangUp)
	}
	c.must = m.valid(r, now, atLeast)
	if !m.closed {
		if r.inLine == 0 {
			r.inLine = now
		}
		if atLeast > 0 {
			r.needs = append(r.needs, need{forever, atLeast})
			if len(r.needs) > 8 {
				r.needs = r.needs[1:]
			}
		}
		r.waiting = append(r.waiting, c)
		m.used(r, now)
		r.resident = true
	}
	return c
}

// answers checks what a caller gets. ended is the error of its ctx and cause its
// cause.
func (m *model) answers(c *caller, tok roomtoken.Token, err, ended, cause error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	m.catchUp(now)
	m.checks++
	r := c.room
	for i, w := range r.waiting {
		if w == c {
			r.waiting = append(r.waiting[:i:i], r.waiting[i+1:]...)
		}
	}
	r.active = max(r.active, now)
	r.left = now
	if m.tracing && (err != nil || now != c.begun) {
		m.note("%s: a caller of %v leaves: %v", r.id, c.begun, err)
	}
	if err != nil {
		m.noSecret(err)
	}
	if m.closed {
		switch {
		case !errors.Is(err, roomtoken.ErrClosed):
			m.breaks(8, "%s: an answer after Close is %v, want ErrClosed", r.id, err)
		case now != max(m.closedAt, c.begun):
			m.breaks(8, "%s: a caller leaves %v after Close, want at once", r.id, now-m.closedAt)
		}
		return
	}
	if c.epoch != m.epoch {
		m.breaks(8, "%s: a caller outlives its Manager", r.id)
		return
	}
	if now > min(c.ends, c.wait) {
		m.breaks(4, "%s: a caller leaves %v after its time", r.id, now-min(c.ends, c.wait))
	}
	if c.must && (err != nil || now != c.begun) {
		m.breaks(3, "%s: a caller waits %v and gets the error %v, want the token at once", r.id, now-c.begun, err)
	}
	if c.served > 0 && (err != nil || now != c.served) {
		m.breaks(7, "%s: a caller who waited for a call when the room was forgotten does not get that call's token", r.id)
	}
	if err == nil {
		m.handedOut(r, tok, c.order, c.begun, c.atLeast, now)
		if c.atLeast > 0 {
			r.needs = append(r.needs, need{now, c.atLeast})
		}
		return
	}
	m.refusal(c, err, ended, cause, now)
}

// refusal checks an error that a caller gets.
func (m *model) refusal(c *caller, err, ended, cause error, now time.Duration) {
	r := c.room
	if m.valid(r, now, c.atLeast) && !c.forgets {
		m.breaks(3, "%s: want the token with %v left, got the error %v", r.id, m.leftOf(r.cur, now), err)
	}
	wrapsLast := r.lastErr == nil || r.vague || r.blurred || c.forgets || errors.Is(err, r.lastErr) ||
		r.call != nil || now == r.notAfter || strings.Contains(err.Error(), r.lastErr.Error())
	switch {
	case errors.Is(err, roomtoken.ErrClosed):
		m.breaks(8, "%s: ErrClosed before Close", r.id)
	case errors.Is(err, roomtoken.ErrTooManyRooms):
		m.tooMany(r)
	case errors.Is(err, roomtoken.ErrTooShort):
		if c.atLeast == 0 || !r.vague && !c.forgets && !(r.had && (r.newest < c.atLeast+m.callTime(now).hi+fuzz || r.newestBegun >= c.begun)) {
			m.breaks(1, "%s: ErrTooShort for %v, but the newest token had %v left", r.id, c.atLeast, r.newest)
		}
	case ended != nil && now >= c.ends:
		if !errors.Is(err, ended) || !errors.Is(err, cause) || !wrapsLast {
			m.breaks(4, "%s: want an error that wraps the ctx's error, its cause and the source's last error, %v, got %v", r.id, r.lastErr, err)
		}
	case now >= c.wait:
		if !wrapsLast {
			m.breaks(5, "%s: want an error after MaxWait that wraps the source's last error, %v, got %v", r.id, r.lastErr, err)
		}
	case r.vague:
	case r.call != nil && now >= r.call.begun+m.config.CallTimeout:
	case m.account.changed == now && m.account.states&isRefused != 0, m.answeredAtOnce(r, err):
	case m.inVain(c, now):
		if !wrapsLast {
			m.breaks(5, "%s: want an error that wraps the source's last error, %v, got %v", r.id, r.lastErr, err)
		}
	case errors.Is(err, roomtoken.ErrPermanent):
		if r.permErr != now && !(r.permanent > 0 && now <= r.notAfter) {
			m.breaks(5, "%s: got a permanent error that was not returned or is over: %v", r.id, err)
		}
	case c.forgets && r.call == nil: // the call it waited for is overdue
	default:
		m.breaks(5, "%s: a caller who could wait for %v leaves, but the next attempt is in %v: %v", r.id, c.limit-now, r.notAfter-now, err)
	}
}

// answeredAtOnce reports whether a caller may get that error at once, because of what
// other rooms have met.
func (m *model) answeredAtOnce(r *modelRoom, err error) bool {
	a := &m.account
	return a.states&isRefused != 0 && errors.Is(err, roomtoken.ErrUnauthorized) ||
		a.states&isRefused != 0 && errors.Is(err, roomtoken.ErrPermanent) && !a.innocent(r) ||
		a.states&isSuspect != 0 && !a.innocent(r)
}

// inVain reports whether the next attempt may lie beyond the caller's time. Failures of
// others do not hold back a room that has not failed, a rate limit does.
func (m *model) inVain(c *caller, now time.Duration) bool {
	a := &m.account
	r := c.room
	next := r.notAfter
	if r.left > next && r.left == now {
		next = r.left
	}
	if c.atLeast > 0 && r.forced > 0 {
		next = max(next, r.forced+time.Second)
	}
	if gap := m.gap(now); gap > 0 {
		next = max(next, a.begun+gap)
	}
	if a.mayBeLimited {
		next = max(next, a.held.hi, a.until.hi)
	}
	if a.states != isOpen && !a.innocent(r) {
		next = max(next, a.until.hi)
	}
	return now < next && c.limit < next
}

// tooMany checks ErrTooManyRooms.
func (m *model) tooMany(r *modelRoom) {
	pinned := 0
	for _, q := range m.rooms {
		if q != r && q.pinned() || q.left == m.now() {
			pinned++
		}
	}
	r.resident = r.watched()
	for _, c := range r.waiting {
		r.resident = r.resident || !c.forgets
	}
	if m.config.MaxRooms < 0 || pinned < m.config.MaxRooms {
		m.breaks(10, "%s: ErrTooManyRooms with %d rooms that cannot be evicted, MaxRooms is %d", r.id, pinned, m.config.MaxRooms)
	}
}

// noSecret checks that an error contains no secret.
func (m *model) noSecret(err error) {
	text := err.Error()
	if strings.Contains(text, canary) {
		m.breaks(12, "an error contains a secret: %s", text)
	}
	if strings.Contains(text, "thrown on purpose") && !hasStack(err) {
		m.breaks(9, "the error of a panic has no stack: %s", text)
	}
}

// yielded checks a pair of a watch. ended is the error of its ctx and cause its cause.
func (m *model) yielded(w *watching, tok roomtoken.Token, err, ended, cause error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	m.catchUp(now)
	m.checks++
	r := w.room
	m.note("%s: a watch of %v yields: %v", r.id, w.begun, err)
	if err != nil {
		m.noSecret(err)
	}
	switch {
	case m.closed, w.epoch != m.epoch:
		if !errors.Is(err, roomtoken.ErrClosed) {
			m.breaks(8, "%s: a watch yields %v after Close, want ErrClosed", r.id, err)
		}
		return
	case err == nil:
		if t := m.handedOut(r, tok, m.next(), now, 0, now); t != nil && t == w.last && r.forgotAt <= w.lastAt {
			m.breaks(3, "%s: a watch yields the same token twice", r.id)
		} else {
			w.last, w.lastAt, w.lastOf = t, now, ""
		}
	case errors.Is(err, roomtoken.ErrClosed):
		m.breaks(8, "%s: a watch ends with ErrClosed before Close", r.id)
	case errors.Is(err, roomtoken.ErrTooManyRooms):
		w.ended = true
		m.tooMany(r)
	case ended != nil && errors.Is(err, cause): // the end of the watch
	case m.valid(r, now, 0):
		m.breaks(3, "%s: want a watch to yield the token with %v left, got the error %v", r.id, m.leftOf(r.cur, now), err)
	case r.refusedBy > 1 && (r.call != nil || r.cur == nil || now <= r.cur.shown.hi): // its tokens were refused
	case r.lastErr == nil && m.account.states == isOpen && !m.account.mayBeLimited && m.account.changed != now && !r.vague && !r.blurred && now > r.notBefore && r.permErr != now && (r.call == nil || !r.call.overdue):
		m.breaks(3, "%s: a watch yields an error, but nothing has failed: %v", r.id, err)
	default:
		kind := kindOf(err)
		if kind != "" && kind == w.lastOf {
			m.breaks(5, "%s: a watch yields the same error twice: %v", r.id, err)
		}
		w.last, w.lastOf = nil, kind
	}
}

// kindOf names the cause of an error whose text is always the same.
func kindOf(err error) string {
	if errors.Is(err, errDown) {
		return "down"
	}
	return ""
}

// settled checks, when all goroutines are blocked, that everything that must have
// happened has happened.
func (m *model) settled() {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	m.catchUp(now)
	m.passedOver(now)
	if m.closed || m.violation != nil || m.plan.wall && m.stepped > 0 && now-m.stepped < 11*time.Second {
		return
	}
	for _, r := range m.rooms {
		if !r.vague {
			m.settledRoom(r, now)
		}
	}
}

// settledRoom checks one room.
func (m *model) settledRoom(r *modelRoom, now time.Duration) {
	a := &m.account
	over := r.call != nil && r.call.overdue
	for _, c := range r.waiting {
		valid := m.valid(r, now, c.atLeast)
		next, certain := r.notBefore, r.lastErr != nil
		if a.limited && now < a.held.lo {
			next, certain = max(next, a.held.lo), true
		}
		if a.guarded() && a.guilty(r) && now < a.until.lo {
			next = max(next, a.until.lo)
		}
		pending := r.cur != nil && now <= r.cur.shown.hi
		waits := r.call == nil && !valid && c.begun < now && !pending
		switch {
		case valid && !c.forgets:
			m.breaks(3, "%s: a caller of %v waits, but there is a token", r.id, c.begun)
		case over && !m.valid(r, now, 0):
			m.breaks(2, "%s: a caller waits, but its call is overdue", r.id)
		case now > min(c.ends, c.wait):
			m.breaks(4, "%s: a caller still waits %v after its time", r.id, now-min(c.ends, c.wait))
		case r.call == nil && c.limit < next && certain && !pending:
			m.breaks(5, "%s: a caller waits, but the next attempt is in %v and its time ends in %v", r.id, next-now, c.limit-now)
		case waits && !m.valid(r, now, 0) && r.permanent > 0 && now < r.notBefore && r.lastErr != nil:
			m.breaks(5, "%s: a caller waits, but the room's permanent error is to be returned at once for %v", r.id, r.notBefore-now)
		case waits && !m.valid(r, now, 0) && a.isCertainly(isRefused) && a.changed != now:
			m.breaks(5, "%s: a caller waits, but the credential is refused", r.id)
		case waits && !m.valid(r, now, 0) && a.isCertainly(isSuspect) && a.guilty(r) && a.changed != now:
			m.breaks(5, "%s: a caller of a room that has failed waits, but the credential is suspect", r.id)
		case waits && r.had && !r.kept && c.atLeast > max(r.newest, r.newestLife)+fuzz && m.valid(r, now, 0) && now > r.came && !c.forgets:
			m.breaks(1, "%s: a caller waits for a token with %v left, but the newest came with %v", r.id, c.atLeast, r.newest)
		case waits && !m.valid(r, now, 0) && now > r.notAfter+late && now > c.begun+late && a.innocent(r) && m.laneFree(now):
			m.breaks(5, "%s: a caller of %v waits, the room has not failed since the source worked, and no call begins for it", r.id, c.begun)
		}
	}
	m.watchesOf(r, now)
	if r.call != nil || now <= r.notAfter || !m.mayBegin(r, now) || r.cur != nil && now <= r.cur.shown.hi {
		return
	}
	wanted := len(r.waiting) > 0 || r.watched()
	switch t := r.cur; {
	case wanted && !m.valid(r, now, 0) && (t == nil || !t.vague):
		m.breaks(m.after(r), "%s: a caller or a watch waits, and a call may begin since %v, but none does", r.id, now-max(r.notAfter, a.until.hi, a.held.hi))
	case t == nil || m.plan.wall && t.came < m.stepped || r.kept:
	case !r.watched() && m.config.IdleAfter > 0 && now-r.asked > m.config.IdleAfter-grain:
	default:
		if left, due := m.leftOf(t, now), m.due(r, r.cur).lo; left < due {
			m.breaks(3, "%s: no call is in flight with %v left of %v, want a renewal with %v left", r.id, left, t.lifetime, due)
		}
	}
}

// mustBeGone checks that a room that nobody uses, and whose token is over, is not in
// memory any more.
func (m *model) mustBeGone(r *modelRoom, resident bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	m.checks++
	if !resident || m.closed || m.config.IdleAfter <= 0 || r.pinned() || r.vague || m.plan.wall && now-m.stepped < 11*time.Second {
		return
	}
	idle := max(r.active, r.left, r.forgotAt) + m.config.IdleAfter
	if r.cur != nil {
		if r.cur.vague {
			return
		}
		idle = max(idle, now+m.leftOf(r.cur, now))
	}
	if idle = max(idle, r.lastBegun) + grain; now > idle+12*time.Second {
		m.breaks(10, "%s: is in memory %v after it was to be dropped", r.id, now-idle)
	}
}

// after returns the promise that is broken when no call begins for a room.
func (m *model) after(r *modelRoom) int {
	if r.lastErr != nil && strings.Contains(r.lastErr.Error(), "thrown on purpose") {
		return 9
	}
	return 5
}

// hasStack reports whether an error has a stack: in its text, or in a field.
func hasStack(err error) bool {
	if strings.Contains(err.Error(), "goroutine ") {
		return true
	}
	v := reflect.Indirect(reflect.ValueOf(err))
	if v.Kind() == reflect.Struct {
		if f := v.FieldByName("Stack"); f.IsValid() && f.Len() > 0 {
			return true
		}
	}
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		return e.Unwrap() != nil && hasStack(e.Unwrap())
	case interface{ Unwrap() []error }:
		return slices.ContainsFunc(e.Unwrap(), hasStack)
	}
	return false
}

// watchesOf checks that the room's watches have yielded the newest token.
func (m *model) watchesOf(r *modelRoom, now time.Duration) {
	for _, w := range r.watches {
		switch {
		case w.ended || w.body || w.epoch != m.epoch:
		case now > w.ends:
			m.breaks(8, "%s: a watch goes on, but its ctx has ended", r.id)
		case m.valid(r, now, 0) && w.last != r.cur:
			m.breaks(3, "%s: a watch has not yielded the newest token", r.id)
		}
	}
}
