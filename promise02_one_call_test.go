package roomtoken_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/benbjohnson/clock"

	"github.com/roomtoken/roomtoken"
)

// Promise 2: at most one call is in flight for a room at any time.

func TestPromise2OneCreateForTenThousandCallers(t *testing.T) {
	const callers = 10_000
	// The bubble's clock: ten thousand timers of a Mock are slow.
	within(t, roomtoken.Config{Clock: clock.New()}, func(t *testing.T, w *world) {
		w.src.holdCalls(false)
		tokens := make([]roomtoken.Token, callers)
		errs := make([]error, callers)
		var wg sync.WaitGroup
		for i := range callers {
			wg.Go(func() {
				if i%2 == 0 {
					tokens[i], errs[i] = w.m.Token(context.Background(), "r")
				} else {
					tokens[i], errs[i] = w.m.TokenValidFor(context.Background(), "r", time.Minute)
				}
			})
		}
		synctest.Wait()
		w.calls("r", create)
		if s, _ := w.m.Room("r"); s.Waiters != callers {
			t.Errorf("Waiters = %d, want %d", s.Waiters, callers)
		}
		w.src.releaseAll()
		wg.Wait()
		w.calls("r", create)
		for i := range callers {
			if errs[i] != nil || !tokens[i].Value.Equal(tokens[0].Value) {
				t.Fatalf("caller %d: error %v, token shared: %v, want the shared token", i, errs[i], tokens[i].Value.Equal(tokens[0].Value))
			}
		}
		if s, _ := w.m.Room("r"); s.Waiters != 0 {
			t.Errorf("Waiters = %d after all returned, want 0", s.Waiters)
		}
	})
}

// Everything that could begin a second call while the first is in flight.
func TestPromise2NoSecondCallWhateverHappens(t *testing.T) {
	within(t, roomtoken.Config{MaxWait: -1, CallTimeout: time.Hour}, func(t *testing.T, w *world) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		w.src.holdCalls(false)
		var wg sync.WaitGroup
		defer wg.Wait()
		rush := func() {
			for range 10 {
				wg.Go(func() { _, _ = w.m.Token(ctx, "r") })
				wg.Go(func() { _, _ = w.m.TokenValidFor(ctx, "r", time.Hour) })
				wg.Go(func() { _ = w.m.Warm(ctx, "r", "r") })
				wg.Go(func() {
					for range w.m.Watch(ctx, "r") {
					}
				})
			}
			synctest.Wait()
		}
		rush()
		w.calls("r", create)
		w.m.Forget("r")
		rush()
		w.m.Forget("r")
		w.m.Forget("r")
		rush()
		w.add(20 * time.Minute)
		w.calls("r", create)

		w.src.release("r") // the forgotten call ends, and only now the next begins
		w.calls("r", create, create)
		w.src.release("r")
		w.calls("r", create, create)
		tok, ok := w.m.Cached("r")
		if !ok {
			t.Fatal("Cached returned no token, want one")
		}
		w.m.Invalidate("r", tok)
		w.m.Invalidate("r", tok)
		rush()
		w.calls("r", create, create, create)
		w.m.Invalidate("r", tok)
		w.calls("r", create, create, create)
		w.src.release("r")
		w.src.releaseAll()
		w.noOverlaps()
		cancel()
	})
}

// TestPromise2Hammer calls every method at once for a few rooms, on a source that is
// sometimes slow, sometimes ignores its ctx and sometimes fails.
func TestPromise2Hammer(t *testing.T) {
	within(t, roomtoken.Config{
		Clock: clock.New(), MaxRooms: 6, MaxConcurrentCalls: 4, CallTimeout: time.Second,
		MaxWait: 3 * time.Second, IdleAfter: 20 * time.Second, BackoffMax: 2 * time.Second,
	}, func(t *testing.T, w *world) {
		w.src.live(20*time.Second, 15*time.Second)
		w.src.on(func(c *sourceCall) (roomtoken.Grant, error) {
			dice := rand.New(rand.NewPCG(uint64(c.n), 2))
			pause := time.Duration(dice.Int64N(int64(1500 * time.Millisecond)))
			if dice.IntN(2) == 0 {
				time.Sleep(pause) // deaf
			} else {
				select {
				case <-time.After(pause):
				case <-c.ctx.Done():
					return roomtoken.Grant{}, c.ctx.Err()
				}
			}
			switch dice.IntN(8) {
			case 0:
				return roomtoken.Grant{}, errDown
			case 1:
				return roomtoken.Grant{}, roomtoken.Permanent(errDown)
			case 2:
				return roomtoken.Grant{}, roomtoken.ErrRefreshRejected
			case 3:
				return roomtoken.Grant{}, nil
			}
			return w.src.mint(c), nil
		})
		var wg sync.WaitGroup
		served := make([]int, 16)
		for g := range served {
			dice := rand.New(rand.NewPCG(uint64(g), 1))
			wg.Go(func() {
				for range 150 {
					room := fmt.Sprint("r", dice.IntN(8))
					ctx, cancel := context.WithTimeout(context.Background(), time.Duration(dice.Int64N(int64(4*time.Second))))
					switch dice.IntN(10) {
					case 0:
						w.m.Forget(room)
					case 1:
						if tok, ok := w.m.Cached(room); ok {
							w.m.Invalidate(room, tok)
						}
					case 2:
						_ = w.m.Warm(ctx, "r0", room)
					case 3:
						_, _ = w.m.TokenValidFor(ctx, room, 15*time.Second)
					case 4:
						for range w.m.Watch(ctx, room) {
							if dice.IntN(2) == 0 {
								break
							}
						}
					case 5:
						time.Sleep(time.Duration(dice.Int64N(int64(5 * time.Second))))
					default:
						if _, err := w.m.Token(ctx, room); err == nil {
							served[g]++
						}
					}
					cancel()
					if dice.IntN(20) == 0 {
						w.check()
					}
				}
			})
		}
		wg.Wait()
		w.noOverlaps()
		w.src.mu.Lock()
		most := w.src.most
		w.src.mu.Unlock()
		if most > 4 || most < 2 {
			t.Errorf("%d calls at the same time, want 2 to 4", most)
		}
		total := 0
		for _, n := range served {
			total += n
		}
		if total < 100 {
			t.Errorf("%d callers were served, want at least 100", total)
		}
		time.Sleep(time.Minute) // the last calls end
	})
}

