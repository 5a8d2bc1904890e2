package roomtoken

import (
	"runtime"
	"time"

	"github.com/roomtoken/roomtoken/internal/moment"
)

// The refresh engine: where every room stands, and who gets the next call. All
// rooms' deadlines are in one queue, one goroutine waits for the earliest, and
// rooms whose call may begin wait in three further queues for a free slot.

// settle is called after every change of a room: it puts the room where it now
// belongs and starts what may start. Caller must hold mu.
func (m *Manager) settle(r *room, now moment.Moment) {
	if m.closed {
		return
	}
	if r.crowd != nil && r.crowd.waiters == 0 && r.crowd.watchers == 0 {
		r.crowd = nil
	}
	m.rank(r, now)
	m.plan(r, now)
	m.dispatch(now)
}

// plan puts the room into the queue where it now belongs, or drops it if there
// is nothing left to keep. Caller must hold mu.
func (m *Manager) plan(r *room, now moment.Moment) {
	if r.dropped {
		return
	}
	m.plannedAhead = min(m.plannedAhead, now.Ahead()) // a step forward from here on counts for this room
	to, key, dormant := m.destination(r, now)
	for dormant && !m.fallDormant(r, now) {
		to, key, dormant = m.destination(r, now)
	}
	if !dormant {
		r.rec.lastUsed.And(^uint32(dormantMark))
	}
	switch {
	case to == nowhere && r.call == nil:
		m.evict(r, ReasonIdle)
	case to == r.place && to != inTimers && to != nowhere:
		// Keep its place in the line.
	default:
		m.move(r, to, key)
		if to == inTimers && key < m.sleepUntil {
			m.wakeScheduler()
		}
	}
}

// destination returns the queue in which the room belongs and its key there;
// nowhere, without a call in flight, means that there is nothing left to keep.
// dormant: its renewal is due and skipped. Caller must hold mu.
func (m *Manager) destination(r *room, now moment.Moment) (to place, key int64, dormant bool) {
	if r.call != nil {
		return nowhere, 0, false
	}
	usable := m.serves(r.rec, now, 0)
	if r.wanted(usable) {
		if r.nextAttempt > now.Mono {
			return inTimers, r.nextAttempt, false
		}
		return r.line(), now.Mono, false
	}
	if r.lifetime == 0 { // nobody waits, and nobody was ever served: keep its memory for a while
		end := max(r.lastUsed()+int64(m.memory), r.nextAttempt)
		if end > now.Mono {
			return inTimers, end, false
		}
		return nowhere, 0, false
	}
	due := max(m.due(r, now), r.nextAttempt)
	switch {
	case due > now.Mono && usable: // when the token is gone, the room is one of the first to be let go
		return inTimers, min(due, m.unusable(r, now)), false
	case due > now.Mono:
		return inTimers, due, false
	case !m.idle(r, now):
		return inRenewals, max(now.Mono, m.unusable(r, now)), false
	case usable:
		return inTimers, m.unusable(r, now), true
	default:
		return nowhere, 0, false
	}
}

// due returns when the room's renewal is due, as a monotonic time that holds
// while the wall clock is not stepped.
func (m *Manager) due(r *room, now moment.Moment) int64 {
	if r.rec.text == "" {
		if r.trouble != nil {
			return r.trouble.lull
		}
		return now.Mono
	}
	return now.Mono + m.left(r, now) - r.renewLeft
}

// unusable returns the first moment at which the room's token is no longer
// handed out, as a monotonic time that holds while the wall clock is not stepped.
func (m *Manager) unusable(r *room, now moment.Moment) int64 {
	return now.Mono + m.left(r, now) - max(r.rec.margin-1, 0)
}

// move takes the room from the queue it stands in and puts it into another.
// Caller must hold mu.
func (m *Manager) move(r *room, to place, key int64) {
	if r.place != to && r.place != nowhere {
		m.queues[r.place].Remove(r)
	}
	r.place = to
	if to != nowhere {
		m.queues[to].Set(r, key)
	}
}

// dispatch begins calls while there are rooms that may and slots for them.
// Caller must hold mu.
func (m *Manager) dispatch(now moment.Moment) {
	skipped := 0
	for len(m.calls) < m.config.MaxConcurrentCalls && m.account.admits(now.Mono) && !m.closed {
		r, forCaller := m.nextReady()
		if r == nil {
			return
		}
		if !forCaller && m.idle(r, now) { // nobody has asked for it while it stood in the line
			if skipped++; skipped > batch {
				m.wakeScheduler()
				return
			}
			m.plan(r, now)
			continue
		}
		m.move(r, nowhere, 0)
		m.start(r, forCaller)
		m.rank(r, now)
	}
}

