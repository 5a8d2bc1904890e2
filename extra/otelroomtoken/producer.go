package otelroomtoken

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/roomtoken/roomtoken"
)

// NewProducer returns a producer of the histograms of a Manager, how long requests waited
// and the slack of renewals, for [sdkmetric.WithProducer]. Of the options it uses
// WithAttributes.
//
// The Manager has counted them already, so they have its buckets (see
// [roomtoken.HistogramBounds]) whatever view the SDK has, no minimum or maximum, and
// cumulative temporality, also for an exporter that prefers another. They begin when
// NewProducer is called: call it when you create the Manager. A nil manager panics.
func NewProducer(manager *roomtoken.Manager, opts ...Option) sdkmetric.Producer {
	if manager == nil {
		panic("otelroomtoken: NewProducer with a nil Manager")
	}
	return newProducer(manager.Stats, newOptions(opts))
}

func newProducer(stats func() roomtoken.Stats, o *options) sdkmetric.Producer {
	return &producer{stats: stats, attributes: o.with(), start: time.Now(), bounds: bounds()}
}

type producer struct {
	stats      func() roomtoken.Stats
	attributes attribute.Set
	start      time.Time
	bounds     []float64
}

// Produce implements [sdkmetric.Producer].
func (p *producer) Produce(context.Context) ([]metricdata.ScopeMetrics, error) {
	s := p.stats()
	now := time.Now()
	return []metricdata.ScopeMetrics{{
		Scope: instrumentation.Scope{Name: ScopeName},
		Metrics: []metricdata.Metrics{
			{
				Name: "roomtoken.wait.duration", Unit: "s",
				Description: "How long requests waited that found no token at once.",
				Data:        p.histogram(s.Waits, now),
			},
			{
				Name: "roomtoken.renewal.slack", Unit: "s",
				Description: "For how long the token before would still have been handed out when a new one came.",
				Data:        p.histogram(s.Slack, now),
			},
		},
	}}, nil
}

func (p *producer) histogram(h roomtoken.Histogram, now time.Time) metricdata.Aggregation {
	beyond := h.Count
	for _, n := range h.Buckets {
		beyond -= n
	}
	return metricdata.Histogram[float64]{
		Temporality: metricdata.CumulativeTemporality,
		DataPoints: []metricdata.HistogramDataPoint[float64]{{
			Attributes:   p.attributes,
			StartTime:    p.start,
			Time:         now,
			Count:        h.Count,
			Bounds:       p.bounds,
			BucketCounts: append(h.Buckets[:], beyond),
			Sum:          h.Sum.Seconds(),
		}},
	}
}
