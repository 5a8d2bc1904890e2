package roomtoken_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/benbjohnson/clock"

	"github.com/roomtoken/roomtoken"
)

// Promise 5: after many failures one call probes the source.

// After MaxConcurrentCalls consecutive failures only one call at a time probes, with
// waits that double up to BackoffMax. When it succeeds, the rest follow.
func TestPromise5AThousandRoomsFailAtOnce(t *testing.T) {
	const rooms = 1000
	within(t, roomtoken.Config{MaxWait: -1}, func(t *testing.T, w *world) {
		w.src.fail(errDown)
		asked := make([]*pending, rooms)
		for i := range asked {
			asked[i] = w.ask(context.Background(), fmt.Sprint("r", i))
		}
		w.rest()
		// The failures that start the probing, those in flight then, and the first probe.
		if n := w.src.count(); n < 64 || n > 64+63+1 {
			t.Fatalf("%d calls failed at once, want 64 to 128", n)
		}
		if s := w.m.Stats(); !s.Probing || s.CallsInFlight != 0 {
			t.Fatalf("Stats() = %+v, want it probing with no call in flight", s)
		}
		trip := w.src.count()
		w.src.mu.Lock()
		w.src.most = 0
		w.src.mu.Unlock()
		w.add(3 * time.Minute)
		probes := w.src.all()[trip-1:]
		step := 500 * time.Millisecond
		for i := 1; i < len(probes); i++ {
			if gap := probes[i].at - probes[i-1].at; gap < step || gap > min(step*3/2, 30*time.Second) {
				t.Errorf("probe %d came %v after the previous one, want %v to %v", i, gap, step, step*3/2)
			}
			step = min(step*2, 20*time.Second)
		}
		if len(probes) < 9 {
			t.Errorf("%d probes in 3 min, want at least 9", len(probes))
		}
		for _, p := range asked {
			w.waits(p)
		}
		w.src.on(nil)
		w.add(30 * time.Second)
		for _, p := range asked {
			w.served(p)
			if p.at != asked[0].at {
				t.Fatalf("a caller was served at %v, want %v like the others", p.at, asked[0].at)
			}
		}
	})
}

// With MaxWait callers leave as soon as the next probe comes after it.
func TestPromise5AThousandRoomsWithMaxWait(t *testing.T) {
	within(t, roomtoken.Config{Clock: clock.New(), MaxWait: 10 * time.Second}, func(t *testing.T, w *world) {
		w.src.fail(errDown)
		start := time.Now()
		asked := make([]*pending, 1000)
		for i := range asked {
			asked[i] = w.ask(context.Background(), fmt.Sprint("r", i))
		}
		time.Sleep(10*time.Second - 1 - time.Since(start))
		for _, p := range asked {
			w.refused(p, errDown)
		}
		if n := w.src.count(); n > 64+63+1+5 {
			t.Errorf("%d calls, want at most 133", n)
		}
	})
}

// trip makes enough calls fail to start the probing, with MaxConcurrentCalls at 4,
// and lets the first probe fail. No caller waits afterwards.
func (w *world) trip() {
	w.t.Helper()
	before := w.src.count()
	ctx, cancel := context.WithCancel(context.Background())
	w.src.fail(errDown)
	for i := range 5 {
		w.ask(ctx, fmt.Sprint("trip", i))
	}
	w.rest()
	if n := w.src.count() - before; n != 5 {
		w.t.Fatalf("%d calls, want 5: 4 failures and the first probe", n)
	}
	cancel()
	w.rest()
	for i := range 5 {
		w.m.Forget(fmt.Sprint("trip", i))
	}
}

