package roomtoken

import (
	"context"
	"errors"
	"time"

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
	ctx := e.life
	if d := r.demand(); d != nil {
		if of := d.ctx(); of != nil && r.wanted(e.valid(r.rec, now, 0)) {
			ctx = valuesCtx{e.life, context.WithoutCancel(of)}
		}
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
	e.flights.Go(c.roomID,
		func() error { e.invoke(ctx, c); return nil },
		func(thrown error) { e.finish(c, thrown) })
}

// count adds a call to the calls in flight, or with -1 takes it away.
func (e *engine) count(c *call, n int) {
	if n > 0 {
		e.calls[c] = struct{}{}
	} else {
		delete(e.calls, c)
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
		c.refresh = r.refreshToken()
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

// invoke calls the source and classifies the outcome. It runs on the call's own
// goroutine, without the lock; the flight contains what the source throws.
func (e *engine) invoke(ctx context.Context, c *call) {
	ctx, release := e.withTimeout(ctx, c)
	defer release()
	defer c.returned.Store(true)

	var grant Grant
	var err error
	if c.kind == CallRefresh {
		grant, err = e.source.Refresh(ctx, c.roomID, c.refresh)
	} else {
		grant, err = e.source.Create(ctx, c.roomID)
	}
	if err == nil {
		c.outcome = outcome{verdict: granted, grant: grant}
		return
	}
	if errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
		err = &timeoutError{after: e.config.CallTimeout, err: err}
	}
	c.outcome = classify(c.kind, err)
}

// returnGrace is how long a source that honours its ctx may take to return once the
// ctx has ended. It is real time: the goroutine needs it, not the tokens.
const returnGrace = 50 * time.Millisecond

// withTimeout returns the ctx that the source gets: it ends at CallTimeout on the
// Manager's clock. If that is the real clock, the ctx also has a deadline. release
// must be called when the source has returned. It needs no lock.
func (e *engine) withTimeout(ctx context.Context, c *call) (_ context.Context, release func()) {
	timeout := e.config.CallTimeout
	if e.clock.IsReal() {
		ctx, cancel := context.WithTimeoutCause(ctx, timeout, errCallTimeout)
		late := time.AfterFunc(timeout, func() { e.awaitReturn(c) })
		return ctx, func() {
			late.Stop()
			cancel()
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	late := e.config.Clock.AfterFunc(timeout, func() {
		cancel(errCallTimeout)
		e.awaitReturn(c)
	})
	return ctx, func() {
		late.Stop()
		cancel(nil)
	}
}

// awaitReturn gives a source whose ctx has ended a moment to return. The moment
// begins here and not when the call began: a process that was stopped in between
// finds both over at once. It takes the lock.
func (e *engine) awaitReturn(c *call) {
	grace := time.NewTimer(returnGrace)
	defer grace.Stop()
	select {
	case <-grace.C:
		e.overrun(c)
	case <-e.closing:
	}
}
