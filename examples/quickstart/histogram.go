package main

import (
	"math"
	"time"
)

// perDoubling is how many buckets a histogram has from one time to twice that:
// its answers are right to about 1 %.
const perDoubling = 32

// histogram counts durations up to a minute or so in buckets that grow with
// them, so that its size does not. The zero histogram is empty.
type histogram struct {
	buckets [37 * perDoubling]uint64
	n       uint64
	slowest time.Duration
}

func (h *histogram) add(d time.Duration) {
	d = max(d, 1)
	i := int(math.Log2(float64(d)) * perDoubling)
	h.buckets[min(i, len(h.buckets)-1)]++
	h.n++
	h.slowest = max(h.slowest, d)
}

// quantile returns the duration that the fraction q of all is at most, 0 if
// there are none.
func (h *histogram) quantile(q float64) time.Duration {
	left := uint64(math.Ceil(q * float64(h.n)))
	for i, n := range &h.buckets {
		if n >= left && n > 0 {
			return min(time.Duration(math.Exp2((float64(i)+0.5)/perDoubling)), h.slowest)
		}
		left -= n
	}
	return h.slowest
}
