package roomtoken

import (
	"math"

	"github.com/roomtoken/roomtoken/internal/breaker"
	"github.com/roomtoken/roomtoken/internal/monotime"
	"github.com/roomtoken/roomtoken/internal/policy"
	"github.com/roomtoken/roomtoken/internal/window"
)

// finish ends a call that has its outcome.
func (e *engine) finish(c *call) {
	e.mu.assertHeld()
	now := e.clock.Look()
	r := c.room
	inFlight := len(e.calls) - e.overdue
	e.count(c, -1)
	if c.overdue {
		e.overdue--
	}
	r.setCall(nil)
	if e.closed {
		e.reportEnd(c, now)
		e.progress.send()
		return
	}
	if c.outcome.verdict == granted {
		e.accept(c, now) // or find the grant unusable, which is a failure
	}
	limited := e.breaker.Limited()
	change := e.judgeSource(c, c.outcome, inFlight, now)
	fellBack := e.judgeRoom(c, c.outcome, now)
	if c.retry && c.outcome.err != nil { // ResetBackoff came while it ran
		r.setNextAttempt(0)
	}
	e.reportEnd(c, now)
	if fellBack {
		e.fallBack(c.roomID, ReasonRefreshRejected)
	}
	e.follow(change, c, c.outcome, now)
	e.answer(c, now)
	e.commit(c, now)
	if limited && !e.breaker.Limited() {
		e.tellHold(0, Failure{}, now)
	}
	if r.life == orphaned {
		e.drop(r)
	}
	e.settle(r, now)
	if r.call() == nil {
		e.dropLease(r) // the create for which it was kept does not begin
	}
	e.wakeInVain(r, now)
}

// judgeSource draws the consequences of an outcome for all rooms.
func (e *engine) judgeSource(c *call, o *outcome, inFlight int, now monotime.Reading) breaker.Change {
	bc := breaker.Call{Number: c.number, Room: c.roomID, Began: c.began.Mono, Witness: !c.failing}
	if o.verdict == transient && c.overdue {
		e.breaker.Left(c.number) // it counted when it became overdue
		return breaker.Change{}
	}
	inUse := e.inUse()
	if c.orphaned {
		inUse++ // a forgotten room does not count, but testifies
	}
	var change breaker.Change
	switch o.verdict {
	case limited:
		wait := min(o.wait, e.config.MaxRetryAfter)
		delay := e.probeDelay(wait)
		change = e.breaker.RateLimited(bc, o.err, wait+delay, now.Mono)
		if change.Later {
			left := e.breaker.Opens(now.Mono).Sub(now.Mono) - delay
			e.tellHold(left, Failure{Kind: FailureRateLimited, Count: 1, Text: failureText(c)}, now)
			e.pace.RateLimited(now.Mono, e.breaker.Opens(now.Mono))
		}
		e.window.Ended(window.Refusal, c.began.Mono, now.Mono, inFlight)
	case granted:
		e.latency = c.took(now)
		e.pace.Succeeded(now.Mono)
		change = e.breaker.Ended(bc, breaker.Success, nil, now.Mono, inUse)
		e.window.Ended(window.Success, c.began.Mono, now.Mono, inFlight)
	case transient:
		change = e.breaker.Ended(bc, breaker.Failure, o.err, now.Mono, inUse)
		switch {
		case c.chronic: // it says nothing of the source's load
		case o.timedOut:
			e.window.Ended(window.Timeout, c.began.Mono, now.Mono, inFlight)
		default:
			e.window.Ended(window.Refusal, c.began.Mono, now.Mono, inFlight)
		}
	case rejected, permanent, shorter:
		change = e.breaker.Ended(bc, o.blames, o.err, now.Mono, inUse)
	}
	return change
}

// follow acts on what the end of a call has changed for all rooms.
func (e *engine) follow(change breaker.Change, c *call, o *outcome, now monotime.Reading) {
	if change.Later {
		e.report(Event{
			Kind: EventHeldBack, RoomID: c.roomID, Err: e.breaker.Err(),
			Until: e.clock.Time(now, e.breaker.Opens(now.Mono)),
		})
		if change.Blamed && (!e.guarded || e.cause != o.cause) {
			e.guarded, e.cause = true, o.cause
			e.telling = e.cache.cursor() // watches learn of each cause once
		}
		if e.outage == 0 && e.breaker.State() != breaker.Open {
			e.outage = max(now.Mono, 1)
		}
		e.wakeImpatient(now)
	}
	if change.Opened {
		e.window.Open(now.Mono, e.config.MaxConcurrentCalls)
		if e.outage > 0 {
			e.report(Event{
				Kind: EventRecovered, RoomID: c.roomID, Duration: now.Mono.Sub(e.outage),
				Rooms: e.states[RoomFailing] + e.states[RoomFailed] + e.states[RoomStuck],
			})
		}
		e.guarded, e.outage, e.offered = false, 0, nil
		e.reviewing = e.cache.cursor() // rooms that failed are not failing again, and permanent errors may be over
	}
	if change.Later || change.Opened {
		e.wakeScheduler()
	}
}

// badCredential reports whether callers are answered at once because of the credential.
func (e *engine) badCredential() bool {
	s := e.breaker.State()
	return s == breaker.Refused || s == breaker.Suspect
}

// wakeImpatient makes those look at their room again who may now wait in vain: all of
// them where the credential is bad, else those who leave before calls may begin. Where
// they are many, the scheduler walks on through the rooms.
func (e *engine) wakeImpatient(now monotime.Reading) {
	until := e.breaker.Opens(now.Mono)
	if e.badCredential() {
		until = math.MaxInt64 // also those who would wait for ever
	}
	for range batch {
		k, earliest, ok := e.patience.Min()
		if !ok || !earliest.Before(until) {
			return
		}
		e.renew(k.demand)
	}
	e.waking, e.wakeUntil = e.cache.cursor(), until
}

