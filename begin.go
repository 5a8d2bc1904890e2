package roomtoken

import (
	"context"

	"github.com/roomtoken/roomtoken/internal/monotime"
	"github.com/roomtoken/roomtoken/internal/policy"
)

// begin begins the room's next call. The room has none in flight and stands in no
// queue.
func (e *engine) begin(r *room, forCaller bool, as role) {
	e.mu.assertHeld()
	now := e.clock.Look()
	c := e.newCall(r, forCaller, as, now)
	e.keepLease(c)
	e.run(c, now)
}

// newCall makes the room's next call and takes a slot for it.
func (e *engine) newCall(r *room, forCaller bool, as role, now monotime.Reading) *call {
	if d := r.demand(); d != nil {
		e.lane.Remove(d)
	}
	c := &call{
		room:      r,
		roomID:    r.rec.roomID(),
		forCaller: forCaller,
		as:        as,
		sick:      e.sick(r),
		inLane:    as == passing,
		began:     now,
	}
	r.setCall(c)
	e.count(c, 1)
	e.number(c, now)
	e.pace.Began(now.Mono)
	return c
}

// number numbers a call among those that begin.
func (e *engine) number(c *call, now monotime.Reading) {
	e.begun++
	c.number = e.begun
	switch c.as {
	case probing:
		e.breaker.BeganProbe(c.number)
	case passing:
		e.breaker.BeganInLane(c.number, now.Mono)
	case ordinary, nobody:
	}
}

// run calls the source. The token's age counts from now.
func (e *engine) run(c *call, now monotime.Reading) {
	r := c.room
	var values context.Context
	if d := r.demand(); d != nil && r.wanted(e.valid(r.rec, now, 0)) {
		values = d.ctx()
	}
	if e.begun != c.number { // others have begun while it asked the store
		e.number(c, now)
	}
	c.began = now
	c.forced = r.waiters() != nil && r.waiters().forced > 0
	c.failing = r.failure().total() > 0
	c.chronic = e.sick(r) && r.failure().total() > 1
	e.choose(c, now)
	e.report(Event{Kind: EventCallBegun, RoomID: c.roomID, Call: c.kind})
	until := now.Mono.Add(e.config.CallTimeout)
	c.ctx.engine, c.ctx.values, c.ctx.until = e, values, until
	e.deadlines.Set(c, until)
	if until.Before(e.sleepUntil) {
		e.wakeScheduler()
	}
	e.start(c)
}

// count adds a call to the calls in flight, or with -1 takes it away.
func (e *engine) count(c *call, n int) {
	if n > 0 {
		c.index = int32(len(e.calls))
		e.calls = append(e.calls, c)
	} else {
		last := len(e.calls) - 1
		moved := e.calls[last]
		e.calls[c.index], moved.index = moved, c.index
		e.calls[last] = nil
		e.calls = e.calls[:last]
		e.deadlines.Remove(c)
	}
	if c.forCaller {
		e.callerCalls += n
	}
	if c.sick {
		e.sickCalls += n
	}
	if c.inLane && !c.overdue {
		e.laneCalls += n
	}
}

// choose decides whether the call is a create or a refresh.
func (e *engine) choose(c *call, now monotime.Reading) {
	r := c.room
	refreshable := e.refreshable(r, now)
	if c.kind = nextKind(refreshable, r); c.kind == CallRefresh {
		c.refresh, c.refreshUntil = r.refresh, r.refreshUntil
		e.stats.Refreshes++
		return
	}
	e.stats.Creates++
	switch {
	case refreshable:
		e.fallBack(c.roomID, ReasonRefreshFailing)
	case r.refresh != "":
		r.dropRefresh()
		e.fallBack(c.roomID, ReasonRefreshLapsed)
	}
}

// nextKind returns which call the room's next call is.
func nextKind(refreshable bool, r *room) CallKind {
	if policy.Refreshes(refreshable, r.transientFailures()) {
		return CallRefresh
	}
	return CallCreate
}

// fallBack reports that a create takes the place of a refresh.
func (e *engine) fallBack(roomID, reason string) {
	e.stats.Fallbacks++
	e.report(Event{Kind: EventFellBack, RoomID: roomID, Reason: reason})
}
