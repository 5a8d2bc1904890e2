package roomtoken

import (
	"sync"
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
func (a *alarm) ring(e *engine) <-chan struct{} {
	if a.after <= 0 {
		return nil
	}
	if a.timer == nil {
		at, rang := e.clock.Now().Mono.Add(a.after), make(chan struct{})
		var once sync.Once
		ring := func() { once.Do(func() { close(rang) }) }
		a.rang, a.timer = rang, e.config.Clock.AfterFunc(a.after, ring)
		if !e.clock.Now().Mono.Before(at) { // a test's clock was moved before the timer was set
			ring()
		}
	}
	return a.rang
}

// stop releases the timer.
func (a *alarm) stop() {
	if a.timer != nil {
		a.timer.Stop()
	}
}
