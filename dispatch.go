package roomtoken

import "github.com/roomtoken/roomtoken/internal/monotime"

// role is why a call may begin.
type role uint8

const (
	nobody   role = iota
	ordinary      // its turn has come
	probing       // it tries whether the source works again
	passing       // its room is innocent, and goes beside the probe and the window
)

// dispatch begins calls while there are rooms that may have one and free slots.
func (e *engine) dispatch(now monotime.Reading) {
	e.mu.assertHeld()
	for !e.closed && len(e.calls) < e.config.MaxConcurrentCalls && e.mayBegin() {
		r, as := e.nextReady(now)
		if as == nobody {
			break
		}
		forCaller := r.queue == callerQueue || r.queue == sickCallerQueue
		e.move(r, noQueue, 0)
		if e.asksFirst(r) {
			e.ask(r, forCaller, as)
		} else {
			e.begin(r, forCaller, as)
		}
		e.rank(r, now)
		e.countState(r, now)
	}
	e.lookUpInLine(now)
	if at := e.opens(now); at > 0 && at.Before(e.sleepUntil) {
		e.sleepUntil = at
		e.wakeScheduler()
	}
}

// nextReady returns the room that gets the next slot, and why it may begin.
func (e *engine) nextReady(now monotime.Reading) (*room, role) {
	b := &e.breaker
	if e.queued() == 0 && e.offered == nil {
		e.pace.Idle() // who comes next is not late
		return nil, nobody
	}
	if b.Held(now.Mono) || e.pace.Opens(now.Mono) > 0 {
		return nil, nobody
	}
	if b.Guarded() {
		if b.MayProbe(now.Mono) {
			if r := e.nextProbe(now); r != nil {
				return r, probing
			}
		}
		return e.nextInLane(now)
	}
	if !e.window.Full() && len(e.calls)-e.overdue-e.laneCalls >= e.window.Size(e.config.MaxConcurrentCalls) {
		return e.nextInLane(now)
	}
	return e.nextInOrder(now)
}

// nextInLane returns the innocent room that may pass the others.
func (e *engine) nextInLane(now monotime.Reading) (*room, role) {
	if at, ok := e.breaker.LaneOpens(now.Mono); !ok || at > 0 {
		return nil, nobody
	}
	for {
		d, key, ok := e.lane.Min()
		switch {
		case !ok:
			return nil, nobody
		case !inLine(d.room.queue):
			e.lane.Remove(d)
		case key > 0 && !e.breaker.Guarded(): // forgiven rooms do not pass while calls come back
			return nil, nobody
		default:
			return d.room, passing
		}
	}
}

// nextInOrder returns the room for which somebody waits, or would wait, first. Failing
// rooms have their share of the slots, so have callers and renewals.
func (e *engine) nextInOrder(now monotime.Reading) (next *room, as role) {
	var least monotime.Time
	for q := callerQueue; q < queueCount; q++ {
		if !e.hasSlot(q) {
			continue
		}
		if r, key := e.head(q, now); r != nil && (next == nil || key.Before(least)) {
			next, least, as = r, key, ordinary
		}
	}
	return next, as
}

// hasSlot reports whether a slot is free for rooms in that queue. A quarter of the slots
// is kept for callers and a quarter for renewals; a class with nothing in line lends
// three quarters of what is kept for it.
func (e *engine) hasSlot(q queueID) bool {
	slots := e.config.MaxConcurrentCalls
	if q >= sickCallerQueue && e.sickCalls >= e.sickSlots() {
		return false
	}
	used, others := e.callerCalls, e.queues[renewalQueue].Len()+e.queues[sickRenewalQueue].Len()
	if q == renewalQueue || q == sickRenewalQueue {
		used, others = len(e.calls)-e.callerCalls, e.queues[callerQueue].Len()+e.queues[sickCallerQueue].Len()
	}
	kept := slots / 4
	if others == 0 {
		kept -= kept * 3 / 4
	}
	return used < slots-kept
}

// sickSlots returns how many slots failing rooms may hold: all but one, or a quarter
// while an innocent room waits.
func (e *engine) sickSlots() int {
	slots := e.config.MaxConcurrentCalls
	if _, key, ok := e.lane.Min(); ok && key <= 0 {
		return max(slots/4, 1)
	}
	return max(slots-1, 1)
}

