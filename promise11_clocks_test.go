package roomtoken_test

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
)

// Promise 11: clocks that are stepped, suspended or frozen.

// freeze advances the monotonic clock and leaves the wall clock where it is.
func (w *world) freeze(d time.Duration) {
	w.t.Helper()
	const step = time.Second
	for ; d > 0; d -= step {
		w.clk.stepWall(-min(step, d))
		w.add(min(step, d))
	}
}

// A step forward counts as suspend: tokens may have expired, and are not returned
// 100 ms of running time later.
func TestPromise11WallStepsForward(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1}, func(t *testing.T, w *world) {
		old := w.token("r")
		w.add(100 * time.Second)
		w.clk.stepWall(time.Hour)
		w.clk.Add(101 * time.Millisecond)
		if tok, ok := w.m.Cached("r"); ok && tok.Value.Equal(old.Value) {
			t.Error("Cached returned a token that has expired by the wall clock, want none")
		}
		if tok := w.token("r"); tok.Value.Equal(old.Value) {
			t.Error("Token returned a token that has expired by the wall clock, want a new one")
		}
		// The new one has its normal lifetime, not an hour more.
		w.add(399 * time.Second)
		if n := w.src.count(); n != 2 {
			t.Fatalf("%d calls before the renewal, want 2", n)
		}
		w.add(2 * time.Second)
		if n := w.src.count(); n != 3 {
			t.Fatalf("%d calls after the renewal, want 3", n)
		}
	})
}

// Tokens that outlive the step have aged by it.
func TestPromise11AJumpAgesTokens(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1}, func(t *testing.T, w *world) {
		w.src.live(3*time.Hour, 0)
		w.token("r") // due at 2 h
		w.add(30 * time.Minute)
		w.clk.stepWall(time.Hour)
		w.add(11 * time.Second)
		if tok := w.token("r"); tok.Value.Reveal() != "token-r-1" || w.src.count() != 1 {
			t.Fatalf("Token() = %s after %d calls, want token-r-1 after 1", tok.Value.Reveal(), w.src.count())
		}
		w.add(28 * time.Minute)
		if n := w.src.count(); n != 1 {
			t.Fatalf("%d calls, want 1: the renewal is not due", n)
		}
		w.token("r") // keeps it in use
		w.add(3 * time.Minute)
		if n := w.src.count(); n != 2 {
			t.Fatalf("%d calls, want 2: renewed at the age of 2 h", n)
		}
	})
}

// A step backward changes nothing.
func TestPromise11WallStepsBackward(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1}, func(t *testing.T, w *world) {
		w.token("r")
		w.add(100 * time.Second)
		w.clk.stepWall(-time.Hour)
		w.add(200 * time.Second)
		if tok := w.token("r"); tok.Value.Reveal() != "token-r-1" || w.src.count() != 1 {
			t.Fatalf("Token() = %s after %d calls, want token-r-1 after 1", tok.Value.Reveal(), w.src.count())
		}
		w.src.fail(errDown)
		w.add(101 * time.Second)
		if n := w.src.count(); n < 2 {
			t.Fatal("no renewal although it is due")
		}
		w.add(168 * time.Second) // 569 s
		if _, ok := w.m.Cached("r"); !ok {
			t.Fatal("Cached returned no token after 569 s, want it")
		}
		w.add(2 * time.Second)
		if _, ok := w.m.Cached("r"); ok {
			t.Fatal("Cached returned the token after 571 s, want none")
		}
		w.src.on(nil)
		w.add(time.Minute)
		if tok := w.token("r"); !tok.ExpiresAt.Before(time.Unix(0, 0)) {
			t.Fatalf("ExpiresAt = %v, want what the source returned, before the epoch", tok.ExpiresAt)
		}
	})
}

