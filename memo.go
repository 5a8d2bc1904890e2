package roomtoken

import "github.com/roomtoken/roomtoken/internal/monotime"

// maxMemo is how many evicted rooms are remembered for their failures.
const maxMemo = 4096

// memo remembers the failures of rooms that were evicted, so that MaxRooms does not make
// the Manager forget a Retry-After or a backoff. The oldest is forgotten first. The zero
// memo is empty. The engine's lock guards it.
type memo struct {
	rooms map[string]memory
	ring  []string // their IDs by slot, and IDs that were forgotten since
	next  int      // the slot that is used next, once the ring is full
}

// memory is what is remembered of a room.
type memory struct {
	failure     *failureState
	nextAttempt monotime.Time
	slot        int
}

// keep remembers the failures of a room that is about to be evicted.
func (m *memo) keep(r *room, now monotime.Time) {
	f := r.failure()
	if f == nil || f.total() == 0 && !r.nextAttempt().After(now) {
		return
	}
	if m.rooms == nil {
		m.rooms = make(map[string]memory)
	}
	f.pending = nil
	id := r.rec.roomID()
	m.rooms[id] = memory{f, r.nextAttempt(), m.slotFor(id)}
}

// slotFor returns a slot of the ring for a room; the one that had it is forgotten.
func (m *memo) slotFor(id string) int {
	if len(m.ring) < maxMemo {
		m.ring = append(m.ring, id)
		return len(m.ring) - 1
	}
	slot := m.next
	m.next = (m.next + 1) % maxMemo
	if old := m.ring[slot]; m.rooms[old].slot == slot {
		delete(m.rooms, old)
	}
	m.ring[slot] = id
	return slot
}

// restore gives a room that comes back its failures.
func (m *memo) restore(r *room, roomID string) {
	if was, ok := m.rooms[roomID]; ok {
		r.setFailure(was.failure)
		r.setNextAttempt(was.nextAttempt)
		delete(m.rooms, roomID)
	}
}

// forget forgets the room.
func (m *memo) forget(roomID string) { delete(m.rooms, roomID) }