// nextReady returns the room that gets the next slot, nil if none may have it:
// the one for which somebody waits, or will wait, first. A quarter of the slots
// is kept for renewals, so that a rush of cold rooms does not let warm ones run
// out. Caller must hold mu.
func (m *Manager) nextReady() (r *room, forCaller bool) {
	if m.account.guarded {
		if r := m.nextProbe(); r != nil {
			return r, r.place != inRenewals
		}
	}
	caller, since, waiting := m.queues[inCallers].Min()
	if !waiting {
		caller, since, waiting = m.queues[inWarming].Min()
	}
	renewal, latest, due := m.queues[inRenewals].Min()
	switch {
	case waiting && m.callersMay() && (!due || since <= latest):
		return caller, true
	case due:
		return renewal, false
	default:
		return nil, false
	}
}

// callersMay reports whether a call may begin for a caller, as far as the slots go
// that are kept for renewals.
func (m *Manager) callersMay() bool {
	return m.callerCalls < m.config.MaxConcurrentCalls-m.config.MaxConcurrentCalls/4
}

// nextProbe returns the room whose call tells most of whether the other side is
// there, if one is found soon: it has had a token, or was never tried, and has
// not failed. Rooms that fail for reasons of their own would keep the account
// shut, were it for them to open it.
func (m *Manager) nextProbe() *room {
	var untried *room
	for _, place := range []place{inRenewals, inCallers, inWarming} {
		if place != inRenewals && !m.callersMay() {
			continue
		}
		looks := batch
		for r := range m.queues[place].All {
			switch {
			case r.failures() > 0:
			case r.lifetime > 0:
				return r
			case untried == nil:
				untried = r
			}
			if looks--; looks == 0 {
				break
			}
		}
	}
	return untried
}

// The scheduler's bounds.
const (
	// lookEvery is how often the scheduler looks at the clock while there are
	// rooms. Timers stand still while the machine is suspended: this is how late
	// a watched room notices, at most.
	lookEvery = 10 * time.Second
	// batch is how many rooms are handled before the lock is let go, so that a
	// million deadlines at once keep nobody waiting.
	batch = 256
	// A jump of the wall clock by more than this makes the scheduler plan all
	// rooms anew. Smaller ones only make renewals that much late.
	jump = time.Second
	// With more deadlines than manyTimers the scheduler sleeps at least nap at a
	// time: being so late does no harm, and each time costs a timer and a switch.
	manyTimers = 4096
	nap        = 10 * time.Millisecond
)

// schedule is the scheduler's goroutine, from NewManager to Close. It only hands
// work out.
func (m *Manager) schedule() {
	for {
		pause, ok := m.turn()
		switch {
		case !ok:
			return
		case pause <= 0:
			runtime.Gosched() // those who wait for the lock get it in between
			continue
		}
		timer := m.config.Clock.Timer(pause)
		select {
		case <-timer.C:
		case <-m.wake:
		case <-m.closing:
		}
		timer.Stop()
	}
}

// turn does what is due, for one batch, and returns how long to sleep; ok is
// false when the Manager is closed.
func (m *Manager) turn() (pause time.Duration, ok bool) {
	m.lock()
	defer m.unlock()
	if m.closed {
		m.scheduling = false
		m.progress.tell()
		return 0, false
	}
	now := m.clock.Look()
	m.followWall(now)
	timers := m.queues[inTimers]
	for range batch {
		r, key, ok := timers.Min()
		if !ok || key > now.Mono {
			break
		}
		m.move(r, nowhere, 0)
		m.settle(r, now)
		if r.place != nowhere && r.place != inTimers {
			r.tell() // its call has to wait: watchers must mind the token's end themselves
		}
	}
	m.dispatch(now)

	m.sleepUntil = farFuture
	if m.rooms > 0 {
		m.sleepUntil = now.Mono + int64(lookEvery)
	}
	_, key, ok := timers.Min()
	if ok && key <= now.Mono || m.sweep != nil {
		return 0, true // there is more to do: the lock was held long enough
	}
	if ok {
		if timers.Len() > manyTimers {
			key = max(key, now.Mono+int64(nap))
		}
		m.sleepUntil = min(m.sleepUntil, key)
	}
	if opens := m.account.opens(now.Mono); opens > 0 {
		m.sleepUntil = min(m.sleepUntil, opens)
	}
	return time.Duration(m.sleepUntil - now.Mono), true
}

// followWall plans all rooms anew after the wall clock has jumped forward, as it
// does after a suspend, a batch at a time: their tokens are older now than the
// queues know. Caller must hold mu.
func (m *Manager) followWall(now moment.Moment) {
	switch ahead := now.Ahead(); {
	case ahead < m.plannedAhead:
		m.plannedAhead = ahead // deadlines come early now, and are put off when they do
	case ahead-m.plannedAhead > int64(jump):
		m.plannedAhead = ahead
		m.sweep = m.cache.cursor()
	}
	if m.sweep == nil {
		return
	}
	for range batch {
		rec := m.sweep.next()
		if rec == nil {
			m.sweep = nil
			return
		}
		if r := rec.owner; !r.dropped && r.rec == rec {
			m.settle(r, now)
			r.tell()
		}
	}
}

// wakeScheduler makes the scheduler look again. It never blocks.
func (m *Manager) wakeScheduler() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}
