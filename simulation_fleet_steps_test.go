package roomtoken_test

import (
	"context"
	"testing/synctest"
	"time"

	"github.com/roomtoken/roomtoken"
)

// do performs a step.
func (f *fleetSim) do(ctx context.Context, s fleetStep) {
	alive := f.alive()
	if len(alive) == 0 {
		if s.kind == fleetStart {
			f.startProcess()
		}
		return
	}
	p := alive[max(s.proc, 0)%len(alive)]
	which := alive
	if s.proc >= 0 {
		which = alive[s.proc%len(alive):][:1]
	}
	r := f.rooms[max(s.room, 0)]
	switch s.kind {
	case fleetAsk:
		f.ask(ctx, p, r, s, 0)
	case fleetAskAll:
		for _, p := range alive {
			f.ask(ctx, p, r, s, 0)
		}
	case fleetNeed:
		f.ask(ctx, p, r, fleetStep{n: 1}, s.dur)
	case fleetWarm:
		f.warm(ctx, p, s.mask)
	case fleetWatch:
		f.watch(ctx, p, r, s.dur)
	case fleetRefuse:
		if s.n == 0 {
			f.refuse(p, r, alive, s.mask)
		}
		for range s.n {
			q, r := f.receiver(p, r)
			if s.n > 1 {
				f.awaitToken(q, r)
			}
			f.refuse(q, r, f.alive(), s.mask)
		}
	case fleetForget:
		f.forget(p, r)
	case fleetReset:
		f.reset(p)
	case fleetStart:
		if len(alive) < maxProcesses {
			f.startProcess()
		}
	case fleetClose, fleetKill, fleetStop:
		if s.n > 0 {
			p = f.caller(p)
		}
		f.leave(p, s, len(alive))
	case fleetLink:
		if s.n > 0 {
			p, _ = f.receiver(p, r)
			which = []*simProcess{p}
		}
		f.harm(s, which)
	default:
		f.harm(s, which)
	}
}

// caller waits until a process calls the source, for a while, and returns it, in the middle
// of its call. It returns p if none does.
func (f *fleetSim) caller(p *simProcess) *simProcess {
	called := make(chan *simProcess, 1)
	f.mu.Lock()
	f.called = called
	f.mu.Unlock()
	select {
	case q := <-called:
		time.Sleep(f.plan.issuer.fast / 2)
		p = q
	case <-time.After(f.plan.issuer.lifetime / 2):
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.called = nil
	return p
}

// receiver waits until a process gets a token, for a while, and returns it and its room:
// the token is not committed yet. It returns p and r if none does.
func (f *fleetSim) receiver(p *simProcess, r *simRoom) (*simProcess, *simRoom) {
	came := make(chan *simCall, 1)
	f.mu.Lock()
	f.came = came
	f.mu.Unlock()
	select {
	case c := <-came:
		synctest.Wait()
		p, r = c.p, c.r
	case <-time.After(f.plan.issuer.lifetime / 2):
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.came = nil
	return p, r
}

// awaitToken waits until a process has shared a token that it has got, and hands it out.
func (f *fleetSim) awaitToken(p *simProcess, r *simRoom) {
	for range 50 {
		time.Sleep(f.config.BackoffMax / 50)
		synctest.Wait()
		if _, ok := p.m.Cached(r.id); ok {
			return
		}
	}
}

// leave closes, kills or stops a process.
func (f *fleetSim) leave(p *simProcess, s fleetStep, alive int) {
	switch {
	case s.kind == fleetStop:
		f.stopOne(p, s.dur)
	case alive == 1:
	case s.kind == fleetClose:
		f.closeOne(p)
	default:
		f.killOne(p)
	}
}

// harm performs a step that harms the store, the ways to it, or the source.
func (f *fleetSim) harm(s fleetStep, which []*simProcess) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	until := now + s.dur
	switch s.kind {
	case fleetLink:
		for _, p := range which {
			p.faults = append(p.faults, linkWindow{s.link, s.chance, now, until})
			f.unwell(p, s.dur)
			if p.cutWakes != nil && s.link == linkError {
				p.cutWakes()
			}
		}
	case fleetMute:
		for _, p := range which {
			p.muted = max(p.muted, until)
			p.store.LoseWakes(true)
			time.AfterFunc(s.dur, func() {
				f.mu.Lock()
				defer f.mu.Unlock()
				if f.now() >= p.muted {
					p.store.LoseWakes(false)
				}
			})
		}
	case fleetReadOnly:
		f.unwell(nil, s.dur)
		f.readOnly, f.writable = true, max(f.writable, until)
		for _, p := range f.procs {
			p.heard = 0
		}
		f.store.Degrade(errStore)
		time.AfterFunc(s.dur, func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			if f.now() >= f.writable {
				f.readOnly = false
				f.store.Degrade(nil)
			}
		})
	case fleetFlush:
		f.store.Flush()
		f.forgets()
	case fleetSave:
		f.saved = f.store.Snapshot()
	case fleetRestore:
		f.store.Restore(f.saved)
		f.forgets()
	case fleetDamage:
		f.store.Damage(f.rooms[max(s.room, 0)].id)
		f.unwell(nil, 0)
	case fleetTrouble:
		f.troubles = append(f.troubles, simTrouble{s.room, s.fault, now, until})
		if now > f.sourceQuiet {
			f.troubled = now
		}
		f.sourceQuiet = max(f.sourceQuiet, until+2*(until-f.troubled)+f.config.CallTimeout+maxRetryAfter+15*time.Second)
	}
}

