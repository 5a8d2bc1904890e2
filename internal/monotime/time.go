// Package monotime reads the two clocks by which a token ages: the monotonic
// clock, which nobody can step, and the wall clock, which keeps running while
// the machine is suspended. A token has aged by the larger of the two.
//
// Instants have types of their own, so that an instant cannot be mistaken for a
// duration, nor an instant on one clock for an instant on the other.
package monotime

import (
	"math"
	"time"
)

// Time is an instant on the monotonic clock, in nanoseconds since the base of
// the [Clock] that read it.
type Time int64

// Never is later than every instant a Clock reads, yet a century can be added to
// it without overflow.
const Never Time = math.MaxInt64 / 2

// Add returns t + d. It saturates instead of overflowing.
func (t Time) Add(d time.Duration) Time {
	sum := t + Time(d)
	switch {
	case t > 0 && d > 0 && sum < 0:
		return math.MaxInt64
	case t < 0 && d < 0 && sum >= 0:
		return math.MinInt64
	default:
		return sum
	}
}

// Sub returns the time from u to t.
func (t Time) Sub(u Time) time.Duration { return time.Duration(t - u) }

// Before reports whether t is earlier than u.
func (t Time) Before(u Time) bool { return t < u }

// After reports whether t is later than u.
func (t Time) After(u Time) bool { return t > u }

// WallTime is an instant on the wall clock, in nanoseconds since the base of the
// [Clock] that read it.
type WallTime int64

// Sub returns the time from u to t.
func (t WallTime) Sub(u WallTime) time.Duration { return time.Duration(t - u) }

// Reading is one look at both clocks.
type Reading struct {
	Mono Time
	Wall WallTime
}

// Ahead returns how much further the wall clock has come than the monotonic
// clock. It grows when the machine is suspended or the wall clock is stepped
// forward, and shrinks when the wall clock is stepped backward.
func (r Reading) Ahead() time.Duration { return time.Duration(int64(r.Wall) - int64(r.Mono)) }

// Expiry is the end of a credential on both clocks. The earlier of the two
// counts, see [Clock.Left].
type Expiry struct {
	Mono Time
	Sec  int64 // Unix time
	Nsec uint32
}
