package statuspage

import (
	"context"
	"iter"
	"sync"

	"github.com/roomtoken/roomtoken"
)

// walker walks over all rooms on behalf of viewers, one walk at a time. Those who come
// during a walk share the next one. So however many there are, each waits for the walk
// under way and one more, and sees no room as it was before it asked.
type walker struct {
	rooms iter.Seq[*roomtoken.RoomStatus]
	turn  chan struct{} // holds a value during a walk

	mu   sync.Mutex
	next *walk // that viewers may still join; nil: there is none
}

// walk is one walk over all rooms, for several selections.
type walk struct {
	done       chan struct{} // closed when it is over
	selections []*selection
}

// maxSelections bounds what one walk keeps in memory. Where viewers want more different
// pages at a time, some wait for more walks.
const maxSelections = 8

func newWalker(rooms iter.Seq[*roomtoken.RoomStatus]) *walker {
	return &walker{rooms: rooms, turn: make(chan struct{}, 1)}
}

// find returns what a walk finds that begins after the call. The error is the cause of
// ctx's end.
//
// There is no goroutine for a walk: whichever of its viewers is the first to get the turn
// makes it, for all of them, and to its end. So nobody depends on one who leaves.
func (w *walker) find(ctx context.Context, wanted selector) (*selection, error) {
	next, found := w.join(wanted)
	select {
	case w.turn <- struct{}{}:
		defer func() { <-w.turn }()
		w.run(next)
	case <-next.done:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	return found, nil
}

// join returns a walk that has not begun, and its selection of the wanted page.
func (w *walker) join(wanted selector) (*walk, *selection) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.next != nil {
		for _, s := range w.next.selections {
			if s.selector == wanted {
				return w.next, s
			}
		}
	}
	if w.next == nil || len(w.next.selections) == maxSelections {
		w.next = &walk{done: make(chan struct{})}
	}
	s := newSelection(wanted)
	w.next.selections = append(w.next.selections, s)
	return w.next, s
}

// run makes the walk, unless another of its viewers has. The caller has the turn.
func (w *walker) run(k *walk) {
	select {
	case <-k.done:
		return
	default:
	}
	defer close(k.done)
	w.mu.Lock()
	if w.next == k {
		w.next = nil
	}
	w.mu.Unlock()
	now := timeNow()
	for room := range w.rooms {
		for _, s := range k.selections {
			s.add(room, now)
		}
	}
	for _, s := range k.selections {
		s.finish()
	}
}
