package roomtoken

import (
	"context"
	"math/rand"
	"time"

	"github.com/roomtoken/roomtoken/internal/breaker"
	"github.com/roomtoken/roomtoken/internal/monotime"
)

// A call has up to three phases. Without a store there is only the second.
//
//   - It asks the store for the lease of its room, and has a slot meanwhile, so that no
//     lease is held in line. The answer may be a token: then there is no call.
//   - It runs: it calls the source.
//   - It commits what came of it to the store, without a slot.
//
// Rooms that stand in line for long are looked up in the store meanwhile, without a slot
// and without a lease. In all phases room.call is set, so a room has one thing in flight.
type phase uint8

const (
	running phase = iota
	asking
	looking
	committing
)

const (
	// lookAfter is how long a room stands in line before the store is asked whether it
	// has a token by now, and lookAgain how long until it is asked again.
	lookAfter = 10 * time.Millisecond
	lookAgain = 5 * time.Second

	// lookGap bounds how many rooms are looked up again per second, where many stand in line.
	lookGap = 5 * time.Millisecond

	// pollEvery is how often the store is asked for a room that somebody waits for while
	// another process has the lease. Where wakes are not known to arrive, the first asks
	// follow sooner, after firstPoll and twice as long each time.
	pollEvery = 500 * time.Millisecond
	firstPoll = 25 * time.Millisecond

	// renewEvery is how often it is asked for a room whose token is valid.
	renewEvery = time.Second

	// leaseGrace is how long after the end of a lease the store is asked again.
	leaseGrace = time.Millisecond
)

// leaseTTL is how long a lease lasts: a call, and the store calls around it. A longer one
// than a day counts as none.
func (e *engine) leaseTTL() time.Duration {
	return min(min(e.config.CallTimeout, maxNotBefore)+2*min(e.share.timeout, maxNotBefore), maxNotBefore)
}

// ask asks the store for the lease of a room whose call may begin. The room has none in
// flight and stands in no queue.
func (e *engine) ask(r *room, forCaller bool, as role) {
	now := e.clock.Look()
	c := e.newCall(r, forCaller, as, now)
	c.phase = asking
	e.share.asking++
	e.acquire(c, now)
}

// lookUpInLine asks the store for rooms that stand in line.
func (e *engine) lookUpInLine(now monotime.Reading) {
	s := e.share
	for !e.storeDown() && s.mayAsk() && !e.closed {
		sh, at, ok := s.looks.Min()
		if !ok || at.After(now.Mono) {
			return
		}
		r := sh.room
		e.move(r, noQueue, 0)
		c := &call{room: r, roomID: r.rec.roomID(), phase: looking, began: e.clock.Look()}
		r.setCall(c)
		e.rank(r, now)
		e.acquire(c, c.began)
	}
}

// enterLooks lets the store be asked for the room while it stands in line.
func (e *engine) enterLooks(r *room, now monotime.Reading) {
	s := e.share
	if !inLine(r.queue) || e.storeDown() {
		s.leaveLine(r)
		return
	}
	sh := s.of(r)
	at, k := now.Mono.Add(lookAfter), r.waiters()
	switch again := max(lookAgain, time.Duration(e.queued())*lookGap); {
	case sh.looked == 0 && k != nil && k.warming == k.count: // Warm has just looked
		at = now.Mono.Add(lookAgain)
	case sh.looked == 0:
	case k != nil && k.since.After(sh.looked): // somebody has come since
		at = max(at, sh.looked.Add(lookAgain))
	default:
		at = max(at, sh.looked.Add(again))
	}
	if !sh.position.Queued() || at.Before(s.looks.Key(sh)) {
		s.looks.Set(sh, at)
	}
}

// mayBeInStore reports whether a room without a token will be looked up in the store as
// soon as somebody waits for it, and was not of late.
func (e *engine) mayBeInStore(r *room, now monotime.Reading) bool {
	if e.storeDown() || r.pending() != nil || r.nextAttempt().After(now.Mono) {
		return false
	}
	sh := e.share.known(r)
	return sh == nil || sh.looked == 0 || now.Mono.Sub(sh.looked) >= lookAgain
}

