package roomtoken_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/benbjohnson/clock"

	"github.com/roomtoken/roomtoken"
)

// Each test here is a fault that was in the code once, in the circumstances in
// which it showed.

// failDead makes the rooms whose name begins with "dead" fail, and no others.
func (w *world) failDead() {
	w.src.on(func(c *sourceCall) (roomtoken.Grant, error) {
		if strings.HasPrefix(c.room, "dead") {
			return roomtoken.Grant{}, errDown
		}
		return w.src.mint(c), nil
	})
}

// Rooms that fail for reasons of their own kept the account shut for an hour.
func TestDeadRoomsDoNotStarveHealthyOnes(t *testing.T) {
	within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
		w.failDead()
		for i := range 5 {
			w.watch(fmt.Sprint("good", i), nil)
		}
		for i := range 80 {
			w.watch(fmt.Sprint("dead", i), nil)
		}
		without := 0
		for range 1800 {
			w.clk.Add(time.Second)
			for i := range 5 {
				if _, ok := w.m.Cached(fmt.Sprint("good", i)); !ok {
					without++
				}
			}
		}
		if without > 0 {
			t.Errorf("5 healthy rooms were without a token for %d of %d room-seconds", without, 5*1800)
		}
	})
}

// A room was let go between the publication of its token and the moment at which
// those who waited picked it up.
func TestPublishedTokenReachesThoseWhoWaited(t *testing.T) {
	src := &source{clk: clock.New(), lifetime: 10 * time.Minute}
	gate := make(chan struct{})
	var creates atomic.Int32
	src.on(func(c *sourceCall) (roomtoken.Grant, error) {
		if c.room == "a" && creates.Add(1) == 1 {
			<-gate
		}
		return src.mint(c), nil
	})
	m, err := roomtoken.NewManager(src, roomtoken.Config{MaxRooms: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	var callers, rivals sync.WaitGroup
	for range 2000 {
		callers.Go(func() {
			if _, err := m.Token(t.Context(), "a"); err != nil {
				t.Error(err)
			}
		})
	}
	for {
		if s, _ := m.Room("a"); s.Waiters == 2000 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	ctx, cancel := context.WithCancel(t.Context())
	for i := range 2 {
		rivals.Go(func() {
			for ctx.Err() == nil {
				_, _ = m.Token(ctx, fmt.Sprint("b", i)) // ErrTooManyRooms while "a" is waited for
			}
		})
	}
	close(gate)
	callers.Wait()
	cancel()
	rivals.Wait()
	if n := creates.Load(); n != 1 {
		t.Errorf("%d creates for those who waited for one", n)
	}
}

// A watched room whose renewal waited for a slot while its token ran out was
// evicted.
func TestWatchedRoomIsNotEvictedWhileItsRenewalWaits(t *testing.T) {
	within(t, roomtoken.Config{MaxRooms: 2, MaxConcurrentCalls: 1, CallTimeout: 5 * time.Hour}, func(t *testing.T, w *world) {
		v := w.watch("a", nil)
		w.add(time.Minute)
		w.src.holdCalls(false)
		w.ask(t.Context(), "b") // takes the only slot
		w.add(20 * time.Minute)
		w.ask(t.Context(), "c")
		w.rest()
		if _, ok := w.m.Room("a"); !ok || v.ended() {
			t.Errorf("room in memory: %v, watch ended: %v, want true and false", ok, v.ended())
		}
	})
}

// Durations near the largest overflowed: no backoff at all, rooms evicted at once.
func TestHugeDurations(t *testing.T) {
	t.Run("BackoffMin", func(t *testing.T) {
		within(t, roomtoken.Config{BackoffMin: math.MaxInt64}, func(t *testing.T, w *world) {
			w.add(5 * time.Second)
			w.src.fail(errDown)
			if p := w.ask(t.Context(), "a"); !p.returned() {
				t.Error("the caller waits for an attempt beyond all deadlines")
			}
			w.add(time.Hour)
			if n := w.src.count(); n != 1 {
				t.Errorf("%d calls", n)
			}
		})
	})
	t.Run("IdleAfter", func(t *testing.T) {
		within(t, roomtoken.Config{IdleAfter: math.MaxInt64}, func(t *testing.T, w *world) {
			w.add(5 * time.Second)
			w.src.fail(errDown)
			ctx, cancel := context.WithCancel(t.Context())
			w.ask(ctx, "a")
			cancel()
			w.add(24 * time.Hour)
			if _, ok := w.m.Room("a"); !ok {
				t.Error("forgotten, though IdleAfter is for ever")
			}
		})
	})
	t.Run("all", func(t *testing.T) {
		within(t, roomtoken.Config{
			MinValidity: math.MaxInt64, IdleAfter: math.MaxInt64, CallTimeout: math.MaxInt64,
			MaxWait: math.MaxInt64, BackoffMin: math.MaxInt64, BackoffMax: math.MaxInt64,
		}, func(t *testing.T, w *world) {
			first := w.token("a")
			w.add(10 * time.Minute)
			if tok := w.token("a"); tok.Value.Equal(first.Value) {
				t.Error("not renewed")
			}
		})
	})
}

// Those who waited for the call of a forgotten room went looking for a place of
// their own when it was overdue.
func TestForgottenCallIsOverdue(t *testing.T) {
	t.Run("no place", func(t *testing.T) {
		within(t, roomtoken.Config{MaxRooms: 1}, func(t *testing.T, w *world) {
			w.src.holdCalls(true)
			p := w.ask(t.Context(), "a")
			w.m.Forget("a")
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			w.ask(ctx, "b")
			w.add(10 * time.Second)
			if !p.returned() || !errors.Is(p.err, context.DeadlineExceeded) {
				t.Errorf("returned %v: %v", p.returned(), p.err)
			}
			cancel()
			w.rest()
		})
	})
	t.Run("nothing is kept", func(t *testing.T) {
		within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
			w.src.holdCalls(true)
			w.ask(t.Context(), "a")
			w.m.Forget("a")
			w.add(10 * time.Second)
			w.src.releaseAll()
			w.rest()
			if n := w.m.Stats().Rooms; n != 0 {
				t.Errorf("%d rooms are kept", n)
			}
		})
	})
}

// Another room took the place of a watched one that was forgotten.
func TestForgottenWatchKeepsItsPlace(t *testing.T) {
	within(t, roomtoken.Config{MaxRooms: 1}, func(t *testing.T, w *world) {
		busy := make(chan struct{})
		v := w.watch("a", func(roomtoken.Token, error) { <-busy })
		w.m.Forget("a")
		w.watch("b", nil)
		close(busy)
		wantSeen(t, "after Forget", v, "token-a-1", "token-a-2")
		if v.ended() {
			t.Error("the watch ended, want it to go on")
		}
	})
}

// A renewal that was due at once was begun at once, again and again.
func TestRenewalsDueAtOnceAreNoLoop(t *testing.T) {
	t.Run("RefreshAfter of next to nothing", func(t *testing.T) {
		within(t, roomtoken.Config{RefreshAfter: 1e-13}, func(t *testing.T, w *world) {
			w.token("a")
			w.add(10 * time.Second)
			if n := w.src.count(); n < 50 || n > 101 {
				t.Errorf("%d calls in 10 s, want one per 100 ms", n)
			}
		})
	})
	t.Run("the same token until it ends", func(t *testing.T) {
		within(t, roomtoken.Config{MinValidity: -1}, func(t *testing.T, w *world) {
			begun := w.clk.Now()
			w.src.on(func(*sourceCall) (roomtoken.Grant, error) {
				return roomtoken.Grant{Token: roomtoken.Token{Value: roomtoken.NewSecret("same"), ExpiresAt: begun.Add(10 * time.Minute)}, IssuedAt: begun}, nil
			})
			w.token("a")
			w.add(10 * time.Minute)
			if n := w.src.count(); n > 30 {
				t.Errorf("%d calls for one token", n)
			}
			w.src.on(nil)
			w.add(time.Minute)
		})
	})
}

// A refresh that brought back the invalidated token left its refresh token behind.
func TestRefusedTokenTakesItsRefreshTokenAlong(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1}, func(t *testing.T, w *world) {
		tok := w.token("a")
		gate := make(chan struct{})
		w.src.on(func(c *sourceCall) (roomtoken.Grant, error) {
			g := w.src.mint(c)
			if c.n == 2 {
				<-gate
				g.Token.Value = tok.Value
				g.RefreshToken.Value = roomtoken.NewSecret("of the refused one")
			}
			return g, nil
		})
		w.add(401 * time.Second)
		w.m.Invalidate("a", tok)
		close(gate)
		w.ask(t.Context(), "a")
		w.add(2 * time.Second)
		w.calls("a", create, refresh, create)
	})
}

