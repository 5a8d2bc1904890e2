package roomtoken_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/benbjohnson/clock"

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

// TestPromise5Backoff: one attempt per step, however many ask; the steps double
// from BackoffMin on, each wait is drawn from its step to 1.5 times that, and
// none is longer than BackoffMax.
func TestPromise5Backoff(t *testing.T) {
	within(t, roomtoken.Config{MaxWait: -1, MaxConcurrentCalls: 10_000}, func(w *world) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		w.src.fail(errDown)
		const rooms = 20
		for i := range rooms {
			for range 10 {
				w.ask(ctx, fmt.Sprint("r", i))
			}
		}
		for range 240 {
			w.add(500 * time.Millisecond)
			w.ask(ctx, "r0") // more and more
			w.ask(ctx, "r1")
		}
		steps := []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second, 20 * time.Second, 20 * time.Second}
		least, most := map[int]time.Duration{}, map[int]time.Duration{}
		for i := range rooms {
			gaps := w.gaps(fmt.Sprint("r", i))
			if len(gaps) < 6 {
				w.t.Fatalf("only %d further attempts in two minutes", len(gaps))
			}
			for n, gap := range gaps {
				step := steps[min(n, len(steps)-1)]
				if gap < step || gap > min(step*3/2, 30*time.Second) {
					w.t.Errorf("the wait after failure %d is %v, want %v to %v", n+1, gap, step, step*3/2)
				}
				if least[n] == 0 || gap < least[n] {
					least[n] = gap
				}
				most[n] = max(most[n], gap)
			}
		}
		for n := range 6 {
			// Each of them drawn: twenty draws lie within a fifth of the range once
			// in a hundred million times.
			if spread := most[n] - least[n]; spread < steps[n]/10 {
				w.t.Errorf("the waits of %d rooms after failure %d differ by %v only, the step is %v", rooms, n+1, spread, steps[n])
			}
		}
	})
}

// TestPromise5BackoffEndsWithAToken: the next failure starts at the first step.
func TestPromise5BackoffEndsWithAToken(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1, MaxWait: -1}, func(w *world) {
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
			w.t.Fatalf("%d renewals", len(calls))
		}
		if gap := calls[1].at - calls[0].at; gap > 750*time.Millisecond {
			w.t.Errorf("the first wait of the new row is %v", gap)
		}
	})
}

