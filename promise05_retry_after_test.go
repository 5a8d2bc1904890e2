package roomtoken_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
)

// slowDownError is an error of a source that knows nothing of this package.
type slowDownError struct{ wait time.Duration }

func (e slowDownError) Error() string { return "slow down" }

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
			within(t, roomtoken.Config{MaxWait: -1, IdleAfter: time.Second}, func(t *testing.T, w *world) {
				w.src.fail(c.err)
				p := w.ask(background, "r")
				w.waits(p)
				w.src.on(nil)
				brief, cancel := context.WithTimeout(background, c.wait/2)
				defer cancel()
				w.refused(w.ask(brief, "r"), errDown) // it has no point in waiting
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

// TestPromise5RetryAfterOutlivesInterest: nobody waits, the room is idle and has
// never had a token, and the wait is kept all the same.
func TestPromise5RetryAfterOutlivesInterest(t *testing.T) {
	within(t, roomtoken.Config{IdleAfter: time.Minute}, func(t *testing.T, w *world) {
		w.src.fail(roomtoken.RetryAfter(errDown, 5*time.Hour))
		w.refused(w.ask(context.Background(), "r"), errDown)
		w.add(5*time.Hour - 1)
		w.refused(w.askWithin(3*time.Second, "r"), context.DeadlineExceeded)
		w.calls("r", create)
	})
}

// TestPromise5RetryAfterOfAnHour, and a caller who has 3 s: it gets the source's
// error at once, and so does the next one.
func TestPromise5RetryAfterOfAnHour(t *testing.T) {
	for name, err := range map[string]error{
		"of the room":    roomtoken.RetryAfter(errDown, time.Hour),
		"of the account": roomtoken.RetryAfter(errors.Join(errDown, roomtoken.ErrRateLimited), time.Hour),
	} {
		t.Run(name, func(t *testing.T) {
			within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
				w.src.fail(err)
				for range 3 {
					ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
					p := w.ask(ctx, "r")
					err := w.refused(p, errDown)
					if ctx.Err() != nil {
						t.Fatal("it took its 3 s")
					}
					cancel()
					var carrier interface{ RetryAfter() time.Duration }
					if !errors.As(err, &carrier) || carrier.RetryAfter() < time.Hour-5*time.Second || carrier.RetryAfter() > time.Hour {
						t.Errorf("the error does not tell when to come back: %v", err)
					}
				}
				w.refused(w.ask(context.Background(), "r"), errDown) // MaxWait is no more than 30 s
				w.calls("r", create)
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
			within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
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