// acquire makes a call's ask.
func (e *engine) acquire(c *call, now monotime.Reading) {
	r := c.room
	s, sh := e.share, e.share.of(r)
	_, forgotten := s.forgotten[c.roomID]
	sh.looked, sh.woken = now.Mono, false
	ask := Ask{
		RoomID: c.roomID, ID: newAskID(),
		Newer: sh.version, Refused: s.lastRefused(c.roomID, now),
		TTL: e.leaseTTL(), Look: c.phase == looking, Fresh: forgotten || sh.fresh,
		Wait: r.wanted(e.valid(r.rec, now, 0)),
	}
	var entry Entry
	e.callStore(&storeCall{
		do: func(ctx context.Context) (err error) {
			entry, err = s.store.Acquire(ctx, ask)
			return err
		},
		answered: func(err error, now monotime.Reading) {
			if err != nil {
				e.notAnswered(c, ask, now)
				return
			}
			e.asked(c, ask, entry, now)
		},
		late: func(err error) {
			switch {
			case err != nil || entry.Lease.IsZero():
			case c.unsure && c.lease != nil && c.room != nil && !e.closed: // its call runs
				c.lease, c.unsure = &entry.Lease, false
				e.share.of(c.room).granted = e.clock.Now().Mono
			default:
				e.giveBack(&entry.Lease)
			}
		},
	})
}

// notAnswered goes on with a call whose ask got no answer.
func (e *engine) notAnswered(c *call, ask Ask, now monotime.Reading) {
	r := c.room
	unsure := Lease{RoomID: ask.RoomID, ID: ask.ID} // the store may have given it
	if !e.closed && r != nil && c.phase == asking && !e.postpone(r, now) {
		c.lease, c.unsure = &unsure, true
		e.runIfNeeded(c, now)
		return
	}
	if !ask.Look {
		e.giveBackUnsure(&unsure)
	}
	e.endAsk(c, now)
}

// asked goes on with a call whose ask was answered.
func (e *engine) asked(c *call, ask Ask, entry Entry, now monotime.Reading) {
	r := c.room
	if e.closed || r == nil {
		e.giveBack(&entry.Lease)
		e.endAsk(c, now)
		return
	}
	sh := e.share.of(r)
	sh.storeTime, sh.asked = entry.Now, c.began
	sh.lookAt = 0
	if !ask.Look || !entry.Record.IsZero() {
		sh.fresh = false
		delete(e.share.forgotten, c.roomID)
	}
	if entry.Busy <= 0 {
		sh.polls = 0
	}
	if entry.Unreadable != nil {
		e.report(Event{Kind: EventRecordUnreadable, RoomID: c.roomID, Err: entry.Unreadable})
	}
	e.judgeWrites(entry, now)
	switch {
	case entry.Record.Version > ask.Newer && !entry.Record.IsZero():
		e.adopt(r, entry.Record, now)
		e.endAsk(c, now)
	case !entry.Lease.IsZero():
		if !ask.Fresh {
			e.learnFailure(r, entry, now)
		}
		c.lease, sh.granted = &entry.Lease, now.Mono
		if c.phase != asking || now.Mono.Sub(c.began.Mono) > 2*e.share.timeout { // it would end during the call
			e.giveBack(&entry.Lease)
			e.endAsk(c, now)
			return
		}
		e.runIfNeeded(c, now)
	case entry.Busy > 0:
		e.waitForLease(sh, entry.Busy, ask, now)
		e.endAsk(c, now)
	case entry.NotBefore > 0:
		e.adoptFailure(r, entry, now)
		e.endAsk(c, now)
	case c.phase == asking: // the store takes no writes
		e.runIfNeeded(c, now)
	default:
		e.endAsk(c, now)
	}
}

// judgeWrites reports that the store takes no writes, and that it takes them again.
func (e *engine) judgeWrites(entry Entry, now monotime.Reading) {
	l := &e.share.link
	switch {
	case entry.Degraded != nil:
		if l.tookNoWrites(entry.Now, now.Mono) {
			e.reportStoreDown(entry.Degraded, now)
		}
	case !entry.Lease.IsZero(), entry.Record.Began > l.refused: // another process has written it since
		l.refusals = 0
		e.reportStoreUp(now)
	}
}

