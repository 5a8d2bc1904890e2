package roomtoken_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
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
	const rooms, slots = 200, 8
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
		// A quarter of the slots is kept for renewals, and all but one of these is lent.
		if s := w.m.Stats(); s.CallsInFlight != slots-1 || s.CallsQueued != rooms-slots+1 {
			t.Fatalf("Stats() = %+v, want %d calls in flight and %d queued", s, slots-1, rooms-slots+1)
		}
		w.add(10 * time.Second)
		for _, p := range all {
			w.served(p)
		}

		// So it is for callers. All renewals are due while the source holds them.
		w.src.holdCalls(false)
		w.add(410 * time.Second)
		if s := w.m.Stats(); s.CallsInFlight != slots-1 || s.CallsQueued != rooms-slots+1 {
			t.Errorf("Stats() = %+v, want %d calls in flight and %d queued", s, slots-1, rooms-slots+1)
		}
		w.ask(t.Context(), "cold")
		w.ask(t.Context(), "colder")
		if s := w.m.Stats(); s.CallsInFlight != slots || s.CallsQueued != rooms-slots+2 {
			t.Errorf("Stats() = %+v, want %d calls in flight and %d queued", s, slots, rooms-slots+2)
		}
		w.src.releaseAll()
		w.add(10 * time.Second)
		if n := w.src.count(); n != 2*rooms+2 {
			t.Errorf("%d calls, want %d", n, 2*rooms+2)
		}
		if most, overlaps := w.src.peak(); most != slots || overlaps != 0 {
			t.Errorf("%d calls at the same time and %d overlaps, want %d and 0", most, overlaps, slots)
		}
	})
}

// A quarter of the slots is kept for renewals, however many callers there are. While no
// renewal is in line three quarters of that are lent, and come back as calls end.
func TestPromise10AQuarterOfTheSlotsIsKeptForRenewals(t *testing.T) {
	for slots, callers := range map[int]int{1: 1, 2: 2, 3: 3, 4: 3, 5: 4, 8: 7, 64: 60} {
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
				renewals := slots - callers
				for _, c := range w.src.all()[slots+callers:] {
					if c.kind != refresh {
						t.Errorf("a slot kept for renewals went to a %v, want a refresh", c.kind)
					}
				}
				for i := 0; renewals < slots/4; i++ {
					n := w.src.count()
					w.src.release(fmt.Sprint("cold", i))
					if got := w.src.kinds()[n:]; !slices.Equal(got, []roomtoken.CallKind{refresh}) {
						t.Fatalf("a slot that was lent went to %v, want [refresh]", got)
					}
					renewals++
				}
				n := w.src.count()
				w.src.release(fmt.Sprint("cold", callers-1))
				if got := w.src.kinds()[n:]; !slices.Equal(got, []roomtoken.CallKind{create}) {
					t.Fatalf("a slot of the callers went to %v, want [create]: they wait already", got)
				}
			})
		})
	}
}

// A quarter of the slots is kept for callers, however many renewals there are. While no
// caller is in line three quarters of that are lent.
func TestPromise10AQuarterOfTheSlotsIsKeptForCallers(t *testing.T) {
	for slots, renewals := range map[int]int{1: 1, 2: 2, 3: 3, 4: 3, 5: 4, 8: 7, 64: 60} {
		t.Run(fmt.Sprint(slots), func(t *testing.T) {
			within(t, roomtoken.Config{MaxConcurrentCalls: slots, Jitter: -1, MaxWait: -1}, func(t *testing.T, w *world) {
				for i := range 2 * slots {
					w.token(fmt.Sprint("warm", i))
				}
				w.src.holdCalls(true)
				w.add(401 * time.Second)
				if s := w.m.Stats(); s.CallsInFlight != renewals || s.CallsQueued != 2*slots-renewals {
					t.Fatalf("Stats() = %+v, want %d calls in flight and %d queued", s, renewals, 2*slots-renewals)
				}
				for i := range 2 * slots {
					w.ask(t.Context(), fmt.Sprint("cold", i))
				}
				if n := w.m.Stats().CallsInFlight; n != slots {
					t.Fatalf("%d calls in flight, want %d", n, slots)
				}
				for _, c := range w.src.all()[2*slots+renewals:] {
					if c.kind != create {
						t.Errorf("a slot kept for callers went to a %v, want a create", c.kind)
					}
				}
			})
		})
	}
}

