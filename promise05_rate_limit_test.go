package roomtoken_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
)

// Promise 5: a rate limit holds the calls of all rooms.

// The hold lasts for as long as the rate limit says, or for a step of the backoff.
func TestPromise5RateLimitHoldsAllRooms(t *testing.T) {
	background := context.Background()
	limited := errors.Join(errDown, roomtoken.ErrRateLimited)

	t.Run("with a time", func(t *testing.T) {
		within(t, roomtoken.Config{Jitter: -1, MaxWait: -1}, func(t *testing.T, w *world) {
			w.token("warm")
			w.add(100 * time.Second)
			for range 64 { // the pace after the hold is half of what succeeded in the last second
				w.works()
			}
			w.src.fail(roomtoken.RetryAfter(limited, 400*time.Second))
			asked := []*pending{w.ask(background, "a")}
			w.src.on(nil)
			for i := range 20 {
				asked = append(asked, w.ask(background, fmt.Sprint("r", i)))
			}
			brief, cancel := context.WithTimeout(background, 3*time.Second)
			defer cancel()
			w.refused(w.ask(brief, "z"), errDown, roomtoken.ErrRateLimited)
			s := w.m.Stats()
			if !s.RateLimited || !s.HeldUntil.Equal(time.Unix(500, 0)) {
				t.Errorf("Stats() = %+v, want a hold until 500 s", s)
			}
			w.add(400*time.Second - 1)
			if n := w.src.count(); n != 2 {
				t.Fatalf("%d calls during the hold, want none, not even renewals", n-2)
			}
			if _, err := w.hit("warm"); err != nil {
				t.Fatal(err)
			}
			if s, _ := w.m.Room("a"); s.Failures != 0 {
				t.Errorf("Failures = %d after a rate limit, want 0", s.Failures)
			}
			// After the hold one call probes. When it succeeds, the rest follow, at a
			// pace of 32 a second.
			w.src.holdCalls(false)
			w.add(1)
			if n := w.src.count(); n != 3 {
				t.Fatalf("%d calls probe, want 1", n-2)
			}
			w.src.releaseAll()
			w.add(time.Second)
			for _, p := range asked {
				w.served(p)
			}
			for i, c := range w.src.all()[3:] {
				if gap := time.Duration(i+1) * time.Second / 32; c.at > 500*time.Second+gap || c.at < 500*time.Second+gap*9/10 {
					t.Fatalf("call %d after the hold came at %v, want %v after it, or a tenth less", i+1, c.at, gap)
				}
			}
		})
	})

	t.Run("without a time: steps of the backoff", func(t *testing.T) {
		within(t, roomtoken.Config{MaxWait: -1}, func(t *testing.T, w *world) {
			w.src.fail(limited)
			a, b := w.ask(background, "a"), w.ask(background, "b")
			w.add(2 * time.Minute)
			calls := w.src.all()
			if len(calls) < 7 {
				t.Fatalf("%d calls in 2 min, want at least 7", len(calls))
			}
			for i, step := range []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second} {
				// A source that has answered no call in the last second gets one in 2 s.
				if gap := calls[i+1].at - calls[i].at; gap < step || gap > max(step*3/2, 2*time.Second) {
					t.Errorf("hold %d lasted %v, want %v to %v", i+1, gap, step, step*3/2)
				}
			}
			w.src.on(nil)
			w.add(32 * time.Second) // the last hold, and one call in 2 s
			w.served(a)
			w.served(b)
			// The steps restart.
			w.add(10 * time.Minute) // the pace is forgotten
			w.src.fail(limited)
			n := w.src.count()
			w.ask(background, "c")
			w.add(750 * time.Millisecond)
			calls = w.src.all()[n:]
			if len(calls) < 2 {
				t.Fatalf("%d calls, want another after the first hold of at most 750 ms", len(calls))
			}
			if gap := calls[1].at - calls[0].at; gap > 750*time.Millisecond {
				t.Errorf("first hold after a success lasted %v, want at most 750 ms", gap)
			}
			w.src.on(nil)
			w.add(time.Minute)
		})
	})

	t.Run("Forget does not clear it", func(t *testing.T) {
		within(t, roomtoken.Config{MaxWait: -1, MaxRetryAfter: time.Hour}, func(t *testing.T, w *world) {
			w.src.fail(roomtoken.RetryAfter(limited, time.Hour))
			p := w.ask(background, "r")
			w.src.on(nil)
			w.m.Forget("r")
			w.waits(p)
			brief, cancel := context.WithTimeout(background, 3*time.Second)
			defer cancel()
			w.refused(w.ask(brief, "r"), errDown, roomtoken.ErrRateLimited)
			w.add(time.Hour - 1)
			w.calls("r", create)
			w.add(1)
			w.served(p)
		})
	})

	t.Run("callers waiting for other rooms leave at once", func(t *testing.T) {
		for _, config := range []roomtoken.Config{{}, {MaxConcurrentCalls: 1}} {
			within(t, config, func(t *testing.T, w *world) {
				w.others(1)
				w.src.holdCalls(false)
				w.src.on(func(c *sourceCall) (roomtoken.Grant, error) {
					if c.room == "backoff" {
						return roomtoken.Grant{}, roomtoken.RetryAfter(errDown, 20*time.Second)
					}
					return roomtoken.Grant{}, roomtoken.RetryAfter(limited, time.Hour)
				})
				backoff := w.ask(background, "backoff")
				w.src.release("backoff")
				w.waits(backoff)
				a, b := w.ask(background, "a"), w.ask(background, "b")
				forced := w.ask(background, "forced")
				w.src.release("a")
				w.refused(a, errDown, roomtoken.ErrRateLimited)
				for _, p := range []*pending{b, forced} {
					if config.MaxConcurrentCalls == 1 {
						w.refused(p, errDown, roomtoken.ErrRateLimited)
					} else {
						w.waits(p) // for calls that had begun
					}
				}
				w.refused(backoff, errDown)
				w.src.releaseAll()
			})
		}
	})
}

