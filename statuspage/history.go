package statuspage

import (
	"sync"
	"time"

	"github.com/roomtoken/roomtoken"
)

// maxSamples is how many samples the history keeps.
const maxSamples = 360

// A sample is what happened between two looks at the Stats, and how things stood at the
// second one. Its JSON form is that of the history.
type sample struct {
	At timestamp `json:"at"`

	// Since the sample before.
	Creates         uint64 `json:"creates"`
	CreateFailures  uint64 `json:"create_failures"`
	Refreshes       uint64 `json:"refreshes"`
	RefreshFailures uint64 `json:"refresh_failures"`
	Misses          uint64 `json:"misses"`
	Lapses          uint64 `json:"lapses"`

	Rooms  int         `json:"rooms"`
	States stateCounts `json:"states"`

	// Quantiles of the calls and waits that ended since the sample before: the upper bound
	// of the bucket, 0 where none ended.
	CallP50 millis `json:"call_p50_ms"`
	CallP99 millis `json:"call_p99_ms"`
	WaitP99 millis `json:"wait_p99_ms"`

	Held bool `json:"held"` // calls were held back
}

func newSample(at time.Time, before, now roomtoken.Stats) sample {
	calls := callTimes(now).less(callTimes(before))
	waits := durations(now.Waits).less(durations(before.Waits))
	return sample{
		At:              timestamp(at),
		Creates:         now.Creates - before.Creates,
		CreateFailures:  now.CreateFailures - before.CreateFailures,
		Refreshes:       now.Refreshes - before.Refreshes,
		RefreshFailures: now.RefreshFailures - before.RefreshFailures,
		Misses:          now.Misses - before.Misses,
		Lapses:          now.Lapses - before.Lapses,
		Rooms:           now.Rooms,
		States:          now.States,
		CallP50:         millis(calls.quantile(50)),
		CallP99:         millis(calls.quantile(99)),
		WaitP99:         millis(waits.quantile(99)),
		Held:            held(now),
	}
}

// held reports whether calls are held back: all of them, or all but probes.
func held(s roomtoken.Stats) bool { return !s.HeldUntil.IsZero() || s.Probing }

// durations is a histogram with which one can reckon.
type durations roomtoken.Histogram

// callTimes has all calls that ended, whatever their result.
func callTimes(s roomtoken.Stats) durations {
	sum := durations(s.CreateTimes)
	for _, h := range []roomtoken.Histogram{s.CreateFailureTimes, s.RefreshTimes, s.RefreshFailureTimes} {
		sum.Count += h.Count
		for i, n := range h.Buckets {
			sum.Buckets[i] += n
		}
	}
	return sum
}

// less returns what was counted since before.
func (d durations) less(before durations) durations {
	d.Count -= before.Count
	for i, n := range before.Buckets {
		d.Buckets[i] -= n
	}
	return d
}

// quantile returns a duration that so many percent do not exceed: the upper bound of a
// bucket, that of the last one where they lie beyond all. 0: there are none.
func (d durations) quantile(percent uint64) time.Duration {
	if d.Count == 0 {
		return 0
	}
	bounds := roomtoken.HistogramBounds()
	rank := (d.Count*percent + 99) / 100
	for i, n := range d.Buckets {
		if n >= rank {
			return bounds[i]
		}
		rank -= n
	}
	return bounds[len(bounds)-1]
}

// history is the latest samples of a Manager's Stats. It is safe for concurrent use.
type history struct {
	mu      sync.Mutex
	before  roomtoken.Stats // at the last sample
	samples []sample        // a ring once it has maxSamples
	oldest  int             // the index of the ring's first sample
}

// add takes a sample.
func (h *history) add(at time.Time, now roomtoken.Stats) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := newSample(at, h.before, now)
	h.before = now
	if len(h.samples) < maxSamples {
		h.samples = append(h.samples, s)
		return
	}
	h.samples[h.oldest] = s
	h.oldest = (h.oldest + 1) % maxSamples
}

// all returns a copy of the samples, the oldest first.
func (h *history) all() []sample {
	h.mu.Lock()
	defer h.mu.Unlock()
	samples := make([]sample, 0, len(h.samples))
	return append(append(samples, h.samples[h.oldest:]...), h.samples[:h.oldest]...)
}
