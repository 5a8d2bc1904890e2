package roomtoken_test

import (
	"errors"
	"strings"
	"time"

	"github.com/roomtoken/roomtoken"
)

// What the model makes of answers to callers and of the pairs of watches.

// handedOut checks a token that somebody gets.
func (m *model) handedOut(r *modelRoom, tok roomtoken.Token, order int, begun, atLeast, now time.Duration) *modelToken {
	t := m.tokens[tok.Value.Reveal()]
	switch {
	case t == nil:
		m.breaks(1, "%s: a token is handed out that the source never granted", r.id)
		return nil
	case t.room != r:
		m.breaks(2, "%s: the token of %s is handed out", r.id, t.room.id)
	case !tok.ExpiresAt.Equal(t.expires):
		m.breaks(1, "%s: a token is handed out that ends at %v, and is said to end at %v", r.id, t.expires.Sub(m.start), tok.ExpiresAt.Sub(m.start))
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
		m.breaks(promise, "%s: a token with %v left of %v is handed out, want %v at least", r.id, left, t.lifetime, least)
	}
	switch {
	case t.invalid > 0 && t.invalid < begun:
		m.breaks(7, "%s: a token is handed out that was invalidated %v before", r.id, begun-t.invalid)
	case t.order < r.forgot && order > r.forgot:
		m.breaks(7, "%s: a token is handed out from before the room was forgotten", r.id)
	case order > r.forgot && t != r.cur && t.replaced != now && !r.vague && !t.vague && (r.cur == nil || !r.cur.vague):
		m.breaks(7, "%s: a token is handed out that is not the newest", r.id)
	}
	return t
}

// cached checks an answer of Cached, or of a Token that does not wait.
func (m *model) cached(r *modelRoom, tok roomtoken.Token, ok, used bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	m.checks++
	switch {
	case ok && m.closed:
		m.breaks(8, "%s: a token is handed out after Close", r.id)
	case ok:
		m.handedOut(r, tok, m.next(), now, 0, now)
		if used {
			r.asked, r.active = now, now
		}
	case !m.closed && m.valid(r, now, 0):
		m.breaks(3, "%s: nothing in memory, though there is a token with %v left", r.id, m.leftOf(r.cur, now))
	}
}

// asks is told that a caller asks.
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
		r.waiting = append(r.waiting, c)
		r.asked, r.active = now, now
		r.resident = true
	}
	return c
}

// answers checks what a caller gets. ended says why its ctx has, if it has.
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
			m.breaks(8, "%s: a caller leaves %v after Close", r.id, now-m.closedAt)
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
		m.breaks(3, "%s: a caller for whom there is a token waits %v and gets the error %v", r.id, now-c.begun, err)
	}
	if c.served > 0 && (err != nil || now != c.served) {
		m.breaks(7, "%s: a caller who waited for a call when the room was forgotten does not get its token", r.id)
	}
	if err == nil {
		m.handedOut(r, tok, c.order, c.begun, c.atLeast, now)
		return
	}
	m.refusal(c, err, ended, cause, now)
}

// refusal checks the error that a caller gets.
func (m *model) refusal(c *caller, err, ended, cause error, now time.Duration) {
	r := c.room
	a := &m.account
	if m.valid(r, now, c.atLeast) && !c.forgets {
		m.breaks(3, "%s: an error though there is a token with %v left: %v", r.id, m.leftOf(r.cur, now), err)
	}
	wrapsLast := r.lastErr == nil || r.vague || c.forgets || errors.Is(err, r.lastErr) ||
		r.call != nil || now == r.notAfter || strings.Contains(err.Error(), r.lastErr.Error())
	switch {
	case errors.Is(err, roomtoken.ErrClosed):
		m.breaks(8, "%s: ErrClosed before Close", r.id)
	case errors.Is(err, roomtoken.ErrTooManyRooms):
		m.tooMany(r)
	case errors.Is(err, roomtoken.ErrTooShort):
		if c.atLeast == 0 || !r.vague && !(r.cur != nil && (r.cur.lifetime < c.atLeast || r.cur.begun >= c.begun) || r.cur == nil && r.had) && !c.forgets {
			m.breaks(1, "%s: ErrTooShort for %v", r.id, c.atLeast)
		}
	case ended != nil && now >= c.ends:
		if !errors.Is(err, ended) || !errors.Is(err, cause) || !wrapsLast {
			m.breaks(4, "%s: the error does not wrap the ctx's error, its cause, and the last error of the source, %v: %v", r.id, r.lastErr, err)
		}
	case now >= c.wait:
		if !wrapsLast {
			m.breaks(5, "%s: the error after MaxWait does not wrap the last of the source, %v: %v", r.id, r.lastErr, err)
		}
	case r.vague:
	case r.call != nil && now >= r.call.begun+m.config.CallTimeout:
	case now < max(r.notAfter, r.left) && c.limit < r.notAfter, a.unsure, a.guarded && c.limit < a.untilMax:
		if !wrapsLast {
			m.breaks(5, "%s: the error does not wrap the last of the source, %v: %v", r.id, r.lastErr, err)
		}
	case errors.Is(err, roomtoken.ErrPermanent):
		if r.permErr != now && !(r.permanent > 0 && now <= r.notAfter) {
			m.breaks(5, "%s: a permanent error that is none, or is over: %v", r.id, err)
		}
	case c.forgets && r.call == nil: // the call was theirs, and overdue
	default:
		m.breaks(5, "%s: a caller who could stay for %v leaves though the next attempt is in %v: %v", r.id, c.limit-now, r.notAfter-now, err)
	}
}

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
		m.breaks(10, "%s: ErrTooManyRooms with %d rooms that cannot be let go, MaxRooms is %d", r.id, pinned, m.config.MaxRooms)
	}
}