// TestPromise5HowLongCallersStay: through any number of attempts, until a token
// is there, its ctx ends, MaxWait has passed, or the next attempt lies beyond.
func TestPromise5HowLongCallersStay(t *testing.T) {
	background := context.Background()

	t.Run("until a token is there", func(t *testing.T) {
		within(t, roomtoken.Config{}, func(w *world) {
			w.src.on(func(c *sourceCall) (roomtoken.Grant, error) {
				if c.n < 5 {
					return roomtoken.Grant{}, errDown
				}
				return w.src.mint(c), nil
			})
			p := w.ask(background, "r")
			w.add(15 * time.Second)
			w.served(p)
			if p.at != w.src.all()[4].at {
				w.t.Errorf("the fifth attempt was at %v, it was served at %v", w.src.all()[4].at, p.at)
			}
		})
	})

	t.Run("the next attempt lies beyond MaxWait", func(t *testing.T) {
		within(t, roomtoken.Config{MaxWait: 5 * time.Second}, func(w *world) {
			w.src.fail(errDown)
			w.add(time.Hour)
			p := w.ask(background, "r")
			w.add(6 * time.Second)
			w.refused(p, errDown)
			calls := w.src.of("r")
			if last := calls[len(calls)-1]; p.at != last.at {
				w.t.Errorf("it left at %v, want at once after the last attempt, %v", p.at, last.at)
			}
			w.add(time.Minute)
			if n := len(w.src.of("r")); n != len(calls) {
				w.t.Error("attempts go on with nobody there")
			}
		})
	})

	t.Run("the next attempt lies beyond the ctx", func(t *testing.T) {
		within(t, roomtoken.Config{BackoffMin: 5 * time.Second}, func(w *world) {
			w.src.fail(errDown)
			ctx, cancel := context.WithTimeout(background, 3*time.Second)
			defer cancel()
			p := w.ask(ctx, "r")
			w.refused(p, errDown) // at once: no clock has moved
			longer, cancel := context.WithTimeout(background, 20*time.Second)
			defer cancel()
			w.waits(w.ask(longer, "r"))
			w.calls("r", "create")
		})
	})

	t.Run("MaxWait, with the call in flight", func(t *testing.T) {
		within(t, roomtoken.Config{MaxWait: 3 * time.Second}, func(w *world) {
			w.src.holdCalls(false)
			w.add(time.Minute)
			p := w.ask(background, "r")
			w.add(3*time.Second - 1)
			w.waits(p)
			w.add(1)
			w.refused(p, context.DeadlineExceeded)
			w.src.releaseAll()
			w.token("r")
			w.calls("r", "create")
		})
	})

	t.Run("MaxWait, from the very first moment on", func(t *testing.T) {
		within(t, roomtoken.Config{MaxWait: 3 * time.Second}, func(w *world) {
			w.src.holdCalls(false)
			p := w.ask(background, "r")
			w.add(3 * time.Second)
			w.refused(p, context.DeadlineExceeded)
		})
	})

	t.Run("MaxWait, in the queue and in flight together", func(t *testing.T) {
		within(t, roomtoken.Config{MaxWait: 9 * time.Second, MaxConcurrentCalls: 1}, func(w *world) {
			w.add(time.Minute)
			w.src.holdCalls(false)
			w.ask(background, "other")
			p := w.ask(background, "r")
			w.add(5 * time.Second)
			w.calls("r")
			w.src.release("other")
			w.calls("r", "create")
			w.add(4*time.Second - 1)
			w.waits(p)
			w.add(1)
			w.refused(p, context.DeadlineExceeded)
		})
	})

	t.Run("MaxWait, through several attempts", func(t *testing.T) {
		within(t, roomtoken.Config{MaxWait: 12 * time.Second, CallTimeout: 5 * time.Second}, func(w *world) {
			w.add(time.Minute)
			w.src.holdCalls(false)
			p := w.ask(background, "r")
			w.add(5 * time.Second) // the first times out
			w.add(2 * time.Second) // the second is in flight
			w.waits(p)
			w.calls("r", "create", "create")
			w.add(5 * time.Second)
			w.refused(p, context.DeadlineExceeded)
			if p.at > 72*time.Second {
				w.t.Errorf("it left after %v", p.at-time.Minute)
			}
		})
	})

	t.Run("no MaxWait: as long as the ctx allows", func(t *testing.T) {
		within(t, roomtoken.Config{MaxWait: -1}, func(w *world) {
			w.src.fail(errDown)
			p := w.ask(background, "r")
			w.add(time.Hour)
			w.waits(p)
			w.src.on(nil)
			w.add(30 * time.Second)
			w.served(p)
		})
	})
}

