package roomtoken

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
	if c := r.call; c != nil && len(c.rejected) < maxRejected && !e.isRejected(c, rejected) {
		c.rejected = append(c.rejected, rejected)
	}
	if !r.rec.secret().Equal(rejected) {
		return false
	}
	now := e.clock.Now()
	f := r.failures()
	f.refused = rejected
	if early := e.left(r, now) - r.renewLeft; early > 0 {
		f.refusals++
		f.replaceAfter = now.Mono.Add(early)
	} else {
		f.refusals, f.replaceAfter = 0, 0
	}
	if f.refusals > 1 {
		// The replacement is created at once and handed out later: so a server that refuses
		// everything is no mint loop, and one that accepts a token only some time after its
		// issue is served.
		f.handOutAge = e.backoff.Wait(f.refusals - 1)
	}
	if !f.hasFailed() { // what is left is a gap between calls, no wait that the server asked for
		r.nextAttempt = 0
	}
	r.dropRefresh()
	e.stats.Invalidations++
	e.report(Event{Kind: EventTokenInvalidated, RoomID: roomID, Fingerprint: e.fingerprint(rejected)})
	e.replace(r, r.rec.blank())
	r.wakeWatches()
	e.settle(r, now)
	return true
}