// A rate limit arrives while other calls are in flight, perhaps the probe. Whatever
// their outcome, the hold stays.
func TestPromise5HoldIsNotLiftedByOlderCalls(t *testing.T) {
	background := context.Background()
	answers := map[string]error{
		"succeeds":                     nil,
		"fails":                        errDown,
		"fails permanently":            roomtoken.Permanent(errDown),
		"is limited, without a time":   roomtoken.ErrRateLimited,
		"is limited for a second":      roomtoken.RetryAfter(roomtoken.ErrRateLimited, time.Second),
		"has its refresh token denied": roomtoken.ErrRefreshRejected,
	}
	for name, answer := range answers {
		for _, probing := range []bool{false, true} {
			t.Run(fmt.Sprintf("one that %s, probing %v", name, probing), func(t *testing.T) {
				within(t, roomtoken.Config{MaxConcurrentCalls: 4, MaxWait: -1, CallTimeout: time.Hour, MaxRetryAfter: time.Hour}, func(t *testing.T, w *world) {
					ctx, cancel := context.WithCancel(background)
					defer cancel()
					script := func(c *sourceCall) (roomtoken.Grant, error) {
						switch c.room {
						case "limited":
							return roomtoken.Grant{}, roomtoken.RetryAfter(roomtoken.ErrRateLimited, time.Hour)
						case "older":
							if answer != nil {
								return roomtoken.Grant{}, answer
							}
						}
						return w.src.mint(c), nil
					}
					if probing {
						failing, cancel := context.WithCancel(background)
						w.src.on(nil)
						w.trip(failing)
						cancel()
						w.rest()
					}
					w.src.on(script)
					w.src.holdCalls(false)
					w.ask(ctx, "limited")
					if probing { // it passes as an innocent room; the next is the probe
						w.calls("limited", create)
						w.add(750 * time.Millisecond)
					}
					w.ask(ctx, "older")
					w.calls("older", create)
					w.src.release("limited")
					until := w.clk.elapsed() + time.Hour
					n := w.src.count()
					w.src.release("older")
					w.src.releaseAll()
					w.ask(ctx, "fresh")
					w.add(time.Hour - 1)
					if calls := w.src.all(); len(calls) > n {
						t.Fatalf("a call began at %v, want none before the hold ends at %v", calls[n].at, until)
					}
					w.add(1)
					if w.src.count() == n {
						t.Fatal("no call began after the hold, want one")
					}
					cancel()
				})
			})
		}
	}
}
