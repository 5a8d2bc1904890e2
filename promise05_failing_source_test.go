package roomtoken_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
)

// Promise 5: a failing source is left alone.

// gaps returns the times between a room's calls.
func (w *world) gaps(room string) (gaps []time.Duration) {
	calls := w.src.of(room)
	for i := 1; i < len(calls); i++ {
		gaps = append(gaps, calls[i].at-calls[i-1].at)
	}
	return gaps
}

// There is one attempt per step, however many callers ask. Steps double from
// BackoffMin, each wait is drawn between its step and 1.5 times that, and none is
// longer than BackoffMax.
func TestPromise5Backoff(t *testing.T) {
	within(t, roomtoken.Config{MaxWait: -1, MaxConcurrentCalls: 10_000}, func(t *testing.T, w *world) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		w.src.fail(errDown)
		const rooms = 20
		for i := range rooms {
			for range 10 {
				w.ask(ctx, fmt.Sprint("r", i))
			}
			w.works() // each failure is the room's own
		}
		for range 240 {
			w.add(500 * time.Millisecond)
			w.ask(ctx, "r0") // more and more callers
			w.ask(ctx, "r1")
		}
		steps := []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second, 20 * time.Second, 20 * time.Second}
		least, most := map[int]time.Duration{}, map[int]time.Duration{}
		for i := range rooms {
			gaps := w.gaps(fmt.Sprint("r", i))
			if len(gaps) < 6 {
				t.Fatalf("%d further attempts in two minutes, want at least 6", len(gaps))
			}
			for n, gap := range gaps {
				step := steps[min(n, len(steps)-1)]
				if gap < step || gap > min(step*3/2, 30*time.Second) {
					t.Errorf("wait after failure %d = %v, want %v to %v", n+1, gap, step, step*3/2)
				}
				if least[n] == 0 || gap < least[n] {
					least[n] = gap
				}
				most[n] = max(most[n], gap)
			}
		}
		for n := range 6 {
			// Each wait is drawn: the odds that twenty draws lie within a fifth of
			// their range are one in a hundred million.
			if spread := most[n] - least[n]; spread < steps[n]/10 {
				t.Errorf("waits of %d rooms after failure %d differ by %v, want at least %v", rooms, n+1, spread, steps[n]/10)
			}
		}
	})
}

// A token resets the backoff: the next failure starts at the first step.
func TestPromise5BackoffEndsWithAToken(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1, MaxWait: -1}, func(t *testing.T, w *world) {
		w.others(1)
		w.src.fail(errDown)
		p := w.ask(context.Background(), "r")
		w.add(20 * time.Second)
		w.src.on(nil)
		w.add(30 * time.Second)
		w.served(p)
		before := w.src.count()
		w.src.fail(errDown)
		w.add(401 * time.Second)
		calls := w.src.all()[before:]
		if len(calls) < 2 {
			t.Fatalf("%d renewals, want at least 2", len(calls))
		}
		if gap := calls[1].at - calls[0].at; gap > 750*time.Millisecond {
			t.Errorf("first wait after a token = %v, want at most 750 ms", gap)
		}
	})
}

// Forget clears a room's failures, and callers waiting out its backoff try at once.
// The state of the account stays.
func TestPromise5Forget(t *testing.T) {
	background := context.Background()

	t.Run("in backoff", func(t *testing.T) {
		within(t, roomtoken.Config{BackoffMin: 20 * time.Second}, func(t *testing.T, w *world) {
			w.others(1)
			w.src.fail(errDown)
			asked := make([]*pending, 10)
			for i := range asked {
				asked[i] = w.ask(background, "r")
			}
			w.calls("r", create)
			w.src.on(nil)
			w.m.Forget("r")
			for _, p := range asked {
				w.served(p)
			}
			w.calls("r", create, create)
		})
	})

	t.Run("after a permanent error", func(t *testing.T) {
		within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
			w.src.fail(roomtoken.Permanent(errDown))
			w.refused(w.ask(background, "r"), errDown)
			w.src.on(nil)
			w.refused(w.ask(background, "r"), errDown)
			w.m.Forget("r")
			w.token("r")
		})
	})

	t.Run("the steps restart", func(t *testing.T) {
		within(t, roomtoken.Config{MaxWait: -1}, func(t *testing.T, w *world) {
			w.others(1)
			w.src.fail(errDown)
			ctx, cancel := context.WithCancel(background)
			defer cancel()
			w.ask(ctx, "r")
			w.add(10 * time.Second)
			n := len(w.src.of("r"))
			w.m.Forget("r")
			w.add(time.Second)
			calls := w.src.of("r")[n:]
			if len(calls) < 2 || calls[1].at-calls[0].at > 750*time.Millisecond {
				t.Fatalf("%d calls in the second after Forget, want at least 2 with the first step between them", len(calls))
			}
		})
	})

	t.Run("the credential stays refused", func(t *testing.T) {
		within(t, roomtoken.Config{MaxWait: -1}, func(t *testing.T, w *world) {
			w.others(8)
			w.src.fail(fmt.Errorf("%w: %w", roomtoken.ErrUnauthorized, errDown))
			w.refused(w.ask(background, "a"), roomtoken.ErrUnauthorized)
			w.refused(w.ask(background, "b"), roomtoken.ErrUnauthorized)
			w.src.on(nil)
			w.m.Forget("a")
			w.refused(w.ask(background, "a"), roomtoken.ErrUnauthorized, errDown)
			w.add(time.Second - 1)
			w.refused(w.ask(background, "a"), roomtoken.ErrUnauthorized, errDown)
			w.calls("a", create)
		})
	})

	t.Run("the outage stays", func(t *testing.T) {
		within(t, roomtoken.Config{MaxConcurrentCalls: 4, MaxWait: -1}, func(t *testing.T, w *world) {
			ctx, cancel := context.WithCancel(background)
			defer cancel()
			w.trip(ctx)
			n := w.src.count()
			w.m.Forget("trip0")
			w.m.Forget("trip1")
			w.rest()
			if !w.m.Stats().Probing {
				t.Fatal("Probing = false after Forget, want true")
			}
			// They have not failed any more: one such room may have its attempt.
			if got := w.src.count() - n; got > 1 {
				t.Fatalf("%d calls began after Forget of two rooms, want 1 at most", got)
			}
		})
	})
}