// TestPromise5PermanentErrors are answered at once, to everybody, until their
// step has passed: 10 s, doubling up to 5 min.
func TestPromise5PermanentErrors(t *testing.T) {
	background := context.Background()
	within(t, roomtoken.Config{}, func(w *world) {
		w.src.holdCalls(false)
		w.src.fail(roomtoken.Permanent(errDown))
		waiting := make([]*pending, 100)
		for i := range waiting {
			waiting[i] = w.ask(background, "r")
		}
		w.src.releaseAll()
		for _, p := range waiting {
			w.refused(p, errDown, roomtoken.ErrPermanent)
		}
		calls := 1
		for _, step := range []time.Duration{10, 20, 40, 80, 160, 300, 300, 300} {
			step *= time.Second
			w.refused(w.ask(background, "r"), errDown, roomtoken.ErrPermanent)
			w.refused(w.askFor(background, "r", time.Hour), errDown, roomtoken.ErrPermanent)
			w.add(step - 1)
			if s, _ := w.m.Room("r"); s.State != roomtoken.RoomFailed || s.Failures != calls {
				w.t.Fatalf("the room: %+v", s)
			}
			w.refused(w.ask(background, "r"), errDown, roomtoken.ErrPermanent)
			if n := w.src.count(); n != calls {
				w.t.Fatalf("%d calls within the step of %v, want %d", n, step, calls)
			}
			w.add(1)
			if n := w.src.count(); n != calls {
				w.t.Fatal("a call began with nobody there")
			}
			w.refused(w.ask(background, "r"), errDown, roomtoken.ErrPermanent)
			calls++
			if n := w.src.count(); n != calls {
				w.t.Fatalf("%d calls after the step of %v, want %d", n, step, calls)
			}
		}
		w.src.on(nil)
		w.refused(w.ask(background, "r"), errDown)
		w.add(300 * time.Second)
		w.token("r")
		if s, _ := w.m.Room("r"); s.Failures != 0 || s.LastError != nil {
			w.t.Errorf("the room remembers: %+v", s)
		}
	})
}

// TestPromise5PermanentErrorOfAForgottenCall: those who waited for it get it;
// for them too the same call again cannot help.
func TestPromise5PermanentErrorOfAForgottenCall(t *testing.T) {
	within(t, roomtoken.Config{}, func(w *world) {
		w.src.holdCalls(false)
		w.src.fail(roomtoken.Permanent(errDown))
		before := w.ask(context.Background(), "r")
		w.m.Forget("r")
		w.src.releaseAll()
		w.refused(before, errDown, roomtoken.ErrPermanent)
		w.calls("r", "create")
		w.src.on(nil)
		w.token("r") // the room itself remembers nothing
	})
}

// TestPromise5PermanentErrorWithAWait: the longer of the two counts.
func TestPromise5PermanentErrorWithAWait(t *testing.T) {
	for _, wait := range []time.Duration{time.Second, time.Hour} {
		within(t, roomtoken.Config{}, func(w *world) {
			w.src.fail(roomtoken.RetryAfter(roomtoken.Permanent(errDown), wait))
			w.refused(w.ask(context.Background(), "r"), errDown, roomtoken.ErrPermanent)
			w.add(max(wait, 10*time.Second) - 1)
			w.refused(w.ask(context.Background(), "r"), errDown, roomtoken.ErrPermanent)
			w.calls("r", "create")
			w.src.on(nil)
			w.add(1)
			w.token("r")
		})
	}
}

// slowDownError is an error of a source that knows nothing of this package.
type slowDownError struct{ wait time.Duration }

func (e slowDownError) Error() string             { return "slow down" }
func (e slowDownError) RetryAfter() time.Duration { return e.wait }

