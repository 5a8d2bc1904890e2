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

// Promise 5: in an outage one call at a time probes the source.

// After transient failures of 8 rooms in a row one call at a time probes, each time for
// another room, with waits that double up to BackoffMax. When it succeeds, the rest
// follow. Calls that fail together are one failure.
func TestPromise5AThousandRoomsFailAtOnce(t *testing.T) {
	const rooms = 1000
	within(t, roomtoken.Config{MaxWait: -1, MaxConcurrentCalls: 2 * rooms}, func(t *testing.T, w *world) {
		w.src.holdCalls(false)
		w.src.fail(errDown)
		asked := make([]*pending, rooms)
		for i := range asked {
			asked[i] = w.ask(context.Background(), fmt.Sprint("r", i))
		}
		w.src.releaseAll()
		if n := w.src.count(); n != rooms {
			t.Fatalf("%d calls failed at once, want %d", n, rooms)
		}
		if s := w.m.Stats(); !s.Probing || s.CallsInFlight != 0 {
			t.Fatalf("Stats() = %+v, want it probing with no call in flight", s)
		}
		w.src.mu.Lock()
		w.src.most = 0
		w.src.mu.Unlock()
		w.add(3 * time.Minute)
		probes := w.src.all()[rooms-1:] // and the last failure before them
		step := 500 * time.Millisecond
		seen := map[string]bool{}
		for i := 1; i < len(probes); i++ {
			if gap := probes[i].at - probes[i-1].at; gap < step || gap > min(step*3/2, 30*time.Second) {
				t.Errorf("probe %d came %v after the previous one, want %v to %v", i, gap, step, step*3/2)
			}
			if seen[probes[i].room] {
				t.Errorf("probe %d is for room %q once more, want another room", i, probes[i].room)
			}
			seen[probes[i].room] = true
			step = min(step*2, 20*time.Second)
		}
		if len(probes) < 10 {
			t.Errorf("%d probes in 3 min, want at least 9", len(probes)-1)
		}
		if most, _ := w.src.peak(); most != 1 {
			t.Errorf("%d calls probe at the same time, want 1", most)
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

// With MaxWait callers of rooms that failed leave as soon as the next probe comes after
// it. The others stay: an innocent room gets an attempt of its own, at most one a second.
func TestPromise5AThousandRoomsWithMaxWait(t *testing.T) {
	within(t, roomtoken.Config{Clock: clock.New(), MaxWait: 10 * time.Second}, func(t *testing.T, w *world) {
		w.others(8)
		w.src.fail(errDown)
		start := time.Now()
		asked := make([]*pending, 1000)
		for i := range asked {
			asked[i] = w.ask(context.Background(), fmt.Sprint("r", i))
		}
		time.Sleep(10*time.Second - 1 - time.Since(start))
		synctest.Wait()
		tried := map[string]bool{}
		for _, c := range w.src.all() {
			if tried[c.room] {
				t.Errorf("room %q was called twice, want the probes to go round", c.room)
			}
			tried[c.room] = true
		}
		for i, p := range asked {
			if !tried[fmt.Sprint("r", i)] {
				w.waits(p)
			}
		}
		time.Sleep(1)
		for _, p := range asked {
			w.refused(p, errDown)
		}
		// The failures that are the outage, one innocent room a second, and the probes
		// 0.5 s, 1.5 s, 3.5 s and 7.5 s after it began.
		if n := w.src.count(); n > 8+11+4 {
			t.Errorf("%d calls, want at most 23", n)
		}
	})
}

// trip makes the calls of 8 rooms fail, in the presence of others, which is an outage.
// Their callers wait until ctx ends. The first probe comes 500 to 750 ms later.
func (w *world) trip(ctx context.Context) {
	w.t.Helper()
	w.others(8)
	before := w.src.count()
	w.src.fail(errDown)
	for i := range 8 {
		if w.m.Stats().Probing {
			w.t.Fatalf("Probing after %d failures, want 8", i)
		}
		w.ask(ctx, fmt.Sprint("trip", i))
	}
	if n := w.src.count() - before; n != 8 || !w.m.Stats().Probing {
		w.t.Fatalf("%d calls, Probing = %v, want 8 failures and then probes", n, w.m.Stats().Probing)
	}
}

// Which answers to a probe end the probing. Then the calls come back in a window of two.
func TestPromise5Probes(t *testing.T) {
	opens := map[string]struct {
		answer error
		opens  bool
	}{
		"a token":                          {nil, true},
		"a permanent error":                {roomtoken.Permanent(errDown), true},
		"an error of the credential":       {roomtoken.ErrUnauthorized, true},
		"no such room":                     {roomtoken.ErrRoomNotFound, true},
		"a transient error":                {errDown, false},
		"a transient error with a wait":    {roomtoken.RetryAfter(errDown, time.Second), false},
		"a rate limit":                     {roomtoken.ErrRateLimited, false},
		"a rate limit that names a second": {roomtoken.RetryAfter(roomtoken.ErrRateLimited, time.Second), false},
		"an invalid grant":                 {roomtoken.ErrInvalidGrant, false},
	}
	for name, c := range opens {
		t.Run(name, func(t *testing.T) {
			within(t, roomtoken.Config{MaxConcurrentCalls: 4, MaxWait: -1}, func(t *testing.T, w *world) {
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				w.trip(ctx)
				n := w.src.count()
				w.src.on(func(call *sourceCall) (roomtoken.Grant, error) {
					if call.n == n+1 && c.answer != nil {
						return roomtoken.Grant{}, c.answer
					}
					return w.src.mint(call), nil
				})
				w.src.holdCalls(false)
				w.add(500*time.Millisecond - 1)
				if w.src.count() != n {
					t.Fatal("the probe began at once, want it to wait")
				}
				w.add(250*time.Millisecond + 1)
				if got := w.src.count() - n; got != 1 {
					t.Fatalf("%d calls probe, want 1", got)
				}
				probe := w.src.all()[n].room
				w.add(5 * time.Second)
				if got := w.src.count() - n; got != 1 {
					t.Fatalf("%d calls while the probe is in flight, want 1", got)
				}
				w.src.release(probe)
				want := 1
				if c.opens {
					want = 3
				}
				if got := w.src.count() - n; got != want {
					t.Fatalf("%d calls after the probe's answer, want %d", got, want)
				}
				if probing := w.m.Stats().Probing; probing == c.opens {
					t.Errorf("Probing = %v, want %v", probing, !c.opens)
				}
				w.src.releaseAll()
			})
		})
	}
}

// A probe whose refresh token is refused ends the probing: the source has answered. The
// probe is the renewal of a room that is well, rather than a room that failed.
func TestPromise5AProbeWhoseRefreshTokenIsRefused(t *testing.T) {
	within(t, roomtoken.Config{MaxConcurrentCalls: 4, Jitter: -1, MaxWait: -1}, func(t *testing.T, w *world) {
		w.token("warm")
		w.add(399999 * time.Millisecond)
		ctx, cancel := context.WithCancel(context.Background())
		w.trip(ctx)
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
		cancel()
		w.rest()
		w.src.release("warm")
		if got := w.src.kinds()[n:]; len(got) != 2 || got[1] != create {
			t.Errorf("calls = %v, want the refresh and the create that replaces it", got)
		}
		if w.m.Stats().Probing {
			t.Error("Probing = true after an answer, want false")
		}
		p := w.ask(context.Background(), "r")
		w.src.releaseAll()
		w.served(p)
	})
}

// A probe that ignores its ctx has failed at CallTimeout: the next goes with another
// room. What it answers later still counts.
func TestPromise5ADeafProbe(t *testing.T) {
	for _, late := range []bool{false, true} {
		t.Run(fmt.Sprint("answers late: ", late), func(t *testing.T) {
			within(t, roomtoken.Config{MaxConcurrentCalls: 4, MaxWait: -1}, func(t *testing.T, w *world) {
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				w.trip(ctx)
				n := w.src.count()
				w.src.on(nil)
				w.src.holdCalls(true)
				w.add(750 * time.Millisecond)
				probe := w.src.all()[n]
				w.src.stopHolding()
				w.add(9 * time.Second)
				if got := w.src.count() - n; got != 1 {
					t.Fatalf("%d calls probe, want 1 until CallTimeout", got)
				}
				w.add(time.Second - 250*time.Millisecond) // CallTimeout after the earliest probe
				if !w.m.Stats().Probing {
					t.Fatal("Probing = false with an overdue probe, want true")
				}
				w.add(250 * time.Millisecond)
				if late {
					w.src.release(probe.room)
				} else {
					w.add(1500 * time.Millisecond) // the wait before the second probe
				}
				if w.m.Stats().Probing {
					t.Error("Probing = true, want calls to go on")
				}
				if got := w.src.count() - n; got != 8 {
					t.Errorf("%d calls, want the probe and the seven other rooms", got)
				}
			})
		})
	}
}

// Which answers end the row of failures that is an outage: any success. A room that fails
// again is no news: it neither adds to the row nor ends it.
func TestPromise5ASuccessEndsTheRowOfFailures(t *testing.T) {
	for name, c := range map[string]struct {
		room   string // of a call between
		answer error
		ends   bool
	}{
		"a token":              {"ok", nil, true},
		"a permanent error":    {"gone", roomtoken.Permanent(errDown), false},
		"no such room":         {"junk", roomtoken.ErrRoomNotFound, false},
		"a room once more":     {"bad0", errDown, false},
		"a refused credential": {"denied", roomtoken.ErrUnauthorized, false},
	} {
		t.Run(name, func(t *testing.T) {
			within(t, roomtoken.Config{MaxConcurrentCalls: 4, MaxWait: -1}, func(t *testing.T, w *world) {
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				w.others(8)
				ask := func(room string, err error) {
					w.src.on(func(c *sourceCall) (roomtoken.Grant, error) {
						if c.room == room && err == nil {
							return w.src.mint(c), nil
						}
						if c.room == room {
							return roomtoken.Grant{}, err
						}
						return roomtoken.Grant{}, errDown
					})
					w.ask(ctx, room)
				}
				for i := range 7 {
					ask(fmt.Sprint("bad", i), errDown)
				}
				if c.room == "bad0" {
					before := w.src.count()
					w.add(750 * time.Millisecond)
					if n := w.src.count() - before; n != 7 {
						t.Fatalf("%d further attempts after a step, want 7", n)
					}
				} else {
					ask(c.room, c.answer)
				}
				if w.m.Stats().Probing {
					t.Fatal("Probing after seven rooms failed, want calls to go on")
				}
				ask("eighth", errDown)
				if got := w.m.Stats().Probing; got == c.ends {
					t.Fatalf("Probing = %v after another room failed, want %v", got, !c.ends)
				}
				if !c.ends {
					return
				}
				for i := range 7 {
					if w.m.Stats().Probing {
						t.Fatalf("Probing after %d failures, want 8", i+1)
					}
					ask(fmt.Sprint("worse", i), errDown)
				}
				if !w.m.Stats().Probing {
					t.Fatal("Probing = false after 8 rooms failed in a row, want true")
				}
			})
		})
	}
}

// Where fewer than 8 rooms are in use, the failures of all of them are an outage.
func TestPromise5AllRoomsInUseFail(t *testing.T) {
	for rooms := 1; rooms <= 9; rooms++ {
		t.Run(fmt.Sprint(rooms), func(t *testing.T) {
			within(t, roomtoken.Config{MaxWait: -1}, func(t *testing.T, w *world) {
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				for i := range rooms {
					w.watch(fmt.Sprint("r", i), nil)
				}
				w.add(time.Second)
				w.src.fail(errDown)
				for i := range min(rooms, 8) {
					if w.m.Stats().Probing {
						t.Fatalf("Probing after %d of %d rooms failed, want calls to go on", i, rooms)
					}
					w.askFor(ctx, fmt.Sprint("r", i), 10*time.Minute-time.Second/2)
				}
				if !w.m.Stats().Probing {
					t.Fatalf("Probing = false after %d of %d rooms failed, want true", min(rooms, 8), rooms)
				}
			})
		})
	}
}
