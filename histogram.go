package roomtoken

import (
	"math"
	"sort"
	"time"
)

// Histogram counts durations. It can be compared, and is a copy: it does not change.
type Histogram struct {
	// Count is the number of durations.
	Count uint64

	// Sum is their sum, at most the longest Duration.
	Sum time.Duration

	// Buckets counts by size, and not cumulatively: Buckets[i] counts the durations of
	// at most HistogramBounds()[i] and more than the bound before. The rest of Count lies
	// beyond the last bound.
	Buckets [18]uint64
}

var histogramBounds = [...]time.Duration{
	time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond,
	10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2500 * time.Millisecond, 5 * time.Second, 10 * time.Second, 30 * time.Second,
	time.Minute, 2 * time.Minute, 5 * time.Minute, 15 * time.Minute,
}

// HistogramBounds returns the upper bounds of the buckets of every [Histogram], in
// ascending order.
func HistogramBounds() [18]time.Duration { return histogramBounds }

// observe counts a duration; a negative one counts as 0.
func (h *Histogram) observe(d time.Duration) {
	d = max(d, 0)
	h.Count++
	h.Sum += min(d, math.MaxInt64-h.Sum)
	if i := sort.Search(len(histogramBounds), func(i int) bool { return d <= histogramBounds[i] }); i < len(histogramBounds) {
		h.Buckets[i]++
	}
}