// A watch's ctx was forgotten after its first token.
func TestWatchKeepsTheValuesOfItsContext(t *testing.T) {
	type key struct{}
	within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
		w.watchWith(context.WithValue(t.Context(), key{}, "v"), "a", nil)
		tok, _ := w.m.Cached("a")
		w.m.Invalidate("a", tok)
		w.rest()
		w.m.Forget("a")
		w.rest()
		if n := w.src.count(); n != 3 {
			t.Fatalf("%d calls, want 3", n)
		}
		for i, c := range w.src.all() {
			if c.ctx.Value(key{}) != "v" {
				t.Errorf("the ctx of call %d has lost the value, want it kept", i+1)
			}
		}
	})
}

// carrier is an error that says how long to wait.
type carrierError struct {
	error
	wait time.Duration
}

func (c carrierError) RetryAfter() time.Duration { return c.wait }

// Only the first error with a wait was looked at.
func TestLongestRetryAfterCounts(t *testing.T) {
	hour := roomtoken.RetryAfter(errDown, time.Hour)
	for name, err := range map[string]error{
		"beside one of zero": fmt.Errorf("%w %w", carrierError{errDown, 0}, hour),
		"below a shorter":    roomtoken.RetryAfter(hour, time.Second),
		"beside a negative":  errors.Join(carrierError{errDown, -time.Hour}, hour),
	} {
		t.Run(name, func(t *testing.T) {
			within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
				w.src.fail(err)
				if p := w.ask(t.Context(), "a"); !p.returned() {
					t.Error("the caller waits for an attempt that lies an hour ahead")
				}
			})
		})
	}
}

