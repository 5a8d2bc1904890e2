package roomtoken

import (
	"math/rand"
	"time"

	"github.com/roomtoken/roomtoken/internal/monotime"
)

// adopt makes the token of a record the room's, unless it is of no use: invalid, refused,
// or ending before the present one. Either way the record is known then, and the next ask
// is for a newer one.
//
// The age of the token counts from before the store was asked.
func (e *engine) adopt(r *room, rec Record, now monotime.Reading) {
	e.adoptRecord(r, rec, false, now)
}

// adoptInstead is like adopt, but the record takes the place of a token that the store has
// refused, even if it ends before that.
func (e *engine) adoptInstead(r *room, rec Record, now monotime.Reading) {
	e.adoptRecord(r, rec, true, now)
}

// adoptRecord is adopt, or adoptInstead.
func (e *engine) adoptRecord(r *room, rec Record, instead bool, now monotime.Reading) {
	sh := e.share.of(r)
	if rec.Version <= sh.version {
		return
	}
	sh.version = rec.Version
	c := e.grantOf(r, rec, sh)
	e.share.granted = max(e.share.granted, c.began.Mono.Add(-sh.age(rec)))
	switch {
	case rec.Token.Equal(r.rec.secret()) || e.isRejected(c, rec.Token):
		return
	case r.call() != nil && e.isRejected(r.call(), rec.Token): // it was invalidated while the store was asked
		e.rejectRecord(r, rec, now)
		return
	}
	token, lifetime, err := e.validateGrant(c, now)
	if err != nil {
		if !e.valid(r.rec, now, 0) { // it is too old, but its refresh token may be good
			e.keepRefresh(c, now)
		}
		return
	}
	left := e.clock.Left(token.validity().expiry, now)
	if !instead && e.valid(r.rec, now, 0) && left < e.left(r, now) {
		return
	}
	e.keepRefresh(c, now)
	g := grantRecord{rec: token, lifetime: lifetime, renewLeft: e.adoptedRenewLeft(r, rec, token, lifetime, left)}
	r.setFailure(nil)
	r.setNextAttempt(0)
	if left-g.renewLeft < minCallGap {
		r.setNextAttempt(now.Mono.Add(minCallGap))
	}
	if rec.Refusals > 0 {
		r.setFailure(&failureState{refusals: rec.Refusals})
		if at := token.mono.Add(min(rec.HandOutAge, lifetime/3) - lifetime); at.After(now.Mono) {
			r.failure().pending, r.failure().handOutAfter = &g, at
			return // settle hands it out
		}
	}
	e.publish(r, g, now)
	e.reportAdopted(r)
	if d := r.demand(); d != nil {
		if d.waiters != nil {
			r.use(now) // they have not picked it up yet
		}
		e.release(d, token, nil)
		d.watches.wake()
	}
}

// vouched reports whether another process has got a token since a call of this one showed
// that the credential is bad: then callers need not be refused before the next probe.
func (e *engine) vouched() bool { return e.share != nil && e.breaker.Older(e.share.granted) }

// rejectRecord tells the fleet that the token of a record was refused.
func (e *engine) rejectRecord(r *room, rec Record, now monotime.Reading) {
	age := e.share.of(r).age(rec)
	rejection := Rejection{RoomID: r.rec.roomID(), Token: rec.Token.Digest(), Left: rec.Lifetime - age}
	if age < rec.RenewAge {
		rejection.Refusals = rec.Refusals + 1
	}
	e.share.refuse(rejection, now)
	e.tellRejection(rejection, now)
}

// grantOf returns a record as the grant of a call that began when the store was asked.
func (e *engine) grantOf(r *room, rec Record, sh *share) *call {
	issued := e.clock.Time(sh.asked, sh.asked.Mono).Add(-sh.age(rec))
	g := Grant{
		Token:        Token{Value: rec.Token, ExpiresAt: issued.Add(clampLife(rec.Lifetime))},
		RefreshToken: Token{Value: rec.RefreshToken},
		IssuedAt:     issued,
	}
	if rec.RefreshLifetime > 0 {
		g.RefreshToken.ExpiresAt = issued.Add(clampLife(rec.RefreshLifetime))
	}
	o := e.granted(g)
	return &call{room: r, began: sh.asked, outcome: &o}
}

