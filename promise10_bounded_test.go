package roomtoken_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
)

// Promise 10: memory and calls are bounded.

// rooms returns the IDs of the rooms in memory, sorted.
func (w *world) rooms() []string {
	var ids []string
	for s := range w.m.Rooms() {
		ids = append(ids, s.RoomID)
	}
	slices.Sort(ids)
	return ids
}

// evicted returns the rooms evicted for a reason, in order.
func (w *world) evicted(reason string) []string {
	var ids []string
	for _, e := range w.eventsFrom(0) {
		if e.Kind == roomtoken.EventRoomEvicted && e.Reason == reason {
			ids = append(ids, e.RoomID)
		}
	}
	return ids
}

// order returns the rooms of the calls so far, without the first n.
func (w *world) order(n int) []string {
	w.rest()
	var ids []string
	for _, c := range w.src.all()[n:] {
		ids = append(ids, c.room)
	}
	return ids
}

func TestPromise10IdleRoomsAreNotRenewedAndAreDropped(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1, IdleAfter: 15 * time.Minute}, func(t *testing.T, w *world) {
		w.token("idle")
		w.token("asked")
		w.token("watched")
		v := w.watch("watched", nil)
		for range 3 { // renewals at 400 s, 800 s; idle at 900 s
			w.add(399 * time.Second)
			w.token("asked")
			w.m.Cached("idle") // does not count as use
			w.m.Room("idle")
			w.add(2 * time.Second)
		}
		count := map[string]int{}
		for _, c := range w.src.all() {
			count[c.room]++
		}
		if count["idle"] != 3 || count["asked"] != 4 || count["watched"] != 4 {
			t.Fatalf("calls until 1,203 s = %v, want 3 for idle, 4 for asked and watched", count)
		}
		s, ok := w.m.Room("idle")
		if !ok || s.State != roomtoken.RoomIdle || s.NextCall != 0 || !s.NextCallAt.IsZero() {
			t.Fatalf("Room(idle) = (%+v, %v), want RoomIdle without a next call", s, ok)
		}
		if _, ok := w.m.Cached("idle"); !ok {
			t.Fatal("Cached(idle) returned no token, want the valid one")
		}
		w.add(165 * time.Second) // 1,368 s: its token is usable until about 1,371 s
		if got := w.rooms(); !slices.Equal(got, []string{"asked", "idle", "watched"}) {
			t.Fatalf("rooms before the idle token is unusable = %v, want [asked idle watched]", got)
		}
		w.add(5 * time.Second)
		if got := w.rooms(); !slices.Equal(got, []string{"asked", "watched"}) {
			t.Fatalf("rooms after the idle token is unusable = %v, want [asked watched]", got)
		}
		if got := w.evicted(roomtoken.ReasonIdle); !slices.Equal(got, []string{"idle"}) {
			t.Errorf("evicted = %v, want [idle]", got)
		}
		if s := w.m.Stats(); s.Evictions != 1 || s.Rooms != 2 {
			t.Errorf("Stats() = %+v, want 1 eviction and 2 rooms", s)
		}
		v.cancel(nil)
	})
}

// Rooms that never had a token are evicted, too.
func TestPromise10RoomsWithoutATokenAreEvicted(t *testing.T) {
	within(t, roomtoken.Config{IdleAfter: time.Minute}, func(t *testing.T, w *world) {
		w.src.fail(roomtoken.Permanent(errDown))
		w.ask(t.Context(), "r")
		w.add(59 * time.Second)
		if got := w.rooms(); len(got) != 1 {
			t.Fatalf("rooms = %v before IdleAfter, want [r]", got)
		}
		w.add(2 * time.Second)
		if got := w.rooms(); len(got) != 0 || w.src.count() != 1 {
			t.Fatalf("rooms = %v after %d calls, want none after 1", got, w.src.count())
		}
	})
}

