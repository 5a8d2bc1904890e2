package roomtoken_test

import (
	"fmt"
	"time"
)

// How the model checks who goes first, and which slots are kept for whom (promise 10 and,
// for rooms that fail, promise 5).

// passing is a call that began while another room stood in line before it. It is an error
// if that room's call did not begin at the same instant.
type passing struct {
	room    *modelRoom // that was passed over
	at      time.Duration
	promise int
	text    string
}

// passedOver checks the calls that have begun at an earlier instant.
func (m *model) passedOver(now time.Duration) {
	if len(m.passes) == 0 || m.passes[0].at == now {
		return
	}
	for _, p := range m.passes {
		if !m.closed && p.room.lastBegun < p.at && p.room.left != p.at && p.room.forgotAt != p.at && m.stepped != p.at {
			m.breaks(p.promise, "at %v %s", p.at, p.text)
		}
	}
	m.passes = nil
}

// passes notes that a call has passed over a room.
func (m *model) passesOver(c *modelCall, r *modelRoom, promise int, format string, args ...any) {
	if len(m.passes) > 0 && m.passes[0].at != c.begun {
		return
	}
	text := fmt.Sprintf("%s(%s) began, but %s stood in line: ", c.kind, c.room.id, r.id) + fmt.Sprintf(format, args...)
	m.passes = append(m.passes, passing{r, c.begun, promise, text})
}

// kept returns how many slots are kept for a class of calls, and how many of them it
// lends while none of its own stands in line.
func (m *model) kept() (slots, lent int) {
	slots = m.config.MaxConcurrentCalls / 4
	return slots, slots * 3 / 4
}

// full reports whether all slots may certainly be used: nothing is wrong with the source,
// nor has been of late.
func (m *model) full(now time.Duration) bool {
	a := &m.account
	return a.isCertainly(isOpen) && !a.mayBeLimited && a.changed != now && a.window.size.lo >= m.config.MaxConcurrentCalls
}

// slot checks that there is a slot for a call.
func (m *model) slot(c *modelCall, now time.Duration) {
	cold, failing := 0, 0
	for _, f := range m.flights {
		if f.forCaller {
			cold++
		}
		if f.failing {
			failing++
		}
	}
	slots, lent := m.kept()
	limit := m.config.MaxConcurrentCalls - slots + lent
	if !m.full(now) {
		limit++ // in the lane of innocent rooms
	}
	switch {
	case len(m.flights) >= m.config.MaxConcurrentCalls:
		m.breaks(10, "call %d begins, MaxConcurrentCalls is %d", len(m.flights)+1, m.config.MaxConcurrentCalls)
	case c.forCaller && slots > 0 && cold >= limit:
		m.breaks(10, "a call for a caller begins in a slot reserved for renewals: %d are in flight", cold)
	case m.account.states == isOpen && !m.account.mayBeLimited && m.account.changed != now && m.account.isFailing(c.room) && failing >= max(m.config.MaxConcurrentCalls-1, 1):
		m.breaks(5, "the call of a failing room begins in the slot kept for innocent ones: %d are in flight", failing)
	}
}

// place is a room's place in the line.
type place int

const (
	placeUnknown place = iota
	placeCaller        // somebody waits, and can be served in time
	placeRenewal       // its token is still valid
	placeBehind        // its token is gone and nobody waits, or nobody who can be served in time
)