// reportAdopted counts and reports a token that came from the store.
func (e *engine) reportAdopted(r *room) {
	e.stats.Adopted++
	e.reportToken(r, 0, 0, ReasonAdopted)
}

// adoptedRenewLeft returns how much an adopted token has left when the store is asked for
// the next one. That is drawn from the time in which the process that has committed it is
// likely to have renewed it.
func (e *engine) adoptedRenewLeft(r *room, rec Record, token *record, lifetime, left time.Duration) time.Duration {
	from := min(max(rec.RenewAge, 0), lifetime)
	from = max(from, lifetime-left) // it is due already
	spread := min(lifetime/10, max(lifetime-token.margin-from, 0)/2)
	at := lifetime - from - time.Duration(rand.Float64()*float64(spread))
	if r.rec.need.Load() > 0 || e.renewal.Age(lifetime, 0, 0) < from { // this process needs more than the fleet's renewals leave
		at = max(at, e.renewLeft(r, token, lifetime, left))
	}
	return at
}

// sharedError is the failure of another process.
type sharedError struct {
	text string
	is   error // a sentinel; nil: none
}

func (e *sharedError) Error() string { return "another process has met this failure: " + e.text }

func (e *sharedError) Unwrap() error { return e.is }

// errorOf returns a failure as an error of this process.
func errorOf(f Failure) error {
	err := &sharedError{text: cut(f.Text, maxFailureText)}
	switch f.Kind {
	case FailurePermanent:
		err.is = ErrPermanent
	case FailureNotFound:
		err.is = ErrRoomNotFound
	case FailureUnauthorized:
		err.is = ErrUnauthorized
	case FailureRateLimited:
		err.is = ErrRateLimited
	case FailureTransient:
	}
	return err
}

// isPermanent reports whether a failure makes callers leave at once.
func (k FailureKind) isPermanent() bool {
	return k == FailurePermanent || k == FailureNotFound || k == FailureUnauthorized
}

// maxNotBefore is the longest wait that a store can make a process wait.
const maxNotBefore = 24 * time.Hour

// adoptFailure makes the failure of another process the room's.
func (e *engine) adoptFailure(r *room, entry Entry, now monotime.Reading) {
	e.learnFailure(r, entry, now)
	r.setNextAttempt(now.Mono.Add(min(entry.NotBefore, maxNotBefore)))
	r.wakeWatches()
	if d := r.demand(); d != nil && entry.Failure.Kind.isPermanent() {
		failure := &Error{RoomID: r.rec.roomID()}
		e.explain(failure, r, now)
		e.release(d, nil, failure)
	}
}

// learnFailure notes what the store knows of the room's failures and refused tokens.
func (e *engine) learnFailure(r *room, entry Entry, now monotime.Reading) {
	what := entry.Failure
	if entry.Refusals == 0 && what.Kind == 0 {
		return
	}
	f := r.failures()
	if entry.Refusals > 0 {
		f.learned = true
	}
	if entry.Refusals > f.refusals {
		f.refusals = entry.Refusals
		e.delayReplacement(f)
	}
	if what.Kind == 0 {
		return
	}
	if f.total() == 0 {
		f.since = now.Mono
	}
	if f.at = now.Mono; f.lastErr == nil || entry.NotBefore > 0 {
		f.lastCall, f.lastErr = 0, errorOf(what)
		f.lastCause = causeOf(f.lastErr)
	}
	if count := max(what.Count, 1); what.Kind.isPermanent() {
		f.permanent, f.transient = max(f.permanent, count), 0
		f.mended, f.own = e.breaker.Mended(), what.Kind == FailureNotFound
	} else {
		f.transient, f.permanent = max(f.transient, count), 0
	}
}