func TestPromise10AHitOnASkippedRoomStartsItsRenewal(t *testing.T) {
	for name, ask := range map[string]func(w *world) *pending{
		"Token":         func(w *world) *pending { return w.ask(w.t.Context(), "r") },
		"TokenValidFor": func(w *world) *pending { return w.askFor(w.t.Context(), "r", time.Minute) },
		"Watch": func(w *world) *pending {
			p := &pending{done: make(chan struct{})}
			close(p.done)
			for p.tok, p.err = range w.m.Watch(w.t.Context(), "r") {
				break
			}
			return p
		},
		"Warm": func(w *world) *pending {
			p := &pending{done: make(chan struct{})}
			close(p.done)
			p.err = w.m.Warm(w.t.Context(), "r")
			p.tok, _ = w.m.Cached("r")
			return p
		},
	} {
		t.Run(name, func(t *testing.T) {
			within(t, roomtoken.Config{Jitter: -1, IdleAfter: time.Minute}, func(t *testing.T, w *world) {
				w.token("r")
				w.add(450 * time.Second)
				if n := w.src.count(); n != 1 {
					t.Fatalf("%d calls, want 1: the renewal is skipped", n)
				}
				w.src.holdCalls(false)
				p := ask(w)
				if !p.returned() || p.err != nil || p.tok.Value.Reveal() != "token-r-1" {
					t.Fatalf("the caller waits or got (%q, %v), want token-r-1 at once", p.tok.Value.Reveal(), p.err)
				}
				w.rest()
				if n := w.src.count(); n != 2 {
					t.Fatalf("%d calls, want 2: the hit starts the renewal", n)
				}
				w.src.releaseAll()
				if tok, _ := w.m.Cached("r"); tok.Value.Reveal() != "token-r-2" {
					t.Fatalf("Cached() = %q after the renewal, want token-r-2", tok.Value.Reveal())
				}
			})
		})
	}
}

func TestPromise10IdleAfterNone(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1, IdleAfter: -1}, func(t *testing.T, w *world) {
		w.token("r")
		w.add(24 * time.Hour)
		if n := w.src.count(); n < 210 {
			t.Fatalf("%d calls in a day, want at least 210", n)
		}
	})
}

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

func TestPromise10CallsNeverExceedMaxConcurrentCalls(t *testing.T) {
	const rooms, slots = 200, 5
	config := roomtoken.Config{MaxConcurrentCalls: slots, Jitter: -1, MaxWait: -1, CallTimeout: time.Hour}
	within(t, config, func(t *testing.T, w *world) {
		w.src.on(func(c *sourceCall) (roomtoken.Grant, error) {
			w.clk.Sleep(100 * time.Millisecond)
			return w.src.mint(c), nil
		})
		var all []*pending
		for i := range rooms {
			all = append(all, w.ask(t.Context(), fmt.Sprint("r", i)))
		}
		// A quarter of the slots, rounded down, is reserved for renewals.
		if s := w.m.Stats(); s.CallsInFlight != slots-1 || s.CallsQueued != rooms-slots+1 {
			t.Fatalf("Stats() = %+v, want %d calls in flight and %d queued", s, slots-1, rooms-slots+1)
		}
		w.add(10 * time.Second)
		for _, p := range all {
			w.served(p)
		}

		// Renewals may use all slots, and all are due while the source holds them.
		w.src.holdCalls(false)
		w.add(410 * time.Second)
		if s := w.m.Stats(); s.CallsInFlight != slots || s.CallsQueued != rooms-slots {
			t.Fatalf("Stats() = %+v, want %d calls in flight and %d queued", s, slots, rooms-slots)
		}
		w.src.releaseAll()
		w.add(10 * time.Second)
		if n := w.src.count(); n != 2*rooms {
			t.Errorf("%d calls, want %d", n, 2*rooms)
		}
		if most, overlaps := w.src.peak(); most != slots || overlaps != 0 {
			t.Errorf("%d calls at the same time and %d overlaps, want %d and 0", most, overlaps, slots)
		}
	})
}

