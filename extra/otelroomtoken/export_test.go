package otelroomtoken

import (
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/roomtoken/roomtoken"
)

// RegisterStats is Register with statistics of the test's own.
func RegisterStats(stats func() roomtoken.Stats, opts ...Option) (metric.Registration, error) {
	return register(stats, newOptions(opts))
}

// NewProducerOf is NewProducer with statistics of the test's own.
func NewProducerOf(stats func() roomtoken.Stats, opts ...Option) sdkmetric.Producer {
	return newProducer(stats, newOptions(opts))
}

// ErrorTypes returns the values of error.type.
func ErrorTypes() []string {
	names := []string{"panic", "_OTHER"}
	for _, t := range errorTypes {
		names = append(names, t.name)
	}
	return names
}
