package roomtoken_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
)

// Promise 10: which room is evicted where there are many.

// One of the least recently used rooms goes: of a thousand none of the half that was used
// since the others.
func TestPromise10OneOfTheLeastRecentlyUsedIsEvicted(t *testing.T) {
	inTown(t, roomtoken.Config{MaxRooms: 1000}, func(tn *town) {
		tn.tokens("old", 500)
		tn.tokens("used", 500)
		time.Sleep(time.Minute)
		tn.tokens("used", 500)
		time.Sleep(time.Minute)
		tn.tokens("new", 150)
		for name, want := range map[string]int{"old": 350, "used": 500, "new": 150} {
			if n := tn.cached(name, 500); n != want {
				t.Errorf("%d rooms %q are left, want %d", n, name, want)
			}
		}
	})
}

// Rooms without a token go first, however recently they were asked for: who asks for rooms
// that do not exist evicts no others.
func TestPromise10RoomsWithoutATokenAreEvictedFirst(t *testing.T) {
	inTown(t, roomtoken.Config{MaxRooms: 1000}, func(tn *town) {
		tn.tokens("good", 990)
		time.Sleep(time.Minute)
		tn.on(func(context.Context, string) error { return roomtoken.ErrRoomNotFound })
		for i := range 500 {
			if _, err := tn.m.Token(tn.Context(), fmt.Sprint("junk", i)); !errors.Is(err, roomtoken.ErrRoomNotFound) {
				t.Fatalf("Token() = %v, want ErrRoomNotFound", err)
			}
		}
		if n := tn.cached("good", 990); n != 990 {
			t.Errorf("%d of 990 good rooms are left, want all of them", n)
		}
		if n := tn.m.Stats().Rooms; n != 1000 {
			t.Errorf("%d rooms, want 1000", n)
		}
	})
}

// Of the rooms without a token the one goes that was asked for longest ago, also if asking
// led to no call.
func TestPromise10AskingForARoomWithoutATokenKeepsIt(t *testing.T) {
	inTown(t, roomtoken.Config{MaxRooms: 3}, func(tn *town) {
		tn.on(func(_ context.Context, room string) error {
			if room[0] == 'x' {
				return roomtoken.ErrRoomNotFound
			}
			return nil
		})
		ask := func(room string, after time.Duration) {
			time.Sleep(after)
			_, _ = tn.m.Token(tn.Context(), room)
		}
		ask("x-busy", 0)
		ask("x-busy", 1600*time.Millisecond) // it fails again, and waits for 2 s at least
		ask("x-idle", 100*time.Millisecond)
		ask("x-busy", 1700*time.Millisecond)
		ask("good", 0)
		ask("new", 0)
		_, busy := tn.m.Room("x-busy")
		_, idle := tn.m.Room("x-idle")
		if !busy || idle {
			t.Errorf("in memory: the busy room %v, the idle one %v, want true and false", busy, idle)
		}
	})
}

// Of a thousand rooms the only one that can be evicted is found, and none where there is
// none.
func TestPromise10TheOnlyRoomThatCanBeEvicted(t *testing.T) {
	inTown(t, roomtoken.Config{MaxRooms: 1000}, func(tn *town) {
		tn.watch("watched", 999)
		tn.tokens("free", 1)
		for i := range 3 {
			time.Sleep(time.Minute)
			if _, err := tn.m.Token(tn.Context(), fmt.Sprint("new", i)); err != nil {
				t.Fatalf("Token() = %v, want the room evicted that nobody watches", err)
			}
			if n := tn.cached("watched", 999); n != 999 {
				t.Fatalf("%d of 999 watched rooms are left", n)
			}
		}
		tn.watch("new2", 1) // room "new20" takes the place of "new2"
		if _, err := tn.m.Token(tn.Context(), "last"); !errors.Is(err, roomtoken.ErrTooManyRooms) {
			t.Errorf("Token() = %v, want ErrTooManyRooms", err)
		}
	})
}

// tokens asks for the tokens of some rooms.
func (tn *town) tokens(prefix string, rooms int) {
	for i := range rooms {
		if _, err := tn.m.Token(tn.Context(), fmt.Sprint(prefix, i)); err != nil {
			tn.Fatal(err)
		}
	}
}

// cached returns how many of some rooms have a token.
func (tn *town) cached(prefix string, rooms int) (n int) {
	for i := range rooms {
		if _, ok := tn.m.Cached(fmt.Sprint(prefix, i)); ok {
			n++
		}
	}
	return n
}
