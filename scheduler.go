package roomtoken

import (
	"runtime"
	"time"

	"github.com/roomtoken/roomtoken/internal/monotime"
)

const (
	// lookEvery is how often the scheduler looks at the clock while there are rooms.
	// Timers stand still while the machine is suspended: a watched room notices that
	// late, at most.
	lookEvery = 10 * time.Second

	// wallJump is the least jump of the wall clock after which all rooms are planned
	// anew. A smaller one only delays renewals by as much.
	wallJump = time.Second

	// With more deadlines than manyTimers the scheduler sleeps at least nap. Being so
	// late does no harm, and each time costs a timer and a switch of goroutines.
	manyTimers = 4096
	nap        = 10 * time.Millisecond
)

// schedule is the scheduler's goroutine, from NewManager to Close. It only hands work
// out. It takes the lock.
func (e *engine) schedule() {
	for {
		until, ok := e.turn()
		if !ok {
			return
		}
		e.sleep(until)
	}
}

// sleep waits until it is that time, or somebody wakes the scheduler. It needs no lock.
func (e *engine) sleep(until monotime.Time) {
	pause := until.Sub(e.clock.Now().Mono)
	if pause <= 0 {
		runtime.Gosched() // let those who wait for the lock have it
		return
	}
	timer := e.config.Clock.AfterFunc(pause, e.wakeScheduler) // not Timer, see alarm
	defer timer.Stop()
	if !e.clock.Now().Mono.Before(until) {
		return // a test's clock was moved before the timer was set
	}
	select {
	case <-e.woken:
	case <-e.closing:
	}
}

// turn does one batch of what is due and returns until when to sleep; ok is false after
// Close. It takes the lock.
func (e *engine) turn() (until monotime.Time, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		e.scheduling = false
		e.progress.send()
		return 0, false
	}
	now := e.clock.Look()
	e.timeOut(now)
	e.followWall(now)
	e.walkOn(now)
	e.review(now)
	timers := e.queues[timerQueue]
	for range batch {
		r, key, ok := timers.Min()
		if !ok || key.After(now.Mono) {
			break
		}
		e.move(r, noQueue, 0)
		e.settle(r, now)
		if inLine(r.queue) {
			r.wakeWatches() // its call has to wait: they must notice the token's end themselves
		}
	}
	e.dispatch(now)

	e.sleepUntil = monotime.Never
	if e.rooms > 0 {
		e.sleepUntil = now.Mono.Add(lookEvery)
	}
	_, key, ok := timers.Min()
	if ok && !key.After(now.Mono) || e.walking() {
		return now.Mono, true // there is more to do, but the lock was held long enough
	}
	if ok {
		if timers.Len() > manyTimers {
			key = max(key, now.Mono.Add(nap))
		}
		e.sleepUntil = min(e.sleepUntil, key)
	}
	if opens := e.opens(now); opens > 0 {
		e.sleepUntil = min(e.sleepUntil, opens)
	}
	if _, over, ok := e.deadlines.Min(); ok {
		e.sleepUntil = min(e.sleepUntil, over)
	}
	return e.sleepUntil, true
}

// followWall has all rooms planned anew after the wall clock has jumped forward, as it
// does after a suspend: their tokens are older now than the queues know. After a jump
// backward nothing need be done: deadlines then come early, and are postponed when they do.
func (e *engine) followWall(now monotime.Reading) {
	switch ahead := now.Ahead(); {
	case ahead < e.plannedAhead:
		e.plannedAhead = ahead
	case ahead-e.plannedAhead > wallJump:
		e.plannedAhead = ahead
		e.replanning = e.cache.cursor()
	}
}

// review plans all rooms anew every lookEvery while rooms stand in line for long: some
// are idle by now, or have lost their token.
func (e *engine) review(now monotime.Reading) {
	if now.Mono.Before(e.reviewAt) {
		return
	}
	e.reviewAt = now.Mono.Add(lookEvery)
	stuck := e.breaker.Guarded() || !e.window.Full() || 2*e.overdue >= e.config.MaxConcurrentCalls
	for _, q := range []queueID{renewalQueue, sickRenewalQueue} {
		_, key, ok := e.queues[q].Min()
		stuck = stuck || ok && key.Before(now.Mono)
	}
	if stuck && e.queued() > 0 && e.reviewing == nil {
		e.reviewing = e.cache.cursor()
	}
}
