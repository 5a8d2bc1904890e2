package roomhttp

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/roomtoken/roomtoken"
)

// streams are the open streams, altogether and by room.
type streams struct {
	max, maxPerRoom int

	mu     sync.Mutex // guards what follows, and room.streams
	closed bool
	subs   map[*roomtoken.Subscription]context.CancelFunc // of each stream
	rooms  map[string]*room
}

// room is a room that has streams.
type room struct {
	id      string
	streams int
	newest  atomic.Pointer[tokenEvent] // nil: none yet
}

func newStreams(most, mostPerRoom int) *streams {
	return &streams{
		max: most, maxPerRoom: mostPerRoom,
		subs:  map[*roomtoken.Subscription]context.CancelFunc{},
		rooms: map[string]*room{},
	}
}

// enter takes a slot for a stream of the room, which leave gives back; or it returns the
// code of the refusal. close will close sub, and then call cancel.
func (s *streams) enter(roomID string, sub *roomtoken.Subscription, cancel context.CancelFunc) (_ *room, code string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	rm := s.rooms[roomID]
	switch {
	case s.closed:
		return nil, codeClosing
	case len(s.subs) >= s.max || rm != nil && rm.streams >= s.maxPerRoom:
		return nil, codeTooManyStreams
	case rm == nil:
		rm = &room{id: roomID}
		s.rooms[roomID] = rm
	}
	s.subs[sub] = cancel
	rm.streams++
	return rm, ""
}

// leave gives back the slot of a stream.
func (s *streams) leave(rm *room, sub *roomtoken.Subscription) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.subs, sub)
	if rm.streams--; rm.streams == 0 {
		delete(s.rooms, rm.id)
	}
}

// open returns the number of streams.
func (s *streams) open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.subs)
}

// close closes the subscriptions of all streams, and refuses new ones.
func (s *streams) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for sub, cancel := range s.subs {
		sub.Close()
		cancel()
	}
}