// ask calls Token, or TokenValidFor, in the background, for callers as the step has them.
func (f *fleetSim) ask(ctx context.Context, p *simProcess, r *simRoom, s fleetStep, need time.Duration) {
	for range s.n {
		f.mu.Lock()
		c := f.asks(p, r, need)
		c.hasty = s.dur > 0
		f.mu.Unlock()
		f.goes(func() {
			ctx := ctx
			if s.dur > 0 {
				var leave context.CancelFunc
				ctx, leave = context.WithTimeout(ctx, s.dur)
				defer leave()
			}
			var tok roomtoken.Token
			var err error
			if need > 0 {
				tok, err = p.m.TokenValidFor(ctx, r.id, need)
			} else {
				tok, err = p.m.Token(ctx, r.id)
			}
			f.answered(c, tok, err)
		})
	}
}

// warm calls Warm in the background.
func (f *fleetSim) warm(ctx context.Context, p *simProcess, mask uint64) {
	var ids []string
	for _, r := range f.rooms {
		if mask>>r.n&1 != 0 {
			ids = append(ids, r.id)
		}
	}
	f.mu.Lock()
	well, begun := f.sourceIsWell(0), f.now()
	f.mu.Unlock()
	f.goes(func() {
		err := p.m.Warm(ctx, ids...)
		f.mu.Lock()
		defer f.mu.Unlock()
		if err != nil && well && f.sourceIsWell(0) && p.state == processRuns && !f.over && (p.resumed == 0 || p.resumed < begun-f.leaseTTL()) {
			f.breaks("4", "process %d: Warm returns %v, though the source is well", p.n, err)
		}
	})
}

// simWatch is a watch in progress.
type simWatch struct {
	p    *simProcess
	r    *simRoom
	last string // the token that it has yielded last
}

// watch watches a room in the background.
func (f *fleetSim) watch(ctx context.Context, p *simProcess, r *simRoom, d time.Duration) {
	w := &simWatch{p: p, r: r}
	f.mu.Lock()
	f.watches[w] = true
	f.mu.Unlock()
	f.goes(func() {
		ctx, cancel := context.WithTimeout(ctx, d)
		defer cancel()
		for tok, err := range p.m.Watch(ctx, r.id) {
			f.mu.Lock()
			if err == nil && !f.over {
				w.last = tok.Value.Reveal()
				f.handed(p, r, tok, "Watch")
			}
			f.mu.Unlock()
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.watches, w)
	})
}

