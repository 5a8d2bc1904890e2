package roomtoken

import "github.com/roomtoken/roomtoken/internal/monotime"

// maxMemo is how many evicted rooms are remembered for their failures.
const maxMemo = 4096

// memo remembers the failures of rooms that were evicted, so that MaxRooms does not make
// the Manager forget a Retry-After or a backoff. The oldest is forgotten first. The zero
// memo is empty. The engine's lock guards it.
type memo struct {
	rooms map[string]memory
	order []string // a ring once it is full, of IDs that may be forgotten already
	next  int
}

// memory is what is remembered of a room.
type memory struct {
	failure     *failureState
	nextAttempt monotime.Time
}

// keep remembers the failures of a room that is about to be evicted.
func (m *memo) keep(r *room, now monotime.Time) {
	f := r.failure
	if f == nil || f.total() == 0 && !r.nextAttempt.After(now) {
		return
	}
	if m.rooms == nil {
		m.rooms = make(map[string]memory)
	}
	id := r.rec.roomID()
	if _, ok := m.rooms[id]; !ok {
		if len(m.order) < maxMemo {
			m.order = append(m.order, id)
		} else {
			delete(m.rooms, m.order[m.next])
			m.order[m.next] = id
			m.next = (m.next + 1) % maxMemo
		}
	}
	f.pending = nil
	m.rooms[id] = memory{f, r.nextAttempt}
}

// restore gives a room that comes back its failures.
func (m *memo) restore(r *room, roomID string) {
	if was, ok := m.rooms[roomID]; ok {
		r.failure, r.nextAttempt = was.failure, was.nextAttempt
		delete(m.rooms, roomID)
	}
}

// forget forgets the room.
func (m *memo) forget(roomID string) { delete(m.rooms, roomID) }
