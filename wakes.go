package roomtoken

import (
	"time"

	"github.com/roomtoken/roomtoken/internal/flight"
)

// awaitWakes calls the store's Wake, from NewManager to Close. It takes the lock.
func (e *engine) awaitWakes(waker Waker) {
	e.loop(func() time.Duration {
		began := e.clock.Now().Mono
		var err error
		flight.Contain(func() error { return waker.Wake(e.life, e.wake) }, &err)
		return max(pollEvery, time.Second-e.clock.Now().Mono.Sub(began))
	})
}

// wake notes that another's lease is over, and adopts the token that it has brought. With
// an empty room ID it notes that wakes arrive. It takes the lock.
func (e *engine) wake(roomID string, record Record) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return
	}
	now := e.clock.Look()
	e.share.heard = max(now.Mono, 1)
	r := e.lookUp(roomID)
	if r == nil {
		return
	}
	sh := e.share.known(r)
	if sh == nil || r.call() != nil && r.call().phase == running {
		return
	}
	sh.woken = true
	if !record.IsZero() && record.Began <= sh.storeTime { // else its age is not known: ask
		e.judgeWrites(Entry{Record: record}, now)
		e.adopt(r, record, now)
	}
	sh.lookAt = 0
	e.settle(r, now)
}