// Steps in both directions: no token lives longer than its lifetime, and there are
// few calls.
func TestPromise11StepsBothWays(t *testing.T) {
	for name, steps := range map[string][]time.Duration{
		"forward and back": {time.Hour, -time.Hour},
		"back and forward": {-time.Hour, time.Hour},
		"many":             {time.Minute, -time.Hour, 2 * time.Hour, -time.Hour, -time.Minute, 24 * time.Hour, -48 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			within(t, roomtoken.Config{Jitter: -1}, func(t *testing.T, w *world) {
				issued := map[string]time.Duration{}
				v := w.watch("r", nil)
				for _, step := range steps {
					w.clk.stepWall(step)
					for range 100 {
						w.add(7 * time.Second)
						tok := w.token("r")
						for _, p := range v.all() {
							if p.err != nil {
								t.Fatalf("watch yielded the error %v, want tokens only", p.err)
							}
							issued[p.tok.Value.Reveal()] = p.at
						}
						if age := w.clk.elapsed() - issued[tok.Value.Reveal()]; age > 571*time.Second {
							t.Fatalf("got %s at the age of %v, want at most 571 s", tok.Value.Reveal(), age)
						}
					}
				}
				// One call per 400 s, and one more per step forward.
				if n, most := w.src.count(), len(steps)*700/400+2+len(steps); n > most {
					t.Errorf("%d calls, want at most %d", n, most)
				}
				v.cancel(nil)
			})
		})
	}
}

// The wall clock stands still while the monotonic clock goes on.
func TestPromise11WallStandsStill(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1}, func(t *testing.T, w *world) {
		w.token("r")
		w.freeze(398 * time.Second)
		if n := w.src.count(); n != 1 {
			t.Fatalf("%d calls before the renewal is due, want 1", n)
		}
		w.src.fail(errDown)
		w.freeze(5 * time.Second)
		if n := w.src.count(); n < 2 {
			t.Fatal("no renewal although the token has aged by the monotonic clock")
		}
		w.freeze(168 * time.Second)
		if n := w.src.count(); n < 5 {
			t.Errorf("%d calls, want at least 5: backoff counts running time", n)
		}
		if _, ok := w.m.Cached("r"); ok {
			t.Fatal("Cached returned the token after 571 s, want none")
		}
		w.src.on(nil)
		w.freeze(31 * time.Second)
		w.token("r")
	})
}

// Suspend: the wall clock is hours ahead and no running time has passed. Refresh
// tokens have lapsed, too.
func TestPromise11Suspend(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1}, func(t *testing.T, w *world) {
		w.token("short")
		v := w.watch("watched", nil)
		w.src.live(time.Hour, 24*time.Hour)
		w.token("long")
		w.src.live(10*time.Minute, time.Hour)
		n := w.src.count()
		w.add(15 * time.Second)
		w.clk.stepWall(8 * time.Hour)
		w.add(10 * time.Second) // the scheduler looks at least every 10 s
		if got := v.seen(); len(got) != 2 || got[1] == "error" {
			t.Fatalf("watch yielded %v within 10 s, want two tokens", got)
		}
		calls := map[string][]roomtoken.CallKind{}
		for _, c := range w.src.all()[n:] {
			calls[c.room] = append(calls[c.room], c.kind)
		}
		// One call each; the refresh token of one lives for a day.
		want := map[string][]roomtoken.CallKind{"watched": {create}, "short": {create}, "long": {refresh}}
		if !reflect.DeepEqual(calls, want) {
			t.Fatalf("calls = %v, want %v", calls, want)
		}
		w.token("short")
		if got := w.src.count() - n; got != 3 {
			t.Fatalf("%d calls, want 3", got)
		}
		v.cancel(nil)
	})
}

// A watched room notices a step within 10 s.
func TestPromise11AWatchedRoomNoticesWithin10Seconds(t *testing.T) {
	for _, d := range []time.Duration{0, time.Second, 9 * time.Second, 137 * time.Second} {
		within(t, roomtoken.Config{Jitter: -1}, func(t *testing.T, w *world) {
			v := w.watch("r", nil)
			w.add(d)
			w.clk.stepWall(time.Hour)
			w.src.fail(errDown)
			w.add(10 * time.Second)
			if got := v.seen(); !slices.Equal(got, []string{"token-r-1", "error"}) {
				t.Errorf("step after %v: watch yielded %v within 10 s, want [token-r-1 error]", d, got)
			}
			w.src.on(nil)
			w.add(30 * time.Second)
			if got := v.seen(); !slices.Equal(got, []string{"token-r-1", "error", "token-r-2"}) {
				t.Errorf("step after %v: watch then yielded %v, want [token-r-1 error token-r-2]", d, got)
			}
			v.cancel(nil)
		})
	}
}

