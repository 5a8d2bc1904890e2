package roomtoken_test

import (
	"errors"
	"strings"
	"time"

	"github.com/roomtoken/roomtoken"
)

// handed checks a token that a process hands out.
func (f *fleetSim) handed(p *simProcess, r *simRoom, tok roomtoken.Token, how string) {
	f.checks++
	now := f.now()
	m := f.mints[tok.Value.Reveal()]
	if p.state != processRuns {
		return
	}
	switch {
	case m == nil || m.room != r:
		f.breaks("F11", "process %d, %s: a token of another room for %s", p.n, how, r.id)
		return
	case m.ends-now < f.renewal().Margin(m.lifetime):
		f.breaks("1", "process %d, %s: %v of %s has %v left, want %v", p.n, how, m, r.id, m.ends-now, f.renewal().Margin(m.lifetime))
	case tok.ExpiresAt.Sub(p.wall()) > m.ends-now+time.Microsecond:
		f.breaks("F10", "process %d, %s: %v of %s is said to have %v left, it has %v", p.n, how, m, r.id, tok.ExpiresAt.Sub(p.wall()), m.ends-now)
	case m.refusedIn[p]:
		f.breaks("7", "process %d, %s: %v of %s, which was invalidated there", p.n, how, m, r.id)
	}
	if _, ok := p.seen[m]; !ok {
		p.seen[m] = now
	}
	f.checkRefused(p, m, how)
	if age := now - m.leased; age < m.holdBack-10*f.plan.latency && f.strict(r) {
		f.breaks("F6", "process %d, %s: %v of %s is handed out at an age of %v, want %v: the tokens before were refused early", p.n, how, m, r.id, age, m.holdBack)
	}
	f.checkSame(p, m, how)
}

// checkRefused checks that a token is handed out by no process 1 s after it was refused in
// another.
func (f *fleetSim) checkRefused(p *simProcess, m *simMint, how string) {
	now, by := f.now(), m.refusedBy
	if m.refused == 0 || m.lost {
		return
	}
	if m.told == 0 && by.state != processRuns { // it may have taken its knowledge with it
		return
	}
	told := m.told
	if told == 0 {
		told = max(m.refused, by.unrest, f.unrest, by.resumed)
	}
	if late := max(told, m.refused, p.unrest, p.started, p.resumed, f.unrest) + time.Second; now > late {
		f.breaks("F6", "process %d, %s: %v of %s, which was refused in process %d %v ago, and must not be handed out since %v", p.n, how, m, m.room.id, by.n, now-m.refused, late)
	}
}

// checkSame checks that all processes hand out one token.
func (f *fleetSim) checkSame(p *simProcess, m *simMint, how string) {
	r, now := m.room, f.now()
	if !f.strict(r) || !f.sourceIsWell(m.lifetime) || f.plan.needs || m.refused > 0 {
		return
	}
	newest := r.newest()
	for i := len(r.mints) - 1; r.mints[i] != m; i-- {
		if before := r.mints[i]; before != newest && before.refused == 0 {
			f.breaks("F1", "process %d, %s: %v of %s, the newest is %v, and %v came between", p.n, how, m, r.id, newest, before)
			return
		}
	}
	if m == newest {
		return
	}
	at := time.Duration(float64(m.lifetime)*(f.config.RefreshAfter+0.1)) + 2*time.Second + 2*f.slots()*f.plan.issuer.slow
	at = max(at, p.seen[m]-m.began+m.lifetime/10+2*time.Second) // it had it late
	if age := now - m.began; age > at {
		f.breaks("F1", "process %d, %s: %v of %s, which is %v old; since %v there is %v, which it should have adopted by an age of %v", p.n, how, m, r.id, age, newest.came, newest, at)
	}
}

// simCaller is a call of Token.
type simCaller struct {
	p     *simProcess
	r     *simRoom
	began time.Duration
	had   bool // there was a valid token
	cut   bool // no call of the store came through for long
	deaf  bool // none comes through
	need  time.Duration
	hasty bool // it leaves early
}

// asks notes a call of Token that begins.
func (f *fleetSim) asks(p *simProcess, r *simRoom, need time.Duration) *simCaller {
	_, had := p.m.Cached(r.id)
	return &simCaller{p: p, r: r, began: f.now(), had: had, cut: p.isCut(10 * time.Second), deaf: p.isCut(time.Millisecond), need: need}
}

// answered checks the answer to a caller.
func (f *fleetSim) answered(c *simCaller, tok roomtoken.Token, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p, r, now := c.p, c.r, f.now()
	if f.over || p.state != processRuns {
		return
	}
	took := now - c.began
	f.note("  process %d: Token(%s) of %v returns %v, %v", p.n, r.id, c.began, f.nameOf(tok.Value), err)
	f.checks++
	switch {
	case err != nil && strings.Contains(err.Error(), canary):
		f.breaks("12", "process %d: an error contains a secret: %v", p.n, err)
	case err == nil && tok.Value.IsZero():
		f.breaks("4", "process %d: Token returns neither a token nor an error", p.n)
	case err == nil:
		f.handed(p, r, tok, "Token")
	}
	if c.hasty && err != nil && !c.had && !errors.Is(err, errStore) {
		return
	}
	if c.need > 0 || p.resumed >= c.began-f.leaseTTL() && p.resumed > 0 {
		return
	}
	if c.had && (took > 0 || err != nil) {
		f.breaks("3", "process %d: a caller waits %v for %s, which has a valid token: %v", p.n, took, r.id, err)
	}
	if errors.Is(err, errStore) {
		f.breaks("F8", "process %d: a caller gets an error of the store: %v", p.n, err)
	}
	if f.plan.needs || c.began < f.sourceQuiet {
		return
	}
	switch limit := f.patience(c); {
	case err != nil:
		f.breaks("4", "process %d: a caller of %s gets an error after %v, though the source is well: %v", p.n, r.id, took, err)
	case took > limit:
		f.breaks("F8", "process %d: a caller of %s waits %v, want at most %v", p.n, r.id, took, limit)
	}
}

// patience returns for how long a caller without a token waits, at most.
func (f *fleetSim) patience(c *simCaller) time.Duration {
	calls := 2 * f.slots() * (f.plan.issuer.slow + time.Microsecond) // a refresh token may be refused
	hops := 8 * f.plan.latency
	limit := calls + hops + 60*time.Millisecond
	switch {
	case c.cut && c.p.isCut(10*time.Second+f.now()-c.began):
		limit = calls + time.Millisecond
	case c.deaf && c.p.isCut(time.Millisecond+f.now()-c.began): // it may have waited for another's lease before
		limit = calls + 2*f.config.StoreTimeout + 500*time.Millisecond + hops
	case max(f.unrest, c.r.unrest) > c.began:
		limit += 5*f.config.StoreTimeout + 2*f.leaseTTL() + 2*time.Second // two may die one after the other
	case c.p.muted > c.began-15*time.Second:
		limit += 500 * time.Millisecond
	}
	if c.r.refusals > 0 && c.r.refusals > c.began-2*f.plan.issuer.lifetime { // a replacement may be held back
		limit += min(f.config.BackoffMax, f.plan.issuer.lifetime/3)
	}
	return limit
}

// slots returns how many calls a room waits for, its own among them, at most.
func (f *fleetSim) slots() time.Duration {
	if f.inLine() {
		return time.Duration(len(f.rooms))
	}
	return 1
}
