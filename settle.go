package roomtoken

import "github.com/roomtoken/roomtoken/internal/monotime"

// settle puts the room where it belongs after a change, and begins the calls that
// may begin. Every change of a room ends with it.
func (e *engine) settle(r *room, now monotime.Reading) {
	e.mu.assertHeld()
	if e.closed {
		return
	}
	if d := r.demand; d != nil {
		if d.waiters != nil && d.waiters.count == 0 {
			d.waiters = nil
		}
		if d.empty() {
			r.demand = nil
		}
	}
	e.rerank(r, now)
	e.plan(r, now)
	e.dispatch(now)
}

// plan puts the room into the queue where it belongs, or evicts it if nothing is
// left to keep.
func (e *engine) plan(r *room, now monotime.Reading) {
	e.mu.assertHeld()
	if r.dropped {
		return
	}
	e.plannedAhead = min(e.plannedAhead, now.Ahead()) // a step forward from here on counts for this room
	to, key, dormant := e.destination(r, now)
	for dormant && !e.fallDormant(r, now) {
		to, key, dormant = e.destination(r, now)
	}
	if !dormant {
		r.rec.lastUsed.And(^uint32(dormantMark))
	}
	switch {
	case to == noQueue && r.call == nil:
		e.evict(r, ReasonIdle)
	case to == r.queue && to != timerQueue && to != noQueue:
		// It keeps its place in the line.
	default:
		e.move(r, to, key)
		if to == timerQueue && key.Before(e.sleepUntil) {
			e.wakeScheduler()
		}
	}
}

// destination returns the queue in which the room belongs, and its key there.
// noQueue, without a call in flight, means that nothing is left to keep. dormant
// means that the renewal is due and skipped.
func (e *engine) destination(r *room, now monotime.Reading) (to queueID, key monotime.Time, dormant bool) {
	if r.call != nil {
		return noQueue, 0, false
	}
	valid := e.valid(r.rec, now, 0)
	if r.wanted(valid) {
		if r.nextAttempt.After(now.Mono) {
			return timerQueue, r.nextAttempt, false
		}
		return r.line(), now.Mono, false
	}
	if r.lifetime == 0 { // nobody waits, and nobody was ever served: keep its memory for a while
		if end := max(r.lastUsed().Add(e.memory), r.nextAttempt); end.After(now.Mono) {
			return timerQueue, end, false
		}
		return noQueue, 0, false
	}
	due := max(e.renewalDue(r, now), r.nextAttempt)
	switch {
	case due.After(now.Mono) && valid: // without a token it is among the first to be evicted
		return timerQueue, min(due, e.validUntil(r, now)), false
	case due.After(now.Mono):
		return timerQueue, due, false
	case !e.idle(r, now):
		return renewalQueue, max(now.Mono, e.validUntil(r, now)), false
	case valid:
		return timerQueue, e.validUntil(r, now), true
	default:
		return noQueue, 0, false
	}
}

// fallDormant marks the room as dormant, unless a hit has come since it was found
// idle. It reports whether it did.
func (e *engine) fallDormant(r *room, now monotime.Reading) bool {
	last := r.rec.lastUsed.Load()
	return e.idle(r, now) && r.rec.lastUsed.CompareAndSwap(last, last|dormantMark)
}