// wakeBefore makes those who wait for the room look at it again if one of them leaves
// before that time.
func (e *engine) wakeBefore(r *room, until monotime.Time) {
	if k := r.waiters(); k != nil && k.earliest.Before(until) {
		e.renew(r.demand())
	}
}

// judgeRoom draws the consequences of an outcome for its room. It reports whether the
// room's refresh token is gone with it.
func (e *engine) judgeRoom(c *call, o *outcome, now monotime.Reading) (fellBack bool) {
	r := c.room
	wait := min(o.wait, e.config.MaxRetryAfter)
	switch {
	case c.orphaned || o.verdict == granted || o.verdict == shorter:
	case o.verdict == limited: // no failure of the room, but the last error that is known
		r.failures().note(c, o)
		r.wakeWatches()
	case o.verdict == permanent:
		f := r.failures()
		f.count(c, o, now.Mono)
		f.asked = now.Mono.Add(wait)
		f.mended, f.own = e.breaker.Mended(), o.blames == breaker.Answer
		backoff := policy.Permanent
		if o.blames == breaker.Unauthorized {
			backoff = policy.Credential
		}
		r.setNextAttempt(now.Mono.Add(max(backoff.Wait(f.permanent), wait)))
		r.wakeWatches()
	case o.verdict == transient && o.local: // this process's failure, not the room's
		r.failures().note(c, o)
		r.setNextAttempt(now.Mono.Add(e.backoff.Wait(1)))
		r.wakeWatches()
	case o.verdict == transient && !c.overdue: // an overdue call counted when it became overdue
		f := r.failures()
		f.count(c, o, now.Mono)
		r.setNextAttempt(now.Mono.Add(max(e.backoff.Wait(f.transient), wait)))
		r.wakeWatches()
	default:
		if wait > 0 {
			r.failures().note(c, o)
			r.setNextAttempt(max(r.nextAttempt(), now.Mono.Add(wait)))
			r.wakeWatches()
		}
		if o.verdict == rejected && e.refreshSecret(r).Equal(c.refreshSecret()) {
			r.dropRefresh()
			return true
		}
	}
	return false
}

// wakeInVain makes those who wait for the room look at it again if some of them may wait
// in vain now.
func (e *engine) wakeInVain(r *room, now monotime.Reading) {
	k := r.waiters()
	if k != nil && r.call() == nil && (e.badCredential() || k.earliest.Before(e.nextAllowed(r, now))) {
		e.renew(r.demand())
	}
}

// answer releases those whom the call's outcome answers: with its token, or with the
// error of a permanent failure.
func (e *engine) answer(c *call, now monotime.Reading) {
	var err error
	switch {
	case c.outcome.verdict == permanent:
		failure := &Error{RoomID: c.roomID, Call: c.kind, Err: c.outcome.err}
		if !c.orphaned {
			e.explain(failure, c.room, now)
		}
		err = failure
	case c.result == nil && !c.orphaned:
		return // they wait for the next attempt, if they can
	}
	if c.orphaned {
		if c.waiters != nil {
			c.waiters.servedBy = c.number
			e.releaseCohort(c.waiters, c.result, err)
		}
		return
	}
	if d := c.room.demand(); d != nil {
		if d.waiters != nil && c.result != nil {
			d.waiters.servedBy = c.number
			c.room.use(now) // they have not picked it up yet
		}
		e.release(d, c.result, err)
		d.watches.wake()
	}
}

// reportEnd reports the end of a call, and the token that it brought.
func (e *engine) reportEnd(c *call, now monotime.Reading) {
	ended := Event{Kind: EventCallEnded, RoomID: c.roomID, Call: c.kind, Duration: c.took(now), Err: c.outcome.err}
	e.noteCall(c, ended, now)
	if ended.Err != nil {
		if !c.orphaned {
			ended.Failures = c.room.failure().total()
		}
		if at := max(c.room.nextAttempt(), e.breaker.Opens(now.Mono)); at.After(now.Mono) {
			ended.Until = e.clock.Time(now, at)
		}
	}
	e.report(ended)
	if c.result != nil && !c.orphaned {
		e.reportToken(c.room, c.kind, int(c.recovered), "")
	}
}

// noteCall counts a call that ended.
func (e *engine) noteCall(c *call, ended Event, now monotime.Reading) {
	s := &e.stats
	switch failed := ended.Err != nil; {
	case !failed && c.kind == CallCreate:
		s.CreateTimes.observe(ended.Duration)
	case !failed:
		s.RefreshTimes.observe(ended.Duration)
	case c.kind == CallCreate:
		s.CreateFailures++
		s.CreateFailureTimes.observe(ended.Duration)
	default:
		s.RefreshFailures++
		s.RefreshFailureTimes.observe(ended.Duration)
	}
	if ended.Err == nil {
		s.LastSuccessAt = e.clock.Time(now, now.Mono)
		return
	}
	s.LastError, s.LastErrorAt = ended.Err, e.clock.Time(now, now.Mono)
}

// reportToken reports that the room has a new token.
func (e *engine) reportToken(r *room, kind CallKind, recovered int, reason string) {
	if e.observe == nil {
		return
	}
	e.report(Event{
		Kind: EventTokenPublished, RoomID: r.rec.roomID(), Call: kind,
		Fingerprint: e.fingerprint(r.rec.secret()),
		ExpiresAt:   r.rec.token().ExpiresAt, Generation: uint64(r.generation),
		Failures: recovered, Reason: reason,
	})
}