// A source that ignores its ctx for an hour.
func TestPromise2DeafSource(t *testing.T) {
	background := context.Background()
	within(t, roomtoken.Config{MaxConcurrentCalls: 1}, func(t *testing.T, w *world) {
		w.src.holdCalls(true)
		waiting := make([]*pending, 10)
		for i := range waiting {
			waiting[i] = w.ask(background, "r")
		}
		w.add(10*time.Second - 1)
		for _, p := range waiting {
			w.waits(p)
		}
		other := w.ask(background, "other")
		w.add(1)
		// At CallTimeout all waiters leave with the timeout.
		for _, p := range waiting {
			w.refused(p, context.DeadlineExceeded)
			if p.at != 10*time.Second {
				t.Fatalf("caller left after %v, want CallTimeout, 10 s", p.at)
			}
		}
		if cause := context.Cause(w.src.all()[0].ctx); cause == nil {
			t.Fatal("the source's ctx has no cause, want it ended")
		}
		// No attempt can begin: a new caller gets the same error at once.
		w.refused(w.ask(background, "r"), context.DeadlineExceeded)
		if s, _ := w.m.Room("r"); s.State != roomtoken.RoomStuck || s.Failures != 1 || s.InFlight != roomtoken.CallCreate {
			t.Errorf("Room() = %+v, want RoomStuck with one failure and a create in flight", s)
		}
		// The slot stays in use: the other room waits for it.
		w.waits(other)
		w.add(30*time.Second - 2)
		w.waits(other)
		w.calls("other")
		w.add(1)
		w.refused(other, context.DeadlineExceeded) // MaxWait has passed, and nothing has failed
		for range 59 {
			w.add(time.Minute)
			w.refused(w.ask(background, "r"), context.DeadlineExceeded)
		}
		w.m.Forget("r")
		w.refused(w.ask(background, "r"), context.DeadlineExceeded)
		w.calls("r", create)
		if s := w.m.Stats(); s.CallsInFlight != 1 || s.CallsOverdue != 1 {
			t.Errorf("Stats() = %+v, want one call in flight, overdue", s)
		}
		other = w.ask(background, "other")
		w.calls("other")
		w.src.releaseAll()
		w.served(other) // the slot is free
		if _, ok := w.m.Cached("r"); ok {
			t.Error("the token of a forgotten room's call was kept, want it dropped")
		}
		w.noOverlaps()
	})
}

