package recover

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v4"
	"golang.org/x/sync/semaphore"
)

// slots is the number of workers: as many as roomtoken makes calls at a time.
const slots = 64

// limiter decides which calls are made, and when.
type limiter interface {
	// do makes the call and returns its error, or returns an error without it.
	do(ctx context.Context, call func() error) error
}

// unlimited makes all calls.
type unlimited struct{}

func (unlimited) do(_ context.Context, call func() error) error { return call() }

// startWorkers starts workers that take one room after the other. A room without a token is
// back in line after a backoff from 0.5 to 30 s with the jitter of the library, and not before
// the time that the source asked for.
func startWorkers(newLimiter func() limiter) start {
	return func(ctx context.Context, src *source, rooms []string) (finish func() int) {
		var all sync.WaitGroup
		var served atomic.Int64
		limiter, workers := newLimiter(), semaphore.NewWeighted(slots)
		attempt := func(room string) error {
			if err := workers.Acquire(ctx, 1); err != nil {
				return err
			}
			defer workers.Release(1)
			return limiter.do(ctx, func() error { return src.call(ctx, room) })
		}
		for _, room := range rooms {
			all.Go(func() {
				pauses := backoff.NewExponentialBackOff(
					backoff.WithMaxInterval(30*time.Second), backoff.WithMaxElapsedTime(0))
				for ctx.Err() == nil {
					err := attempt(room)
					if err == nil {
						served.Add(1)
						return
					}
					pause := pauses.NextBackOff()
					if errors.Is(err, errLimited) {
						pause = max(pause, retryAfter)
					}
					_ = sleep(ctx, pause) // the loop looks at ctx
				}
			})
		}
		return func() int {
			all.Wait()
			return int(served.Load())
		}
	}
}