// Which answers to a probe end the probing.
func TestPromise5Probes(t *testing.T) {
	background := context.Background()
	opens := map[string]struct {
		answer error
		opens  bool
	}{
		"a token":           {nil, true},
		"a permanent error": {roomtoken.Permanent(errDown), true},
		"a transient error": {errDown, false},
		"a rate limit":      {roomtoken.ErrRateLimited, false},
		"an invalid grant":  {roomtoken.ErrInvalidGrant, false},
	}
	for name, c := range opens {
		t.Run(name, func(t *testing.T) {
			within(t, roomtoken.Config{MaxConcurrentCalls: 4, MaxWait: -1}, func(t *testing.T, w *world) {
				ctx, cancel := context.WithCancel(background)
				defer cancel()
				w.trip()
				n := w.src.count()
				w.src.on(func(call *sourceCall) (roomtoken.Grant, error) {
					if call.room == "probe" && c.answer != nil {
						return roomtoken.Grant{}, c.answer
					}
					return w.src.mint(call), nil
				})
				w.src.holdCalls(false)
				w.ask(ctx, "probe")
				w.ask(ctx, "a")
				w.ask(ctx, "b")
				w.rest()
				if w.src.count() != n {
					t.Fatal("the probe began at once, want it to wait")
				}
				w.add(750 * time.Millisecond)
				if got := w.src.all()[n:]; len(got) != 1 || got[0].room != "probe" {
					t.Fatalf("%d calls probe, want 1 for the room that waits longest", len(got))
				}
				w.add(5 * time.Second)
				if got := w.src.count() - n; got != 1 {
					t.Fatalf("%d calls while the probe is in flight, want 1", got)
				}
				w.src.release("probe")
				if got := w.src.count() - n; got == 3 != c.opens {
					t.Fatalf("%d calls after the probe's answer, want 3: %v", got, c.opens)
				}
				if probing := w.m.Stats().Probing; probing == c.opens {
					t.Errorf("Probing = %v, want %v", probing, !c.opens)
				}
				w.src.releaseAll()
			})
		})
	}
}

// A probe whose refresh token is refused ends the probing: the source has answered.
func TestPromise5AProbeWhoseRefreshTokenIsRefused(t *testing.T) {
	within(t, roomtoken.Config{MaxConcurrentCalls: 4, Jitter: -1, MaxWait: -1}, func(t *testing.T, w *world) {
		w.token("warm")
		w.add(399999 * time.Millisecond)
		w.trip()
		n := w.src.count()
		w.src.on(func(c *sourceCall) (roomtoken.Grant, error) {
			if c.kind == refresh {
				return roomtoken.Grant{}, roomtoken.ErrRefreshRejected
			}
			return w.src.mint(c), nil
		})
		w.src.holdCalls(false)
		w.add(time.Second)
		if got := w.src.kinds()[n:]; len(got) != 1 || got[0] != refresh {
			t.Fatalf("the probe is %v, want [refresh]", got)
		}
		p := w.ask(context.Background(), "r")
		w.src.release("warm")
		if got := w.src.kinds()[n:]; len(got) != 3 {
			t.Errorf("calls = %v, want the refresh, the create that replaces it, and the other room's", got)
		}
		w.src.releaseAll()
		w.served(p)
	})
}

// A probe that ignores its ctx does not prevent another after CallTimeout.
func TestPromise5ADeafProbe(t *testing.T) {
	within(t, roomtoken.Config{MaxConcurrentCalls: 4, MaxWait: -1}, func(t *testing.T, w *world) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		w.trip()
		w.src.on(nil)
		w.src.holdCalls(true)
		w.ask(ctx, "deaf")
		w.add(750 * time.Millisecond)
		w.calls("deaf", create)
		w.src.stopHolding()
		p := w.ask(ctx, "r")
		w.add(9 * time.Second)
		w.waits(p)
		w.calls("r")
		w.add(time.Second) // CallTimeout
		w.waits(p)
		w.add(2 * time.Second) // the wait before the second probe
		w.served(p)
	})
}

// Any answer of the source resets the count of consecutive failures.
func TestPromise5AnyAnswerResetsTheCountOfFailures(t *testing.T) {
	for name, answer := range map[string]error{"a token": nil, "a permanent error": roomtoken.Permanent(errDown)} {
		t.Run(name, func(t *testing.T) {
			within(t, roomtoken.Config{MaxConcurrentCalls: 4}, func(t *testing.T, w *world) {
				ctx, cancel := context.WithCancel(context.Background())
				cancel()
				ask := func(room string, err error) {
					w.src.on(func(c *sourceCall) (roomtoken.Grant, error) {
						if err != nil {
							return roomtoken.Grant{}, err
						}
						return w.src.mint(c), nil
					})
					ctx, cancel = context.WithCancel(context.Background())
					w.ask(ctx, room)
					cancel()
					synctest.Wait()
				}
				for i := range 12 {
					if i%4 == 3 {
						ask(fmt.Sprint("ok", i), answer)
					} else {
						ask(fmt.Sprint("bad", i), errDown)
					}
					if w.m.Stats().Probing {
						t.Fatalf("Probing after call %d, want calls to go on", i+1)
					}
				}
				ask("bad", errDown)
				ask("bad again", errDown)
				ask("bad once more", errDown)
				ask("and a fourth", errDown)
				if !w.m.Stats().Probing {
					t.Fatal("not Probing after 4 consecutive failures, want it")
				}
			})
		})
	}
}
