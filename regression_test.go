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

// Each test here reproduces a bug that was fixed.

// failDead makes calls for rooms whose ID begins with "dead" fail, and no others.
func (w *world) failDead() {
	w.src.on(func(c *sourceCall) (roomtoken.Grant, error) {
		if strings.HasPrefix(c.room, "dead") {
			return roomtoken.Grant{}, errDown
		}
		return w.src.mint(c), nil
	})
}

// Rooms that failed on their own kept all other rooms from renewing for an hour.
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

// A room was evicted between the publication of its token and the moment its waiters
// picked it up.
func TestPublishedTokenReachesAllWaiters(t *testing.T) {
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
				_, _ = m.Token(ctx, fmt.Sprint("b", i)) // ErrTooManyRooms while callers wait for "a"
			}
		})
	}
	close(gate)
	callers.Wait()
	cancel()
	rivals.Wait()
	if n := creates.Load(); n != 1 {
		t.Errorf("%d creates, want 1 for all waiters", n)
	}
}

// A watched room was evicted when its token expired while its renewal waited for a
// slot.
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

// Very long durations overflowed: there was no backoff, and rooms were evicted at
// once.
func TestHugeDurations(t *testing.T) {
	t.Run("BackoffMin", func(t *testing.T) {
		within(t, roomtoken.Config{BackoffMin: math.MaxInt64}, func(t *testing.T, w *world) {
			w.add(5 * time.Second)
			w.src.fail(errDown)
			w.refused(w.ask(t.Context(), "a")) // the next attempt comes after any deadline
			w.add(time.Hour)
			if n := w.src.count(); n != 1 {
				t.Errorf("%d calls, want 1", n)
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
				t.Error("the room was evicted, want it kept for IdleAfter")
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
				t.Error("Token returned the first token, want the renewed one")
			}
		})
	})
}

// Callers who waited for a forgotten room's call started a new room when it was
// overdue.
func TestForgottenCallIsOverdue(t *testing.T) {
	t.Run("MaxRooms is reached", func(t *testing.T) {
		within(t, roomtoken.Config{MaxRooms: 1}, func(t *testing.T, w *world) {
			w.src.holdCalls(true)
			p := w.ask(t.Context(), "a")
			w.m.Forget("a")
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			w.ask(ctx, "b")
			w.add(10 * time.Second)
			w.refused(p, context.DeadlineExceeded)
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
				t.Errorf("%d rooms, want 0", n)
			}
		})
	})
}

// When a watched room was forgotten, another room could take its slot in MaxRooms.
func TestForgottenWatchedRoomStillCounts(t *testing.T) {
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

// A renewal that was due at once was made in a loop.
func TestRenewalsDueAtOnceAreNoLoop(t *testing.T) {
	t.Run("tiny RefreshAfter", func(t *testing.T) {
		within(t, roomtoken.Config{RefreshAfter: 1e-13}, func(t *testing.T, w *world) {
			w.token("a")
			w.add(10 * time.Second)
			if n := w.src.count(); n < 50 || n > 101 {
				t.Errorf("%d calls in 10 s, want 50 to 101: one per 100 ms", n)
			}
		})
	})
	t.Run("the same token until it expires", func(t *testing.T) {
		within(t, roomtoken.Config{MinValidity: -1}, func(t *testing.T, w *world) {
			begun := w.clk.Now()
			w.src.on(func(*sourceCall) (roomtoken.Grant, error) {
				return roomtoken.Grant{Token: roomtoken.Token{Value: roomtoken.NewSecret("same"), ExpiresAt: begun.Add(10 * time.Minute)}, IssuedAt: begun}, nil
			})
			w.token("a")
			w.add(10 * time.Minute)
			if n := w.src.count(); n > 30 {
				t.Errorf("%d calls for one token, want at most 30", n)
			}
			w.src.on(nil)
			w.add(time.Minute)
		})
	})
}

// A refresh that returned the invalidated token left its refresh token in place.
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

// The values of a watch's ctx were lost after its first token.
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

// carrierError is an error that says how long to wait.
type carrierError struct {
	error
	wait time.Duration
}

func (c carrierError) RetryAfter() time.Duration { return c.wait }

// Only the first error with a wait counted.
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
				w.refused(w.ask(t.Context(), "a")) // the next attempt is in an hour
			})
		})
	}
}

