// Package moment reads the two clocks by which a token ages: the monotonic one,
// which nobody can step, and the wall clock, which goes on while the machine is
// suspended. A token has aged by the larger of the two.
package moment

import (
	"math"
	"sync/atomic"
	"time"

	"github.com/benbjohnson/clock"
)

// Moment is a reading of both clocks, in nanoseconds since the Clock's base.
type Moment struct {
	Mono int64
	Wall int64
}

// Ahead is how far the wall clock has come further than the monotonic one. It
// grows when the machine is suspended or the wall clock is stepped forward, and
// falls when the wall clock is stepped backward.
func (m Moment) Ahead() int64 { return m.Wall - m.Mono }

// lookEvery is how long Now trusts the last look at the wall clock. A monotonic
// reading costs about half of one that reads both.
const lookEvery = 100 * time.Millisecond

// Clock turns a clock.Clock into Moments. It is safe for concurrent use.
type Clock struct {
	clock clock.Clock
	real  bool      // clock is the real one: skip the interface
	base  time.Time // with its monotonic reading, if the clock has one
	wall  time.Time // base without it

	looked atomic.Int64 // Mono of the last look at the wall clock
	ahead  atomic.Int64 // what that look found
}

// New returns a Clock whose base is now. A nil c is the real clock.
func New(c clock.Clock) *Clock {
	m := &Clock{clock: c, real: c == nil}
	if m.real {
		m.clock = clock.New()
	}
	m.base = m.clock.Now()
	m.wall = m.base.Round(0)
	return m
}

// IsReal reports whether time is the operating system's own, so that the
// standard library's timers and contexts agree with it.
func (c *Clock) IsReal() bool { return c.real }

// Now returns the present Moment. Its Wall may be wrong by what the wall clock
// was stepped during the last 100 ms.
func (c *Clock) Now() Moment {
	var mono int64
	if c.real { // not by way of the interface: half of what a cache's hit costs is this
		mono = int64(time.Since(c.base))
	} else {
		mono = int64(c.clock.Since(c.base))
	}
	if mono-c.looked.Load() > int64(lookEvery) {
		return c.Look()
	}
	return Moment{Mono: mono, Wall: mono + c.ahead.Load()}
}

// Look returns the present Moment after a look at the wall clock.
func (c *Clock) Look() Moment {
	now := c.clock.Now()
	// One reading for both, so that a pause between two cannot pass for a step.
	// Only a test's clock has its own idea of Since.
	mono := int64(now.Sub(c.base))
	if !c.real {
		mono = int64(c.clock.Since(c.base))
	}
	wall := c.FromTime(now)
	c.ahead.Store(wall - mono)
	c.looked.Store(mono)
	return Moment{Mono: mono, Wall: wall}
}

// FromTime returns the wall reading that stands for t. Times more than 292 years
// from the base saturate.
func (c *Clock) FromTime(t time.Time) int64 { return int64(t.Round(0).Sub(c.wall)) }

// Time returns the wall-clock time of a monotonic reading, as seen from now.
func (c *Clock) Time(now Moment, mono int64) time.Time {
	return c.wall.Add(time.Duration(Add(mono, now.Ahead()))).UTC()
}

// UnixBase returns the base as seconds and nanoseconds of Unix time.
func (c *Clock) UnixBase() (sec int64, nsec int64) {
	return c.wall.Unix(), int64(c.wall.Nanosecond())
}

// Add returns a + b, saturated instead of overflowing.
func Add(a, b int64) int64 {
	switch sum := a + b; {
	case a > 0 && b > 0 && sum < 0:
		return math.MaxInt64
	case a < 0 && b < 0 && sum >= 0:
		return math.MinInt64
	default:
		return sum
	}
}
