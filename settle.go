package roomtoken

import (
	"time"

	"github.com/roomtoken/roomtoken/internal/monotime"
)

// settle puts the room where it belongs after a change, and begins the calls that
// may begin. Every change of a room ends with it.
func (e *engine) settle(r *room, now monotime.Reading) {
	e.mu.assertHeld()
	if e.closed {
		return
	}
	e.mend(r)
	e.handOut(r, now)
	e.tidy(r)
	e.rank(r, now)
	e.plan(r, now)
	e.dispatch(now)
}

// tidy drops what nobody wants any more.
func (e *engine) tidy(r *room) {
	if d := r.demand(); d != nil {
		if k := d.waiters; k != nil && k.count == 0 {
			e.patience.Remove(k)
			d.waiters = nil
		}
		if d.empty() {
			e.lane.Remove(d)
			r.setDemand(nil)
		}
	}
	r.rest()
}

// plan puts the room into the queue where it belongs, or evicts it if nothing is
// left to keep.
func (e *engine) plan(r *room, now monotime.Reading) {
	e.mu.assertHeld()
	if r.life == dropped {
		return
	}
	e.plannedAhead = min(e.plannedAhead, now.Ahead()) // a step forward from here on counts for this room
	to, key, dormant := e.destination(r, now)
	for dormant && !e.fallDormant(r, now) {
		to, key, dormant = e.destination(r, now)
	}
	if dormant {
		r.flags.set(flagSkipped, true)
	} else {
		r.rec.lastUsed.And(^uint32(dormantMark))
	}
	if to == noQueue && r.call() == nil {
		e.evict(r, ReasonIdle, now)
		return
	}
	if inLine(r.queue) && inLine(to) {
		// Asking for a room never moves it back. It goes behind once nobody waits.
		if was := e.queues[r.queue].Key(r); isBehind(was) || !isBehind(key) {
			key = min(key, was)
		}
	}
	e.move(r, to, key)
	e.enterLane(r, now)
	e.enterLooks(r, now)
	e.countState(r, now)
	if to == timerQueue && key.Before(e.sleepUntil) {
		e.wakeScheduler()
	}
}

// isBehind reports whether the key is one of those that stand behind all others.
func isBehind(key monotime.Time) bool { return key >= monotime.Time(behind) }

// inLine reports whether rooms in the queue stand in line for a call.
func inLine(q queueID) bool { return q > timerQueue }

// destination returns the queue in which the room belongs, and its key there.
// noQueue, without a call in flight, means that nothing is left to keep. dormant
// means that the renewal is due and skipped.
func (e *engine) destination(r *room, now monotime.Reading) (to queueID, key monotime.Time, dormant bool) {
	if r.call() != nil {
		return noQueue, 0, false
	}
	if r.pending() != nil {
		return timerQueue, r.failure().handOutAfter, false
	}
	valid := e.valid(r.rec, now, 0)
	if r.wanted(valid) {
		if next := max(r.nextAttempt(), e.nextAsk(r, true, now)); next.After(now.Mono) {
			return timerQueue, next, false
		}
		to, key = e.demandLine(r, now)
		return to, key, false
	}
	if r.lifetime == 0 { // nobody waits, and nobody was ever served: keep its memory for a while
		if end := r.lastUsed(now).Add(e.memory); end.After(now.Mono) { // then memo remembers its failures
			return timerQueue, end, false
		}
		return noQueue, 0, false
	}
	due := max(e.renewalDue(r, now), r.nextAttempt(), e.nextAsk(r, false, now))
	switch idle := e.idle(r, now); {
	case due.After(now.Mono) && valid: // without a token it is among the first to be evicted
		return timerQueue, min(due, e.validUntil(r, now)), false
	case due.After(now.Mono) && !idle:
		return timerQueue, min(due, e.idleAt(r, now)), false
	case !idle && valid:
		return e.line(r, renewalQueue), e.validUntil(r, now), false
	case !idle:
		return e.line(r, renewalQueue), now.Mono.Add(behind), false
	case valid:
		return timerQueue, e.validUntil(r, now), true
	default:
		return noQueue, 0, false
	}
}

// demandLine returns the queue for a room that somebody waits for, and its key there.
func (e *engine) demandLine(r *room, now monotime.Reading) (queueID, monotime.Time) {
	k := r.demand().waiters
	late := k != nil && !e.servable(k, now)
	switch {
	case late && e.valid(r.rec, now, 0) && !e.renewalDue(r, now).After(now.Mono):
		return e.line(r, renewalQueue), e.validUntil(r, now) // where it would stand without them
	case k == nil && r.lifetime > 0: // only watches wait, who have no deadline
		return e.line(r, renewalQueue), now.Mono.Add(behind)
	case late, k != nil && k.warming == k.count && len(r.demand().watches) == 0 && r.lifetime == 0:
		return e.line(r, callerQueue), now.Mono.Add(behind)
	case k != nil:
		return e.line(r, callerQueue), min(k.since, now.Mono)
	default:
		return e.line(r, callerQueue), now.Mono
	}
}

// line returns the queue of that kind for the room, by whether it is failing.
func (e *engine) line(r *room, q queueID) queueID {
	if e.sick(r) {
		return q.sick()
	}
	return q
}

// serveMargin is how long before a caller leaves its call should end.
const serveMargin = 5 * time.Millisecond

// servable reports whether a call that began now would end before the last of the
// callers leaves.
func (e *engine) servable(k *waiters, now monotime.Reading) bool {
	took := min(e.latency, e.config.CallTimeout)
	return !now.Mono.Add(took + serveMargin).After(k.until())
}

// enterLane puts the room into the lane of innocent rooms, or takes it out.
func (e *engine) enterLane(r *room, now monotime.Reading) {
	d := r.demand()
	if d == nil {
		return
	}
	if !inLine(r.queue) || d.waiters == nil || !e.innocent(r) {
		e.lane.Remove(d)
		return
	}
	if d.lane.Queued() {
		return
	}
	key := -now.Mono // newest first
	if r.failure().total() > 0 {
		key = key.Add(behind) // forgiven, not innocent
	}
	e.lane.Set(d, key)
}

// fallDormant marks the room as dormant, unless a hit has come since it was found
// idle. It reports whether it did.
func (e *engine) fallDormant(r *room, now monotime.Reading) bool {
	last := r.rec.lastUsed.Load()
	return e.idle(r, now) && r.rec.lastUsed.CompareAndSwap(last, last|dormantMark)
}

// countState counts the room by its state, and reports that it has lost its token.
func (e *engine) countState(r *room, now monotime.Reading) {
	if r.life != alive {
		return
	}
	was, is := r.state, e.state(r, now)
	if was == is {
		return
	}
	if was != 0 {
		e.states[was]--
	}
	e.states[is]++
	r.state = is
	if had, has := was.hasToken(), is.hasToken(); had && !has && r.rec.text != "" {
		r.wakeWatches()
		e.report(Event{Kind: EventTokenLost, RoomID: r.rec.roomID(), Err: e.lastErr(r)})
	}
}

// lastErr returns why a room without a token has none: its own last error, or else what
// holds all calls back.
func (e *engine) lastErr(r *room) error {
	if r.failure().hasFailed() {
		return r.failure().lastErr
	}
	return e.breaker.Err()
}
