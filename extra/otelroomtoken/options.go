package otelroomtoken

import (
	"slices"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/roomtoken/roomtoken"
)

// Option configures [Register], [NewProducer] and [NewSource]. Each ignores what it has no
// use for.
type Option func(*options)

type options struct {
	tracers    trace.TracerProvider
	meters     metric.MeterProvider
	attributes []attribute.KeyValue
}

// WithTracerProvider sets where spans go. Defaults to the global provider, nil included.
func WithTracerProvider(provider trace.TracerProvider) Option {
	return func(o *options) {
		if provider != nil {
			o.tracers = provider
		}
	}
}

// WithMeterProvider sets where metrics go. Defaults to the global provider, nil included.
func WithMeterProvider(provider metric.MeterProvider) Option {
	return func(o *options) {
		if provider != nil {
			o.meters = provider
		}
	}
}

// WithAttributes adds attributes to all spans and all metrics. Their values must be few: each
// combination is a time series of its own.
func WithAttributes(attributes ...attribute.KeyValue) Option {
	return func(o *options) { o.attributes = append(o.attributes, attributes...) }
}

func newOptions(opts []Option) *options {
	o := &options{tracers: otel.GetTracerProvider(), meters: otel.GetMeterProvider()}
	for _, opt := range opts {
		opt(o)
	}
	return o
}

// with returns the user's attributes and some more.
func (o *options) with(more ...attribute.KeyValue) attribute.Set {
	return attribute.NewSet(slices.Concat(o.attributes, more)...)
}

// The attributes of spans and metrics.
const (
	callKey        = attribute.Key("roomtoken.call")
	stateKey       = attribute.Key("roomtoken.room.state")
	holdReasonKey  = attribute.Key("roomtoken.hold.reason")
	errorTypeKey   = attribute.Key("error.type")
	roomIDKey      = attribute.Key("roomtoken.room.id")
	fingerprintKey = attribute.Key("roomtoken.token.fingerprint")
)

// bounds returns the bounds of all histograms, in seconds.
func bounds() []float64 {
	var seconds []float64
	for _, bound := range roomtoken.HistogramBounds() {
		seconds = append(seconds, bound.Seconds())
	}
	return seconds
}
