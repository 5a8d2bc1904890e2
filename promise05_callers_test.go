package roomtoken_test

import (
	"context"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
)

// Promise 5: how long callers wait for a failing source.

// Callers wait through any number of attempts, until there is a token, the ctx ends
// or MaxWait passes, or the next attempt comes after either.
func TestPromise5HowLongCallersStay(t *testing.T) {
	background := context.Background()

	t.Run("until there is a token", func(t *testing.T) {
		within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
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
				t.Errorf("served at %v, want at the fifth attempt, %v", p.at, w.src.all()[4].at)
			}
		})
	})

	t.Run("the next attempt comes after MaxWait", func(t *testing.T) {
		within(t, roomtoken.Config{MaxWait: 5 * time.Second}, func(t *testing.T, w *world) {
			w.src.fail(errDown)
			w.add(time.Hour)
			p := w.ask(background, "r")
			w.add(6 * time.Second)
			w.refused(p, errDown)
			calls := w.src.of("r")
			if last := calls[len(calls)-1]; p.at != last.at {
				t.Errorf("caller left at %v, want at the last attempt, %v", p.at, last.at)
			}
			w.add(time.Minute)
			if n := len(w.src.of("r")); n != len(calls) {
				t.Error("attempts go on after the caller left, want none")
			}
		})
	})

	t.Run("the next attempt comes after the ctx's deadline", func(t *testing.T) {
		within(t, roomtoken.Config{BackoffMin: 5 * time.Second}, func(t *testing.T, w *world) {
			w.src.fail(errDown)
			ctx, cancel := context.WithTimeout(background, 3*time.Second)
			defer cancel()
			p := w.ask(ctx, "r")
			w.refused(p, errDown) // at once: no time has passed
			longer, cancel := context.WithTimeout(background, 20*time.Second)
			defer cancel()
			w.waits(w.ask(longer, "r"))
			w.calls("r", create)
		})
	})

	t.Run("MaxWait, call in flight", func(t *testing.T) {
		within(t, roomtoken.Config{MaxWait: 3 * time.Second}, func(t *testing.T, w *world) {
			w.src.holdCalls(false)
			w.add(time.Minute)
			p := w.ask(background, "r")
			w.add(3*time.Second - 1)
			w.waits(p)
			w.add(1)
			w.refused(p, context.DeadlineExceeded)
			w.src.releaseAll()
			w.token("r")
			w.calls("r", create)
		})
	})

	t.Run("MaxWait, from the epoch on", func(t *testing.T) {
		within(t, roomtoken.Config{MaxWait: 3 * time.Second}, func(t *testing.T, w *world) {
			w.src.holdCalls(false)
			p := w.ask(background, "r")
			w.add(3 * time.Second)
			w.refused(p, context.DeadlineExceeded)
		})
	})

	t.Run("MaxWait, queued and in flight", func(t *testing.T) {
		within(t, roomtoken.Config{MaxWait: 9 * time.Second, MaxConcurrentCalls: 1}, func(t *testing.T, w *world) {
			w.add(time.Minute)
			w.src.holdCalls(false)
			w.ask(background, "other")
			p := w.ask(background, "r")
			w.add(5 * time.Second)
			w.calls("r")
			w.src.release("other")
			w.calls("r", create)
			w.add(4*time.Second - 1)
			w.waits(p)
			w.add(1)
			w.refused(p, context.DeadlineExceeded)
		})
	})

	t.Run("MaxWait, over several attempts", func(t *testing.T) {
		within(t, roomtoken.Config{MaxWait: 12 * time.Second, CallTimeout: 5 * time.Second}, func(t *testing.T, w *world) {
			w.add(time.Minute)
			w.src.holdCalls(false)
			p := w.ask(background, "r")
			w.add(5 * time.Second) // the first times out
			w.add(2 * time.Second) // the second is in flight
			w.waits(p)
			w.calls("r", create, create)
			w.add(5 * time.Second)
			w.refused(p, context.DeadlineExceeded)
			if p.at > 72*time.Second {
				t.Errorf("caller left after %v, want 12 s", p.at-time.Minute)
			}
		})
	})

	t.Run("without MaxWait, as long as the ctx allows", func(t *testing.T) {
		within(t, roomtoken.Config{MaxWait: -1}, func(t *testing.T, w *world) {
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