// A room that had failed for good was called again and again while Warm waited
// for another.
func TestWarmLetsFailedRoomsGo(t *testing.T) {
	within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
		w.src.on(func(c *sourceCall) (roomtoken.Grant, error) {
			if c.room == "gone" {
				return roomtoken.Grant{}, roomtoken.Permanent(errDown)
			}
			return roomtoken.Grant{}, errDown
		})
		ctx, cancel := context.WithCancel(t.Context())
		p := w.warming(ctx, "slow", "gone")
		w.add(5 * time.Minute)
		if n := len(w.src.of("gone")); n != 1 {
			t.Errorf("%d calls for the room that has failed for good", n)
		}
		cancel()
		w.refused(p, roomtoken.ErrPermanent, context.Canceled)
	})
}

// A rate limit after a permanent failure was reported as permanent.
func TestRateLimitAfterAPermanentFailure(t *testing.T) {
	within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
		w.src.fail(roomtoken.Permanent(errDown))
		w.ask(t.Context(), "a")
		w.add(11 * time.Second)
		w.src.fail(roomtoken.RetryAfter(roomtoken.ErrRateLimited, time.Hour))
		p := w.ask(t.Context(), "a")
		if !p.returned() || strings.Contains(p.err.Error(), "for good") {
			t.Error(p.err)
		}
	})
}

// With many deadlines the scheduler took a nap though more were due.
func TestManyRoomsDueAtOnce(t *testing.T) {
	const rooms = 6000
	within(t, roomtoken.Config{Jitter: -1}, func(t *testing.T, w *world) {
		ids := make([]string, rooms)
		for i := range ids {
			ids[i] = fmt.Sprint("r", i)
		}
		if err := w.m.Warm(t.Context(), ids...); err != nil {
			t.Fatal(err)
		}
		w.clk.Add(400 * time.Second) // all are due now, and no time passes from here on
		w.rest()
		if n := w.src.count(); n != 2*rooms {
			t.Errorf("%d of %d rooms were renewed", n-rooms, rooms)
		}
	})
}

