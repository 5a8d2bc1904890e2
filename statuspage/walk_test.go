package statuspage

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomtoken/roomtoken"
)

// countWalks counts the walks of a walker.
func countWalks(w *walker) *atomic.Int64 {
	var walks atomic.Int64
	rooms := w.rooms
	w.rooms = func(yield func(*roomtoken.RoomStatus) bool) {
		walks.Add(1)
		rooms(yield)
	}
	return &walks
}

// slowRooms is a walk over n rooms that takes a second, and fails the test if there are
// two at a time. The n-th walk finds n rooms more than the first.
type slowRooms struct {
	t     *testing.T
	rooms int
	walks atomic.Int64
	now   atomic.Int64
}

func (s *slowRooms) all() iter.Seq[*roomtoken.RoomStatus] {
	return func(yield func(*roomtoken.RoomStatus) bool) {
		if s.now.Add(1) > 1 {
			s.t.Error("two walks at a time")
		}
		defer s.now.Add(-1)
		n := s.walks.Add(1)
		time.Sleep(time.Second)
		for i := range s.rooms + int(n) {
			yield(&roomtoken.RoomStatus{RoomID: fmt.Sprintf("r%03d", i), State: roomtoken.RoomValid})
		}
	}
}

func pageOf(n int) selector { return selector{sort: "room", page: n, per: 10} }

// However many look, there is one walk at a time, and viewers who come during a walk
// share the next one: also those who want other rooms.
func TestViewersShareAWalk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rooms := &slowRooms{t: t, rooms: 100}
		w := newWalker(rooms.all())
		var viewers sync.WaitGroup
		view := func(wanted selector, wantTotal int, wantFirst string) {
			viewers.Go(func() {
				began := time.Now()
				found, err := w.find(t.Context(), wanted)
				if err != nil || found.total != wantTotal || found.roomIDs[0] != wantFirst {
					t.Errorf("find = %+v, %v; want %d rooms, the first %s", found, err, wantTotal, wantFirst)
				}
				if took := time.Since(began); took > 2*time.Second {
					t.Errorf("it took %v, want two walks at most", took)
				}
			})
		}
		view(pageOf(1), 101, "r000")
		synctest.Wait() // its walk has begun
		time.Sleep(100 * time.Millisecond)
		for i := range 1000 {
			n := i % maxSelections
			view(pageOf(1+n), 102, fmt.Sprintf("r%03d", 10*n))
		}
		viewers.Wait()
		if n := rooms.walks.Load(); n != 2 {
			t.Errorf("%d walks for 1,001 viewers, want 2", n)
		}
		if w.next != nil || len(w.turn) > 0 {
			t.Error("the walker is not at rest")
		}
	})
}

// A viewer who gets the turn when its walk is over does not make it again.
func TestWalkIsMadeOnce(t *testing.T) {
	w := newWalker(func(yield func(*roomtoken.RoomStatus) bool) {
		yield(&roomtoken.RoomStatus{RoomID: "r", State: roomtoken.RoomValid})
	})
	walks := countWalks(w)
	k, found := w.join(pageOf(1))
	w.run(k)
	w.run(k)
	if n := walks.Load(); n != 1 || found.total != 1 {
		t.Errorf("%d walks found %d rooms, want 1 and 1", n, found.total)
	}
}

// A walk serves a bounded number of different selections; others wait for another one.
func TestSelectionsOfAWalkAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rooms := &slowRooms{t: t, rooms: 1000}
		w := newWalker(rooms.all())
		var viewers sync.WaitGroup
		look := func(n int) {
			viewers.Go(func() {
				if found, err := w.find(t.Context(), pageOf(n)); err != nil || found.page != n || len(found.roomIDs) != 10 {
					t.Errorf("find(%d) = %+v, %v", n, found, err)
				}
			})
		}
		look(1)
		synctest.Wait()
		for n := range 3 * maxSelections {
			look(n + 1)
			look(n + 1)
			synctest.Wait()
		}
		viewers.Wait()
		if n := rooms.walks.Load(); n != 4 {
			t.Errorf("%d walks, want the first and three for %d selections", n, 3*maxSelections)
		}
	})
}

// A viewer who leaves while it waits holds up nobody, and one who leaves during its walk
// does not spoil it for the others.
func TestViewersWhoLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rooms := &slowRooms{t: t, rooms: 100}
		w := newWalker(rooms.all())
		gone := errors.New("gone")
		ctx, leave := context.WithCancelCause(t.Context())
		var viewers sync.WaitGroup
		viewers.Go(func() { // it walks, and its client leaves meanwhile
			if found, err := w.find(ctx, pageOf(1)); err != nil || found.total != 101 {
				t.Errorf("the walking viewer: %+v, %v", found, err)
			}
		})
		synctest.Wait()
		viewers.Go(func() { // the first in line leaves
			if found, err := w.find(ctx, pageOf(1)); !errors.Is(err, gone) {
				t.Errorf("the viewer who left: %+v, %v; want the cause", found, err)
			}
		})
		synctest.Wait()
		for range 10 {
			viewers.Go(func() {
				if found, err := w.find(t.Context(), pageOf(1)); err != nil || found.total != 102 {
					t.Errorf("a viewer who stays: %+v, %v", found, err)
				}
			})
		}
		synctest.Wait()
		leave(gone)
		viewers.Wait()

		// All leave who wait for a walk: the next viewer makes it.
		ctx, leave = context.WithCancelCause(t.Context())
		viewers.Go(func() { _, _ = w.find(t.Context(), pageOf(1)) })
		synctest.Wait()
		for n := range 5 {
			viewers.Go(func() { _, _ = w.find(ctx, pageOf(n+1)) })
		}
		synctest.Wait()
		leave(gone)
		viewers.Wait()
		if found, err := w.find(t.Context(), pageOf(2)); err != nil || found.total != 104 || found.roomIDs[0] != "r010" {
			t.Errorf("after all have left: %+v, %v", found, err)
		}
		if n := rooms.walks.Load(); n != 4 {
			t.Errorf("%d walks, want 4", n)
		}
	})
}

// One who asks after a room has changed sees the change, whoever made the walk.
func TestNoWalkIsOlderThanItsViewers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var version atomic.Int64
		w := newWalker(func(yield func(*roomtoken.RoomStatus) bool) {
			began := version.Load()
			time.Sleep(time.Millisecond)
			yield(&roomtoken.RoomStatus{RoomID: fmt.Sprint(began), State: roomtoken.RoomValid})
		})
		var viewers sync.WaitGroup
		for i := range 200 {
			viewers.Go(func() {
				time.Sleep(time.Duration(i) * 100 * time.Microsecond)
				asked := version.Add(1)
				found, err := w.find(t.Context(), pageOf(1))
				if err != nil {
					t.Error(err)
					return
				}
				var saw int64
				if _, err := fmt.Sscan(found.roomIDs[0], &saw); err != nil || saw < asked {
					t.Errorf("asked at version %d, saw %d (%v)", asked, saw, err)
				}
			})
		}
		viewers.Wait()
	})
}
