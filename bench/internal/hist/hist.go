// Package hist counts durations, very many of them, in little memory.
package hist

import (
	"math/bits"
	"time"
)

// A duration falls into one of steps buckets per power of two: it is known to
// one part in steps.
const (
	stepBits = 4
	steps    = 1 << stepBits
	buckets  = (64 - stepBits) * steps
)

// Hist is a histogram of durations. The zero Hist is empty. It is for one
// goroutine.
type Hist struct {
	counts [buckets]uint32
	worst  time.Duration
}

// Add counts a duration.
func (h *Hist) Add(d time.Duration) {
	h.counts[bucket(d)]++
	h.worst = max(h.worst, d)
}

// bucket returns the bucket that a duration falls into; negative ones fall into
// the first.
func bucket(d time.Duration) int {
	n := uint64(max(d, 0))
	if n < steps {
		return int(n)
	}
	shift := bits.Len64(n) - 1 - stepBits
	return (shift+1)*steps + int(n>>shift) - steps
}

// ceiling returns the longest duration that falls into a bucket.
func ceiling(bucket int) time.Duration {
	if bucket < steps {
		return time.Duration(bucket)
	}
	shift := bucket/steps - 1
	return time.Duration((uint64(bucket%steps+steps+1) << shift) - 1)
}

// Sum is what several histograms hold together. The zero Sum is empty.
type Sum struct {
	counts [buckets]uint64
	total  uint64
	worst  time.Duration
}

// Add adds what a histogram holds.
func (s *Sum) Add(h *Hist) {
	for i, n := range &h.counts {
		s.counts[i] += uint64(n)
		s.total += uint64(n)
	}
	s.worst = max(s.worst, h.worst)
}

// Total returns how many durations were counted.
func (s *Sum) Total() uint64 { return s.total }

// Worst returns the longest of them.
func (s *Sum) Worst() time.Duration { return s.worst }

// Quantile returns the duration that the share of them does not exceed, to one
// part in sixteen, rounded up.
func (s *Sum) Quantile(share float64) time.Duration {
	rest := uint64(share * float64(s.total))
	for i, n := range &s.counts {
		if n > rest {
			return min(ceiling(i), s.worst)
		}
		rest -= n
	}
	return s.worst
}