// A renewal that stood in line while all calls were held was made when the hold was
// over, though the room had become idle meanwhile.
func TestIdleRoomsInLineAreNotRenewedAfterAHold(t *testing.T) {
	within(t, roomtoken.Config{IdleAfter: 15 * time.Minute, Jitter: -1}, func(t *testing.T, w *world) {
		w.token("kept")
		w.token("left")
		w.add(6 * time.Minute)
		w.src.fail(roomtoken.RetryAfter(roomtoken.ErrRateLimited, time.Hour))
		w.add(50 * time.Second) // both are due: one meets the rate limit, the other stands in line
		w.src.on(nil)
		before := w.src.count()
		w.add(2 * time.Hour)
		if n := w.src.count() - before; n != 0 {
			t.Errorf("%d calls after the hold, for rooms that nobody has asked for in an hour", n)
		}
		if n := w.m.Stats().Rooms; n != 0 {
			t.Errorf("%d rooms are kept that nobody has asked for in an hour", n)
		}
	})
}

// A caller who got ErrTooShort counted as asking for an idle room, and took away the
// mark by which the next hit would have started the renewal.
func TestTooShortWakesAnIdleRoom(t *testing.T) {
	within(t, roomtoken.Config{IdleAfter: time.Minute, Jitter: -1}, func(t *testing.T, w *world) {
		w.token("room")
		w.add(8 * time.Minute) // of ten: its renewal was skipped
		w.calls("room", create)
		if _, err := w.m.TokenValidFor(context.Background(), "room", time.Hour); !errors.Is(err, roomtoken.ErrTooShort) {
			t.Fatalf("TokenValidFor: %v, want ErrTooShort", err)
		}
		w.rest()
		w.calls("room", create, refresh)
	})
}

// A caller joined the crowd of a room that had been evicted a moment before, and
// waited for ever.
func TestShortIdleAfterLeavesNobodyBehind(t *testing.T) {
	within(t, roomtoken.Config{IdleAfter: 100 * time.Millisecond, Jitter: -1, MaxWait: -1}, func(t *testing.T, w *world) {
		w.token("a")
		w.add(8*time.Minute + 200*time.Millisecond) // its renewal was skipped
		w.clk.stepWall(time.Hour)                   // and its token is gone
		w.add(110 * time.Millisecond)
		if p := w.ask(t.Context(), "a"); !p.returned() || p.err != nil {
			t.Errorf("returned %v: %v", p.returned(), p.err)
		}
	})
}

// A token that was old when it came was renewed after it had become unusable.
func TestOldTokenIsRenewedInTime(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1, IdleAfter: -1}, func(t *testing.T, w *world) {
		w.src.on(func(c *sourceCall) (roomtoken.Grant, error) {
			g := w.src.mint(c)
			if c.n == 1 {
				g.IssuedAt = w.clk.Now().Add(-520 * time.Second)
				g.Token.ExpiresAt = g.IssuedAt.Add(600 * time.Second)
			}
			return g, nil
		})
		w.token("a")
		for i := range 60 {
			w.add(time.Second)
			if _, ok := w.m.Cached("a"); !ok {
				t.Fatalf("after %d s there is no valid token, though nothing has failed", i+1)
			}
		}
	})
}

// Warm did not sign on rooms for which a place had to be looked for.
func TestWarmBeginsAllAtOnceWhenRoomsMustGo(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1, MaxRooms: 1200, IdleAfter: -1}, func(t *testing.T, w *world) {
		ids := make([]string, 1200)
		for i := range ids {
			ids[i] = fmt.Sprint("r", i)
		}
		if err := w.m.Warm(t.Context(), ids...); err != nil {
			t.Fatal(err)
		}
		w.add(10 * time.Second)
		for _, id := range ids {
			w.token(id) // none of them stands where it stood
		}
		w.failDead()
		ctx, cancel := context.WithCancel(t.Context())
		fresh := []string{"n1", "n2", "n3", "n4", "n5"}
		w.warming(ctx, append([]string{"dead"}, fresh...)...)
		w.add(20 * time.Second)
		for _, id := range fresh {
			if len(w.src.of(id)) == 0 {
				t.Errorf("no call for %q while another room fails, want one", id)
			}
		}
		cancel()
		w.rest()
	})
}
