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

	ctx    context.Context // ends with close
	cancel context.CancelFunc

	mu     sync.Mutex // guards what follows, and room.streams
	closed bool
	subs   map[*roomtoken.Subscription]struct{} // one of each stream
	rooms  map[string]*room
}

// room is a room that has streams.
type room struct {
	id      string
	streams int
	newest  atomic.Pointer[tokenEvent] // nil: none yet
}

func newStreams(most, mostPerRoom int) *streams {
	ctx, cancel := context.WithCancel(context.Background())
	return &streams{
		max: most, maxPerRoom: mostPerRoom,
		ctx: ctx, cancel: cancel,
		subs:  map[*roomtoken.Subscription]struct{}{},
		rooms: map[string]*room{},
	}
}

// enter takes a slot for a stream of the room, which leave gives back; or it returns the
// code of the refusal. close will close sub.
func (s *streams) enter(roomID string, sub *roomtoken.Subscription) (_ *room, code string) {
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
	s.subs[sub] = struct{}{}
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
	for sub := range s.subs {
		sub.Close()
	}
	s.cancel()
}
