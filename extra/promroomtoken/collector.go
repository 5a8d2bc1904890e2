package promroomtoken

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/roomtoken/roomtoken"
)

// collector is a [prometheus.Collector] of the metrics of a snapshot S, such as
// [roomtoken.Stats].
type collector[S any] struct {
	snapshot func() S
	families []family[S]
}

// family is a metric with all its labels.
type family[S any] struct {
	desc    *prometheus.Desc
	samples func(S) []prometheus.Metric
}

// Describe implements [prometheus.Collector].
func (c *collector[S]) Describe(descs chan<- *prometheus.Desc) {
	for _, f := range c.families {
		descs <- f.desc
	}
}

// Collect implements [prometheus.Collector]. All metrics come from one snapshot.
func (c *collector[S]) Collect(metrics chan<- prometheus.Metric) {
	s := c.snapshot()
	for _, f := range c.families {
		for _, m := range f.samples(s) {
			metrics <- m
		}
	}
}

// newFamily returns the family of that name, without its prefix.
func newFamily[S any](name, help string, labels []string, samples func(*prometheus.Desc, S) []prometheus.Metric) family[S] {
	desc := prometheus.NewDesc("roomtoken_"+name, help, labels, nil)
	return family[S]{desc, func(s S) []prometheus.Metric { return samples(desc, s) }}
}

// counter returns a family without labels.
func counter[S any](name, help string, value func(S) uint64) family[S] {
	return newFamily(name, help, nil, func(desc *prometheus.Desc, s S) []prometheus.Metric {
		return []prometheus.Metric{count(desc, value(s))}
	})
}

// gauge returns a family without labels.
func gauge[S any](name, help string, value func(S) float64) family[S] {
	return newFamily(name, help, nil, func(desc *prometheus.Desc, s S) []prometheus.Metric {
		return []prometheus.Metric{prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value(s))}
	})
}

// histogram returns a family without labels.
func histogram[S any](name, help string, value func(S) roomtoken.Histogram) family[S] {
	return newFamily(name, help, nil, func(desc *prometheus.Desc, s S) []prometheus.Metric {
		return []prometheus.Metric{durations(desc, value(s))}
	})
}

// count returns a sample of a counter.
func count(desc *prometheus.Desc, n uint64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(n), labels...)
}

// durations returns a sample of a histogram in seconds. Its buckets are cumulative, as
// Prometheus wants them; those of h are not.
func durations(desc *prometheus.Desc, h roomtoken.Histogram, labels ...string) prometheus.Metric {
	buckets := make(map[float64]uint64, len(h.Buckets))
	var below uint64
	for i, bound := range roomtoken.HistogramBounds() {
		below += h.Buckets[i]
		buckets[bound.Seconds()] = below
	}
	return prometheus.MustNewConstHistogram(desc, h.Count, h.Sum.Seconds(), buckets, labels...)
}

// yes returns 1 for true and 0 for false.
func yes(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// timestamp returns a time in seconds since 1970, 0 for the zero Time.
func timestamp(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}
