package roomtoken

import (
	"time"

	"github.com/roomtoken/roomtoken/internal/monotime"
)

// returnGrace is how long a source that honours its ctx may take to return once the
// ctx has ended. It is real time: the goroutine needs it, not the tokens.
const returnGrace = 50 * time.Millisecond

// timeOut ends the ctx of the calls whose time is over.
func (e *engine) timeOut(now monotime.Reading) {
	for {
		c, at, ok := e.deadlines.Min()
		if !ok || at.After(now.Mono) {
			return
		}
		e.deadlines.Remove(c)
		go e.awaitReturn(c)
	}
}

// awaitReturn ends the call's ctx, and gives the source a moment to return. The moment
// begins here and not when the call began: a process that was stopped in between
// finds both over at once. It takes the lock.
func (e *engine) awaitReturn(c *call) {
	c.ctx.timeOut()
	grace := time.NewTimer(returnGrace)
	defer grace.Stop()
	select {
	case <-grace.C:
		e.overrun(c)
	case <-e.closing:
	}
}

// overrun gives up on a source that has not returned soon after its ctx ended: its
// call keeps its place, and nobody waits for it any longer. It takes the lock.
func (e *engine) overrun(c *call) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed || c.returned.Load() || c.room.call() != c { // one that has returned may have lost its room
		return
	}
	now := e.clock.Now()
	o := failed(&timeoutError{after: e.config.CallTimeout})
	o.timedOut = true
	e.report(Event{Kind: EventCallOverdue, RoomID: c.roomID, Call: c.kind, Duration: c.took(now), Err: o.err})
	change := e.judgeSource(c, &o, len(e.calls)-e.overdue, now)
	e.judgeRoom(c, &o, now)
	if c.inLane {
		e.laneCalls--
	}
	e.stats.LastError, e.stats.LastErrorAt = o.err, e.clock.Time(now, now.Mono)
	c.overdue = true
	e.overdue++
	e.follow(change, c, &o, now)
	if c.waiters != nil { // it is orphaned, and nothing else is known of its room
		e.releaseCohort(c.waiters, nil, &Error{RoomID: c.roomID, Call: c.kind, Err: o.err})
		c.waiters = nil
	}
	if d := c.room.demand(); d != nil {
		failure := &Error{RoomID: c.roomID}
		e.explain(failure, c.room, now)
		e.release(d, nil, failure)
		d.watches.wake()
	}
	e.settle(c.room, now)
}
