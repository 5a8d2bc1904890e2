package roomtoken

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/roomtoken/roomtoken/internal/flight"
	"github.com/roomtoken/roomtoken/internal/moment"
	"github.com/roomtoken/roomtoken/internal/policy"
)

// call is one call to the source. Manager.mu guards it, but for what begin sets,
// which does not change, returned, and outcome, which belongs to the call's own
// goroutine until the call ends.
type call struct {
	room      *room
	roomID    string
	op        CallKind
	number    uint64 // the first call of the Manager has 1
	refresh   Token  // what Refresh is called with
	forCaller bool   // somebody waited when it began: it counts against the callers' slots
	begun     moment.Moment
	returned  atomic.Bool // the source has returned

	outcome outcome

	forgotten *crowd   // set when the room was forgotten: those who waited; never nil then
	spare     *record  // the token, if it is for them only
	recovered int      // failures in a row that it put an end to
	overdue   bool     // CallTimeout has passed
	rejected  []Secret // tokens that were invalidated while it ran
}

// outcome is what came of a call, as far as it can be told without the lock.
type outcome struct {
	verdict verdict
	grant   Grant
	err     error
	text    string        // err.Error(), asked for where a panic in it is contained
	wait    time.Duration // that the other side asked for
}

// verdict is what an outcome means for the room.
type verdict uint8

const (
	passing   verdict = iota // a passing failure, or nothing known: the zero verdict
	granted                  // the source returned a grant
	rejected                 // it refused the refresh token
	permanent                // the same call again cannot help
	limited                  // the account must wait
)

// maxRejected bounds how many invalidated tokens a call remembers: more than
// were ever issued for a room while a call ran.
const maxRejected = 1000

// returnGrace is how long a source that honours its ctx may take to return once
// the ctx has ended. It is a matter of goroutines, not of the tokens' time.
const returnGrace = 50 * time.Millisecond

// errCallTimeout is the cause with which a call's ctx ends at CallTimeout.
var errCallTimeout = fmt.Errorf("roomtoken: CallTimeout has passed: %w", context.DeadlineExceeded)

// start begins the room's next call. Caller must hold mu, and have found that
// the room has none in flight, may have one, and stands in no queue.
func (m *Manager) start(r *room, forCaller bool) {
	ctx := m.life
	if forCaller && r.crowd != nil && r.crowd.ctx != nil {
		ctx = valuesCtx{m.life, context.WithoutCancel(r.crowd.ctx)}
	}
	m.started++
	now := m.clock.Look() // the token's age is counted from here
	c := &call{
		room:      r,
		roomID:    r.rec.roomID(),
		number:    m.started,
		forCaller: forCaller,
		begun:     now,
	}
	refreshable := m.refreshable(r, now)
	switch policy.Which(refreshable, r.failures()) {
	case policy.Refresh:
		c.op = CallRefresh
		c.refresh = Token{Value: r.refresh, ExpiresAt: r.refreshExpiry()}
		m.stats.Refreshes++
	case policy.Create:
		c.op = CallCreate
		m.stats.Creates++
		switch {
		case refreshable:
			m.fallBack(r, ReasonRefreshFailing)
		case !r.refresh.IsZero():
			r.forgetRefresh()
			m.fallBack(r, ReasonRefreshLapsed)
		}
	}
	r.call = c
	m.calls[c] = struct{}{}
	if forCaller {
		m.callerCalls++
	}
	m.account.begin(c)
	m.event(Event{Kind: EventCallBegun, RoomID: c.roomID, Call: c.op})
	m.flights.Go(c.roomID,
		func() error { m.invoke(ctx, c); return nil },
		func(broken error) { m.finish(c, broken) })
}

// fallBack notes that a create takes the place of a refresh.
func (m *Manager) fallBack(r *room, reason string) {
	m.stats.Fallbacks++
	m.event(Event{Kind: EventFellBack, RoomID: r.rec.roomID(), Reason: reason})
}

// invoke makes the call and judges what came of it. It runs on the call's own
// goroutine, without the lock; the flight contains what it throws.
func (m *Manager) invoke(ctx context.Context, c *call) {
	ctx, release := m.withTimeout(ctx, c)
	defer release()
	defer c.returned.Store(true)

	var grant Grant
	var err error
	if c.op == CallRefresh {
		grant, err = m.source.Refresh(ctx, c.roomID, c.refresh)
	} else {
		grant, err = m.source.Create(ctx, c.roomID)
	}
	if err == nil {
		c.outcome = outcome{verdict: granted, grant: grant}
		return
	}
	if cause := context.Cause(ctx); errors.Is(cause, context.DeadlineExceeded) {
		err = &timeoutError{after: m.config.CallTimeout, err: err}
	}
	c.outcome = judge(c.op, err)
}