// Calls are ordered by the time at which a caller would wait: for callers now, for
// renewals of valid tokens at expiry minus MinValidity. Behind them come rooms whose token
// is gone and for which nobody waits.
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
		// The token of "short" is gone, and nobody waits for it.
		want := []string{"caller1", "caller2", "caller3", "long", "short"}
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

// Asking for a room that stands in line never moves it back, whatever the caller's own
// deadline, and whether the room's token is still valid or gone.
func TestPromise10AskingNeverMovesARoomBack(t *testing.T) {
	for name, c := range map[string]struct {
		at  time.Duration // when "a" is asked for; its token is usable until 570 s
		ask func(t *testing.T, w *world)
	}{
		"a hit": {560 * time.Second, func(t *testing.T, w *world) { w.token("a") }},
		"a caller who needs more": {560 * time.Second, func(t *testing.T, w *world) {
			w.askFor(t.Context(), "a", 5*time.Minute)
		}},
		"a caller who leaves": {560 * time.Second, func(t *testing.T, w *world) {
			ctx, cancel := context.WithCancel(t.Context())
			w.askFor(ctx, "a", 5*time.Minute)
			cancel()
		}},
		"a watch":              {560 * time.Second, func(_ *testing.T, w *world) { w.watch("a", nil) }},
		"a watch that left":    {560 * time.Second, func(_ *testing.T, w *world) { w.watch("a", nil).cancel(nil) }},
		"Warm":                 {560 * time.Second, func(t *testing.T, w *world) { w.warming(t.Context(), "a") }},
		"a caller, token gone": {580 * time.Second, func(t *testing.T, w *world) { w.ask(t.Context(), "a") }},
		"a caller without hope": {560 * time.Second, func(t *testing.T, w *world) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			defer cancel()
			w.askFor(ctx, "a", 5*time.Minute)
		}},
		"Warm, token gone": {580 * time.Second, func(t *testing.T, w *world) { w.warming(t.Context(), "a") }},
	} {
		t.Run(name, func(t *testing.T) {
			config := roomtoken.Config{MaxConcurrentCalls: 1, Jitter: -1, MaxWait: -1, CallTimeout: time.Hour}
			within(t, config, func(t *testing.T, w *world) {
				for _, room := range []string{"a", "b", "c"} { // renewals are due in this order
					w.token(room)
					w.add(time.Second)
				}
				w.add(390 * time.Second)
				w.src.holdCalls(true)
				w.ask(t.Context(), "first") // takes the only slot
				n := w.src.count()
				w.add(c.at - w.clk.elapsed())
				c.ask(t, w)
				w.rest()
				w.add(time.Second)
				w.src.releaseAll()
				if got := w.order(n); len(got) < 3 || got[0] != "a" {
					t.Fatalf("order of calls = %v, want [a b c]", got)
				}
			})
		})
	}
}