// What becomes of a call that returns after CallTimeout.
func TestPromise2LateAnswers(t *testing.T) {
	background := context.Background()
	late := func(t *testing.T, config roomtoken.Config, after time.Duration, answer func(w *world, c *sourceCall) (roomtoken.Grant, error), then func(t *testing.T, w *world)) {
		t.Helper()
		within(t, config, func(t *testing.T, w *world) {
			w.src.on(func(c *sourceCall) (roomtoken.Grant, error) {
				if c.n == 1 {
					return answer(w, c)
				}
				return w.src.mint(c), nil
			})
			w.src.holdCalls(true)
			p := w.ask(background, "r")
			w.add(10 * time.Second)
			w.refused(p, context.DeadlineExceeded)
			w.add(after - 10*time.Second)
			w.src.releaseAll()
			then(t, w)
			w.noOverlaps()
		})
	}
	minted := func(w *world, c *sourceCall) (roomtoken.Grant, error) { return w.src.mint(c), nil }

	t.Run("a valid grant is published", func(t *testing.T) {
		late(t, roomtoken.Config{}, 5*time.Minute, minted, func(t *testing.T, w *world) {
			if _, ok := w.m.Cached("r"); !ok {
				t.Fatal("the grant was not published, want it cached")
			}
			w.token("r")
			w.calls("r", create)
			if s, _ := w.m.Room("r"); s.State != roomtoken.RoomValid || s.Failures != 0 {
				t.Errorf("Room() = %+v, want RoomValid without failures", s)
			}
		})
	})
	t.Run("a watch gets it", func(t *testing.T) {
		within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
			w.src.holdCalls(true)
			ctx, cancel := context.WithCancel(background)
			var got []error
			done := make(chan struct{})
			go func() {
				defer close(done)
				for _, err := range w.m.Watch(ctx, "r") {
					got = append(got, err)
				}
			}()
			w.add(time.Minute)
			w.src.releaseAll()
			w.rest()
			cancel()
			<-done
			if len(got) != 3 || got[0] == nil || got[1] != nil {
				t.Fatalf("watch yielded the errors %v, want the timeout, none (the token), and its end", got)
			}
		})
	})
	t.Run("an expired grant is not published", func(t *testing.T) {
		late(t, roomtoken.Config{}, 9*time.Minute+31*time.Second, func(_ *world, _ *sourceCall) (roomtoken.Grant, error) {
			return roomtoken.Grant{Token: roomtoken.Token{Value: roomtoken.NewSecret("t"), ExpiresAt: time.Unix(600, 0)}}, nil
		}, func(t *testing.T, w *world) {
			if _, ok := w.m.Cached("r"); ok {
				t.Fatal("the expired grant was published, want it refused")
			}
			w.token("r")
			w.calls("r", create, create)
		})
	})
	t.Run("a failure is not counted twice, and the next attempt begins", func(t *testing.T) {
		late(t, roomtoken.Config{}, time.Minute, func(*world, *sourceCall) (roomtoken.Grant, error) {
			return roomtoken.Grant{}, errDown
		}, func(t *testing.T, w *world) {
			if s, _ := w.m.Room("r"); s.Failures != 1 {
				t.Errorf("%d failures, want 1", s.Failures)
			}
			w.token("r")
			w.calls("r", create, create)
		})
	})
	t.Run("a permanent failure is answered at once", func(t *testing.T) {
		late(t, roomtoken.Config{}, time.Minute, func(*world, *sourceCall) (roomtoken.Grant, error) {
			return roomtoken.Grant{}, roomtoken.Permanent(errDown)
		}, func(t *testing.T, w *world) {
			w.refused(w.ask(background, "r"), errDown, roomtoken.ErrPermanent)
			w.calls("r", create)
		})
	})
	t.Run("shortly after CallTimeout, while the backoff lasts", func(t *testing.T) {
		late(t, roomtoken.Config{BackoffMin: 20 * time.Second}, 10*time.Second, func(*world, *sourceCall) (roomtoken.Grant, error) {
			return roomtoken.Grant{}, errDown
		}, func(t *testing.T, w *world) {
			p := w.ask(background, "r")
			w.waits(p) // 30 s at most
			w.add(20*time.Second - 1)
			w.waits(p)
			w.calls("r", create)
			w.add(10*time.Second + 1)
			w.served(p)
		})
	})
}

// A room that is forgotten and asked for again while its call is in flight.
func TestPromise2ForgottenAndAskedAgain(t *testing.T) {
	background := context.Background()
	within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
		w.src.holdCalls(false)
		before := w.ask(background, "r")
		w.m.Forget("r")
		if _, ok := w.m.Room("r"); ok {
			t.Error("Room finds the room after Forget, want none")
		}
		after := w.ask(background, "r")
		w.waits(before)
		w.waits(after)
		w.calls("r", create)
		w.check()
		w.src.release("r")
		first := w.served(before) // the result of the call it waited for
		w.waits(after)
		w.calls("r", create, create)
		if _, ok := w.m.Cached("r"); ok {
			t.Error("the result of the forgotten call was kept, want it dropped")
		}
		w.src.releaseAll()
		if second := w.served(after); second.Value.Equal(first.Value) {
			t.Error("a later caller got the result of the forgotten call, want that of the next")
		}
		w.calls("r", create, create)
		w.noOverlaps()
	})
}

// A renewal that does not return blocks any other call for its room, and no other
// room.
func TestPromise2OverdueRenewal(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1, MaxConcurrentCalls: 2}, func(t *testing.T, w *world) {
		first := w.token("r")
		w.src.holdCalls(true)
		w.add(500 * time.Second)
		w.calls("r", create, refresh)
		if tok := w.token("r"); !tok.Value.Equal(first.Value) {
			t.Fatal("Token returned another token, want the valid one")
		}
		w.add(70*time.Second + 1)
		w.refused(w.ask(context.Background(), "r"), context.DeadlineExceeded)
		w.calls("r", create, refresh)
		w.src.stopHolding()
		w.token("other") // through the other slot
		w.add(time.Hour)
		w.calls("r", create, refresh)
		w.src.releaseAll()
		w.add(time.Second)
		w.token("r")
		w.noOverlaps()
	})
}
