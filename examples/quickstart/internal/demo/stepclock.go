package demo

import (
	"sync/atomic"
	"time"

	"github.com/benbjohnson/clock"
)

// stepClock is the clock of a machine whose wall clock is set while it runs, as by an
// operator or by NTP: Now steps, and neither Since nor the timers do. To be seen, the step
// must be in Now alone, since [time.Time.Add] shifts a monotonic reading, too.
type stepClock struct {
	clock.Clock
	step atomic.Int64
}

// set sets the wall clock ahead by d, or back if d is negative.
func (c *stepClock) set(d time.Duration) { c.step.Add(int64(d)) }

func (c *stepClock) Now() time.Time { return c.Clock.Now().Add(time.Duration(c.step.Load())) }

// Since returns the time since a result of Now: without the steps that came after it. The
// Manager measures from its start, when there had been none.
func (c *stepClock) Since(t time.Time) time.Duration { return c.Clock.Since(t) }