// stands returns a room's place in the line if it certainly stands there, and the latest
// moment by which it is ordered.
func (m *model) stands(r *modelRoom, now time.Duration) (place, time.Duration) {
	if r.call != nil || r.vague || r.left == now || r.woke == now || now <= r.notAfter+late || r.forgotAt == now || m.account.maybeFailing(r) || r.failures+r.permanent > 0 || r.cur != nil && r.cur.vague {
		return placeUnknown, 0
	}
	if m.plan.wall && now-m.stepped < 11*time.Second {
		return placeUnknown, 0
	}
	if m.valid(r, now, 0) {
		left := m.leftOf(r.cur, now)
		idle := !r.watched() && m.config.IdleAfter > 0 && now-r.asked > m.config.IdleAfter-grain
		if idle || r.kept || left > m.due(r, r.cur).lo-late {
			return placeUnknown, 0
		}
		return placeRenewal, now + left - m.margin(r.cur)
	}
	if r.cur != nil && now <= r.cur.shown.hi {
		return placeUnknown, 0
	}
	since := forever
	for _, w := range r.waiting {
		if !w.forgets && w.begun < now && w.limit > now+m.slowest(w.begun)+5*time.Millisecond+late {
			since = min(since, w.begun)
		}
	}
	if since == forever {
		return placeUnknown, 0
	}
	return placeCaller, max(since, r.notAfter, r.ended)
}

// goesFirst checks that no room stands in line before the one whose call begins.
func (m *model) goesFirst(c *modelCall, now time.Duration) {
	x := c.room
	if now == m.account.changed {
		return
	}
	failing, callers, renewals, cold := 0, 0, 0, 0 // in flight; callers and renewals at most
	for _, f := range m.flights {
		if f.failing {
			failing++
		}
		if !f.renewal {
			callers++
		}
		if f.forCaller {
			cold++
		} else {
			renewals++
		}
	}
	is, earliest := m.placeOf(c, now)
	slots, _ := m.kept()
	free := m.config.MaxConcurrentCalls - slots
	for _, y := range m.rooms {
		if y == x {
			continue
		}
		stands, latest := m.stands(y, now)
		if stands == placeCaller && m.account.innocent(y) && y.failedHi < 0 && m.account.isFailing(x) && !m.account.mayBeLimited &&
			m.account.isCertainly(isOpen) && failing >= max(m.config.MaxConcurrentCalls/4, 1) {
			m.passesOver(c, y, 5, "it has not failed, and %d calls of failing rooms are in flight", failing)
		}
		if !m.full(now) || x.vague {
			continue
		}
		switch {
		// A caller who has left may have waited longer: the room keeps that place.
		case stands == placeCaller && callers < free && (is == placeBehind || is != placeUnknown && earliest > latest+fuzz && x.left < latest),
			stands == placeRenewal && renewals < free && (is == placeBehind || is == placeRenewal && earliest > latest+late):
			m.passesOver(c, y, 10, "the one began from place %d since %v, the other has place %d since %v", is, earliest, stands, latest)
		case stands == placeRenewal && c.forCaller && cold >= free && renewals < slots:
			m.passesOver(c, y, 10, "%d calls for callers are in flight, and %d others", cold, renewals)
		}
	}
}

// placeOf returns the place from which a call begins, if it is certain, and the earliest
// moment by which its room was ordered.
func (m *model) placeOf(c *modelCall, now time.Duration) (place, time.Duration) {
	x := c.room
	if x.rejectedAt == now || x.left == now || x.forgotAt == now || m.plan.wall && now-m.stepped < 11*time.Second {
		return placeUnknown, 0
	}
	valid := m.valid(x, now, 0)
	switch {
	case c.renewal:
		return placeRenewal, now + m.leftOf(x.cur, now) - m.margin(x.cur)
	case valid || x.cur != nil && (x.cur.vague || m.leftOf(x.cur, now) > m.margin(x.cur)-late):
		return placeUnknown, 0
	case len(x.waiting) == 0 && (c.had && x.warming == 0 || !c.had && !x.watched()):
		return placeBehind, now
	case x.warming > 0 || len(x.waiting) == 0:
		return placeUnknown, 0
	}
	least := now + m.callTime(now).lo + 5*time.Millisecond
	for _, w := range x.waiting {
		if w.limit >= least {
			if c.had || x.watched() {
				return placeUnknown, 0
			}
			since := w.begun
			for _, other := range x.waiting {
				since = min(since, other.begun)
			}
			if x.inLine > 0 {
				since = min(since, x.inLine)
			}
			return placeCaller, since
		}
	}
	return placeBehind, now
}
