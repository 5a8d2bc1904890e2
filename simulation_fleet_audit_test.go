package roomtoken_test

import (
	"time"

	"github.com/roomtoken/roomtoken"
)

// audit checks what must hold while no goroutine runs.
func (f *fleetSim) audit() {
	for _, p := range f.alive() {
		faults := p.m.CheckInvariants()
		stats := p.m.Stats()
		f.mu.Lock()
		for _, fault := range faults {
			f.breaks("0", "process %d: %s", p.n, fault)
		}
		f.checkDown(p, stats.StoreDown)
		f.checkAsks(p)
		if n := int(stats.LeasesLost); n > len(p.lost) {
			f.breaks("F5", "process %d has lost %d leases, it says, and the store has refused %d of its grants", p.n, n, len(p.lost))
		}
		for _, r := range f.rooms {
			if tok, ok := p.m.Cached(r.id); ok {
				f.handed(p, r, tok, "Cached")
				f.checkWatches(p, r, tok)
				m, record := f.nameOf(tok.Value), f.names[f.store.Record(r.id).Token.Digest()]
				if p.lost[m] && f.restored < f.now()-f.plan.issuer.lifetime && record != m && record != nil && f.now()-record.leased > record.holdBack+f.config.BackoffMax && record.ends-f.now() > f.renewal().Margin(record.lifetime)+f.config.StoreTimeout {
					f.breaks("F5", "process %d hands out %v of %s, which the store has refused", p.n, m, r.id)
				}
			}
		}
		f.mu.Unlock()
	}
	f.checkLeases()
}

// checkWatches checks that the watches of a room have yielded its token.
func (f *fleetSim) checkWatches(p *simProcess, r *simRoom, tok roomtoken.Token) {
	for w := range f.watches {
		if w.p == p && w.r == r && w.last != tok.Value.Reveal() {
			f.breaks("3", "process %d: a watch of %s has yielded %v, the token is %v", p.n, r.id, f.mints[w.last], f.nameOf(tok.Value))
		}
	}
}

// checkDown checks what a process says of the store.
func (f *fleetSim) checkDown(p *simProcess, down bool) {
	now := f.now()
	f.checks++
	switch fine := p.isFine(now - time.Millisecond); {
	case fine && down:
		f.breaks("F8", "process %d: the store is down, but it answers since %v", p.n, max(p.unrest, f.unrest))
	case fine && p.down && (f.writable == 0 || p.newest > f.writable+2*f.plan.issuer.lifetime+settling):
		f.breaks("F8", "process %d: no StoreUp, but the store answers since %v", p.n, max(p.unrest, f.unrest))
	case p.isCut(6*time.Second) && !down && now-p.started > 6*time.Second && (p.resumed == 0 || now-p.resumed > 6*time.Second):
		f.breaks("F8", "process %d: the store is not down, but no call of it was answered for 6 s", p.n)
	}
}

// asksWindow is a time in which the asks of a process are counted.
type asksWindow struct {
	from time.Duration
	asks int // before
}

// checkAsks checks that a process for which all is well asks the store only now and then.
func (f *fleetSim) checkAsks(p *simProcess) {
	const length = 10 * time.Second
	now, w := f.now(), p.window
	if now-w.from < length {
		return
	}
	p.window = asksWindow{now, p.asks}
	for _, r := range f.rooms {
		if w.from < max(f.unrest, r.unrest, r.refusals, r.fresh) {
			return
		}
	}
	if !p.isFine(w.from) || !f.sourceIsWell(now-w.from) || f.plan.needs {
		return
	}
	each := 4 + 4*int((now-w.from)/f.renewal().Age(f.plan.issuer.lifetime*9/10, 0, 1))
	if n := p.asks - w.asks; n > each*len(f.rooms) {
		f.breaks("F2", "process %d asks the store %d times within %v, for %d rooms", p.n, n, now-w.from, len(f.rooms))
	}
}

// checkLeases checks that nobody has a lease for long without a call.
func (f *fleetSim) checkLeases() {
	leases := f.store.Leases()
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	for room, lease := range leases {
		r, p := f.room(room), f.askers[lease.ID]
		f.checks++
		given := lease.Granted.Sub(f.base)
		calling := false
		for _, c := range r.calls {
			calling = calling || c.p == p
		}
		ended := time.Duration(0)
		if r.endedBy == p { // it commits what has come of it
			ended = r.ended
		}
		limit := 2*f.config.StoreTimeout + 500*time.Millisecond + 20*f.plan.latency // until the next look at the news
		if p.state == processRuns && p.heard > 0 && given > f.restored && !calling && now-max(given, p.heard, p.resumed, ended) > limit {
			f.breaks("F3", "process %d has the lease of %s since %v, and makes no call", p.n, r.id, given)
		}
		if p.state == processClosed && p.unrest < given && f.unrest < given {
			f.breaks("F4", "process %d was closed, and has the lease of %s", p.n, r.id)
		}
	}
}
