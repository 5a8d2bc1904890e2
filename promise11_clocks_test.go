package roomtoken_test

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
)

// freeze moves the monotonic clock and leaves the wall clock where it is.
func (w *world) freeze(d time.Duration) {
	w.t.Helper()
	const step = time.Second
	for ; d > 0; d -= step {
		w.clk.stepWall(-min(step, d))
		w.add(min(step, d))
	}
}

// A jump forward counts as suspend: tokens may be gone, and are not handed out
// 100 ms of running time later.
func TestPromise11WallStepsForward(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1}, func(t *testing.T, w *world) {
		old := w.token("r")
		w.add(100 * time.Second)
		w.clk.stepWall(time.Hour)
		w.clk.Add(101 * time.Millisecond)
		if tok, ok := w.m.Cached("r"); ok && tok.Value.Equal(old.Value) {
			t.Error("Cached hands out a token that the wall clock says has expired")
		}
		if tok := w.token("r"); tok.Value.Equal(old.Value) {
			t.Error("Token hands out a token that the wall clock says has expired")
		}
		// The new one lives its lifetime, and not an hour more.
		w.add(399 * time.Second)
		if n := w.src.count(); n != 2 {
			t.Fatalf("%d calls", n)
		}
		w.add(2 * time.Second)
		if n := w.src.count(); n != 3 {
			t.Fatalf("%d calls", n)
		}
	})
}

// Tokens that outlive the jump have aged by it.
func TestPromise11AJumpAgesTokens(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1}, func(t *testing.T, w *world) {
		w.src.live(3*time.Hour, 0)
		w.token("r") // due at 2 h
		w.add(30 * time.Minute)
		w.clk.stepWall(time.Hour)
		w.add(11 * time.Second)
		if tok := w.token("r"); tok.Value.Reveal() != "token-r-1" || w.src.count() != 1 {
			t.Fatalf("%s, %d calls", tok.Value.Reveal(), w.src.count())
		}
		w.add(28 * time.Minute)
		if n := w.src.count(); n != 1 {
			t.Fatalf("%d calls: renewed early", n)
		}
		w.token("r") // in use
		w.add(3 * time.Minute)
		if n := w.src.count(); n != 2 {
			t.Fatalf("%d calls: not renewed at the age of 2 h", n)
		}
	})
}

// A jump backward changes nothing.
func TestPromise11WallStepsBackward(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1}, func(t *testing.T, w *world) {
		w.token("r")
		w.add(100 * time.Second)
		w.clk.stepWall(-time.Hour)
		w.add(200 * time.Second)
		if tok := w.token("r"); tok.Value.Reveal() != "token-r-1" || w.src.count() != 1 {
			t.Fatalf("%s, %d calls", tok.Value.Reveal(), w.src.count())
		}
		w.src.fail(errDown)
		w.add(101 * time.Second)
		if n := w.src.count(); n < 2 {
			t.Fatal("the renewal is late")
		}
		w.add(168 * time.Second) // 569 s
		if _, ok := w.m.Cached("r"); !ok {
			t.Fatal("the token is gone early")
		}
		w.add(2 * time.Second)
		if _, ok := w.m.Cached("r"); ok {
			t.Fatal("the token lives longer because the wall clock went back")
		}
		w.src.on(nil)
		w.add(time.Minute)
		if tok := w.token("r"); !tok.ExpiresAt.Before(time.Unix(0, 0)) {
			t.Fatalf("ExpiresAt is %v: it is the source's word", tok.ExpiresAt)
		}
	})
}

// Forth and back again, and back and forth: no token lives longer than its
// lifetime, and calls are not many.
func TestPromise11StepsBothWays(t *testing.T) {
	for name, steps := range map[string][]time.Duration{
		"forth and back": {time.Hour, -time.Hour},
		"back and forth": {-time.Hour, time.Hour},
		"many":           {time.Minute, -time.Hour, 2 * time.Hour, -time.Hour, -time.Minute, 24 * time.Hour, -48 * time.Hour},
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
								t.Fatalf("the watch has yielded %v", p.err)
							}
							issued[p.tok.Value.Reveal()] = p.at
						}
						if age := w.clk.elapsed() - issued[tok.Value.Reveal()]; age > 571*time.Second {
							t.Fatalf("%s is handed out at the age of %v", tok.Value.Reveal(), age)
						}
					}
				}
				// One per 400 s, and one more per step forward.
				if n, most := w.src.count(), len(steps)*700/400+2+len(steps); n > most {
					t.Errorf("%d calls, want at most %d", n, most)
				}
				v.cancel(nil)
			})
		})
	}
}

