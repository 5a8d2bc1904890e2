package roomtoken

import (
	"runtime"

	"github.com/roomtoken/roomtoken/internal/monotime"
)

// resetBackoff is Manager.ResetBackoff. It takes the lock.
func (e *engine) resetBackoff(roomIDs []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return
	}
	now := e.clock.Now()
	e.reset.at, e.reset.begun = now.Mono, e.begun
	if len(roomIDs) > 0 {
		for i, id := range roomIDs {
			if i%batch == batch-1 { // let others have the lock
				e.mu.Unlock()
				runtime.Gosched()
				e.mu.Lock()
				if e.closed {
					return
				}
			}
			e.memo.forget(id)
			e.share.forget(id)
			if r := e.lookUp(id); r != nil {
				e.resetRoom(r, now)
			}
		}
		return
	}
	if e.breaker.Guarded() {
		e.window.Open(now.Mono, e.config.MaxConcurrentCalls)
	}
	e.breaker.Reset(now.Mono)
	e.pace.Forget()
	e.guarded, e.outage = false, 0
	e.memo = memo{}
	e.resetting = e.cache.cursor()
	e.wakeScheduler()
}

// resetMark is when ResetBackoff was called last: what came later is not reset.
type resetMark struct {
	at    monotime.Time
	begun uint64 // calls
}

// resetRoom makes the room try now.
func (e *engine) resetRoom(r *room, now monotime.Reading) {
	e.share.retry(r)
	f := r.failure()
	if f == nil || !f.at.After(e.reset.at) {
		r.setNextAttempt(0)
		if f != nil {
			f.transient, f.permanent, f.replaceAfter = 0, 0, 0
		}
	}
	if c := r.call(); c != nil && c.number <= e.reset.begun {
		c.retry = true
	}
	e.settle(r, now)
}