// Two steps between two looks of the scheduler, backward and then less far forward,
// and a token issued between them: the wall clock has gone backward in total, but
// that token has aged.
func TestPromise11AWatchedRoomNoticesTheSecondOfTwoSteps(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1}, func(t *testing.T, w *world) {
		v := w.watch("r", nil)
		w.add(11 * time.Second)
		w.clk.stepWall(-time.Hour)
		w.add(200 * time.Millisecond) // only then does a hit look at the wall clock
		w.m.Forget("r")
		w.add(200 * time.Millisecond)
		w.clk.stepWall(30 * time.Minute)
		w.src.fail(errDown)
		w.add(10 * time.Second)
		if got := v.seen(); !slices.Equal(got, []string{"token-r-1", "token-r-2", "error"}) {
			t.Errorf("watch yielded %v within 10 s of the second step, want [token-r-1 token-r-2 error]", got)
		}
		v.cancel(nil)
	})
}

// The same when no call can begin.
func TestPromise11AWatchedRoomNoticesDuringAHold(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1}, func(t *testing.T, w *world) {
		v := w.watch("r", nil)
		w.add(390 * time.Second)
		w.src.fail(roomtoken.RetryAfter(roomtoken.ErrRateLimited, 3*time.Hour))
		w.ask(t.Context(), "other")
		w.add(20 * time.Second) // the renewal is due and held back
		w.clk.stepWall(time.Hour)
		w.add(10 * time.Second)
		if got := v.seen(); !slices.Equal(got, []string{"token-r-1", "error"}) {
			t.Errorf("watch yielded %v within 10 s, want [token-r-1 error]", got)
		}
		w.src.on(nil)
		v.cancel(nil)
	})
}

// A thousand rooms lose their tokens at once: one call each, within the limits.
func TestPromise11NoStormAfterAStep(t *testing.T) {
	for name, steps := range map[string][]time.Duration{
		"forward":          {time.Hour},
		"backward":         {-time.Hour},
		"forward and back": {time.Hour, -time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			const rooms = 1000
			within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
				w.src.on(func(c *sourceCall) (roomtoken.Grant, error) {
					time.Sleep(time.Millisecond) // the bubble's; makes calls overlap
					return w.src.mint(c), nil
				})
				var ids []string
				for i := range rooms {
					ids = append(ids, fmt.Sprint("r", i))
				}
				if err := w.m.Warm(t.Context(), ids...); err != nil {
					t.Fatal(err)
				}
				w.add(time.Minute)
				for i, step := range steps {
					n := w.src.count()
					w.clk.stepWall(step)
					w.add(30 * time.Second)
					want := 0
					if step > 0 {
						want = rooms
					}
					if got := w.src.count() - n; got != want {
						t.Errorf("step %d: %d calls, want %d", i, got, want)
					}
				}
				if most, overlaps := w.src.peak(); most > 64 || overlaps != 0 {
					t.Errorf("%d calls at the same time and %d overlaps, want at most 64 and 0", most, overlaps)
				}
				w.check()
			})
		})
	}
}

// The same with a source that is down: the backoff is kept.
func TestPromise11NoStormAfterAStepWhileTheSourceIsDown(t *testing.T) {
	const rooms = 1000
	within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
		var ids []string
		for i := range rooms {
			ids = append(ids, fmt.Sprint("r", i))
		}
		if err := w.m.Warm(t.Context(), ids...); err != nil {
			t.Fatal(err)
		}
		w.src.fail(errDown)
		w.clk.stepWall(time.Hour)
		w.add(time.Minute)
		if n := w.src.count() - rooms; n < 64 || n > 64+64+20 {
			t.Errorf("%d calls in a minute, want 64 to 148: all slots, then probes", n)
		}
	})
}

// A step does not make idle rooms renew.
func TestPromise11AStepRenewsNoIdleRooms(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1, IdleAfter: time.Minute}, func(t *testing.T, w *world) {
		w.src.live(3*time.Hour, 0)
		w.token("r")
		w.add(5 * time.Minute)
		w.clk.stepWall(time.Hour)
		w.add(time.Minute)
		w.clk.stepWall(90 * time.Minute) // due, but skipped
		w.add(11 * time.Second)
		if s, ok := w.m.Room("r"); !ok || s.State != roomtoken.RoomIdle {
			t.Errorf("Room() = (%+v, %v), want RoomIdle", s, ok)
		}
		w.clk.stepWall(time.Hour) // its token has expired
		w.add(11 * time.Second)
		if n := w.src.count(); n != 1 || len(w.rooms()) != 0 {
			t.Errorf("%d calls, rooms %v, want 1 call and no rooms", n, w.rooms())
		}
	})
}