// When a call began decides what its failure says: those of calls that began before the
// last success are no news. A success speaks for the moment it ends.
func TestPromise5FailuresOfCallsFromBeforeASuccess(t *testing.T) {
	for name, err := range map[string]error{
		"transient":    errDown,
		"permanent":    roomtoken.Permanent(errDown),
		"unauthorized": roomtoken.ErrUnauthorized,
	} {
		t.Run(name, func(t *testing.T) {
			within(t, roomtoken.Config{MaxWait: -1}, func(t *testing.T, w *world) {
				w.others(8)
				w.src.fail(err)
				w.src.holdCalls(false)
				for i := range 20 {
					w.ask(t.Context(), fmt.Sprint("before", i))
				}
				w.src.on(nil)
				w.ask(t.Context(), "slow") // it succeeds, and has begun before all that follow
				w.src.fail(err)
				w.add(time.Second)
				for i := range 20 {
					w.ask(t.Context(), fmt.Sprint("between", i))
				}
				w.add(time.Second)
				w.src.release("slow")
				for i := range 20 {
					w.src.release(fmt.Sprint("before", i))
					w.src.release(fmt.Sprint("between", i))
				}
				if w.m.Stats().Probing {
					t.Fatal("Probing because of calls that began before a success, want calls to go on")
				}
				for i := range 8 {
					w.ask(t.Context(), fmt.Sprint("after", i))
				}
				w.src.releaseAll()
				if !w.m.Stats().Probing {
					t.Fatal("Probing = false after 8 rooms failed whose calls began later, want true")
				}
			})
		})
	}
}

// Rooms whose last call failed leave a slot to the others, and while an innocent room waits
// they hold a quarter of the slots at most.
func TestPromise5FailingRoomsHoldAShareOfTheSlots(t *testing.T) {
	for slots, c := range map[int]struct{ most, quarter int }{1: {1, 1}, 2: {1, 1}, 3: {2, 1}, 16: {15, 4}} {
		t.Run(fmt.Sprint(slots), func(t *testing.T) {
			config := roomtoken.Config{MaxConcurrentCalls: slots, MaxWait: -1, CallTimeout: time.Hour}
			within(t, config, func(t *testing.T, w *world) {
				w.others(1) // or the first failure would be an outage
				w.src.on(func(c *sourceCall) (roomtoken.Grant, error) {
					if strings.HasPrefix(c.room, "bad") {
						return roomtoken.Grant{}, errDown
					}
					return w.src.mint(c), nil
				})
				for i := range 3 * slots {
					w.ask(t.Context(), fmt.Sprint("bad", i))
					w.works()
				}
				w.src.holdCalls(false)
				w.add(time.Second)
				if n := w.m.Stats().CallsInFlight; n != c.most {
					t.Fatalf("%d calls of failing rooms in flight, want %d of %d slots", n, c.most, slots)
				}
				if w.m.Stats().Probing {
					t.Fatal("Probing because of rooms that fail, want calls to go on")
				}
				inFlight := map[string]bool{}
				for _, call := range w.src.all()[3*slots:] {
					inFlight[call.room] = true
				}
				// More innocent rooms wait than there are slots.
				for i := range 2 * slots {
					w.ask(t.Context(), fmt.Sprint("good", i))
				}
				failing := len(inFlight)
				for room := range inFlight {
					n := w.src.count()
					w.src.release(room)
					for _, began := range w.order(n) {
						if strings.HasPrefix(began, "bad") && failing > c.quarter {
							t.Fatalf("room %q got the slot of another failing one while %d were in flight and innocent rooms wait", began, failing)
						}
					}
					failing--
				}
				w.src.on(nil)
				w.src.releaseAll()
				w.add(time.Minute)
			})
		})
	}
}
