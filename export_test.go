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

// WithDefaults returns c with its defaults, or why it cannot be.
func (c Config) WithDefaults() (Config, error) { return c.withDefaults() }

// Locked reports whether the Manager's lock stays taken, as it would if the
// caller were called under it.
func (m *Manager) Locked() bool {
	for range 1_000_000 { // its holder may be off the processor for long
		if m.mu.TryLock() {
			m.mu.Unlock()
			return false
		}
		runtime.Gosched()
	}
	return true
}

// CheckInvariants walks all rooms and returns what does not hold of what must
// always hold, whatever happened before.
func (m *Manager) CheckInvariants() (faults []string) {
	m.lock()
	defer m.unlock()
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	if m.closed {
		if n := len(m.calls); n > 0 {
			fault("closed, yet %d calls are in flight", n)
		}
		return faults
	}
	now := m.clock.Now()
	seen := map[*room]bool{}
	counted, calls, callerCalls := 0, 0, 0
	standing := [inRenewals + 1]int{}
	ranked := 0
	for rec := range m.cache.all {
		r := rec.owner
		id := rec.roomID()
		switch {
		case seen[r]:
			fault("room %q is in the cache twice", id)
		case r.rec != rec:
			fault("room %q: the cache holds another line than the room", id)
		case r.dropped:
			fault("room %q is dropped, yet in the cache", id)
		case m.cache.get(id) != rec:
			fault("room %q is not found under its ID", id)
		}
		seen[r] = true
		if !r.ghost {
			counted++
		}
		if r.ghost && r.call == nil {
			fault("room %q is a ghost without a call", id)
		}
		if r.ghost && r.crowd != nil {
			fault("room %q is a ghost, yet somebody waits for it", id)
		}
		if c := r.call; c != nil {
			calls++
			if c.room != r {
				fault("room %q: its call belongs to another", id)
			}
			if _, ok := m.calls[c]; !ok {
				fault("room %q: its call is not counted", id)
			}
			if c.forCaller {
				callerCalls++
			}
			if r.place != nowhere {
				fault("room %q has a call in flight, yet stands in queue %d", id, r.place)
			}
		} else if r.place == nowhere {
			fault("room %q has no call in flight, yet stands in no queue", id)
		}
		standing[r.place]++
		if r.queued.Queued() != (r.place != nowhere) {
			fault("room %q: place %d, position %d", id, r.place, r.queued)
		}
		if r.recency.Queued() {
			ranked++
		}
		pinned := r.call != nil || r.crowd != nil
		if want := !pinned && m.config.MaxRooms >= 0; r.recency.Queued() != want {
			fault("room %q: can be let go is %v, want %v", id, r.recency.Queued(), want)
		}
		if k := r.crowd; k != nil {
			if k.waiters < 0 || k.watchers < 0 || k.forced < 0 || k.forced > k.waiters || k.warming < 0 || k.warming > k.waiters {
				fault("room %q: %d waiters, %d forced, %d of Warm, %d watchers", id, k.waiters, k.forced, k.warming, k.watchers)
			}
			if r.place == inWarming && (k.watchers > 0 || k.warming != k.waiters || r.lifetime > 0) {
				fault("room %q is only being warmed: %d waiters, %d of Warm, %d watchers, lifetime %d", id, k.waiters, k.warming, k.watchers, r.lifetime)
			}
			if k.waiters+k.watchers == 0 {
				fault("room %q has an empty crowd", id)
			}
			if k.apart {
				fault("room %q: its crowd was set apart", id)
			}
		}
		if r.crowd == nil && m.serves(rec, now, 0) && r.call == nil && (r.place == inCallers || r.place == inWarming) {
			fault("room %q has a valid token and nobody waits, yet its call counts as a caller's", id)
		}
	}
	check := func(what string, got, want int) {
		if got != want {
			fault("%s: %d, want %d", what, got, want)
		}
	}
	check("rooms counted", m.rooms, counted)
	check("calls in flight", len(m.calls), calls)
	check("calls of callers", m.callerCalls, callerCalls)
	check("rooms that can be let go", m.recency.Len(), ranked)
	for place := inTimers; place <= inRenewals; place++ {
		check(fmt.Sprintf("rooms in queue %d", place), m.queues[place].Len(), standing[place])
		for r := range m.queues[place].All {
			if !seen[r] {
				fault("queue %d holds room %q, which is not in the cache", place, r.rec.roomID())
			}
		}
	}
	if len(m.calls) > m.config.MaxConcurrentCalls {
		fault("%d calls are in flight, MaxConcurrentCalls is %d", len(m.calls), m.config.MaxConcurrentCalls)
	}
	if m.config.MaxRooms >= 0 && m.rooms > m.config.MaxRooms {
		fault("%d rooms, MaxRooms is %d", m.rooms, m.config.MaxRooms)
	}
	if p := m.account.probe; p != nil {
		if _, ok := m.calls[p]; !ok {
			fault("the probe is not in flight")
		}
	}
	shards := 0
	for i := range m.cache.shards {
		shards += m.cache.shards[i].live
	}
	check("records in shards", shards, len(seen))
	return faults
}
