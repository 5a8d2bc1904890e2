package recover

import (
	"context"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/failsafe-go/failsafe-go/adaptivelimiter"
	"github.com/failsafe-go/failsafe-go/adaptivethrottler"
)

// Each limiter has its library's defaults.

// adaptiveLimiter bounds the calls in flight by how long calls take: 20 at first, then 1 to
// 200.
type adaptiveLimiter struct {
	adaptivelimiter.AdaptiveLimiter[any]
}

func newAdaptiveLimiter() limiter {
	return adaptiveLimiter{adaptivelimiter.NewWithDefaults[any]()}
}

func (l adaptiveLimiter) do(ctx context.Context, call func() error) error {
	permit, err := l.AcquirePermit(ctx)
	if err != nil {
		return err
	}
	defer permit.Record() // also of a call that fails, as the library's own executor does
	return call()
}

// adaptiveThrottler makes a share of the calls, by how many of the last minute failed: all
// while that is a tenth at most, and never less than a tenth.
type adaptiveThrottler struct {
	adaptivethrottler.AdaptiveThrottler[any]
}

func newAdaptiveThrottler() limiter {
	return adaptiveThrottler{adaptivethrottler.NewWithDefaults[any]()}
}

func (t adaptiveThrottler) do(_ context.Context, call func() error) error {
	if err := t.AcquirePermit(); err != nil {
		return err
	}
	err := call()
	t.RecordError(err)
	return err
}

// adaptiveMode bounds the calls per second, once one was refused. The SDK's budget of retries
// is left out: no room is given up.
type adaptiveMode struct {
	*retry.AdaptiveMode
	first chan struct{} // held by the worker whose call is next
}

// newAdaptiveMode returns an adaptive mode whose wait for the next call is ours. Its own is
// rounded down, sometimes to nothing, which lasts forever where time is simulated.
func newAdaptiveMode() limiter {
	refused := func(err error) aws.Ternary {
		return aws.BoolTernary(errors.Is(err, errBusy) || errors.Is(err, errLimited))
	}
	return adaptiveMode{
		retry.NewAdaptiveMode(func(o *retry.AdaptiveModeOptions) {
			o.Throttles = append(o.Throttles, retry.IsErrorThrottleFunc(refused))
			o.FailOnNoAttemptTokens = true
		}),
		make(chan struct{}, 1),
	}
}

func (m adaptiveMode) do(ctx context.Context, call func() error) error {
	m.first <- struct{}{}
	release, err := m.GetAttemptToken(ctx)
	for err != nil && sleep(ctx, time.Millisecond) == nil {
		release, err = m.GetAttemptToken(ctx)
	}
	<-m.first
	if err != nil {
		return err
	}
	err = call()
	return errors.Join(err, release(err))
}