// A room for which somebody waits keeps its place when somebody else asks, and so does one
// whose renewal is in line when somebody asks who cannot be served in time.
func TestPromise10LaterCallersDoNotMoveARoomBack(t *testing.T) {
	const latency = 5 * time.Second
	t.Run("another caller", func(t *testing.T) {
		within(t, roomtoken.Config{MaxConcurrentCalls: 1, MaxWait: -1, CallTimeout: time.Hour}, func(t *testing.T, w *world) {
			w.src.holdCalls(true)
			w.ask(t.Context(), "first")
			for _, room := range []string{"a", "b", "a", "c", "a", "b"} {
				w.ask(t.Context(), room)
				w.add(time.Second)
			}
			w.warming(t.Context(), "a", "b")
			w.src.releaseAll()
			if got := w.order(1); !slices.Equal(got, []string{"a", "b", "c"}) {
				t.Fatalf("order of calls = %v, want [a b c]", got)
			}
		})
	})
	t.Run("a caller without hope", func(t *testing.T) {
		config := roomtoken.Config{MaxConcurrentCalls: 1, Jitter: -1, MaxWait: latency / 2, CallTimeout: time.Hour}
		within(t, config, func(t *testing.T, w *world) {
			w.src.on(func(c *sourceCall) (roomtoken.Grant, error) {
				g := w.src.mint(c)
				w.clk.Sleep(latency)
				return g, nil
			})
			for _, room := range []string{"a", "b"} { // renewals are due in this order
				w.ask(t.Context(), room)
				w.add(latency)
			}
			w.src.on(nil)
			w.add(380 * time.Second)
			w.src.holdCalls(true)
			w.ask(t.Context(), "first") // takes the only slot
			n := w.src.count()
			w.add(30 * time.Second)
			p := w.askFor(t.Context(), "a", 9*time.Minute)
			w.waits(p)
			w.src.releaseAll()
			if got := w.order(n); len(got) < 2 || got[0] != "a" {
				t.Fatalf("order of calls = %v, want [a b]", got)
			}
		})
	})
}

// One caller waits, the slots turn over, and all rooms need a renewal: it is served in one
// call and the rest of another.
func TestPromise10OneCallerIsServedInTwoCalls(t *testing.T) {
	const latency = time.Second
	for name, due := range map[string]func(w *world){
		"renewals are due": func(w *world) { w.add(401 * time.Second) },
		"all tokens are gone after a suspend": func(w *world) {
			w.clk.stepWall(time.Hour)
			w.add(10 * time.Second)
		},
	} {
		for _, slots := range []int{1, 4} {
			t.Run(fmt.Sprint(name, ", slots: ", slots), func(t *testing.T) {
				within(t, roomtoken.Config{MaxConcurrentCalls: slots, Jitter: -1}, func(t *testing.T, w *world) {
					for i := range 60 * slots {
						w.token(fmt.Sprint("r", i))
					}
					w.src.on(func(c *sourceCall) (roomtoken.Grant, error) {
						g := w.src.mint(c)
						w.clk.Sleep(latency)
						return g, nil
					})
					due(w)
					for i := range 5 {
						w.add(latency / 4)
						queued := w.m.Stats().CallsQueued
						if queued < 10 {
							t.Errorf("%d renewals are queued, want more", queued)
						}
						p := w.ask(t.Context(), fmt.Sprint("cold", i))
						for range 8 {
							w.add(latency / 4)
						}
						w.served(p)
					}
					w.src.on(nil)
					w.add(2 * time.Minute)
				})
			})
		}
	}
}