// The wall clock stands still while the monotonic one goes on.
func TestPromise11WallStandsStill(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1}, func(t *testing.T, w *world) {
		w.token("r")
		w.freeze(398 * time.Second)
		if n := w.src.count(); n != 1 {
			t.Fatalf("%d calls before the renewal is due", n)
		}
		w.src.fail(errDown)
		w.freeze(5 * time.Second)
		if n := w.src.count(); n < 2 {
			t.Fatal("not renewed: the token has aged on the monotonic clock")
		}
		w.freeze(168 * time.Second)
		if n := w.src.count(); n < 5 {
			t.Errorf("%d calls: backoff stands still with the wall clock", n)
		}
		if _, ok := w.m.Cached("r"); ok {
			t.Fatal("the token is handed out after its time")
		}
		w.src.on(nil)
		w.freeze(31 * time.Second)
		w.token("r")
	})
}

// Suspend: the wall clock is hours ahead, no running time has passed. Refresh
// tokens have lapsed too.
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
		w.add(10 * time.Second) // at least every 10 s the queue looks
		if got := v.seen(); len(got) != 2 || got[1] == "error" {
			t.Fatalf("10 s after it the watched room has yielded %v", got)
		}
		calls := map[string][]roomtoken.CallKind{}
		for _, c := range w.src.all()[n:] {
			calls[c.room] = append(calls[c.room], c.kind)
		}
		// No more than one each; the refresh token of one was good for a day.
		want := map[string][]roomtoken.CallKind{"watched": {create}, "short": {create}, "long": {refresh}}
		if !reflect.DeepEqual(calls, want) {
			t.Fatalf("calls = %v, want %v", calls, want)
		}
		w.token("short")
		if got := w.src.count() - n; got != 3 {
			t.Fatalf("%d calls", got)
		}
		v.cancel(nil)
	})
}

// A room that is watched and whose calls wait for a slot notices too.
func TestPromise11AWatchedRoomNoticesWithin10Seconds(t *testing.T) {
	for _, d := range []time.Duration{0, time.Second, 9 * time.Second, 137 * time.Second} {
		within(t, roomtoken.Config{Jitter: -1}, func(t *testing.T, w *world) {
			v := w.watch("r", nil)
			w.add(d)
			w.clk.stepWall(time.Hour)
			w.src.fail(errDown)
			w.add(10 * time.Second)
			if got := v.seen(); !slices.Equal(got, []string{"token-r-1", "error"}) {
				t.Errorf("a step after %v: within 10 s it has yielded %v", d, got)
			}
			w.src.on(nil)
			w.add(30 * time.Second)
			if got := v.seen(); !slices.Equal(got, []string{"token-r-1", "error", "token-r-2"}) {
				t.Errorf("a step after %v: then %v", d, got)
			}
			v.cancel(nil)
		})
	}
}

// Two steps between two looks of the scheduler, backward and forward again, and a
// token that was issued between them: all in all the wall clock went backward, but
// that token has aged.
func TestPromise11AWatchedRoomNoticesTheSecondOfTwoSteps(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1}, func(t *testing.T, w *world) {
		v := w.watch("r", nil)
		w.add(11 * time.Second)
		w.clk.stepWall(-time.Hour)
		w.add(200 * time.Millisecond) // not until then does the hot path look
		w.m.Forget("r")
		w.add(200 * time.Millisecond)
		w.clk.stepWall(30 * time.Minute)
		w.src.fail(errDown)
		w.add(10 * time.Second)
		if got := v.seen(); !slices.Equal(got, []string{"token-r-1", "token-r-2", "error"}) {
			t.Errorf("within 10 s of the second step it has yielded %v", got)
		}
		v.cancel(nil)
	})
}

// Also where no call can begin that would tell.
func TestPromise11AWatchedRoomNoticesDuringAHold(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1}, func(t *testing.T, w *world) {
		v := w.watch("r", nil)
		w.add(390 * time.Second)
		w.src.fail(roomtoken.RetryAfter(roomtoken.ErrRateLimited, 3*time.Hour))
		w.ask(t.Context(), "other")
		w.add(20 * time.Second) // the renewal is due, and held back
		w.clk.stepWall(time.Hour)
		w.add(10 * time.Second)
		if got := v.seen(); !slices.Equal(got, []string{"token-r-1", "error"}) {
			t.Errorf("within 10 s it has yielded %v", got)
		}
		w.src.on(nil)
		v.cancel(nil)
	})
}

// A thousand rooms lose their tokens at once: one call each, within the bounds.
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
					time.Sleep(time.Millisecond) // of the bubble: they overlap
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
				most, overlaps := w.src.peak()
				if most > 64 || overlaps != 0 {
					t.Errorf("%d calls at a time, %d overlaps", most, overlaps)
				}
				w.check()
			})
		})
	}
}

// The same with a source that is down: the backoff holds.
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
			t.Errorf("%d calls in a minute, want a slotful and probes", n)
		}
	})
}

