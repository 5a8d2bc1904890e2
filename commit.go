package roomtoken

import (
	"context"

	"github.com/roomtoken/roomtoken/internal/breaker"
	"github.com/roomtoken/roomtoken/internal/monotime"
)

// commit tells the store what came of a call of the source that had a lease. The room's
// callers have been served by then.
func (e *engine) commit(c *call, now monotime.Reading) {
	lease, r := c.lease, c.room
	if lease == nil {
		return
	}
	if c.unsure || c.orphaned || r.life == dropped { // nothing is known of the lease, or nothing may be shared
		e.returnLease(c)
		return
	}
	c.lease = nil
	if c.outcome.verdict == rejected {
		e.share.of(r).lease = *lease // a create follows at once
		return
	}
	result, until := e.resultOf(c, *lease, now)
	if result.Record.IsZero() && result.Failure.Kind == 0 {
		e.giveBack(lease)
		return
	}
	over := until // the failure
	if result.NotBefore > 0 {
		until = max(until, now.Mono.Add(e.leaseTTL())) // the lease must end in any case
	}
	m := &message{
		tell: func(ctx context.Context) (func(monotime.Reading), error) {
			at, still := e.clock.Look(), result
			if result.NotBefore > 0 {
				if still.NotBefore = over.Sub(at.Mono); still.NotBefore <= 0 {
					still = Result{}
				}
			}
			answer, err := e.share.store.Commit(ctx, *lease, still)
			return func(now monotime.Reading) {
				e.committed(r, result, answer, at, now)
				e.endCommit(c, now)
			}, err
		},
		failed: func(now monotime.Reading) { e.endCommit(c, now) },
		until:  until,
	}
	// Another call, so that the message keeps neither the ctx of a caller nor the refresh token.
	c = &call{room: r, roomID: c.roomID, kind: c.kind, began: c.began, phase: committing, rejected: c.rejected}
	if e.send(m); m.begun {
		r.setCall(c)
	}
}

// endCommit ends the last phase of a call.
func (e *engine) endCommit(c *call, now monotime.Reading) {
	r := c.room
	if r == nil || r.call() != c || e.closed {
		return
	}
	r.setCall(nil)
	e.settle(r, now)
	e.wakeInVain(r, now)
}

// committed notes what the store has answered to a result.
func (e *engine) committed(r *room, result Result, answer Committed, at, now monotime.Reading) {
	if result.Record.IsZero() || e.closed {
		return
	}
	if answer.Newer.Token.Equal(result.Record.Token) { // it was taken before, and the answer got lost
		answer = Committed{Taken: true}
	}
	if !answer.Newer.IsZero() {
		e.stats.LeasesLost++
		e.report(Event{Kind: EventLeaseLost, RoomID: r.rec.roomID(), Fingerprint: e.fingerprint(result.Record.Token)})
	}
	if r.life == dropped {
		return
	}
	sh := e.share.of(r)
	switch {
	case answer.Taken:
		sh.version = max(sh.version, result.Record.Version)
	case !answer.Newer.IsZero() && (r.call() == nil || r.call().phase != running):
		sh.storeTime, sh.asked = answer.Now, at
		if r.rec.secret().Equal(result.Record.Token) {
			sh.version = 0 // what the store has counts, whatever was known
			e.adoptInstead(r, answer.Newer, now)
		} else { // it has had another since
			e.adopt(r, answer.Newer, now)
		}
		if r.call() == nil { // it was told again: nothing else settles the room
			e.settle(r, now)
		}
	}
}

// giveBack ends a lease without a result.
func (e *engine) giveBack(lease *Lease) {
	if lease != nil && !lease.IsZero() {
		e.send(e.endOfLease(*lease))
	}
}

// giveBackUnsure ends a lease that the store may have given. It is told a second time, after
// a later look at the news: a store that stood still may take the ask after the first.
func (e *engine) giveBackUnsure(lease *Lease) {
	e.giveBack(lease)
	if o := &e.share.outbox; !e.closed && len(o.again) < maxOutbox {
		m := e.endOfLease(*lease)
		m.after = e.clock.Now().Mono.Add(e.share.timeout)
		o.again = append(o.again, m)
	}
}