// noSecret checks that an error shows none.
func (m *model) noSecret(err error) {
	text := err.Error()
	if strings.Contains(text, canary) {
		m.breaks(12, "an error shows a secret: %s", text)
	}
	if strings.Contains(text, "thrown on purpose") && !strings.Contains(text, "goroutine ") {
		m.breaks(9, "the error of a panic has no stack: %s", text)
	}
}

// yielded checks a pair of a watch. last says that the Manager ends it.
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
		if t := m.handedOut(r, tok, m.next(), now, 0, now); t != nil && t == w.last {
			m.breaks(3, "%s: a watch yields the same token twice", r.id)
		} else {
			w.last, w.lastOf = t, ""
		}
	case errors.Is(err, roomtoken.ErrClosed):
		m.breaks(8, "%s: a watch ends with ErrClosed before Close", r.id)
	case errors.Is(err, roomtoken.ErrTooManyRooms):
		w.ended = true
		m.tooMany(r)
	case ended != nil && errors.Is(err, cause): // its end
	case m.valid(r, now, 0):
		m.breaks(3, "%s: a watch yields an error though there is a token with %v left: %v", r.id, m.leftOf(r.cur, now), err)
	case r.lastErr == nil && !m.account.guarded && !m.account.unsure && !r.vague && now > r.notBefore && r.permErr != now:
		m.breaks(3, "%s: a watch yields an error though nothing has failed: %v", r.id, err)
	default:
		kind := kindOf(err)
		if kind != "" && kind == w.lastOf {
			m.breaks(5, "%s: a watch yields the same error twice: %v", r.id, err)
		}
		w.last, w.lastOf = nil, kind
	}
}

// kindOf names the error where it always has the same words.
func kindOf(err error) string {
	if errors.Is(err, errDown) && strings.Contains(err.Error(), "failed: the source") { // and is not that of all calls
		return "down"
	}
	return ""
}

// settled checks, when everything has come to rest, that all that must have
// happened has happened.
func (m *model) settled() {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	m.catchUp(now)
	if m.closed || m.violation != nil || m.plan.wall && m.stepped > 0 && now-m.stepped < 11*time.Second {
		return
	}
	a := &m.account
	held := a.guarded && now < a.until
	open := !a.unsure && (!a.guarded || now > a.untilMax && a.probe == nil) && len(m.flights) < m.slots()
	for _, r := range m.rooms {
		if r.vague {
			continue
		}
		over := r.call != nil && r.call.overdue
		for _, c := range r.waiting {
			valid := m.valid(r, now, c.atLeast)
			next := r.notBefore
			if held {
				next = max(next, a.until)
			}
			switch {
			case valid && !c.forgets:
				m.breaks(3, "%s: a caller of %v waits though there is a token", r.id, c.begun)
			case over && !m.valid(r, now, 0):
				m.breaks(2, "%s: a caller waits though its call is overdue", r.id)
			case now > min(c.ends, c.wait):
				m.breaks(4, "%s: a caller still waits %v after its time", r.id, now-min(c.ends, c.wait))
			case r.call == nil && c.limit < next && (r.lastErr != nil || held):
				m.breaks(5, "%s: a caller waits though the next attempt is in %v and its time ends in %v", r.id, next-now, c.limit-now)
			}
		}
		if r.call != nil || now <= r.notAfter || !open {
			m.watchesOf(r, now)
			continue
		}
		wanted := len(r.waiting) > 0 || r.watched()
		switch t := r.cur; {
		case wanted && !m.valid(r, now, 0) && (t == nil || !t.vague):
			m.breaks(m.after(r), "%s: somebody waits, a call may begin since %v, and none does", r.id, now-max(r.notAfter, a.untilMax))
		case t == nil || m.plan.wall && t.came < m.stepped:
		case !r.watched() && m.config.IdleAfter > 0 && now-r.asked > m.config.IdleAfter-grain:
		default:
			left := m.leftOf(t, now)
			share := 1 - m.config.RefreshAfter
			had := t.expires.Sub(m.start) - t.came
			due := time.Duration(float64(min(t.lifetime, had, t.end-t.came)) * share)
			if left < due-fuzz {
				m.breaks(3, "%s: its token has %v left of %v, was to be renewed with %v left, and no call is in flight", r.id, left, t.lifetime, due)
			}
		}
		m.watchesOf(r, now)
	}
}

// after says which promise a room that is not called speaks of.
func (m *model) after(r *modelRoom) int {
	if r.lastErr != nil && strings.Contains(r.lastErr.Error(), "thrown on purpose") {
		return 9
	}
	return 5
}

// watchesOf checks that the room's watches have been told.
func (m *model) watchesOf(r *modelRoom, now time.Duration) {
	for _, w := range r.watches {
		switch {
		case w.ended || w.body || w.epoch != m.epoch:
		case now > w.ends:
			m.breaks(8, "%s: a watch goes on after its ctx has ended", r.id)
		case m.valid(r, now, 0) && w.last != r.cur:
			m.breaks(3, "%s: a watch was not told of the newest token", r.id)
		}
	}
}