// A room that had failed permanently was called repeatedly while Warm waited for
// another room.
func TestWarmDoesNotRetryFailedRooms(t *testing.T) {
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
			t.Errorf("%d calls for the room that has failed permanently, want 1", n)
		}
		cancel()
		w.refused(p, roomtoken.ErrPermanent, context.Canceled)
	})
}

// A rate limit after a permanent failure was reported as a permanent failure.
func TestRateLimitAfterAPermanentFailure(t *testing.T) {
	within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
		w.src.fail(roomtoken.Permanent(errDown))
		w.ask(t.Context(), "a")
		w.add(11 * time.Second)
		w.src.fail(roomtoken.RetryAfter(roomtoken.ErrRateLimited, time.Hour))
		err := w.refused(w.ask(t.Context(), "a"), roomtoken.ErrRateLimited)
		if text := err.Error(); errors.Is(err, roomtoken.ErrPermanent) || strings.Contains(text, "for good") || strings.Contains(text, "permanent") {
			t.Errorf("Token() = %v, want nothing permanent in it", err)
		}
	})
}

// With many deadlines the scheduler slept although more were due.
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
		w.clk.Add(400 * time.Second) // all are due now, and no more time passes
		w.rest()
		if n := w.src.count(); n != 2*rooms {
			t.Errorf("%d rooms renewed, want %d", n-rooms, rooms)
		}
	})
}

// A renewal that was queued during a hold was made after the hold, although the room
// had become idle.
func TestIdleQueuedRoomsAreNotRenewedAfterAHold(t *testing.T) {
	within(t, roomtoken.Config{IdleAfter: 15 * time.Minute, Jitter: -1}, func(t *testing.T, w *world) {
		w.token("kept")
		w.token("left")
		w.add(6 * time.Minute)
		w.src.fail(roomtoken.RetryAfter(roomtoken.ErrRateLimited, time.Hour))
		w.add(50 * time.Second) // both are due: one meets the rate limit, the other is queued
		w.src.on(nil)
		before := w.src.count()
		w.add(2 * time.Hour)
		if n := w.src.count() - before; n != 0 {
			t.Errorf("%d calls after the hold for idle rooms, want none", n)
		}
		if n := w.m.Stats().Rooms; n != 0 {
			t.Errorf("%d idle rooms, want them evicted", n)
		}
	})
}

// A caller who got ErrTooShort counted as use of an idle room, but cleared the mark
// that makes the next hit start the renewal.
func TestTooShortWakesAnIdleRoom(t *testing.T) {
	within(t, roomtoken.Config{IdleAfter: time.Minute, Jitter: -1}, func(t *testing.T, w *world) {
		w.token("room")
		w.add(8 * time.Minute) // of ten: its renewal was skipped
		w.calls("room", create)
		if _, err := w.m.TokenValidFor(context.Background(), "room", time.Hour); !errors.Is(err, roomtoken.ErrTooShort) {
			t.Fatalf("TokenValidFor() = %v, want ErrTooShort", err)
		}
		w.rest()
		w.calls("room", create, refresh)
	})
}

// A caller joined the waiters of a room that had just been evicted, and never
// returned.
func TestShortIdleAfterLeavesNobodyBehind(t *testing.T) {
	within(t, roomtoken.Config{IdleAfter: 100 * time.Millisecond, Jitter: -1, MaxWait: -1}, func(t *testing.T, w *world) {
		w.token("a")
		w.add(8*time.Minute + 200*time.Millisecond) // its renewal was skipped
		w.clk.stepWall(time.Hour)                   // and its token has expired
		w.add(110 * time.Millisecond)
		w.served(w.ask(t.Context(), "a"))
	})
}

// A token that was issued before its call was renewed only after it had become
// unusable.
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
				t.Fatalf("no valid token after %d s, want one: nothing has failed", i+1)
			}
		}
	})
}

// Warm waited for one room before it asked for the next when rooms had to be evicted.
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
			w.token(id) // moves all of them in the order of eviction
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