// TestPromise5RetryAfter is never broken, and capped at 24 h.
func TestPromise5RetryAfter(t *testing.T) {
	background := context.Background()
	for name, c := range map[string]struct {
		err  error
		wait time.Duration
		slop time.Duration // the backoff's draw, where that counts
	}{
		"an hour":          {roomtoken.RetryAfter(errDown, time.Hour), time.Hour, 0},
		"deep in a chain":  {fmt.Errorf("call: %w", errors.Join(errDown, roomtoken.RetryAfter(errDown, time.Hour))), time.Hour, 0},
		"any error's":      {fmt.Errorf("call: %w", errors.Join(errDown, slowDownError{time.Hour})), time.Hour, 0},
		"24 h":             {roomtoken.RetryAfter(errDown, 24*time.Hour), 24 * time.Hour, 0},
		"beyond the cap":   {roomtoken.RetryAfter(errDown, 1000*time.Hour), 24 * time.Hour, 0},
		"for ever":         {roomtoken.RetryAfter(errDown, 1<<63-1), 24 * time.Hour, 0},
		"negative":         {roomtoken.RetryAfter(errDown, -time.Hour), 500 * time.Millisecond, 250 * time.Millisecond},
		"the least":        {roomtoken.RetryAfter(errDown, -1<<63), 500 * time.Millisecond, 250 * time.Millisecond},
		"shorter than us":  {roomtoken.RetryAfter(errDown, time.Millisecond), 500 * time.Millisecond, 250 * time.Millisecond},
		"a rate limit's":   {roomtoken.RetryAfter(errors.Join(errDown, roomtoken.ErrRateLimited), time.Hour), time.Hour, 0},
		"a limit's at 24h": {roomtoken.RetryAfter(errors.Join(errDown, roomtoken.ErrRateLimited), 99*time.Hour), 24 * time.Hour, 0},
		"a limit without":  {errors.Join(errDown, roomtoken.ErrRateLimited), 500 * time.Millisecond, 250 * time.Millisecond},
		"a limit negative": {roomtoken.RetryAfter(errors.Join(errDown, roomtoken.ErrRateLimited), -1), 500 * time.Millisecond, 250 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			within(t, roomtoken.Config{MaxWait: -1, IdleAfter: time.Second}, func(w *world) {
				w.src.fail(c.err)
				p := w.ask(background, "r")
				w.waits(p)
				w.src.on(nil)
				brief, cancel := context.WithTimeout(background, c.wait/2)
				defer cancel()
				w.refused(w.ask(brief, "r"), errDown) // it has no point in waiting
				w.add(c.wait - 1)
				w.waits(p)
				w.calls("r", "create")
				w.add(1 + c.slop)
				w.served(p)
				w.calls("r", "create", "create")
			})
		})
	}
}

// TestPromise5RetryAfterOutlivesInterest: nobody waits, the room is idle and has
// never had a token, and the wait is kept all the same.
func TestPromise5RetryAfterOutlivesInterest(t *testing.T) {
	within(t, roomtoken.Config{IdleAfter: time.Minute}, func(w *world) {
		w.src.fail(roomtoken.RetryAfter(errDown, 5*time.Hour))
		w.refused(w.ask(context.Background(), "r"), errDown)
		w.add(5*time.Hour - 1)
		w.refused(w.askWithin(3*time.Second, "r"), context.DeadlineExceeded)
		w.calls("r", "create")
	})
}

// askWithin asks with a ctx that ends so much later, and lets it end.
func (w *world) askWithin(d time.Duration, room string) *pending {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	p := w.ask(ctx, room)
	time.Sleep(d)
	synctest.Wait()
	return p
}

// TestPromise5RetryAfterOfAnHour, and a caller who has 3 s: it gets the source's
// error at once, and so does the next one.
func TestPromise5RetryAfterOfAnHour(t *testing.T) {
	for name, err := range map[string]error{
		"of the room":    roomtoken.RetryAfter(errDown, time.Hour),
		"of the account": roomtoken.RetryAfter(errors.Join(errDown, roomtoken.ErrRateLimited), time.Hour),
	} {
		t.Run(name, func(t *testing.T) {
			within(t, roomtoken.Config{}, func(w *world) {
				w.src.fail(err)
				for range 3 {
					ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
					p := w.ask(ctx, "r")
					err := w.refused(p, errDown)
					if ctx.Err() != nil {
						w.t.Fatal("it took its 3 s")
					}
					cancel()
					var carrier interface{ RetryAfter() time.Duration }
					if !errors.As(err, &carrier) || carrier.RetryAfter() < time.Hour-5*time.Second || carrier.RetryAfter() > time.Hour {
						w.t.Errorf("the error does not tell when to come back: %v", err)
					}
				}
				w.refused(w.ask(context.Background(), "r"), errDown) // MaxWait is no more than 30 s
				w.calls("r", "create")
				w.add(time.Hour)
				w.src.on(nil)
				w.token("r")
			})
		})
	}
}