// withTimeout returns the ctx that the source gets: it ends at CallTimeout on
// the Manager's clock. The ctx of a real clock also has a deadline. release is to
// be called when the source has returned.
func (m *Manager) withTimeout(ctx context.Context, c *call) (_ context.Context, release func()) {
	timeout := m.config.CallTimeout
	if m.clock.IsReal() {
		ctx, cancel := context.WithTimeoutCause(ctx, timeout, errCallTimeout)
		late := time.AfterFunc(timeout, func() { m.mind(c) })
		return ctx, func() {
			late.Stop()
			cancel()
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	late := m.config.Clock.AfterFunc(timeout, func() {
		cancel(errCallTimeout)
		m.mind(c)
	})
	return ctx, func() {
		late.Stop()
		cancel(nil)
	}
}

// mind gives a source whose ctx has ended a moment to return. The moment begins
// when this runs and not when the call began: a process that was stopped in
// between finds both over at once.
func (m *Manager) mind(c *call) {
	grace := time.NewTimer(returnGrace)
	defer grace.Stop()
	select {
	case <-grace.C:
		m.overrun(c)
	case <-m.closing:
	}
}

// valuesCtx ends when its Context does and has the values of another, which never
// ends.
type valuesCtx struct {
	context.Context
	values context.Context //nolint:containedctx // it is one
}

func (c valuesCtx) Value(key any) any {
	if v := c.values.Value(key); v != nil {
		return v
	}
	return c.Context.Value(key)
}

// judge tells what an error of the source means.
func judge(op CallKind, err error) outcome {
	o := outcome{err: err, text: err.Error(), wait: retryAfterOf(err)}
	switch {
	case errors.Is(err, ErrRateLimited):
		o.verdict = limited
	case op == CallRefresh && (errors.Is(err, ErrRefreshRejected) || errors.Is(err, ErrPermanent)):
		o.verdict = rejected
	case errors.Is(err, ErrPermanent):
		o.verdict = permanent
	}
	return o
}

// overrun runs when a source has not returned soon after its ctx ended: it is left
// alone with its call, and nobody waits for it any longer.
func (m *Manager) overrun(c *call) {
	m.lock()
	defer m.unlock()
	if m.closed || c.room.call != c || c.returned.Load() {
		return
	}
	now := m.clock.Now()
	c.overdue = true
	err := &timeoutError{after: m.config.CallTimeout}
	m.event(Event{Kind: EventCallOverdue, RoomID: c.roomID, Call: c.op, Duration: c.took(now), Err: err})
	if m.passingFailure(c, outcome{err: err, text: err.Error()}, now) {
		m.holdBack(c, now)
	}
	if c.forgotten != nil {
		c.forgotten.dismissWith(nil, &roomError{roomID: c.roomID, op: c.op, err: err})
	}
	c.room.tell()
	m.settle(c.room, now)
}

// took returns how long the call has run.
func (c *call) took(now moment.Moment) time.Duration { return time.Duration(now.Mono - c.begun.Mono) }

// finish ends a call: broken is the *flight.PanicError that the source threw, if any.
func (m *Manager) finish(c *call, broken error) {
	if broken != nil {
		c.outcome = thrown(c, broken)
	}
	m.lock()
	defer m.unlock()
	now := m.clock.Look()
	r := c.room
	delete(m.calls, c)
	if c.forCaller {
		m.callerCalls--
	}
	r.call = nil
	if m.closed {
		m.ended(c, now)
		m.progress.tell()
		return
	}
	fellBack, held := m.conclude(c, now)
	m.ended(c, now)
	if fellBack {
		m.fallBack(r, ReasonRefreshRejected)
	}
	if held {
		m.holdBack(c, now)
	}
	m.answer(c, now)
	if r.ghost {
		m.drop(r)
	}
	m.settle(r, now)
	if r.call == nil { // after a rejection the create has begun: nobody need wake for that
		r.tell()
	}
}

// answer lets those go whom the call's outcome answers: with its token, or the
// error that it has failed for good. Caller must hold mu.
func (m *Manager) answer(c *call, now moment.Moment) {
	r, waiting := c.room, c.forgotten
	if waiting == nil {
		waiting = r.crowd
	}
	switch {
	case waiting == nil:
	case c.outcome.verdict == granted:
		token := c.spare
		if c.forgotten == nil {
			token = r.rec
			if waiting.waiters > 0 {
				r.used(now) // they have not picked it up yet
			}
		}
		waiting.servedBy = c.number
		waiting.dismissWith(token, nil)
	case c.outcome.verdict == permanent:
		e := &roomError{roomID: c.roomID, op: c.op, err: c.outcome.err, permanent: true}
		if c.forgotten == nil {
			m.explain(e, r, now)
		}
		waiting.dismissWith(nil, e)
	case c.forgotten != nil:
		waiting.dismiss()
	}
}

// ended tells of a call's end.
func (m *Manager) ended(c *call, now moment.Moment) {
	e := Event{Kind: EventCallEnded, RoomID: c.roomID, Call: c.op, Duration: c.took(now), Err: c.outcome.err}
	if c.outcome.err != nil {
		if c.op == CallRefresh {
			m.stats.RefreshFailures++
		} else {
			m.stats.CreateFailures++
		}
		if t := c.room.trouble; t != nil && c.forgotten == nil {
			e.Failures = t.failures + t.permanent
		}
		if at := max(c.room.nextAttempt, m.account.opens(now.Mono)); at > now.Mono {
			e.Until = m.clock.Time(now, at)
		}
	}
	m.event(e)
	if c.outcome.err == nil && c.forgotten == nil && !m.closed {
		m.event(Event{
			Kind: EventTokenPublished, RoomID: c.roomID, Call: c.op,
			Fingerprint: m.fingerprint(c.outcome.grant.Token.Value),
			ExpiresAt:   c.outcome.grant.Token.ExpiresAt, Generation: uint64(c.room.generation),
			Failures: c.recovered,
		})
	}
}

// conclude draws the consequences of a call for its room and for the account. It
// reports whether the room's refresh token is gone with it, and whether all calls
// are held back now, or for longer. Caller must hold mu.
func (m *Manager) conclude(c *call, now moment.Moment) (fellBack, held bool) {
	r, o := c.room, &c.outcome
	if o.verdict == granted {
		m.accept(c, now) // or find that it is none
	}
	switch o.verdict {
	case granted:
		m.account.answered(c, now.Mono)
	case rejected:
		m.account.answered(c, now.Mono)
		m.postpone(c, now)
		if c.forgotten == nil && r.refresh.Equal(c.refresh.Value) {
			r.forgetRefresh()
			fellBack = true
		}
	case permanent:
		m.account.answered(c, now.Mono)
		if c.forgotten == nil {
			t := r.troubles()
			t.permanent++
			t.failures = 0
			t.note(c.op, *o)
			r.nextAttempt = now.Mono + int64(max(policy.PermanentWait(t.permanent), o.wait))
		}
	case limited:
		held = m.account.rateLimited(c, o.err, o.wait, now.Mono, m.backoff)
		if c.forgotten == nil { // a hold is no failure of the room, but the last that is known
			r.troubles().note(c.op, *o)
		}
	case passing:
		if c.overdue {
			m.account.lost(c) // counted when it became overdue
			m.postpone(c, now)
		} else {
			held = m.passingFailure(c, *o, now)
		}
	}
	return fellBack, held
}

// postpone puts the room's next attempt off for the wait that came with a failure
// that does not count as one. Caller must hold mu.
func (m *Manager) postpone(c *call, now moment.Moment) {
	if o := c.outcome; o.wait > 0 && c.forgotten == nil {
		c.room.troubles().note(c.op, o)
		c.room.nextAttempt = max(c.room.nextAttempt, now.Mono+int64(o.wait))
	}
}

// holdBack tells that the call made all others wait, and makes the scheduler see
// it. Caller must hold mu.
func (m *Manager) holdBack(c *call, now moment.Moment) {
	m.event(Event{
		Kind: EventHeldBack, RoomID: c.roomID, Err: m.account.err,
		Until: m.clock.Time(now, m.account.until),
	})
	m.wakeScheduler()
	m.holds.tell() // who waits for any room may find now that waiting is in vain
}

// passingFailure notes one for the room and for the account, and reports whether
// all calls are held back now. Caller must hold mu.
func (m *Manager) passingFailure(c *call, o outcome, now moment.Moment) (held bool) {
	held = m.account.failed(c, o.err, now.Mono, m.config.MaxConcurrentCalls, m.backoff)
	if c.forgotten != nil {
		return held
	}
	t := c.room.troubles()
	t.failures++
	t.permanent = 0
	t.note(c.op, o)
	c.room.nextAttempt = now.Mono + int64(max(m.backoff.Wait(t.failures), o.wait))
	return held
}

// thrown is the outcome of a call whose source panicked or called Goexit.
func thrown(c *call, broken error) outcome {
	text := broken.Error()
	var p *flight.PanicError
	if errors.As(broken, &p) {
		text = "the source threw a " + text
	}
	if secret := c.refresh.Value.Reveal(); secret != "" {
		text = strings.ReplaceAll(text, secret, redacted)
	}
	return outcome{err: errors.New(text), text: text}
}

// timeoutError says that the source did not answer in time. It wraps what the
// source said when its ctx ended, if it returned, and context.DeadlineExceeded.
type timeoutError struct {
	after time.Duration
	err   error
}

func (e *timeoutError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("no answer within CallTimeout (%v), and the call has not returned", e.after)
	}
	return fmt.Sprintf("no answer within CallTimeout (%v): %v", e.after, e.err)
}

func (e *timeoutError) Unwrap() []error {
	if e.err == nil {
		return []error{context.DeadlineExceeded}
	}
	return []error{e.err, context.DeadlineExceeded}
}
