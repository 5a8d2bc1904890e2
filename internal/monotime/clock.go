package monotime

import (
	"sync/atomic"
	"time"

	"github.com/benbjohnson/clock"
)

// lookEvery is how long Now trusts the last look at the wall clock. Reading the
// monotonic clock alone costs about half as much as reading both.
const lookEvery = 100 * time.Millisecond

// Clock turns a clock.Clock into Readings. It is safe for concurrent use.
type Clock struct {
	clock clock.Clock
	real  bool      // clock is the real one: skip the interface
	base  time.Time // with its monotonic reading, if the clock has one
	wall  time.Time // base without the monotonic reading

	// wall as Unix time.
	wallSec  int64
	wallNsec int64

	looked atomic.Int64 // Time of the last look at the wall clock
	ahead  atomic.Int64 // Reading.Ahead at that look
}

// New returns a Clock whose base is the present. A nil c is the real clock.
func New(c clock.Clock) *Clock {
	m := &Clock{clock: c, real: c == nil}
	if m.real {
		m.clock = clock.New()
	}
	m.base = m.clock.Now()
	m.wall = m.base.Round(0)
	m.wallSec, m.wallNsec = m.wall.Unix(), int64(m.wall.Nanosecond())
	return m
}

// IsReal reports whether this is the operating system's clock, so that the
// standard library's timers and contexts agree with it.
func (c *Clock) IsReal() bool { return c.real }

// Now returns the present Reading. Its Wall ignores steps of the wall clock
// during the last 100 ms.
func (c *Clock) Now() Reading {
	var mono time.Duration
	if c.real { // bypass the interface: reading the clock is half the cost of a cache hit
		mono = time.Since(c.base)
	} else {
		mono = c.clock.Since(c.base)
	}
	if int64(mono)-c.looked.Load() > int64(lookEvery) {
		return c.Look()
	}
	return Reading{Mono: Time(mono), Wall: WallTime(int64(mono) + c.ahead.Load())}
}

// Look returns the present Reading after a look at the wall clock.
func (c *Clock) Look() Reading {
	now := c.clock.Now()
	// One reading serves both, so that a pause between two readings cannot pass
	// for a step. Only a test's clock has a Since of its own.
	mono := Time(now.Sub(c.base))
	if !c.real {
		mono = Time(c.clock.Since(c.base))
	}
	r := Reading{Mono: mono, Wall: c.FromTime(now)}
	c.ahead.Store(int64(r.Ahead()))
	c.looked.Store(int64(mono))
	return r
}

// FromTime returns t as an instant on the wall clock. Times more than 292 years
// from the base saturate.
func (c *Clock) FromTime(t time.Time) WallTime { return WallTime(t.Round(0).Sub(c.wall)) }

// Time returns the wall-clock time of a monotonic instant, as seen from now.
func (c *Clock) Time(now Reading, t Time) time.Time {
	return c.wall.Add(time.Duration(t.Add(now.Ahead()))).UTC()
}

// Left returns how long a credential remains valid from now on: by the clock
// that leaves it less. Zero or negative: it has expired.
func (c *Clock) Left(e Expiry, now Reading) time.Duration {
	wall := time.Duration(Never)
	if s := e.Sec - c.wallSec; s < int64(Never)/int64(time.Second) {
		wall = time.Duration(s*int64(time.Second) + int64(e.Nsec) - c.wallNsec - int64(now.Wall))
	}
	return min(e.Mono.Sub(now.Mono), wall)
}
