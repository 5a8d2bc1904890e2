// Package hist counts any number of durations in a fixed amount of memory.
package hist

import (
	"math/bits"
	"time"
)

// There are steps buckets per power of two, so durations have a relative error of at
// most 1/steps.
const (
	stepBits = 4
	steps    = 1 << stepBits
	buckets  = (64 - stepBits) * steps
)

// Hist is a histogram of durations. The zero Hist is empty. It is not safe for
// concurrent use.
type Hist struct {
	counts [buckets]uint32
	worst  time.Duration
}

// Add counts a duration.
func (h *Hist) Add(d time.Duration) {
	h.counts[bucket(d)]++
	h.worst = max(h.worst, d)
}

// bucket returns the bucket of a duration. Negative durations are in the first.
func bucket(d time.Duration) int {
	n := uint64(max(d, 0))
	if n < steps {
		return int(n)
	}
	shift := bits.Len64(n) - 1 - stepBits
	return (shift+1)*steps + int(n>>shift) - steps
}

// ceiling returns the longest duration of a bucket.
func ceiling(bucket int) time.Duration {
	if bucket < steps {
		return time.Duration(bucket)
	}
	shift := bucket/steps - 1
	return time.Duration((uint64(bucket%steps+steps+1) << shift) - 1)
}

// Sum adds several histograms up. The zero Sum is empty.
type Sum struct {
	counts [buckets]uint64
	total  uint64
	worst  time.Duration
}

// Add adds a histogram.
func (s *Sum) Add(h *Hist) {
	for i, n := range &h.counts {
		s.counts[i] += uint64(n)
		s.total += uint64(n)
	}
	s.worst = max(s.worst, h.worst)
}

// Total returns the number of durations.
func (s *Sum) Total() uint64 { return s.total }

// Worst returns the longest duration.
func (s *Sum) Worst() time.Duration { return s.worst }

// Quantile returns the q-quantile, rounded up by at most one sixteenth.
func (s *Sum) Quantile(q float64) time.Duration {
	rest := uint64(q * float64(s.total))
	for i, n := range &s.counts {
		if n > rest {
			return min(ceiling(i), s.worst)
		}
		rest -= n
	}
	return s.worst
}

// Round rounds a duration to about three digits, for printing.
func Round(d time.Duration) time.Duration {
	for unit := time.Nanosecond; ; unit *= 10 {
		if d < 1000*unit {
			return d.Round(unit)
		}
	}
}