// TestPromise5RetryAfterOfALateAnswer: it is a wait like any other, although the
// call had been given up.
func TestPromise5RetryAfterOfALateAnswer(t *testing.T) {
	for name, err := range map[string]error{
		"passing":      roomtoken.RetryAfter(errDown, time.Hour),
		"permanent":    roomtoken.RetryAfter(roomtoken.Permanent(errDown), time.Hour),
		"rate limited": roomtoken.RetryAfter(roomtoken.ErrRateLimited, time.Hour),
	} {
		t.Run(name, func(t *testing.T) {
			within(t, roomtoken.Config{}, func(w *world) {
				w.src.fail(err)
				w.src.holdCalls(true)
				p := w.ask(context.Background(), "r")
				w.add(time.Minute)
				w.refused(p)
				w.src.releaseAll()
				w.src.on(nil)
				w.add(time.Hour - 1)
				w.ask(context.Background(), "r")
				w.calls("r", "create")
				w.add(1)
				w.token("r")
				w.calls("r", "create", "create")
			})
		})
	}
}

// TestPromise5RateLimitHoldsAllRooms: for the time it says, or for a step.
func TestPromise5RateLimitHoldsAllRooms(t *testing.T) {
	background := context.Background()
	limited := errors.Join(errDown, roomtoken.ErrRateLimited)

	t.Run("with a time", func(t *testing.T) {
		within(t, roomtoken.Config{Jitter: -1, MaxWait: -1}, func(w *world) {
			w.token("warm")
			w.add(100 * time.Second)
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
				w.t.Errorf("%+v", s)
			}
			w.add(400*time.Second - 1)
			if n := w.src.count(); n != 2 {
				w.t.Fatalf("%d calls during the hold, renewals included", n-2)
			}
			if _, err := w.hit("warm"); err != nil {
				w.t.Fatal(err)
			}
			if s, _ := w.m.Room("a"); s.Failures != 0 {
				w.t.Errorf("the hold counts as %d failures", s.Failures)
			}
			// After it, one call probes, and the rest follow its success.
			w.src.holdCalls(false)
			w.add(1)
			if n := w.src.count(); n != 3 {
				w.t.Fatalf("%d calls probe", n-2)
			}
			w.src.releaseAll()
			for _, p := range asked {
				w.served(p)
				if p.at != 500*time.Second {
					w.t.Fatalf("it was served after %v", p.at)
				}
			}
		})
	})

	t.Run("without a time: steps of the backoff", func(t *testing.T) {
		within(t, roomtoken.Config{MaxWait: -1}, func(w *world) {
			w.src.fail(limited)
			a, b := w.ask(background, "a"), w.ask(background, "b")
			w.add(2 * time.Minute)
			calls := w.src.all()
			if len(calls) < 7 {
				w.t.Fatalf("%d calls in 2 min", len(calls))
			}
			for i, step := range []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second} {
				if gap := calls[i+1].at - calls[i].at; gap < step || gap > step*3/2 {
					w.t.Errorf("hold %d lasts %v, want %v to %v", i+1, gap, step, step*3/2)
				}
			}
			w.src.on(nil)
			w.add(30 * time.Second)
			w.served(a)
			w.served(b)
			// And anew from the first step.
			w.src.fail(limited)
			n := w.src.count()
			w.ask(background, "c")
			w.add(10 * time.Second)
			calls = w.src.all()[n:]
			if gap := calls[1].at - calls[0].at; gap > 750*time.Millisecond {
				w.t.Errorf("after a success the first hold lasts %v", gap)
			}
			w.src.on(nil)
			w.add(time.Minute)
		})
	})

	t.Run("Forget does not clear it", func(t *testing.T) {
		within(t, roomtoken.Config{MaxWait: -1}, func(w *world) {
			w.src.fail(roomtoken.RetryAfter(limited, time.Hour))
			p := w.ask(background, "r")
			w.src.on(nil)
			w.m.Forget("r")
			w.waits(p)
			brief, cancel := context.WithTimeout(background, 3*time.Second)
			defer cancel()
			w.refused(w.ask(brief, "r"), errDown, roomtoken.ErrRateLimited)
			w.add(time.Hour - 1)
			w.calls("r", "create")
			w.add(1)
			w.served(p)
		})
	})

	t.Run("those who wait for other rooms leave at once", func(t *testing.T) {
		for _, config := range []roomtoken.Config{{}, {MaxConcurrentCalls: 1}} {
			within(t, config, func(w *world) {
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

// TestPromise5HoldIsNotLiftedByOlderCalls: a rate limit arrives while other calls
// are in flight, the probe among them. Whatever becomes of those, it stands.
func TestPromise5HoldIsNotLiftedByOlderCalls(t *testing.T) {
	background := context.Background()
	answers := map[string]error{
		"succeeds":                     nil,
		"fails":                        errDown,
		"fails for good":               roomtoken.Permanent(errDown),
		"is limited, without a time":   roomtoken.ErrRateLimited,
		"is limited for a second":      roomtoken.RetryAfter(roomtoken.ErrRateLimited, time.Second),
		"has its refresh token denied": roomtoken.ErrRefreshRejected,
	}
	for name, answer := range answers {
		for _, probing := range []bool{false, true} {
			t.Run(fmt.Sprintf("one that %s, probing %v", name, probing), func(t *testing.T) {
				within(t, roomtoken.Config{MaxConcurrentCalls: 4, MaxWait: -1, CallTimeout: time.Hour}, func(w *world) {
					ctx, cancel := context.WithCancel(background)
					defer cancel()
					w.src.on(func(c *sourceCall) (roomtoken.Grant, error) {
						switch c.room {
						case "limited":
							return roomtoken.Grant{}, roomtoken.RetryAfter(roomtoken.ErrRateLimited, time.Hour)
						case "older":
							if answer != nil {
								return roomtoken.Grant{}, answer
							}
						case "failing":
							return roomtoken.Grant{}, errDown
						}
						return w.src.mint(c), nil
					})
					w.src.holdCalls(false)
					w.ask(ctx, "limited")
					if probing {
						p := w.ask(ctx, "failing")
						for range 4 { // a failure, an attempt, a failure ...
							w.src.release("failing")
							w.add(5 * time.Second)
						}
						w.src.release("failing")
						w.waits(p)
						if !w.m.Stats().Probing {
							w.t.Fatal("the account is not guarded")
						}
						w.m.Forget("failing")
						w.add(40 * time.Second)
						w.src.release("failing")
						cancel()
						ctx, cancel = context.WithCancel(background)
						defer cancel()
						w.add(40 * time.Second)
					}
					w.ask(ctx, "older")
					w.calls("older", "create")
					w.src.release("limited")
					until := w.clk.elapsed() + time.Hour
					n := w.src.count()
					w.src.release("older")
					w.src.releaseAll()
					w.ask(ctx, "fresh")
					w.add(time.Hour - 1)
					if calls := w.src.all(); len(calls) > n {
						w.t.Fatalf("the hold until %v was broken: a call at %v", until, calls[n].at)
					}
					w.add(1)
					if w.src.count() == n {
						w.t.Fatal("the hold did not end")
					}
					cancel()
				})
			})
		}
	}
}

// TestPromise5AThousandRoomsFailAtOnce: after MaxConcurrentCalls failures in a
// row one call probes, after waits that double up to BackoffMax, and the rest
// follow its success.
func TestPromise5AThousandRoomsFailAtOnce(t *testing.T) {
	const rooms = 1000
	within(t, roomtoken.Config{MaxWait: -1}, func(w *world) {
		w.src.fail(errDown)
		asked := make([]*pending, rooms)
		for i := range asked {
			asked[i] = w.ask(context.Background(), fmt.Sprint("r", i))
		}
		w.rest()
		// The failures that tripped it, those in flight then, and the first probe.
		if n := w.src.count(); n < 64 || n > 64+63+1 {
			w.t.Fatalf("%d calls failed at once, MaxConcurrentCalls is 64", n)
		}
		if s := w.m.Stats(); !s.Probing || s.CallsInFlight != 0 {
			w.t.Fatalf("%+v", s)
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
				w.t.Errorf("probe %d came %v after the one before, want %v to %v", i, gap, step, step*3/2)
			}
			step = min(step*2, 20*time.Second)
		}
		if len(probes) < 9 {
			w.t.Errorf("%d probes in 3 min", len(probes))
		}
		for _, p := range asked {
			w.waits(p)
		}
		w.src.on(nil)
		w.add(30 * time.Second)
		for _, p := range asked {
			w.served(p)
			if p.at != asked[0].at {
				w.t.Fatalf("one was served at %v, another at %v", p.at, asked[0].at)
			}
		}
	})
}

// TestPromise5AThousandRoomsAndTheirPatience: with MaxWait those who wait leave
// as soon as the next probe lies beyond it.
func TestPromise5AThousandRoomsAndTheirPatience(t *testing.T) {
	within(t, roomtoken.Config{Clock: clock.New(), MaxWait: 10 * time.Second}, func(w *world) {
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
			w.t.Errorf("%d calls", n)
		}
	})
}

// trip makes the account guarded, with MaxConcurrentCalls at 4, and leaves its
// first probe failed. Nobody waits then.
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
		w.t.Fatalf("%d calls, want 4 that fail and the first probe", n)
	}
	cancel()
	w.rest()
	for i := range 5 {
		w.m.Forget(fmt.Sprint("trip", i))
	}
}

// TestPromise5Probes: what the source's answers to a probe mean.
func TestPromise5Probes(t *testing.T) {
	background := context.Background()
	opens := map[string]struct {
		answer error
		opens  bool
	}{
		"a token":           {nil, true},
		"a permanent error": {roomtoken.Permanent(errDown), true},
		"a passing error":   {errDown, false},
		"a rate limit":      {roomtoken.ErrRateLimited, false},
		"an invalid grant":  {roomtoken.ErrInvalidGrant, false},
	}
	for name, c := range opens {
		t.Run(name, func(t *testing.T) {
			within(t, roomtoken.Config{MaxConcurrentCalls: 4, MaxWait: -1}, func(w *world) {
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
					w.t.Fatal("the probe did not wait")
				}
				w.add(750 * time.Millisecond)
				if got := w.src.all()[n:]; len(got) != 1 || got[0].room != "probe" {
					w.t.Fatalf("%d calls probe, want the room that waits longest", len(got))
				}
				w.add(5 * time.Second)
				if got := w.src.count() - n; got != 1 {
					w.t.Fatalf("%d calls while the probe is in flight", got)
				}
				w.src.release("probe")
				if got := w.src.count() - n; got == 3 != c.opens {
					w.t.Fatalf("%d calls after the probe's answer, opens: %v", got, c.opens)
				}
				if probing := w.m.Stats().Probing; probing == c.opens {
					w.t.Errorf("probing: %v", probing)
				}
				w.src.releaseAll()
			})
		})
	}
}

