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
	fired := make(chan struct{})
	c.AfterFunc(time.Second, func() { close(fired) })
	mock.Add(time.Second)
	<-fired // the step does not delay timers
	if got := c.Now().Sub(start); got != time.Second-10*time.Minute {
		t.Errorf("Now is %v after the start, want -9m59s", got)
	}
	if got := c.Since(start); got != time.Second {
		t.Errorf("Since is %v, want 1s", got)
	}
}
