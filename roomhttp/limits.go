package roomhttp

import (
	"sync"
	"sync/atomic"
)

// streams are the open streams, altogether and by room.
type streams struct {
	max, maxPerRoom int
	closing         chan struct{} // closed by close

	mu     sync.Mutex // guards what follows, and room.streams
	closed bool
	total  int
	rooms  map[string]*room
}

// room is a room that has streams.
type room struct {
	id      string
	streams int
	newest  atomic.Pointer[tokenEvent] // nil: none yet
}

func newStreams(most, mostPerRoom int) *streams {
	return &streams{max: most, maxPerRoom: mostPerRoom, closing: make(chan struct{}), rooms: map[string]*room{}}
}

// enter takes a slot for a stream of the room, which leave gives back; or it returns the
// code of the refusal.
func (s *streams) enter(roomID string) (_ *room, code string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	rm := s.rooms[roomID]
	switch {
	case s.closed:
		return nil, codeClosing
	case s.total >= s.max || rm != nil && rm.streams >= s.maxPerRoom:
		return nil, codeTooManyStreams
	case rm == nil:
		rm = &room{id: roomID}
		s.rooms[roomID] = rm
	}
	s.total++
	rm.streams++
	return rm, ""
}

// leave gives back the slot of a stream.
func (s *streams) leave(rm *room) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total--
	if rm.streams--; rm.streams == 0 {
		delete(s.rooms, rm.id)
	}
}

// open returns the number of streams.
func (s *streams) open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.total
}

// close makes all streams end, and refuses new ones.
func (s *streams) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.closed = true
		close(s.closing)
	}
}