// TestPromise5AProbeWhoseRefreshTokenIsRefused: the source is there, and says so.
func TestPromise5AProbeWhoseRefreshTokenIsRefused(t *testing.T) {
	within(t, roomtoken.Config{MaxConcurrentCalls: 4, Jitter: -1, MaxWait: -1}, func(w *world) {
		w.token("warm")
		w.add(399999 * time.Millisecond)
		w.trip()
		n := w.src.count()
		w.src.on(func(c *sourceCall) (roomtoken.Grant, error) {
			if c.op == "refresh" {
				return roomtoken.Grant{}, roomtoken.ErrRefreshRejected
			}
			return w.src.mint(c), nil
		})
		w.src.holdCalls(false)
		w.add(time.Second)
		if got := w.src.ops()[n:]; len(got) != 1 || got[0] != "refresh" {
			w.t.Fatalf("the probe: %v, want the renewal", got)
		}
		p := w.ask(context.Background(), "r")
		w.src.release("warm")
		if got := w.src.ops()[n:]; len(got) != 3 {
			w.t.Errorf("calls: %v, want the refresh, the create in its place, and the other room's", got)
		}
		w.src.releaseAll()
		w.served(p)
	})
}

// TestPromise5ADeafProbe keeps nobody from probing once its time is over.
func TestPromise5ADeafProbe(t *testing.T) {
	within(t, roomtoken.Config{MaxConcurrentCalls: 4, MaxWait: -1}, func(w *world) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		w.trip()
		w.src.on(nil)
		w.src.holdCalls(true)
		w.ask(ctx, "deaf")
		w.add(750 * time.Millisecond)
		w.calls("deaf", "create")
		w.src.mu.Lock()
		w.src.hold = false
		w.src.mu.Unlock()
		p := w.ask(ctx, "r")
		w.add(9 * time.Second)
		w.waits(p)
		w.calls("r")
		w.add(time.Second) // CallTimeout
		w.waits(p)
		w.add(2 * time.Second) // the probe's second wait
		w.served(p)
	})
}

