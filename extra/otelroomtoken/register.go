package otelroomtoken

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/metric"

	"github.com/roomtoken/roomtoken"
)

// Register registers the counters and gauges of a Manager. They are read when metrics are
// collected, until the Registration is unregistered; that does not happen by itself when
// the Manager is closed. The error says what the MeterProvider did not accept.
//
// The histograms of a Manager need a [NewProducer], because the API has no instrument for
// histograms that are counted already.
func Register(manager *roomtoken.Manager, opts ...Option) (metric.Registration, error) {
	if manager == nil {
		return nil, errors.New("otelroomtoken: Register needs a Manager, not nil")
	}
	return register(manager.Stats, newOptions(opts))
}

func register(stats func() roomtoken.Stats, o *options) (metric.Registration, error) {
	meter := o.meters.Meter(ScopeName)
	var instruments []metric.Observable
	var errs []error
	var observations []func(metric.Observer, roomtoken.Stats)
	for _, n := range numbers {
		instrument, err := n.instrument(meter)
		errs = append(errs, err)
		instruments = append(instruments, instrument)
		observations = append(observations, func(observer metric.Observer, s roomtoken.Stats) {
			for _, v := range n.values(s) {
				observer.ObserveInt64(instrument, v.n, metric.WithAttributeSet(o.with(v.attributes...)))
			}
		})
	}
	remaining, err := meter.Float64ObservableGauge("roomtoken.hold.remaining", metric.WithUnit("s"),
		metric.WithDescription("Time until the hold on calls ends, by what holds them back."))
	errs = append(errs, err)
	instruments = append(instruments, remaining)
	observations = append(observations, func(observer metric.Observer, s roomtoken.Stats) {
		reason, left := hold(s)
		observer.ObserveFloat64(remaining, left.Seconds(), metric.WithAttributeSet(o.with(holdReasonKey.String(reason))))
	})
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return meter.RegisterCallback(func(_ context.Context, observer metric.Observer) error {
		s := stats()
		for _, observe := range observations {
			observe(observer, s)
		}
		return nil
	}, instruments...)
}

// hold returns what holds calls back, and for how long still. HeldUntil is zero while a
// probe may begin or is in flight.
func hold(s roomtoken.Stats) (reason string, left time.Duration) {
	switch {
	case s.RateLimited:
		reason = "rate_limit"
	case s.Probing:
		reason = "probe"
	default:
		return "none", 0
	}
	return reason, max(time.Until(s.HeldUntil), 0)
}