// Backoff, holds, CallTimeout and MaxWait count running time, whatever the wall
// clock does.
func TestPromise11WaitsCountRunningTime(t *testing.T) {
	for name, step := range map[string]time.Duration{"forward": time.Hour, "backward": -time.Hour} {
		t.Run("backoff/"+name, func(t *testing.T) {
			within(t, roomtoken.Config{BackoffMin: 10 * time.Second, MaxWait: time.Minute}, func(t *testing.T, w *world) {
				w.src.fail(errDown)
				p := w.ask(t.Context(), "r")
				w.src.on(nil)
				w.clk.stepWall(step)
				w.add(9 * time.Second)
				if n := w.src.count(); n != 1 || p.returned() {
					t.Fatalf("after 9 s of 10: %d calls, returned: %v, want 1 and false", n, p.returned())
				}
				w.add(7 * time.Second)
				if n := w.src.count(); n != 2 || !p.returned() || p.err != nil {
					t.Fatalf("after 16 s: %d calls, error %v, want 2 and a token", n, p.err)
				}
			})
		})
		t.Run("hold/"+name, func(t *testing.T) {
			within(t, roomtoken.Config{MaxWait: time.Minute}, func(t *testing.T, w *world) {
				w.src.fail(roomtoken.RetryAfter(roomtoken.ErrRateLimited, 20*time.Second))
				p := w.ask(t.Context(), "r")
				w.src.on(nil)
				w.clk.stepWall(step)
				w.add(19 * time.Second)
				if n := w.src.count(); n != 1 || p.returned() {
					t.Fatalf("after 19 s of 20: %d calls, returned: %v, want 1 and false", n, p.returned())
				}
				if until := w.m.Stats().HeldUntil; until.Sub(w.clk.Now()) != time.Second {
					t.Errorf("HeldUntil is in %v, want 1 s", until.Sub(w.clk.Now()))
				}
				w.add(2 * time.Second)
				if n := w.src.count(); n != 2 || !p.returned() || p.err != nil {
					t.Fatalf("after 21 s: %d calls, error %v, want 2 and a token", n, p.err)
				}
			})
		})
		t.Run("permanent/"+name, func(t *testing.T) {
			within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
				w.src.fail(roomtoken.Permanent(errDown))
				w.ask(t.Context(), "r")
				w.clk.stepWall(step)
				w.add(900 * time.Millisecond)
				w.ask(t.Context(), "r")
				if n := w.src.count(); n != 1 {
					t.Fatalf("after 0.9 s of 1 s to 1.5 s: %d calls, want 1", n)
				}
				w.src.on(nil)
				w.add(600 * time.Millisecond)
				w.token("r")
			})
		})
		t.Run("CallTimeout and MaxWait/"+name, func(t *testing.T) {
			within(t, roomtoken.Config{MaxWait: 15 * time.Second, CallTimeout: 20 * time.Second}, func(t *testing.T, w *world) {
				w.src.holdCalls(false)
				p := w.ask(t.Context(), "r")
				w.clk.stepWall(step)
				w.add(14 * time.Second)
				w.waits(p)
				w.add(time.Second)
				if !p.returned() || p.at != 15*time.Second {
					t.Fatalf("caller returned: %v at %v, want true at MaxWait, 15 s", p.returned(), p.at)
				}
				w.add(4 * time.Second)
				if err := w.src.all()[0].ctx.Err(); err != nil {
					t.Fatalf("the call's ctx ended within 19 s: %v, want it to go on", err)
				}
				w.add(2 * time.Second)
				if err := w.src.all()[0].ctx.Err(); err == nil {
					t.Fatal("the call's ctx has not ended after 21 s")
				}
			})
		})
	}
}

