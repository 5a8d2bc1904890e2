package roomtoken

import "github.com/roomtoken/roomtoken/internal/monotime"

// invalidate is Manager.Invalidate. It takes the lock.
func (e *engine) invalidate(roomID string, rejected Secret) bool {
	if rejected.IsZero() {
		return false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	r := e.lookUp(roomID)
	if r == nil {
		return false
	}
	if c := r.call(); c != nil && len(c.rejected) < maxRejected && !e.isRejected(c, rejected) {
		c.rejected = append(c.rejected, rejected)
	}
	if !r.rec.secret().Equal(rejected) {
		return false
	}
	now := e.clock.Now()
	refusals := 0
	if e.left(r, now) > r.renewLeft { // it was refused before its renewal was due
		refusals = 1
		if r.failure() != nil {
			refusals += r.failure().refusals
		}
	}
	e.stats.Invalidations++
	if e.share != nil {
		rejection := Rejection{RoomID: r.rec.roomID(), Token: rejected.Digest(), Left: e.left(r, now), Refusals: refusals}
		e.share.refuse(rejection, now)
		e.tellRejection(rejection, now)
	}
	e.dropToken(r, refusals, now)
	return true
}

// dropToken drops the room's token, which was refused. refusals is how many in a row, with
// this one, were so before their renewal was due.
func (e *engine) dropToken(r *room, refusals int, now monotime.Reading) {
	f := r.failures()
	f.refused = r.rec.secret()
	f.refusals, f.replaceAfter = refusals, 0
	if refusals > 0 {
		f.replaceAfter = now.Mono.Add(max(e.left(r, now)-r.renewLeft, 0))
	}
	e.delayReplacement(f)
	if !f.hasFailed() { // what is left is a gap between calls, no wait that the server asked for
		r.setNextAttempt(0)
	}
	if f.pending == nil { // else it belongs to the token that is held back
		r.dropRefresh()
	}
	e.report(Event{Kind: EventTokenInvalidated, RoomID: r.rec.roomID(), Fingerprint: e.fingerprint(f.refused)})
	if sh := e.share.known(r); sh != nil {
		sh.putOff, sh.lookAt = 0, 0
	}
	blank := r.rec.blank()
	blank.need.Store(r.rec.need.Load()) // until the next token comes
	e.replace(r, blank)
	r.wakeWatches()
	e.settle(r, now)
}

// delayReplacement draws how old the replacement of a token is handed out that was not the
// first in a row to be refused early. It is created at once: so a server that refuses
// everything is no mint loop, and one that accepts a token only some time after its issue
// is served.
func (e *engine) delayReplacement(f *failureState) {
	if f.refusals > 1 {
		f.handOutAge = e.backoff.Wait(f.refusals - 1)
	}
}