// waitForLease lets the room wait for the end of another's lease, in no line and without a
// slot.
func (e *engine) waitForLease(sh *share, busy time.Duration, ask Ask, now monotime.Reading) {
	sh.waits = ask.Wait
	sh.leased = now.Mono.Add(min(busy, 10*ask.TTL))
	pause := pollEvery
	switch {
	case !ask.Wait:
		pause = renewEvery
		if left := e.validUntil(sh.room, now).Sub(now.Mono); left > 0 {
			pause = min(pause, max(left/2, firstPoll))
		}
	case sh.woken: // the lease may have ended just after the store was asked
		pause = firstPoll
	case !e.share.wakesArrive(now):
		pause = min(firstPoll<<min(sh.polls, 8), pollEvery)
	}
	sh.polls++
	sh.lookAt = now.Mono.Add(min(pause, sh.leased.Sub(now.Mono)+leaseGrace))
}

// endAsk ends a call that asked the store, and for which the source is not called.
func (e *engine) endAsk(c *call, now monotime.Reading) {
	e.unreserve(c)
	r := c.room
	if r == nil || e.closed {
		return
	}
	r.setCall(nil)
	e.settle(r, now)
	e.wakeInVain(r, now)
}

// unreserve frees the slot that a call has while it asks the store.
func (e *engine) unreserve(c *call) {
	if c.phase != asking {
		return
	}
	c.phase = looking
	e.share.asking--
	e.count(c, -1)
	e.breaker.Left(c.number)
	e.pace.Unused()
}

// runIfNeeded calls the source, unless that need not or must not be by now.
func (e *engine) runIfNeeded(c *call, now monotime.Reading) {
	r := c.room
	r.setCall(nil)
	to, _, _ := e.destination(r, now)
	needed := inLine(to) || c.as == probing && e.mayProbe(r, now)
	if !needed || e.breaker.Held(now.Mono) || c.as == ordinary && e.breaker.Guarded() || c.as == passing && e.breaker.State() == breaker.Refused {
		e.returnLease(c)
		e.endAsk(c, now)
		return
	}
	r.setCall(c)
	c.phase = running
	e.share.asking--
	e.run(c, now)
}

// withdraw gives up what a room has in flight with the store, so that it can be forgotten.
// A call of the source cannot be given up.
func (e *engine) withdraw(r *room) {
	if c := r.call(); c != nil && c.phase != running {
		e.unreserve(c)
		c.room = nil
		r.setCall(nil)
	}
}

// postpone reports whether the room's call can wait because its token is valid and the
// store, which does not answer, may do so before the token ends. Until when is drawn once
// for each token, so that a short outage costs no calls and a long one spreads them.
func (e *engine) postpone(r *room, now monotime.Reading) bool {
	valid := e.valid(r.rec, now, 0)
	if !valid || r.wanted(valid) {
		return false
	}
	sh := e.share.of(r)
	if sh.putOff == 0 {
		left := max(e.validUntil(r, now).Sub(now.Mono)-e.config.CallTimeout, 0)
		sh.putOff = max(now.Mono.Add(time.Duration(rand.Float64()*float64(left))), 1)
	}
	return sh.putOff.After(now.Mono)
}

// nextAsk returns when the store may be asked for the room, or the source be called
// without it; 0: now. wanted: a caller or a watch waits.
func (e *engine) nextAsk(r *room, wanted bool, now monotime.Reading) monotime.Time {
	if e.share == nil {
		return 0
	}
	sh := e.share.known(r)
	if wanted {
		if sh == nil || !sh.waits {
			return 0
		}
		return sh.lookAt
	}
	if e.storeDown() && !e.renewalDue(r, now).After(now.Mono) && e.postpone(r, now) {
		return e.share.of(r).putOff
	}
	if sh == nil {
		return 0
	}
	return max(sh.lookAt, sh.putOff)
}

// asksFirst reports whether the store is asked before the source is called for the room.
func (e *engine) asksFirst(r *room) bool {
	if e.storeDown() {
		return false
	}
	sh := e.share.known(r)
	return sh == nil || sh.lease.IsZero()
}

// mayBegin reports whether a call may begin, as far as the store goes: if it has to be
// asked first, there must be a place.
func (e *engine) mayBegin() bool { return e.share == nil || e.storeDown() || e.share.mayAsk() }