// returnLease gives a call's lease back, which it may have without being sure.
func (e *engine) returnLease(c *call) {
	lease := c.lease
	if c.lease = nil; c.unsure {
		e.giveBackUnsure(lease)
	} else {
		e.giveBack(lease)
	}
}

// endOfLease returns the message that a lease ends without a result.
func (e *engine) endOfLease(lease Lease) *message {
	return &message{
		tell: func(ctx context.Context) (func(monotime.Reading), error) {
			_, err := e.share.store.Commit(ctx, lease, Result{})
			return nil, err
		},
		until: e.clock.Now().Mono.Add(e.leaseTTL()),
	}
}

// keepLease gives a call the lease of the one before it.
func (e *engine) keepLease(c *call) {
	if sh := e.share.known(c.room); sh != nil && !sh.lease.IsZero() {
		lease := sh.lease
		c.lease, sh.lease = &lease, Lease{}
	}
}

// dropLease gives back a lease that was kept for a call that has not begun.
func (e *engine) dropLease(r *room) {
	if sh := e.share.known(r); sh != nil && !sh.lease.IsZero() {
		lease := sh.lease
		sh.lease = Lease{}
		e.giveBack(&lease)
	}
}

// resultOf returns what came of a call, for the store, and until when it is of use.
func (e *engine) resultOf(c *call, lease Lease, now monotime.Reading) (Result, monotime.Time) {
	r, o := c.room, c.outcome
	wait := r.nextAttempt().Sub(now.Mono)
	failure := Failure{Text: failureText(c)}
	switch {
	case o.verdict == granted:
		rec := e.recordOf(c, lease)
		return Result{Record: rec}, now.Mono.Add(rec.Lifetime)
	case c.overdue || o.local || wait <= 0:
		return Result{}, now.Mono.Add(e.leaseTTL())
	case o.verdict == transient:
		failure.Kind, failure.Count = FailureTransient, r.failure().transient
	case o.verdict == permanent:
		failure.Kind, failure.Count = permanentKind(o.blames), r.failure().permanent
	default:
		return Result{}, now.Mono.Add(e.leaseTTL())
	}
	return Result{Failure: failure, NotBefore: wait}, r.nextAttempt()
}

// permanentKind returns the kind of a permanent failure.
func permanentKind(blames breaker.Verdict) FailureKind {
	switch blames {
	case breaker.Unauthorized:
		return FailureUnauthorized
	case breaker.Answer:
		return FailureNotFound
	default:
		return FailurePermanent
	}
}

// maxFailureText is the length of the text of a Failure, about.
const maxFailureText = 1000

// failureText returns the error of a call as other processes learn it; "" if there is
// none.
func failureText(c *call) string {
	if c.outcome.err == nil {
		return ""
	}
	text := redact(textOf(c.outcome.err), c.refreshSecret())
	return cut(redact(text, c.outcome.grant.Token.Value), maxFailureText)
}

// recordOf returns the token that a call got as a record. On the store's clock the call
// began at least as long after the lease was given as here after the lease came.
func (e *engine) recordOf(c *call, lease Lease) Record {
	r := c.room
	g := grantRecord{rec: c.result, lifetime: r.lifetime, renewLeft: r.renewLeft}
	pending := r.pending()
	if pending != nil {
		g = *pending
	}
	issued := g.rec.mono.Add(-g.lifetime)
	rec := Record{
		Version:      lease.next(),
		Token:        g.rec.secret(),
		RefreshToken: e.refreshSecret(r),
		Began:        lease.Granted.Add(min(issued, c.began.Mono).Sub(e.share.of(r).granted)),
		Lifetime:     g.lifetime,
		RenewAge:     max(g.lifetime-g.renewLeft, 0),
	}
	if f := r.failure(); f != nil {
		rec.Refusals = f.refusals
	}
	if pending != nil {
		rec.HandOutAge = r.failure().handOutAfter.Sub(issued)
	}
	if end := e.clock.Unpack(r.refreshUntil).Mono; end < monotime.Never {
		rec.RefreshLifetime = max(end.Sub(issued), 1)
	}
	return rec
}
