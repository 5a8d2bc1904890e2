package demo

import (
	"testing"
	"time"

	"github.com/benbjohnson/clock"
)

// A step shows in Now alone.
func TestStepClock(t *testing.T) {
	mock := clock.NewMock()
	c := &stepClock{Clock: mock}
	start := c.Now()
	c.set(-10 * time.Minute)
	fired := false
	c.AfterFunc(time.Second, func() { fired = true })
	mock.Add(time.Second)
	if got := c.Now().Sub(start); got != time.Second-10*time.Minute {
		t.Errorf("Now is %v after the start, want -9m59s", got)
	}
	if got := c.Since(start); got != time.Second || !fired {
		t.Errorf("Since is %v and the timer fired: %v, want 1s and true", got, fired)
	}
}