// Idle rooms are dropped on time also while no call can begin, because of a hold or because
// all slots are taken for good.
func TestPromise10IdleRoomsGoWhileNoCallCanBegin(t *testing.T) {
	const rooms = 20
	for name, c := range map[string]struct {
		block func(t *testing.T, w *world)
		keeps []string
	}{
		"a hold of a day": {func(t *testing.T, w *world) {
			w.src.fail(roomtoken.RetryAfter(roomtoken.ErrRateLimited, 24*time.Hour))
			w.refused(w.ask(t.Context(), "limited"), roomtoken.ErrRateLimited)
		}, nil},
		"all slots deaf": {func(t *testing.T, w *world) {
			w.src.holdCalls(true)
			w.ask(t.Context(), "deaf0")
			w.ask(t.Context(), "deaf1")
		}, []string{"deaf0", "deaf1"}},
	} {
		for _, idleAfter := range []time.Duration{5 * time.Minute, 8 * time.Minute, 15 * time.Minute} {
			t.Run(fmt.Sprint(name, ", idle after ", idleAfter), func(t *testing.T) {
				config := roomtoken.Config{MaxConcurrentCalls: 2, IdleAfter: idleAfter, MaxRetryAfter: 24 * time.Hour}
				within(t, config, func(t *testing.T, w *world) {
					for i := range rooms {
						w.token(fmt.Sprint("r", i))
					}
					w.add(300 * time.Second)
					c.block(t, w)
					gone := max(570*time.Second, idleAfter) // their tokens end, or they are idle
					w.add(gone - time.Second - w.clk.elapsed())
					if n := len(w.rooms()); n < rooms {
						t.Fatalf("%d rooms before they are idle, want %d", n, rooms)
					}
					w.add(12 * time.Second)
					for _, room := range w.rooms() {
						if room[0] == 'r' {
							t.Errorf("room %q is still in memory at %v, want it dropped at %v", room, w.clk.elapsed(), gone)
						}
					}
					w.add(time.Hour)
					if got := w.rooms(); !slices.Equal(got, c.keeps) {
						t.Errorf("rooms = %v, want %v", got, c.keeps)
					}
				})
			})
		}
	}
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

// A clock that is set to the present after NewManager began in 1970, or runs for decades:
// the time of last use wraps after 36.5 years.
func TestPromise10TimesOfLastUseWrap(t *testing.T) {
	const wrap = 1 << 60 // of the monotonic time, in nanoseconds
	for name, start := range map[string]time.Time{
		"just before the wrap": time.Unix(0, wrap-1000*int64(time.Second)),
		"at the present":       time.Date(2026, 10, 1, 12, 0, 0, 0, time.UTC),
	} {
		t.Run(name, func(t *testing.T) {
			within(t, roomtoken.Config{MaxRooms: 3, IdleAfter: 15 * time.Minute}, func(t *testing.T, w *world) {
				w.clk.Set(start)
				w.rest()
				w.token("a")
				w.add(2 * time.Second)
				w.token("b")
				w.watch("watched", nil)
				for range 120 { // 20 min, across the wrap
					w.add(10 * time.Second)
					if _, err := w.hit("b"); err != nil {
						t.Fatalf("Token() at %v = %v, want no wait", w.clk.Now(), err)
					}
					if s, _ := w.m.Room("b"); w.clk.Now().Sub(s.LastUsed).Abs() > time.Second {
						t.Fatalf("LastUsed = %v, want about %v", s.LastUsed, w.clk.Now())
					}
				}
				w.token("c")
				w.add(2 * time.Second)
				w.token("b")
				w.add(2 * time.Second)
				w.token("d")
				if slices.Contains(w.rooms(), "c") || !slices.Contains(w.rooms(), "b") {
					t.Errorf("rooms = %v, want the least recently used one evicted, c", w.rooms())
				}
				w.add(35 * time.Minute)
				if got := w.rooms(); !slices.Equal(got, []string{"watched"}) {
					t.Errorf("rooms = %v, want those that nobody asks for dropped", got)
				}
			})
		})
	}
}

// A room that is asked for during a call which lasts across the wrap has been used then.
func TestPromise10LastUseDuringACallAcrossTheWrap(t *testing.T) {
	const wrap = 1 << 60
	within(t, roomtoken.Config{CallTimeout: time.Hour}, func(t *testing.T, w *world) {
		w.clk.Set(time.Unix(0, wrap-10*int64(time.Second)))
		w.token("r")
		w.token("unused")
		w.add(5 * time.Second)
		w.src.holdCalls(false)
		w.askFor(t.Context(), "r", 10*time.Minute-time.Second)
		w.calls("r", create, refresh)
		w.add(10 * time.Second)
		w.token("r")
		w.src.releaseAll()
		if s, _ := w.m.Room("r"); w.clk.Now().Sub(s.LastUsed).Abs() > time.Second || s.Generation != 2 {
			t.Errorf("Room() = %+v, want generation 2, last used at %v", s, w.clk.Now())
		}
		if s, _ := w.m.Room("unused"); w.clk.Now().Sub(s.LastUsed)-15*time.Second > time.Second || w.clk.Now().Sub(s.LastUsed) < 15*time.Second {
			t.Errorf("LastUsed of a room used before the wrap = %v, want 15 s before %v", s.LastUsed, w.clk.Now())
		}
	})
}

// CallsPerSecond bounds how many calls begin in a second: they are spaced evenly.
func TestPromise10CallsPerSecond(t *testing.T) {
	const rooms, rate = 300, 50
	synctest.Test(t, func(t *testing.T) {
		src := &source{clk: realClock, lifetime: 10 * time.Minute}
		m, err := roomtoken.NewManager(src, roomtoken.Config{CallsPerSecond: rate})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		src.on(func(c *sourceCall) (roomtoken.Grant, error) {
			g := src.mint(c)
			time.Sleep(100 * time.Millisecond)
			return g, nil
		})
		var ids []string
		for i := range rooms {
			ids = append(ids, fmt.Sprint("r", i))
		}
		began := time.Now()
		if err := m.Warm(t.Context(), ids...); err != nil {
			t.Fatal(err)
		}
		if took, want := time.Since(began), rooms*time.Second/rate; took < want-want/50 || took > want+want/20 {
			t.Errorf("%d rooms were warmed in %v, want about %v", rooms, took, want)
		}
		calls := src.all()
		if len(calls) != rooms {
			t.Errorf("%d calls, want %d", len(calls), rooms)
		}
		slices.SortFunc(calls, func(a, b *sourceCall) int { return int(a.at - b.at) })
		for i := rate; i < len(calls); i++ {
			if span := calls[i].at - calls[i-rate].at; span < time.Second {
				t.Fatalf("%d calls began in %v, want %d a second at most", rate+1, span, rate)
			}
		}
	})
}

// Extreme rates neither overflow nor let calls through.
func TestPromise10ExtremeCallsPerSecond(t *testing.T) {
	for rate, want := range map[float64]int{1e-300: 1, 1e-12: 1, 1.0 / 3600: 1, 1e12: 10, math.MaxFloat64: 10} {
		t.Run(fmt.Sprint(rate), func(t *testing.T) {
			within(t, roomtoken.Config{CallsPerSecond: rate, MaxWait: -1}, func(t *testing.T, w *world) {
				w.src.live(24*time.Hour, 0)
				for i := range 10 {
					w.ask(t.Context(), fmt.Sprint("r", i))
				}
				w.add(59 * time.Minute)
				if n := w.src.count(); n != want {
					t.Errorf("%d calls in 59 min, want %d", n, want)
				}
			})
		})
	}
}

// A call that nothing holds back is not late, and is not followed by others at once to
// make up for it.
func TestPromise10CallsAreSpacedAfterAPause(t *testing.T) {
	for _, c := range []struct {
		rate  float64
		pause time.Duration
		gap   time.Duration
	}{
		{500, 26 * time.Millisecond, 2 * time.Millisecond},
		{1, 1024 * time.Millisecond, time.Second},
	} {
		inTown(t, roomtoken.Config{CallsPerSecond: c.rate}, func(tn *town) {
			var mu sync.Mutex
			var begun []time.Time
			tn.on(func(context.Context, string) error {
				mu.Lock()
				defer mu.Unlock()
				begun = append(begun, time.Now())
				return nil
			})
			tn.tokens("first", 1)
			time.Sleep(c.pause)
			if err := tn.m.Warm(tn.Context(), "a", "b", "c", "d"); err != nil {
				t.Fatal(err)
			}
			for i, at := range begun[1:] {
				if gap := at.Sub(begun[i]); gap < c.gap {
					t.Errorf("at %v per second call %d began %v after the one before, want at least %v", c.rate, i+2, gap, c.gap)
				}
			}
		})
	}
}
