package roomtoken_test

import (
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