// A lifetime counts from the request.
func TestPromise11ASlowExchange(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1, CallTimeout: time.Minute, MaxWait: -1}, func(t *testing.T, w *world) {
		w.src.on(func(c *sourceCall) (roomtoken.Grant, error) {
			g := w.src.mint(c) // as of now
			w.clk.Sleep(50 * time.Second)
			return g, nil
		})
		p := w.ask(t.Context(), "r")
		w.add(51 * time.Second)
		w.served(p)
		w.src.fail(errDown)
		w.add(348 * time.Second) // 399 s since the request
		if n := w.src.count(); n != 1 {
			t.Fatalf("%d calls, want 1", n)
		}
		w.add(2 * time.Second)
		if n := w.src.count(); n < 2 {
			t.Fatal("no renewal 401 s after the request, want one")
		}
		w.add(168 * time.Second) // 569 s
		if _, ok := w.m.Cached("r"); !ok {
			t.Fatal("Cached returned no token early, want it")
		}
		w.add(2 * time.Second)
		if _, ok := w.m.Cached("r"); ok {
			t.Fatal("Cached returned the token 571 s after the request, want none")
		}
		w.src.on(nil)
		w.add(time.Minute)
	})
}

// The wall clock is stepped during a call. Whichever time the source read, no token
// lives longer than it does for its issuer.
func TestPromise11AStepDuringACall(t *testing.T) {
	for name, c := range map[string]struct {
		step   time.Duration
		before bool // the source reads the clock before the step
	}{
		"forward, read after":   {time.Hour, false},
		"forward, read before":  {time.Hour, true},
		"backward, read after":  {-time.Hour, false},
		"backward, read before": {-time.Hour, true},
	} {
		t.Run(name, func(t *testing.T) {
			within(t, roomtoken.Config{Jitter: -1, MaxWait: time.Minute}, func(t *testing.T, w *world) {
				stepped := false
				w.src.on(func(call *sourceCall) (roomtoken.Grant, error) {
					if stepped {
						return w.src.mint(call), nil
					}
					stepped = true
					var g roomtoken.Grant
					if c.before {
						g = w.src.mint(call)
					}
					w.clk.stepWall(c.step)
					if !c.before {
						g = w.src.mint(call)
					}
					return g, nil
				})
				p := w.ask(t.Context(), "r")
				w.add(2 * time.Second)
				w.served(p)
				if n := w.src.count(); n > 2 {
					t.Errorf("%d calls, want at most 2", n)
				}
				w.src.fail(errDown)
				w.clk.stepWall(-c.step) // the clock is corrected
				w.add(571 * time.Second)
				if _, ok := w.m.Cached("r"); ok {
					t.Error("Cached returned a token at least 571 s old, want none")
				}
				w.src.on(nil)
				w.add(time.Minute)
			})
		})
	}
}

// The same with a grant that is older than its call, such as one from a store, and
// says when it was issued.
func TestPromise11AStepDuringACallWithAnOlderGrant(t *testing.T) {
	for name, c := range map[string]struct {
		step   time.Duration
		before bool // the clock was read before the step
	}{
		"no step":               {0, true},
		"forward, read after":   {time.Hour, false},
		"forward, read before":  {time.Hour, true},
		"backward, read after":  {-time.Hour, false},
		"backward, read before": {-time.Hour, true},
	} {
		for _, undo := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, undone=%v", name, undo), func(t *testing.T) {
				within(t, roomtoken.Config{Jitter: -1, MaxWait: -1}, func(t *testing.T, w *world) {
					w.src.on(func(call *sourceCall) (roomtoken.Grant, error) {
						if call.n > 1 {
							return roomtoken.Grant{}, errDown
						}
						read := w.clk.Now()
						w.clk.stepWall(c.step)
						if !c.before {
							read = w.clk.Now()
						}
						g := w.src.mint(call)
						g.IssuedAt = read.Add(-100 * time.Second)
						g.Token.ExpiresAt = read.Add(500 * time.Second)
						return g, nil
					})
					w.ask(t.Context(), "r")
					if undo {
						w.clk.stepWall(-c.step)
					}
					w.add(469 * time.Second)
					if _, ok := w.m.Cached("r"); !ok && c.step == 0 {
						t.Error("Cached returned no token early, want it")
					}
					w.add(2 * time.Second)
					if _, ok := w.m.Cached("r"); ok {
						t.Error("Cached returned a token 571 s old, want none")
					}
					w.src.on(nil)
					w.add(time.Minute)
				})
			})
		}
	}
}
