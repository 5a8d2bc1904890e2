package roomtoken

import (
	"fmt"
	"runtime"
	"unsafe"
)

// RecordSize is the size of a record, in bytes.
const RecordSize = unsafe.Sizeof(record{})

// RoomSize is the size of a room, in bytes.
const RoomSize = unsafe.Sizeof(room{})

// LogEvents returns the observer that logs events.
var LogEvents = logEvents

// KeptRefreshToken returns the room's refresh token as it is in memory.
func (m *Manager) KeptRefreshToken(roomID string) string {
	m.engine.mu.Lock()
	defer m.engine.mu.Unlock()
	return m.engine.lookUp(roomID).refresh
}

// WithDefaults returns c with its defaults, or an error that names the invalid fields.
func (c Config) WithDefaults() (Config, error) { return c.withDefaults() }

// Locked reports whether the Manager's lock stays taken, as it would if the caller
// were called under it.
func (m *Manager) Locked() bool {
	for range 1_000_000 { // its holder may be off the processor for long
		if m.engine.mu.TryLock() {
			m.engine.mu.Unlock()
			return false
		}
		runtime.Gosched()
	}
	return true
}

// CheckInvariants walks all rooms and returns every violation of what must always
// hold, whatever happened before.
func (m *Manager) CheckInvariants() (faults []string) {
	e := m.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	if e.closed {
		if n := len(e.calls); n > 0 {
			fault("closed, yet %d calls are in flight", n)
		}
		return faults
	}
	now := e.clock.Now()
	seen := map[*room]bool{}
	counted, calls, callerCalls, evictable, tokenless := 0, 0, 0, 0, 0
	standing := [queueCount]int{}
	for rec := range e.cache.all {
		r := rec.owner
		id := rec.roomID()
		switch {
		case seen[r]:
			fault("room %q is in the cache twice", id)
		case r.rec != rec:
			fault("room %q: the cache holds another record than the room", id)
		case r.life == dropped:
			fault("room %q is dropped, yet in the cache", id)
		case e.cache.get(id) != rec:
			fault("room %q is not found under its ID", id)
		}
		seen[r] = true
		if r.life == alive {
			counted++
		}
		if r.life == orphaned && r.call() == nil {
			fault("room %q is orphaned without a call", id)
		}
		if r.life == orphaned && r.demand() != nil {
			fault("room %q is orphaned, yet somebody wants its token", id)
		}
		if a := r.activity; a != nil && *a == (activity{}) {
			fault("room %q is at rest, yet keeps an activity", id)
		}
		if c := r.call(); c != nil {
			if c.room != r {
				fault("room %q: its call belongs to another", id)
			}
			counted := int(c.index) < len(e.calls) && e.calls[c.index] == c
			if want := c.phase == running || c.phase == asking; counted != want {
				fault("room %q: its call is counted is %v, want %v", id, counted, want)
			}
			if counted {
				calls++
			}
			if counted && c.forCaller {
				callerCalls++
			}
			if r.queue != noQueue {
				fault("room %q has a call in flight, yet stands in queue %d", id, r.queue)
			}
			if c.waiters != nil && !c.orphaned {
				fault("room %q: its call has waiters of its own, yet is not orphaned", id)
			}
		} else if r.queue == noQueue {
			fault("room %q has no call in flight, yet stands in no queue", id)
		}
		standing[r.queue]++
		if r.position.Queued() != (r.queue != noQueue) {
			fault("room %q: queue %d, position %d", id, r.queue, r.position)
		}
		if r.flags&flagEvictable != 0 {
			evictable++
		}
		if r.activity != nil && r.activity.tokenless.Queued() {
			tokenless++
		}
		pinned := r.call() != nil || r.demand() != nil
		if want := !pinned && e.config.MaxRooms >= 0; r.flags&flagEvictable != 0 != want {
			fault("room %q: can be evicted is %v, want %v", id, !want, want)
		}
		if d := r.demand(); d != nil {
			for _, problem := range checkDemand(r, d) {
				fault("room %q: %s", id, problem)
			}
		} else if e.valid(rec, now, 0) && r.call() == nil && (r.queue == callerQueue || r.queue == sickCallerQueue) {
			fault("room %q has a valid token and nobody waits, yet its call counts as a caller's", id)
		}
	}
	check := func(what string, got, want int) {
		if got != want {
			fault("%s: %d, want %d", what, got, want)
		}
	}
	check("rooms counted", e.rooms, counted)
	check("calls in flight", len(e.calls), calls)
	check("calls of callers", e.callerCalls, callerCalls)
	check("rooms that can be evicted", e.evictable, evictable)
	check("rooms without a token that can be evicted", e.tokenless.Len(), tokenless)
	for id := timerQueue; id < queueCount; id++ {
		check(fmt.Sprintf("rooms in queue %d", id), e.queues[id].Len(), standing[id])
		for r := range e.queues[id].All {
			if !seen[r] {
				fault("queue %d holds room %q, which is not in the cache", id, r.rec.roomID())
			}
		}
	}
	if len(e.calls) > e.config.MaxConcurrentCalls {
		fault("%d calls are in flight, MaxConcurrentCalls is %d", len(e.calls), e.config.MaxConcurrentCalls)
	}
	if e.config.MaxRooms >= 0 && e.rooms > e.config.MaxRooms {
		fault("%d rooms, MaxRooms is %d", e.rooms, e.config.MaxRooms)
	}
	states := [RoomStuck + 1]int{}
	for r := range seen {
		if r.life == alive {
			states[r.state]++
		}
	}
	if states != e.states {
		fault("rooms by state: %v, counted %v", e.states, states)
	}
	sick, lane, overdue := 0, 0, 0
	for _, c := range e.calls {
		if c.sick {
			sick++
		}
		if c.inLane && !c.overdue {
			lane++
		}
		if c.overdue {
			overdue++
		}
	}
	check("calls of failing rooms", e.sickCalls, sick)
	check("calls in the lane", e.laneCalls, lane)
	check("overdue calls", e.overdue, overdue)
	for d := range e.lane.All {
		if d.room.demand() != d || d.waiters == nil {
			fault("the lane holds a demand that is not a room's, or without waiters")
		}
	}
	for k := range e.patience.All {
		if k.demand.waiters != k || k.released() {
			fault("a cohort that nobody waits in has patience")
		}
	}
	faults = append(faults, e.checkSharing()...)
	check("records in tables", e.cache.len(), len(seen))
	return faults
}

