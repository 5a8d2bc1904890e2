// Package histogram counts durations in a fixed amount of memory.
package histogram

import (
	"math"
	"time"
)

// perDoubling is the number of buckets between a duration and twice that
// duration. It makes quantiles accurate to about 1 %.
const perDoubling = 32

// Histogram counts durations of up to about two minutes in buckets of
// exponentially growing width. The zero Histogram is empty.
type Histogram struct {
	buckets [37 * perDoubling]uint64
	n       uint64
	longest time.Duration
}

// Add counts d.
func (h *Histogram) Add(d time.Duration) {
	d = max(d, 1)
	i := int(math.Log2(float64(d)) * perDoubling)
	h.buckets[min(i, len(h.buckets)-1)]++
	h.n++
	h.longest = max(h.longest, d)
}

// Max returns the longest duration, or 0 if the histogram is empty.
func (h *Histogram) Max() time.Duration { return h.longest }

// Quantile returns the q-quantile, with q between 0 and 1, or 0 if the histogram
// is empty.
func (h *Histogram) Quantile(q float64) time.Duration {
	left := uint64(math.Ceil(q * float64(h.n)))
	for i, n := range &h.buckets {
		if n >= left && n > 0 {
			return min(time.Duration(math.Exp2((float64(i)+0.5)/perDoubling)), h.longest)
		}
		left -= n
	}
	return h.longest
}
