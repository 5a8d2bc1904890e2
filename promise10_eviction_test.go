package roomtoken_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
)

// Promise 10: MaxRooms, and which room is evicted.

func TestPromise10TheRoomUsedLeastRecentlyGoesFirst(t *testing.T) {
	within(t, roomtoken.Config{MaxRooms: 4}, func(t *testing.T, w *world) {
		for _, id := range []string{"a", "b", "c", "d"} {
			w.token(id)
			w.add(time.Second)
		}
		for _, id := range []string{"c", "a", "d", "b"} { // hits, a second apart
			w.token(id)
			w.add(time.Second)
		}
		w.m.Cached("c") // does not count as use
		for i, want := range []string{"c", "a", "d", "b"} {
			w.token(fmt.Sprint("new", i))
			if got := w.evicted(roomtoken.ReasonMaxRooms); !slices.Equal(got[i:], []string{want}) {
				t.Fatalf("new room %d evicted %v, want %s", i, got[i:], want)
			}
			if n := w.m.Stats().Rooms; n != 4 {
				t.Fatalf("%d rooms, want 4", n)
			}
			w.add(time.Second)
		}
	})
}

func TestPromise10RoomsWithoutATokenGoFirst(t *testing.T) {
	for name, lose := range map[string]func(w *world){
		"invalidated": func(w *world) {
			w.m.Invalidate("used", w.token("used"))
		},
		"never had one": func(w *world) {
			w.m.Forget("used")
			w.src.fail(roomtoken.Permanent(errDown))
			w.ask(w.t.Context(), "used")
			w.src.on(nil)
		},
		"expired, while its renewal waits": func(w *world) {
			// The wait is longer than the token lives: nothing happens to the room when
			// its token becomes unusable.
			w.src.on(func(c *sourceCall) (roomtoken.Grant, error) {
				if c.room == "used" {
					return roomtoken.Grant{}, roomtoken.RetryAfter(errDown, time.Hour)
				}
				return w.src.mint(c), nil
			})
			w.add(561 * time.Second)
			w.token("used")
			w.add(10 * time.Second)
			if _, ok := w.m.Cached("used"); ok {
				w.t.Error("the token is still valid, want it unusable")
			}
			w.src.on(nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			within(t, roomtoken.Config{MaxRooms: 3, Jitter: -1}, func(t *testing.T, w *world) {
				w.token("a")
				w.add(2 * time.Second)
				w.token("b")
				w.add(2 * time.Second)
				w.token("used")
				lose(w)
				w.add(2 * time.Second)
				w.token("new")
				if got := w.evicted(roomtoken.ReasonMaxRooms); !slices.Equal(got, []string{"used"}) {
					t.Fatalf("evicted = %v, want [used]: it has no token, although it was used last", got)
				}
				if got := w.rooms(); !slices.Equal(got, []string{"a", "b", "new"}) {
					t.Fatalf("rooms = %v, want [a b new]", got)
				}
			})
		})
	}
}

// A room that is watched or has a call in flight is never evicted. If none can be,
// there is an error.
func TestPromise10NothingCanBeEvicted(t *testing.T) {
	within(t, roomtoken.Config{MaxRooms: 3, Jitter: -1}, func(t *testing.T, w *world) {
		watch := w.watch("watched", nil)
		w.token("renewing")
		w.src.holdCalls(false)
		w.add(401 * time.Second) // both renewals are in flight
		first := w.ask(t.Context(), "waited for")
		if s := w.m.Stats(); s.Rooms != 3 || s.CallsInFlight != 3 {
			t.Fatalf("Stats() = %+v, want 3 rooms and 3 calls in flight", s)
		}

		refused := func() {
			t.Helper()
			for name, err := range map[string]error{
				"Token":         w.ask(t.Context(), "new").err,
				"TokenValidFor": w.askFor(t.Context(), "new", time.Minute).err,
				"Warm":          w.m.Warm(t.Context(), "new"),
				"Watch":         w.watch("new", nil).last().err,
			} {
				if !errors.Is(err, roomtoken.ErrTooManyRooms) {
					t.Errorf("%s returned %v, want ErrTooManyRooms", name, err)
				}
			}
			if got := w.rooms(); !slices.Equal(got, []string{"renewing", "waited for", "watched"}) {
				t.Errorf("rooms = %v, want the three that were there", got)
			}
		}
		refused()
		w.add(5 * time.Second)
		refused()
		if got := w.evicted(roomtoken.ReasonMaxRooms); len(got) != 0 {
			t.Errorf("evicted = %v, want none", got)
		}
		// Rooms in memory go on.
		if tok := w.token("renewing"); tok.Value.Reveal() != "token-renewing-2" {
			t.Errorf("Token(renewing) = %s, want token-renewing-2", tok.Value.Reveal())
		}

		w.src.releaseAll()
		w.served(first)
		w.add(2 * time.Second)
		w.token("watched")
		w.token("new") // now a room can be evicted
		w.token("newer")
		if !slices.Contains(w.rooms(), "watched") {
			t.Error("the watched room was evicted, want it kept")
		}
		w.add(2 * time.Second)
		watch.cancel(nil)
		w.add(2 * time.Second)
		w.token("newer")
		w.token("newest")
		w.token("last")
		w.token("latest")
		if slices.Contains(w.rooms(), "watched") {
			t.Errorf("rooms = %v, want the room that is no longer watched evicted", w.rooms())
		}
	})
}