// checkSharing returns what is wrong with what an engine knows of its Store.
func (e *engine) checkSharing() (problems []string) {
	s := e.share
	if s == nil {
		return nil
	}
	problem := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	n := 0
	for _, c := range e.calls {
		if c.phase == asking {
			n++
		}
	}
	if s.asking != n {
		problem("%d calls ask for a lease, counted %d", n, s.asking)
	}
	if s.running > storePlaces || s.abandoned > s.running || s.abandoned < 0 {
		problem("%d calls of the store run, %d of them given up", s.running, s.abandoned)
	}
	for r, sh := range s.rooms {
		if sh.room != r || r.life == dropped {
			problem("what is known of the store's room %q belongs to another, or to none", r.rec.roomID())
		}
		if !sh.lease.IsZero() && r.call() == nil {
			problem("room %q keeps a lease without a call", r.rec.roomID())
		}
		if sh.position.Queued() && !inLine(r.queue) {
			problem("room %q is to be looked up, but stands in no line", r.rec.roomID())
		}
	}
	return problems
}

// checkDemand returns what is wrong with a room's demand.
func checkDemand(r *room, d *demand) (problems []string) {
	problem := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	if d.room != r {
		problem("its demand belongs to another room")
	}
	if d.empty() {
		problem("its demand is empty")
	}
	k := d.waiters
	if k == nil {
		return problems
	}
	if k.count <= 0 || k.forced < 0 || k.forced > k.count || k.warming < 0 || k.warming > k.count {
		problem("%d waiters, %d forced, %d of Warm", k.count, k.forced, k.warming)
	}
	if k.released() || k.orphaned {
		problem("its cohort is released: %v, orphaned: %v", k.released(), k.orphaned)
	}
	return problems
}
