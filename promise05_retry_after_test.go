package roomtoken_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
)

// Promise 5: a wait that the source asks for.

// slowDownError is an error of a source that does not use this package.
type slowDownError struct{ wait time.Duration }

func (e slowDownError) Error() string { return "slow down" }

func (e slowDownError) RetryAfter() time.Duration { return e.wait }

// A wait that the source asks for is kept, up to MaxRetryAfter.
func TestPromise5RetryAfter(t *testing.T) {
	background := context.Background()
	for name, c := range map[string]struct {
		err  error
		wait time.Duration
		slop time.Duration // of the backoff, where that is longer
	}{
		"an hour":                         {roomtoken.RetryAfter(errDown, time.Hour), time.Hour, 0},
		"deep in a chain":                 {fmt.Errorf("call: %w", errors.Join(errDown, roomtoken.RetryAfter(errDown, time.Hour))), time.Hour, 0},
		"of any error type":               {fmt.Errorf("call: %w", errors.Join(errDown, slowDownError{time.Hour})), time.Hour, 0},
		"24 h":                            {roomtoken.RetryAfter(errDown, 24*time.Hour), 24 * time.Hour, 0},
		"above 24 h":                      {roomtoken.RetryAfter(errDown, 1000*time.Hour), 24 * time.Hour, 0},
		"the longest":                     {roomtoken.RetryAfter(errDown, 1<<63-1), 24 * time.Hour, 0},
		"negative":                        {roomtoken.RetryAfter(errDown, -time.Hour), 500 * time.Millisecond, 250 * time.Millisecond},
		"the most negative":               {roomtoken.RetryAfter(errDown, -1<<63), 500 * time.Millisecond, 250 * time.Millisecond},
		"shorter than the backoff":        {roomtoken.RetryAfter(errDown, time.Millisecond), 500 * time.Millisecond, 250 * time.Millisecond},
		"rate limit":                      {roomtoken.RetryAfter(errors.Join(errDown, roomtoken.ErrRateLimited), time.Hour), time.Hour, 0},
		"rate limit above 24 h":           {roomtoken.RetryAfter(errors.Join(errDown, roomtoken.ErrRateLimited), 99*time.Hour), 24 * time.Hour, 0},
		"rate limit without a wait":       {errors.Join(errDown, roomtoken.ErrRateLimited), 500 * time.Millisecond, 250 * time.Millisecond},
		"rate limit with a negative wait": {roomtoken.RetryAfter(errors.Join(errDown, roomtoken.ErrRateLimited), -1), 500 * time.Millisecond, 250 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			within(t, roomtoken.Config{MaxWait: -1, IdleAfter: time.Second, MaxRetryAfter: 24 * time.Hour}, func(t *testing.T, w *world) {
				w.others(1)
				w.src.fail(c.err)
				p := w.ask(background, "r")
				w.waits(p)
				w.src.on(nil)
				brief, cancel := context.WithTimeout(background, c.wait/2)
				defer cancel()
				w.refused(w.ask(brief, "r"), errDown) // waiting is pointless
				w.add(c.wait - 1)
				w.waits(p)
				w.calls("r", create)
				w.add(1 + c.slop)
				w.served(p)
				w.calls("r", create, create)
			})
		})
	}
}

// The wait is kept even for an idle room that nobody waits for and that never had a
// token.
func TestPromise5RetryAfterOfAnIdleRoomIsKept(t *testing.T) {
	within(t, roomtoken.Config{IdleAfter: time.Minute, MaxRetryAfter: 24 * time.Hour}, func(t *testing.T, w *world) {
		w.others(1)
		w.src.fail(roomtoken.RetryAfter(errDown, 5*time.Hour))
		w.refused(w.ask(context.Background(), "r"), errDown)
		w.add(5*time.Hour - 1)
		w.refused(w.askWithin(3*time.Second, "r"), context.DeadlineExceeded)
		w.calls("r", create)
	})
}

// With a wait of an hour, a caller who has 3 s gets the source's error at once, and
// so does the next one.
func TestPromise5RetryAfterOfAnHour(t *testing.T) {
	for name, err := range map[string]error{
		"of the room":    roomtoken.RetryAfter(errDown, time.Hour),
		"of the account": roomtoken.RetryAfter(errors.Join(errDown, roomtoken.ErrRateLimited), time.Hour),
	} {
		t.Run(name, func(t *testing.T) {
			within(t, roomtoken.Config{MaxRetryAfter: time.Hour}, func(t *testing.T, w *world) {
				w.others(1)
				w.src.fail(err)
				for range 3 {
					ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
					p := w.ask(ctx, "r")
					err := w.refused(p, errDown)
					if ctx.Err() != nil {
						t.Fatal("the caller waited until its deadline, want the error at once")
					}
					cancel()
					var carrier interface{ RetryAfter() time.Duration }
					if !errors.As(err, &carrier) || carrier.RetryAfter() < time.Hour-5*time.Second || carrier.RetryAfter() > time.Hour {
						t.Errorf("error = %v, want RetryAfter to say how long to wait", err)
					}
				}
				w.refused(w.ask(context.Background(), "r"), errDown) // MaxWait is 30 s
				w.calls("r", create)
				w.add(time.Hour)
				w.src.on(nil)
				w.token("r")
			})
		})
	}
}

// The wait of a call that returns after CallTimeout is kept like any other.
func TestPromise5RetryAfterOfALateAnswer(t *testing.T) {
	for name, err := range map[string]error{
		"transient":    roomtoken.RetryAfter(errDown, time.Hour),
		"permanent":    roomtoken.RetryAfter(roomtoken.Permanent(errDown), time.Hour),
		"rate limited": roomtoken.RetryAfter(roomtoken.ErrRateLimited, time.Hour),
	} {
		t.Run(name, func(t *testing.T) {
			within(t, roomtoken.Config{MaxRetryAfter: time.Hour}, func(t *testing.T, w *world) {
				w.others(1)
				w.src.fail(err)
				w.src.holdCalls(true)
				p := w.ask(context.Background(), "r")
				w.add(time.Minute)
				w.refused(p)
				w.src.releaseAll()
				w.src.on(nil)
				w.add(time.Hour - 1)
				w.ask(context.Background(), "r")
				w.calls("r", create)
				w.add(1)
				w.token("r")
				w.calls("r", create, create)
			})
		})
	}
}

// A longer wait than MaxRetryAfter, which is 10 min by default, is cut to it.
func TestPromise5MaxRetryAfter(t *testing.T) {
	for name, err := range map[string]error{
		"of the room":            roomtoken.RetryAfter(errDown, 24*time.Hour),
		"of the room, permanent": roomtoken.RetryAfter(roomtoken.Permanent(errDown), 24*time.Hour),
		"of the account":         roomtoken.RetryAfter(roomtoken.ErrRateLimited, 24*time.Hour),
	} {
		for set, want := range map[time.Duration]time.Duration{0: 10 * time.Minute, time.Minute: time.Minute, time.Hour: time.Hour} {
			t.Run(fmt.Sprint(name, " ", set), func(t *testing.T) {
				within(t, roomtoken.Config{MaxWait: -1, MaxRetryAfter: set}, func(t *testing.T, w *world) {
					w.others(1)
					w.src.fail(err)
					w.ask(context.Background(), "r")
					w.src.on(nil)
					w.add(want - 1)
					w.ask(context.Background(), "r")
					w.calls("r", create)
					w.add(1)
					w.token("r")
					w.calls("r", create, create)
				})
			})
		}
	}
}