// A quarter of the slots is reserved for renewals, however many callers there are.
func TestPromise10AQuarterOfTheSlotsIsReservedForRenewals(t *testing.T) {
	for slots, callers := range map[int]int{1: 1, 2: 2, 3: 3, 4: 3, 5: 4, 8: 6, 64: 48} {
		t.Run(fmt.Sprint(slots), func(t *testing.T) {
			within(t, roomtoken.Config{MaxConcurrentCalls: slots, Jitter: -1, MaxWait: -1}, func(t *testing.T, w *world) {
				for i := range slots {
					w.token(fmt.Sprint("warm", i))
				}
				w.add(399 * time.Second)
				w.src.holdCalls(true)
				for i := range 2 * slots {
					w.ask(t.Context(), fmt.Sprint("cold", i))
				}
				if n := w.m.Stats().CallsInFlight; n != callers {
					t.Fatalf("%d calls for callers, want %d of %d", n, callers, slots)
				}
				w.add(2 * time.Second) // the renewals are due
				if n := w.m.Stats().CallsInFlight; n != slots {
					t.Fatalf("%d calls in flight, want %d", n, slots)
				}
				for _, c := range w.src.all()[slots+callers:] {
					if c.kind != refresh {
						t.Errorf("a slot reserved for renewals went to a %v, want a refresh", c.kind)
					}
				}
			})
		})
	}
}

// Without callers, renewals may use all slots.
func TestPromise10RenewalsMayUseAllSlots(t *testing.T) {
	within(t, roomtoken.Config{MaxConcurrentCalls: 4, Jitter: -1}, func(t *testing.T, w *world) {
		for i := range 6 {
			w.token(fmt.Sprint("r", i))
		}
		w.src.holdCalls(false)
		w.add(401 * time.Second)
		if s := w.m.Stats(); s.CallsInFlight != 4 || s.CallsQueued != 2 {
			t.Fatalf("Stats() = %+v, want 4 calls in flight and 2 queued", s)
		}
	})
}

// Calls are ordered by the time at which a caller would wait: for callers now, for
// renewals at expiry minus MinValidity.
func TestPromise10OrderOfCalls(t *testing.T) {
	within(t, roomtoken.Config{MaxConcurrentCalls: 1, Jitter: -1, MaxWait: -1, CallTimeout: time.Hour}, func(t *testing.T, w *world) {
		w.src.live(20*time.Minute, 0) // due at 800 s, unusable at 1,170 s
		w.token("long")
		w.src.live(10*time.Minute, 0)
		w.add(300 * time.Second)
		w.token("short") // due at 700 s, unusable at 870 s
		w.add(399 * time.Second)
		w.src.holdCalls(true)
		w.ask(t.Context(), "first") // 699 s: takes the only slot
		n := w.src.count()
		w.add(111 * time.Second)      // 810 s: both renewals wait
		w.ask(t.Context(), "caller1") // before the tokens of "short" and "long" are unusable
		w.add(time.Second)
		w.ask(t.Context(), "caller2")
		w.add(59 * time.Second)       // 870 s
		w.add(time.Second)            // 871 s
		w.ask(t.Context(), "caller3") // after the token of "short" is unusable, before that of "long"
		w.add(time.Second)
		w.src.on(func(c *sourceCall) (roomtoken.Grant, error) { return w.src.mint(c), nil })
		w.src.releaseAll()
		want := []string{"caller1", "caller2", "short", "caller3", "long"}
		if got := w.order(n); !slices.Equal(got, want) {
			t.Fatalf("order of calls = %v, want %v", got, want)
		}
	})
}

// A room whose renewal waits for a slot moves up when a caller waits for it.
func TestPromise10ARenewalMovesUpWhenACallerWaits(t *testing.T) {
	within(t, roomtoken.Config{MaxConcurrentCalls: 1, Jitter: -1, MaxWait: -1, CallTimeout: time.Hour}, func(t *testing.T, w *world) {
		w.token("a")
		w.add(time.Second)
		w.token("b")
		w.add(398 * time.Second)
		w.src.holdCalls(true)
		w.ask(t.Context(), "first")
		n := w.src.count()
		w.add(10 * time.Second) // both wait
		w.waits(w.askFor(t.Context(), "b", 5*time.Minute))
		w.src.releaseAll()
		if got := w.order(n); !slices.Equal(got, []string{"b", "a"}) {
			t.Fatalf("order of calls = %v, want [b a]", got)
		}
	})
}