// head returns the first room in the queue and its key. Rooms go behind when nobody who
// waits for them can be served any more, or their token is gone. Rooms that nobody has
// asked for while they stood in line are not renewed.
func (e *engine) head(q queueID, now monotime.Reading) (*room, monotime.Time) {
	for range batch {
		r, key, ok := e.queues[q].Min()
		if !ok {
			return nil, 0
		}
		if q == callerQueue || q == sickCallerQueue {
			if to, is := e.demandLine(r, now); to != q || isBehind(is) != isBehind(key) {
				e.move(r, to, is)
				continue
			}
			return r, key
		}
		switch {
		case e.idle(r, now):
			e.plan(r, now)
		case !isBehind(key) && !e.valid(r.rec, now, 0):
			e.move(r, q, now.Mono.Add(behind))
			e.rank(r, now)
			e.countState(r, now)
		default:
			return r, key
		}
	}
	e.wakeScheduler()
	return nil, 0
}

// offerProbe makes a room the next probe whose caller was answered for the failure of the
// credential, though the room may have a call: it stands in no line. A room that has not
// failed itself goes first.
func (e *engine) offerProbe(r *room, now monotime.Reading) {
	if !e.badCredential() || !e.mayProbe(r, now) {
		return
	}
	if was := e.offered; was != nil && e.mayProbe(was, now) && was.failure().total() == 0 && r.failure().total() > 0 {
		return
	}
	e.offered = r
	e.dispatch(now)
}

// mayProbe reports whether a room that stands in no line may have a call now. An idle one
// may not: the next caller offers another.
func (e *engine) mayProbe(r *room, now monotime.Reading) bool {
	return r.life == alive && r.call() == nil && r.pending() == nil && !r.nextAttempt().After(now.Mono) &&
		!e.valid(r.rec, now, 0) && !e.idle(r, now)
}

// nextProbe returns the room whose call says most about the source: one that was answered
// for the failure of others, one whose token is still valid, the newest innocent one, one
// that has not failed, else the one that failed longest ago.
func (e *engine) nextProbe(now monotime.Reading) *room {
	if r := e.offered; r != nil {
		e.offered = nil
		if e.mayProbe(r, now) {
			return r
		}
	}
	if r, key := e.head(renewalQueue, now); r != nil && !isBehind(key) {
		return r
	}
	if d, _, ok := e.lane.Min(); ok && inLine(d.room.queue) {
		return d.room
	}
	if r, _ := e.head(renewalQueue, now); r != nil {
		return r
	}
	if r, _ := e.head(callerQueue, now); r != nil {
		return r
	}
	return e.longestFailed(now)
}

// longestFailed returns the failing room in line whose last failure is the oldest, as far
// as that is found soon: each probe is another room's.
func (e *engine) longestFailed(now monotime.Reading) (oldest *room) {
	for _, q := range []queueID{sickCallerQueue, sickRenewalQueue} {
		if r, _ := e.head(q, now); r == nil { // it drops idle rooms
			continue
		}
		looks := batch
		for r := range e.queues[q].All {
			if !e.idle(r, now) && (oldest == nil || r.failure().at.Before(oldest.failure().at)) {
				oldest = r
			}
			if looks--; looks == 0 {
				break
			}
		}
	}
	return oldest
}

// opens returns when the next call may begin for a room that stands in line; 0: nothing
// but a slot or an answer is missing.
func (e *engine) opens(now monotime.Reading) (at monotime.Time) {
	earlier := func(t monotime.Time) {
		if t > 0 && (at == 0 || t < at) {
			at = t
		}
	}
	if e.queued() == 0 && e.offered == nil {
		return 0
	}
	earlier(e.breaker.Opens(now.Mono))
	earlier(e.pace.Opens(now.Mono))
	if e.share != nil {
		if _, at, ok := e.share.looks.Min(); ok && at.After(now.Mono) {
			earlier(at)
		}
	}
	if e.lane.Len() > 0 && (e.breaker.Guarded() || !e.window.Full()) {
		if t, ok := e.breaker.LaneOpens(now.Mono); ok {
			earlier(t)
		}
	}
	return at
}

// queued returns how many rooms stand in line.
func (e *engine) queued() (n int) {
	for q := callerQueue; q < queueCount; q++ {
		n += e.queues[q].Len()
	}
	return n
}

// inUse returns the number of rooms that are kept fresh.
func (e *engine) inUse() int { return max(e.rooms-e.states[RoomIdle], 1) }