// Idle rooms are not woken by a step.
func TestPromise11AStepWakesNoIdleRooms(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1, IdleAfter: time.Minute}, func(t *testing.T, w *world) {
		w.src.live(3*time.Hour, 0)
		w.token("r")
		w.add(5 * time.Minute)
		w.clk.stepWall(time.Hour)
		w.add(time.Minute)
		w.clk.stepWall(90 * time.Minute) // due, and skipped
		w.add(11 * time.Second)
		if s, ok := w.m.Room("r"); !ok || s.State != roomtoken.RoomIdle {
			t.Errorf("%v %+v", ok, s)
		}
		w.clk.stepWall(time.Hour) // its token is gone
		w.add(11 * time.Second)
		if n := w.src.count(); n != 1 || len(w.rooms()) != 0 {
			t.Errorf("%d calls, rooms %v", n, w.rooms())
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
					t.Fatalf("after 9 s of 10: %d calls, returned %v", n, p.returned())
				}
				w.add(7 * time.Second)
				if n := w.src.count(); n != 2 || !p.returned() || p.err != nil {
					t.Fatalf("after 16 s: %d calls, %v", n, p.err)
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
					t.Fatalf("after 19 s of 20: %d calls, returned %v", n, p.returned())
				}
				if until := w.m.Stats().HeldUntil; until.Sub(w.clk.Now()) != time.Second {
					t.Errorf("HeldUntil is %v away", until.Sub(w.clk.Now()))
				}
				w.add(2 * time.Second)
				if n := w.src.count(); n != 2 || !p.returned() || p.err != nil {
					t.Fatalf("after 21 s: %d calls, %v", n, p.err)
				}
			})
		})
		t.Run("permanent/"+name, func(t *testing.T) {
			within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
				w.src.fail(roomtoken.Permanent(errDown))
				w.ask(t.Context(), "r")
				w.clk.stepWall(step)
				w.add(9 * time.Second)
				w.ask(t.Context(), "r")
				if n := w.src.count(); n != 1 {
					t.Fatalf("after 9 s of 10: %d calls", n)
				}
				w.src.on(nil)
				w.add(2 * time.Second)
				w.token("r")
			})
		})
		t.Run("CallTimeout and MaxWait/"+name, func(t *testing.T) {
			within(t, roomtoken.Config{MaxWait: 15 * time.Second, CallTimeout: 20 * time.Second}, func(t *testing.T, w *world) {
				w.src.holdCalls(false)
				p := w.ask(t.Context(), "r")
				w.clk.stepWall(step)
				w.add(14 * time.Second)
				if p.returned() {
					t.Fatalf("after 14 s: %v", p.err)
				}
				w.add(time.Second)
				if !p.returned() || p.at != 15*time.Second {
					t.Fatalf("MaxWait: returned %v at %v", p.returned(), p.at)
				}
				w.add(4 * time.Second)
				if err := w.src.all()[0].ctx.Err(); err != nil {
					t.Fatalf("after 19 s the call's ctx has ended: %v", err)
				}
				w.add(2 * time.Second)
				if err := w.src.all()[0].ctx.Err(); err == nil {
					t.Fatal("after 21 s the call's ctx has not ended")
				}
			})
		})
	}
}

// A lifetime counts from the moment of the request.
func TestPromise11ASlowExchange(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1, CallTimeout: time.Minute, MaxWait: -1}, func(t *testing.T, w *world) {
		w.src.on(func(c *sourceCall) (roomtoken.Grant, error) {
			g := w.src.mint(c) // as of now, and then it takes its time
			w.clk.Sleep(50 * time.Second)
			return g, nil
		})
		p := w.ask(t.Context(), "r")
		w.add(51 * time.Second)
		if !p.returned() || p.err != nil {
			t.Fatalf("%v, %v", p.returned(), p.err)
		}
		w.src.fail(errDown)
		w.add(348 * time.Second) // 399 s since the request
		if n := w.src.count(); n != 1 {
			t.Fatalf("%d calls", n)
		}
		w.add(2 * time.Second)
		if n := w.src.count(); n < 2 {
			t.Fatal("its renewal does not count from the request")
		}
		w.add(168 * time.Second) // 569 s
		if _, ok := w.m.Cached("r"); !ok {
			t.Fatal("gone early")
		}
		w.add(2 * time.Second)
		if _, ok := w.m.Cached("r"); ok {
			t.Fatal("its life does not count from the request")
		}
		w.src.on(nil)
		w.add(time.Minute)
	})
}

// The wall clock is stepped while a call runs. Whatever it was that the source
// read, no token lives longer than it does for its issuer.
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
				if !p.returned() || p.err != nil {
					t.Fatalf("2 s later: %v, %v", p.returned(), p.err)
				}
				if n := w.src.count(); n > 2 {
					t.Errorf("%d calls", n)
				}
				w.src.fail(errDown)
				w.clk.stepWall(-c.step) // somebody sets it right
				w.add(571 * time.Second)
				if _, ok := w.m.Cached("r"); ok {
					t.Error("a token is handed out at the age of 571 s and more")
				}
				w.src.on(nil)
				w.add(time.Minute)
			})
		})
	}
}

// The same with a grant that is older than its call, as one from a store is: it
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
						t.Error("gone early")
					}
					w.add(2 * time.Second)
					if _, ok := w.m.Cached("r"); ok {
						t.Error("a token of 600 s that was 100 s old is handed out 471 s later")
					}
					w.src.on(nil)
					w.add(time.Minute)
				})
			})
		}
	}
}
