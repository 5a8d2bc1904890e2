package roomtoken_test

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomtoken/roomtoken"
)

// Promise 10: how many calls there are, and whose goes first.

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
