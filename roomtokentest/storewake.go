package roomtokentest

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/roomtoken/roomtoken"
)

// heartbeat is how often [Store.Wake] says that wakes arrive.
const heartbeat = 5 * time.Second

// wake is the news that a lease has ended.
type wake struct {
	roomID string
	record roomtoken.Record // zero: the lease ended with none
}

// wakes distributes the wakes of one process. The zero wakes has nobody to tell.
type wakes struct {
	mu      sync.Mutex
	lost    bool // see LoseWakes
	inboxes []*inbox
}

// inbox is what a call of [Store.Wake] has not passed on yet.
type inbox struct {
	wakes []wake
	more  chan struct{} // has a value if wakes has
}

// send hands a wake to all who listen. It does not block.
func (w *wakes) send(wake wake) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.lost {
		return
	}
	for _, in := range w.inboxes {
		in.wakes = append(in.wakes, wake)
		select {
		case in.more <- struct{}{}:
		default:
		}
	}
}

func (w *wakes) subscribe() *inbox {
	w.mu.Lock()
	defer w.mu.Unlock()
	in := &inbox{more: make(chan struct{}, 1)}
	w.inboxes = append(w.inboxes, in)
	return in
}

func (w *wakes) unsubscribe(in *inbox) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.inboxes = slices.DeleteFunc(w.inboxes, func(other *inbox) bool { return other == in })
}

// take empties an inbox.
func (w *wakes) take(in *inbox) []wake {
	w.mu.Lock()
	defer w.mu.Unlock()
	taken := in.wakes
	in.wakes = nil
	return taken
}

// Wake implements [roomtoken.Waker]. It waits for asks that were made by way of the same
// Store, see [Store.Process]. Several calls may run at a time: each hears of all wakes.
func (s *Store) Wake(ctx context.Context, wake func(roomID string, record roomtoken.Record)) error {
	fault := s.script.next(StoreWake, nil)
	s.tally.count(StoreWake)
	if err := s.suffer(ctx, fault); err != nil {
		return err
	}
	in := s.wakes.subscribe()
	defer s.wakes.unsubscribe(in)
	for {
		// The timer comes first: a test may move the clock as soon as wake is called.
		elapsed, timer := after(s.clock(), heartbeat)
		if !s.wakes.areLost() {
			wake("", roomtoken.Record{})
		}
		for beat := false; !beat; {
			select {
			case <-in.more:
				for _, w := range s.wakes.take(in) {
					wake(w.roomID, w.record)
				}
			case <-elapsed:
				beat = true
			case <-ctx.Done():
				timer.Stop()
				return context.Cause(ctx)
			}
		}
	}
}

func (w *wakes) areLost() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lost
}

// LoseWakes makes wakes of this process get lost, heartbeats included, until it is called
// with false.
func (s *Store) LoseWakes(lose bool) {
	s.wakes.mu.Lock()
	defer s.wakes.mu.Unlock()
	s.wakes.lost = lose
}