// TestPromise5ARowIsBrokenByAnyAnswer: failures that others' successes come
// between do not add up.
func TestPromise5ARowIsBrokenByAnyAnswer(t *testing.T) {
	for name, answer := range map[string]error{"a token": nil, "a permanent error": roomtoken.Permanent(errDown)} {
		t.Run(name, func(t *testing.T) {
			within(t, roomtoken.Config{MaxConcurrentCalls: 4}, func(w *world) {
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
						w.t.Fatalf("after call %d one call at a time probes", i+1)
					}
				}
				ask("bad", errDown)
				ask("bad again", errDown)
				ask("bad once more", errDown)
				ask("and a fourth", errDown)
				if !w.m.Stats().Probing {
					w.t.Fatal("after 4 failures in a row calls are not held back")
				}
			})
		})
	}
}

// TestPromise5Forget clears a room's memory and lets those who wait in its
// backoff try at once; what is known of the account stays.
func TestPromise5Forget(t *testing.T) {
	background := context.Background()

	t.Run("in backoff", func(t *testing.T) {
		within(t, roomtoken.Config{BackoffMin: 20 * time.Second}, func(w *world) {
			w.src.fail(errDown)
			asked := make([]*pending, 10)
			for i := range asked {
				asked[i] = w.ask(background, "r")
			}
			w.calls("r", "create")
			w.src.on(nil)
			w.m.Forget("r")
			for _, p := range asked {
				w.served(p)
			}
			w.calls("r", "create", "create")
		})
	})

	t.Run("after a permanent error", func(t *testing.T) {
		within(t, roomtoken.Config{}, func(w *world) {
			w.src.fail(roomtoken.Permanent(errDown))
			w.refused(w.ask(background, "r"), errDown)
			w.src.on(nil)
			w.refused(w.ask(background, "r"), errDown)
			w.m.Forget("r")
			w.token("r")
		})
	})

	t.Run("the steps begin anew", func(t *testing.T) {
		within(t, roomtoken.Config{MaxWait: -1}, func(w *world) {
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
				w.t.Fatalf("%d calls in a second after Forget", len(calls))
			}
		})
	})

	t.Run("the probe's wait stays", func(t *testing.T) {
		within(t, roomtoken.Config{MaxConcurrentCalls: 4, MaxWait: -1}, func(w *world) {
			w.trip()
			w.src.on(nil)
			n := w.src.count()
			p := w.ask(background, "r")
			w.m.Forget("r")
			w.rest()
			if w.src.count() != n {
				w.t.Fatal("Forget cleared the account's memory")
			}
			w.add(750 * time.Millisecond)
			w.served(p)
		})
	})
}
