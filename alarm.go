package roomtoken

import (
	"time"

	"github.com/benbjohnson/clock"
)

// alarm is a timer that starts when it is first waited for. The zero alarm never
// rings.
//
// It uses AfterFunc because the Timer of a *clock.Mock runs timers that are due: two
// goroutines can pick the same one, and the second then blocks on the timer's full
// channel while it holds the Mock's lock.
type alarm struct {
	after time.Duration // 0: never
	timer *clock.Timer
	rang  chan struct{}
}

// ring returns a channel that is closed when the alarm rings.
func (a *alarm) ring(c clock.Clock) <-chan struct{} {
	if a.after <= 0 {
		return nil
	}
	if a.timer == nil {
		rang := make(chan struct{})
		a.rang, a.timer = rang, c.AfterFunc(a.after, func() { close(rang) })
	}
	return a.rang
}

// stop releases the timer.
func (a *alarm) stop() {
	if a.timer != nil {
		a.timer.Stop()
	}
}