// refuse invalidates what a process has, in that process and in some others.
func (f *fleetSim) refuse(p *simProcess, r *simRoom, alive []*simProcess, mask uint64) {
	tok, ok := p.m.Cached(r.id)
	if !ok || p.state != processRuns {
		return
	}
	for _, q := range alive {
		if q != p && mask>>(q.n%maxProcesses)&1 == 0 {
			continue
		}
		done := q.m.Invalidate(r.id, tok)
		f.mu.Lock()
		m := f.mints[tok.Value.Reveal()]
		f.note("  process %d: Invalidate(%s, %v) returns %v", q.n, r.id, m, done)
		if done {
			m.refusedIn[q], f.dropped[m.refresh] = true, true
			r.refusals = f.now()
			if m.refused == 0 {
				m.refused, m.refusedBy = f.now(), q
				m.early = m.shared && f.now()-m.began < f.renewal().Age(m.lifetime, 0, 1)-3*f.config.StoreTimeout
			}
		} else if q == p {
			f.breaks("7", "process %d: Invalidate of the token of %s that it hands out returns false", p.n, r.id)
		}
		f.mu.Unlock()
	}
}

// forget calls Forget.
func (f *fleetSim) forget(p *simProcess, r *simRoom) {
	f.mu.Lock()
	r.fresh, r.forgotten, p.forgot[r] = f.now(), true, true
	for _, m := range f.mints {
		if m.room == r {
			delete(m.refusedIn, p)
			delete(p.seen, m)
		}
	}
	f.interrupts(p, r)
	f.mu.Unlock()
	p.m.Forget(r.id)
}

// reset calls ResetBackoff for all rooms.
func (f *fleetSim) reset(p *simProcess) {
	f.mu.Lock()
	p.reset = f.now()
	for _, r := range f.rooms {
		r.fresh, r.forgotten, p.forgot[r] = f.now(), true, true
	}
	f.mu.Unlock()
	p.m.ResetBackoff()
}

// interrupts notes that what a process has in flight for a room may be lost.
func (f *fleetSim) interrupts(p *simProcess, r *simRoom) {
	m := r.newest()
	if p.calls[r] > 0 || m != nil && m.by == p && f.now()-m.came < f.config.StoreTimeout {
		r.unrest = max(r.unrest, f.now()+time.Second)
	}
}

// closeOne closes a process.
func (f *fleetSim) closeOne(p *simProcess) {
	f.mu.Lock()
	p.state = processClosed
	for _, r := range f.rooms {
		f.interrupts(p, r)
	}
	fine := p.unrest < f.now()-time.Second && f.unrest < f.now()-time.Second
	f.mu.Unlock()
	began := f.now()
	err := p.m.Close()
	took := f.now() - began
	f.mu.Lock()
	f.note("  process %d: Close returns %v after %v", p.n, err, took)
	f.checks++
	if most := 2*f.config.StoreTimeout + time.Millisecond; err != nil || took > most {
		f.breaks("8", "process %d: Close returns %v after %v, want at most %v", p.n, err, took, most)
	}
	f.mu.Unlock()
	if !fine {
		return
	}
	for room, lease := range f.store.Leases() {
		f.mu.Lock()
		if f.askers[lease.ID] == p {
			f.breaks("F4", "process %d was closed, and has the lease of %s", p.n, room)
		}
		f.mu.Unlock()
	}
}

// killOne kills a process.
func (f *fleetSim) killOne(p *simProcess) {
	f.mu.Lock()
	f.unwell(p, f.leaseTTL())
	f.mu.Unlock()
	p.kill()
}

// stopOne stops a process for a while.
func (f *fleetSim) stopOne(p *simProcess, d time.Duration) {
	f.mu.Lock()
	f.unwell(p, d+f.leaseTTL())
	f.mu.Unlock()
	p.stop()
	time.AfterFunc(d, p.resume)
}
