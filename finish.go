package roomtoken

import (
	"github.com/roomtoken/roomtoken/internal/monotime"
	"github.com/roomtoken/roomtoken/internal/policy"
)

// finish ends a call. panicked is the *flight.PanicError of a source that panicked or
// called Goexit, nil if it did neither. It takes the lock.
func (e *engine) finish(c *call, panicked error) {
	if panicked != nil {
		c.outcome = thrown(panicked, c.refresh.Value)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.clock.Look()
	r := c.room
	delete(e.calls, c)
	if c.forCaller {
		e.callerCalls--
	}
	r.call = nil
	if e.closed {
		e.reportEnd(c, now)
		e.progress.send()
		return
	}
	if c.outcome.verdict == granted {
		e.publish(c, now) // or find the grant unusable, which is a failure
	}
	held := e.judgeAccount(c, c.outcome, now)
	fellBack := e.judgeRoom(c, c.outcome, now)
	e.reportEnd(c, now)
	if fellBack {
		e.fallBack(c.roomID, ReasonRefreshRejected)
	}
	if held {
		e.holdBack(c, now)
	}
	e.answer(c, now)
	if r.orphaned {
		e.drop(r)
	}
	e.settle(r, now)
	if r.call == nil { // after a refused refresh the create has begun: nobody need look
		r.wake()
	}
}

// judgeAccount draws the consequences of an outcome for all rooms. It reports whether
// all calls are held back now, or for longer.
func (e *engine) judgeAccount(c *call, o outcome, now monotime.Reading) (held bool) {
	switch {
	case o.verdict == limited:
		return e.account.rateLimited(c, o, now.Mono, e.backoff)
	case o.verdict != transient:
		e.account.answered(c, now.Mono)
	case c.overdue:
		e.account.lost(c) // it counted when it became overdue
	default:
		return e.account.failed(c, o.err, now.Mono, e.config.MaxConcurrentCalls, e.backoff)
	}
	return false
}

// judgeRoom draws the consequences of an outcome for its room. It reports whether the
// room's refresh token is gone with it.
func (e *engine) judgeRoom(c *call, o outcome, now monotime.Reading) (fellBack bool) {
	r := c.room
	switch {
	case c.orphaned || o.verdict == granted:
	case o.verdict == limited: // no failure of the room, but the last error that is known
		r.failures().note(c, o)
	case o.verdict == permanent:
		f := r.failures()
		f.permanent++
		f.transient = 0
		f.note(c, o)
		r.nextAttempt = now.Mono.Add(max(policy.PermanentWait(f.permanent), o.wait))
	case o.verdict == transient && !c.overdue: // an overdue call counted when it became overdue
		f := r.failures()
		f.transient++
		f.permanent = 0
		f.note(c, o)
		r.nextAttempt = now.Mono.Add(max(e.backoff.Wait(f.transient), o.wait))
	default:
		if o.wait > 0 {
			r.failures().note(c, o)
			r.nextAttempt = max(r.nextAttempt, now.Mono.Add(o.wait))
		}
		if o.verdict == rejected && r.refresh.Equal(c.refresh.Value) {
			r.dropRefresh()
			return true
		}
	}
	return false
}

// holdBack reports that the call made all others wait.
func (e *engine) holdBack(c *call, now monotime.Reading) {
	e.report(Event{
		Kind: EventHeldBack, RoomID: c.roomID, Err: e.account.err,
		Until: e.clock.Time(now, e.account.until),
	})
	e.wakeScheduler()
	e.holds.send() // waiting for any room may be in vain now
}

// answer releases those whom the call's outcome answers: with its token, or with the
// error of a permanent failure.
func (e *engine) answer(c *call, now monotime.Reading) {
	var err error
	switch {
	case c.outcome.verdict == permanent:
		failure := &roomError{roomID: c.roomID, call: c.kind, err: c.outcome.err, permanent: true}
		if !c.orphaned {
			e.explain(failure, c.room, now)
		}
		err = failure
	case c.outcome.verdict != granted && !c.orphaned:
		return // they wait for the next attempt, if they can
	}
	if c.orphaned {
		if c.waiters != nil {
			c.waiters.servedBy = c.number
			c.waiters.release(c.result, err)
		}
		return
	}
	if k := c.room.waiters(); k != nil {
		if c.result != nil {
			k.servedBy = c.number
			c.room.use(now) // they have not picked it up yet
		}
		c.room.demand.release(c.result, err)
	}
}

// reportEnd reports the end of a call, and the token that it brought.
func (e *engine) reportEnd(c *call, now monotime.Reading) {
	ended := Event{Kind: EventCallEnded, RoomID: c.roomID, Call: c.kind, Duration: c.took(now), Err: c.outcome.err}
	if ended.Err != nil {
		if c.kind == CallRefresh {
			e.stats.RefreshFailures++
		} else {
			e.stats.CreateFailures++
		}
		if !c.orphaned {
			ended.Failures = c.room.failure.total()
		}
		if at := max(c.room.nextAttempt, e.account.opens(now.Mono)); at.After(now.Mono) {
			ended.Until = e.clock.Time(now, at)
		}
	}
	e.report(ended)
	if c.result != nil && !c.orphaned {
		e.report(Event{
			Kind: EventTokenPublished, RoomID: c.roomID, Call: c.kind,
			Fingerprint: e.fingerprint(c.outcome.grant.Token.Value),
			ExpiresAt:   c.outcome.grant.Token.ExpiresAt, Generation: uint64(c.room.generation),
			Failures: c.recovered,
		})
	}
}

// overrun gives up on a source that has not returned soon after its ctx ended: its
// call keeps its place, and nobody waits for it any longer. It takes the lock.
func (e *engine) overrun(c *call) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed || c.room.call != c || c.returned.Load() {
		return
	}
	now := e.clock.Now()
	o := failed(&timeoutError{after: e.config.CallTimeout})
	e.report(Event{Kind: EventCallOverdue, RoomID: c.roomID, Call: c.kind, Duration: c.took(now), Err: o.err})
	held := e.judgeAccount(c, o, now)
	e.judgeRoom(c, o, now)
	c.overdue = true
	if held {
		e.holdBack(c, now)
	}
	if c.waiters != nil { // it is orphaned, and nothing else is known of its room
		c.waiters.release(nil, &roomError{roomID: c.roomID, call: c.kind, err: o.err})
		c.waiters = nil
	}
	if d := c.room.demand; d != nil {
		failure := &roomError{roomID: c.roomID}
		e.explain(failure, c.room, now)
		d.release(nil, failure)
		d.changed.send()
	}
	e.settle(c.room, now)
}