// A forgotten room with a call in flight does not count towards MaxRooms, until it
// is asked for again.
func TestPromise10AForgottenRoomDoesNotCount(t *testing.T) {
	within(t, roomtoken.Config{MaxRooms: 1}, func(t *testing.T, w *world) {
		w.src.holdCalls(false)
		a := w.ask(t.Context(), "a")
		w.m.Forget("a")
		b := w.ask(t.Context(), "b")
		w.waits(b)
		w.refused(w.ask(t.Context(), "a"), roomtoken.ErrTooManyRooms)
		w.check()
		w.src.releaseAll()
		w.served(a)
		w.served(b)
		if got := w.rooms(); !slices.Equal(got, []string{"b"}) {
			t.Fatalf("rooms = %v, want [b]", got)
		}
	})
}

func TestPromise10MaxRoomsNone(t *testing.T) {
	within(t, roomtoken.Config{MaxRooms: -1}, func(t *testing.T, w *world) {
		for i := range 500 {
			w.token(fmt.Sprint(i))
		}
		if n := w.m.Stats().Rooms; n != 500 {
			t.Fatalf("%d rooms, want 500", n)
		}
	})
}

// MaxRooms does not make the Manager forget a Retry-After, a permanent error or a backoff.
func TestPromise10FailuresOutliveEviction(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		wait time.Duration // no second call before
	}{
		"Retry-After of an hour":             {roomtoken.RetryAfter(errDown, time.Hour), time.Hour},
		"permanent, after an hour":           {roomtoken.RetryAfter(roomtoken.Permanent(errDown), time.Hour), time.Hour},
		"a permanent error":                  {roomtoken.Permanent(errDown), time.Second},
		"a room that does not exist":         {roomtoken.ErrRoomNotFound, time.Second},
		"the backoff of an ordinary failure": {errDown, 10 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			config := roomtoken.Config{MaxRooms: 3, MaxRetryAfter: time.Hour, MaxWait: 500 * time.Millisecond, BackoffMin: 10 * time.Second}
			within(t, config, func(t *testing.T, w *world) {
				w.src.on(func(call *sourceCall) (roomtoken.Grant, error) {
					if call.room == "bad" {
						return roomtoken.Grant{}, c.err
					}
					return w.src.mint(call), nil
				})
				for i := range 4 {
					w.token(fmt.Sprint("r", i))
				}
				evictions := func() int { return len(w.evicted(roomtoken.ReasonMaxRooms)) }
				for i := 0; w.clk.elapsed() < c.wait-c.wait/20; i++ {
					w.refused(w.ask(t.Context(), "bad"), c.err)
					w.calls("bad", create)
					before := evictions()
					for j := range 3 {
						w.token(fmt.Sprint("new", i, j))
					}
					if evictions() == before || slices.Contains(w.rooms(), "bad") {
						t.Fatal("the room was not evicted")
					}
					w.add(c.wait / 20)
				}
				w.add(c.wait/2 + c.wait/10)
				w.refused(w.ask(t.Context(), "bad"), c.err)
				w.calls("bad", create, create)
				if s, _ := w.m.Room("bad"); s.Failures != 2 {
					t.Errorf("Failures = %d after eviction, want 2", s.Failures)
				}
			})
		})
	}
}

// Forget clears the memory of an evicted room, too, and a success of such a room clears it
// as it would for any other.
func TestPromise10ForgetClearsTheMemoryOfAnEvictedRoom(t *testing.T) {
	within(t, roomtoken.Config{MaxRooms: 2}, func(t *testing.T, w *world) {
		bad := true
		w.src.on(func(call *sourceCall) (roomtoken.Grant, error) {
			if call.room == "bad" && bad {
				return roomtoken.Grant{}, roomtoken.RetryAfter(roomtoken.Permanent(errDown), time.Minute)
			}
			return w.src.mint(call), nil
		})
		evict := func() {
			for i := range 3 {
				w.token(fmt.Sprint("r", i))
				w.add(time.Second)
			}
			if slices.Contains(w.rooms(), "bad") {
				t.Fatal("the room was not evicted")
			}
		}
		w.refused(w.ask(t.Context(), "bad"), errDown)
		evict()
		w.m.Forget("bad")
		w.refused(w.ask(t.Context(), "bad"), errDown)
		w.calls("bad", create, create)
		evict()
		w.add(time.Minute)
		bad = false
		w.token("bad")
		evict()
		bad = true
		w.refused(w.ask(t.Context(), "bad"), errDown)
		w.calls("bad", create, create, create, create)
		if s, _ := w.m.Room("bad"); s.Failures != 1 {
			t.Errorf("Failures = %d after a success and a failure, want 1", s.Failures)
		}
	})
}

// The memory of failures is bounded.
func TestPromise10TheMemoryOfFailuresIsBounded(t *testing.T) {
	const junk = 10_000
	within(t, roomtoken.Config{MaxRooms: 2}, func(t *testing.T, w *world) {
		w.src.fail(roomtoken.RetryAfter(roomtoken.ErrRoomNotFound, 10*time.Minute))
		for i := range junk {
			w.refused(w.ask(t.Context(), fmt.Sprint("junk", i)), roomtoken.ErrRoomNotFound)
		}
		n := w.src.count()
		w.refused(w.ask(t.Context(), fmt.Sprint("junk", junk-100)), roomtoken.ErrRoomNotFound)
		if w.src.count() != n {
			t.Error("a room that failed lately was called again, want it remembered")
		}
		w.refused(w.ask(t.Context(), "junk0"), roomtoken.ErrRoomNotFound)
		if w.src.count() != n+1 {
			t.Error("the first of 10,000 rooms that failed is remembered, want a bound")
		}
	})
}

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
