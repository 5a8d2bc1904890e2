package roomtoken_test

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/roomtoken/roomtoken"
)

// A plan is everything that a seed decides: the Manager's Config, the behavior of the
// source, and a list of steps, each at a time of its own. A plan remains valid when
// steps are removed: that is how a failing plan is shrunk.

// dice is a random generator, splitmix64. It is cheap to seed: each call of the source
// has dice of its own, so that its outcome does not depend on the order of calls.
type dice uint64

func (d *dice) next() uint64 {
	*d += 0x9e3779b97f4a7c15
	z := uint64(*d)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

func (d *dice) n(n int) int             { return int(d.next() % uint64(n)) }
func (d *dice) float() float64          { return float64(d.next()>>11) / (1 << 53) }
func (d *dice) chance(p float64) bool   { return d.float() < p }
func (d *dice) one(of ...float64) int   { return d.weighted(of) }
func (d *dice) ns() time.Duration       { return time.Duration(1 + d.n(999)) }
func (d *dice) child(n uint64) dice     { c := *d ^ dice(n*0xd6e8feb86659fd93); c.next(); return c }
func (d *dice) up(p float64, n int) int { return min(1+int(math.Log(1-d.float())/math.Log(p)), n) }

func (d *dice) weighted(weights []float64) int {
	sum := 0.0
	for _, w := range weights {
		sum += w
	}
	at := d.float() * sum
	for i, w := range weights {
		if at -= w; at < 0 {
			return i
		}
	}
	return len(weights) - 1
}

// between draws a duration, uniform over the orders of magnitude. It adds random
// nanoseconds, so that two things hardly ever happen at the same time by accident.
func (d *dice) between(from, to time.Duration) time.Duration {
	return time.Duration(float64(from)*math.Pow(float64(to)/float64(from), d.float())).Truncate(time.Microsecond) + d.ns()
}

// theme is what a plan is about.
type theme int

const (
	anything theme = iota
	crowd          // many rooms, some of them failing, and outages of all
	overload       // more calls than the slots bear
)

// plan is one run of the simulation.
type plan struct {
	seed     uint64
	theme    theme
	wall     bool // the wall clock is stepped
	config   roomtoken.Config
	behavior behavior
	rooms    int
	steps    []step
}

// behavior is how the source behaves.
type behavior struct {
	calm           bool // it fails only in outages
	faults         float64
	weights        [faultKinds]float64
	lifetime       time.Duration
	refresh        time.Duration // 0: no refresh tokens; negative: their expiry is not reported
	rotates        bool
	fast, slow     time.Duration
	issuedAtChance float64
	thrower        float64       // the probability that the observer panics or exits
	capacity       int           // calls at a time that it bears; 0: any number
	refuses        fault         // how it fails the others
	session        time.Duration // how long refreshed tokens can live after their create; 0: for ever
	lag            time.Duration // for how long a new token is not accepted
	sick           uint64        // rooms that always fail
	ails           fault         // how
}

// fault is how a call of the source fails.
type fault int

const (
	faultTransient fault = iota
	faultRetryAfter
	faultLimited
	faultLimitedFor
	faultPermanent
	faultUnauthorized
	faultNotFound
	faultRejected
	faultPanic
	faultGoexit
	faultHang
	faultDeaf
	faultEmpty
	faultNoExpiry
	faultExpired
	faultShort
	faultSame
	faultLost // the token is minted, but the answer is lost
	faultKinds
	noFault fault = -1
)

var faultNames = [...]string{
	"transient", "retry-after", "limited", "limited-for", "permanent", "unauthorized", "not-found", "rejected", "panic", "goexit",
	"hang", "deaf", "empty", "no-expiry", "expired", "short", "same", "lost",
}

func (f fault) String() string {
	if f == noFault {
		return "none"
	}
	return faultNames[f]
}

// stepKind is what a step does.
type stepKind int

const (
	stepPoll stepKind = iota
	stepAsk
	stepAskFor
	stepCrowd
	stepUse
	stepWatch
	stepWarm
	stepInvalidate
	stepForget
	stepReset
	stepOutage
	stepClose
	stepWall
)

// step is one thing that a plan does.
type step struct {
	kind    stepKind
	at      time.Duration
	room    int // -1: all
	n       int // callers; pairs of a watch until it ends; repetitions
	timeout time.Duration
	hangUp  time.Duration // the caller cancels
	dur     time.Duration
	fault   fault
	mask    uint64
	back    bool
}

func (s step) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%14v ", s.at)
	switch s.kind {
	case stepPoll:
		fmt.Fprintf(&b, "poll all rooms, Token of mask %#x", s.mask)
	case stepAsk:
		fmt.Fprintf(&b, "Token(r%d), %d callers, timeout %v, canceled after %v", s.room, s.n, s.timeout, s.hangUp)
	case stepAskFor:
		fmt.Fprintf(&b, "TokenValidFor(r%d, %v), timeout %v, a little too long: %v", s.room, s.dur, s.timeout, s.back)
	case stepCrowd:
		fmt.Fprintf(&b, "Token of mask %#x, timeout %v", s.mask, s.timeout)
	case stepUse:
		fmt.Fprintf(&b, "Token(r%d), invalidated until it is accepted", s.room)
	case stepWatch:
		fmt.Fprintf(&b, "Watch(r%d), the body takes %v, ends after %d pairs or %v", s.room, s.dur, s.n, s.timeout)
	case stepWarm:
		fmt.Fprintf(&b, "Warm(mask %#x), timeout %v", s.mask, s.timeout)
	case stepInvalidate:
		fmt.Fprintf(&b, "Invalidate(r%d), the previous token: %v, %d times", s.room, s.back, s.n)
	case stepForget:
		fmt.Fprintf(&b, "Forget(r%d)", s.room)
	case stepReset:
		fmt.Fprintf(&b, "ResetBackoff(room %d)", s.room)
	case stepOutage:
		fmt.Fprintf(&b, "outage of room %d: %v for %v", s.room, s.fault, s.dur)
	case stepClose:
		fmt.Fprintf(&b, "Close in way %d, reopen after %v", s.n, s.dur)
	case stepWall:
		fmt.Fprintf(&b, "step the wall clock by %v", s.dur)
	}
	return b.String()
}

// draw returns the plan of a seed.
func draw(seed uint64) *plan {
	d := dice(seed * 0x2545f4914f6cdd1d)
	d.next()
	p := &plan{seed: seed, theme: theme(d.one(6, 2.5, 1.5)), wall: d.chance(0.25), rooms: 1 + d.n(6)}
	if d.chance(0.3) {
		p.rooms += d.n(20)
	}

	c := &p.config
	if d.chance(0.4) {
		c.RefreshAfter = 0.2 + 0.65*d.float()
	}
	switch d.n(3) {
	case 0:
		c.Jitter = -1
	case 1:
		c.Jitter = 0.15 * d.float()
	}
	switch d.n(4) {
	case 0:
		c.MinValidity = -1
	case 1:
		c.MinValidity = d.between(time.Second, 3*time.Minute)
	}
	switch d.n(5) {
	case 0:
		c.IdleAfter = -1
	case 1, 2:
		c.IdleAfter = d.between(20*time.Second, 20*time.Minute)
	}
	if d.chance(0.25) {
		c.MaxRooms = 1 + d.n(p.rooms)
	}
	switch d.n(3) {
	case 0:
		c.MaxConcurrentCalls = 1 + d.n(5)
	case 1:
		c.MaxConcurrentCalls = 6 + d.n(20)
	}
	c.CallTimeout = d.between(time.Second, 20*time.Second)
	c.MaxWait = d.between(time.Second, 90*time.Second)
	if d.chance(0.1) {
		c.MaxWait = -1
	}
	c.BackoffMin = d.between(50*time.Millisecond, 3*time.Second)
	c.BackoffMax = c.BackoffMin + d.between(time.Second, time.Minute)
	if d.chance(0.3) {
		c.MaxRetryAfter = d.between(time.Second, 24*time.Hour)
	}
	if d.chance(0.15) {
		c.CallsPerSecond = 0.5 + 20*d.float()*d.float()
	}

	t := &p.behavior
	t.lifetime = d.between(10*time.Second, time.Hour)
	switch d.n(6) {
	case 0:
	case 1:
		t.refresh = -1
	case 2:
		t.refresh = d.between(t.lifetime/4, t.lifetime)
	default:
		t.refresh = d.between(t.lifetime, 24*time.Hour)
	}
	t.rotates = d.chance(0.5)
	t.fast = d.between(time.Millisecond, 200*time.Millisecond)
	t.slow = d.between(t.fast, c.CallTimeout)
	t.faults = [...]float64{0, 0.03, 0.15, 0.5}[d.one(2, 3, 3, 2)]
	t.calm = t.faults == 0
	for i := range t.weights {
		t.weights[i] = d.float() * d.float()
		if d.chance(0.3) {
			t.weights[i] = 0
		}
	}
	t.weights[faultTransient] += 0.05
	if d.chance(0.3) {
		t.issuedAtChance = d.float()
	}
	if d.chance(0.3) {
		t.thrower = d.float()
	}
	if d.chance(0.15) {
		t.capacity, t.refuses = 1+d.n(8), [...]fault{faultTransient, faultLimited, faultLimitedFor}[d.n(3)]
	}
	if d.chance(0.15) {
		t.session = time.Duration(float64(t.lifetime) * (1 + 4*d.float()))
	}
	if d.chance(0.3) {
		t.lag = min(d.between(200*time.Millisecond, 5*time.Second), t.lifetime/4)
	}
	switch p.theme {
	case anything:
	case crowd:
		p.drawCrowd(&d)
	case overload:
		p.drawOverload(&d)
	}
	p.drawSteps(&d)
	return p
}

// drawCrowd makes the plan one of many rooms and a source that fails for some of them,
// or for all at a time.
func (p *plan) drawCrowd(d *dice) {
	c, t := &p.config, &p.behavior
	p.wall, p.rooms = false, 9+d.n(16)
	c.MaxRooms = 0
	c.MaxWait = d.between(5*time.Second, 90*time.Second)
	t.lifetime = d.between(20*time.Second, 20*time.Minute)
	t.fast = d.between(time.Millisecond, 50*time.Millisecond)
	t.slow = min(d.between(t.fast, time.Second), c.CallTimeout)
	t.faults = [...]float64{0, 0.02}[d.n(2)]
	t.calm = t.faults == 0
	t.thrower, t.lag = 0, 0
	if d.chance(0.3) {
		t.capacity, t.refuses = 1+d.n(8), [...]fault{faultTransient, faultTransient, faultLimited}[d.n(3)]
	}
	if d.chance(0.5) {
		for range 1 + d.n(12) {
			t.sick |= 1 << d.n(p.rooms)
		}
		t.ails = [...]fault{faultTransient, faultTransient, faultPermanent, faultNotFound, faultHang, faultPanic}[d.n(6)]
	}
}

// drawOverload makes the plan one of more calls than the slots bear.
func (p *plan) drawOverload(d *dice) {
	c, t := &p.config, &p.behavior
	p.wall, p.rooms = false, 20+d.n(40)
	c.MaxRooms, c.CallsPerSecond = 0, 0
	c.MaxConcurrentCalls = 3 + d.n(14)
	c.CallTimeout = d.between(10*time.Second, 20*time.Second)
	c.MaxWait = d.between(2*time.Second, time.Minute)
	t.lifetime = d.between(10*time.Second, 3*time.Minute)
	t.fast = d.between(50*time.Millisecond, 2*time.Second)
	t.slow = 2 * t.fast
	t.faults = [...]float64{0, 0.01}[d.n(2)]
	t.calm = t.faults == 0
	t.issuedAtChance, t.thrower, t.lag, t.capacity = 0, 0, 0, 0
	if d.chance(0.5) {
		c.IdleAfter = d.between(3*time.Second, time.Minute)
	}
	if d.chance(0.4) {
		for range 1 + d.n(6) {
			t.sick |= 1 << d.n(p.rooms)
		}
		t.ails = [...]fault{faultTransient, faultHang}[d.n(2)]
	}
}

// weights returns how often a plan takes each kind of step, and the bounds of its pace.
func (p *plan) weights(d *dice) (weights []float64, fastest, slowest time.Duration) {
	switch p.theme {
	case crowd:
		return []float64{
			stepPoll: 2, stepAsk: 3, stepAskFor: 0.2, stepCrowd: 2, stepWatch: 0.7, stepWarm: 0.2,
			stepInvalidate: 0.2, stepForget: 0.2 * d.float(), stepReset: 0.4 * d.float(), stepOutage: 0.8, stepWall: 0,
		}, 100 * time.Millisecond, 10 * time.Second
	case overload:
		return []float64{
			stepPoll: 2, stepAsk: 4, stepAskFor: 0.2, stepCrowd: 1, stepWatch: 0.3, stepWarm: 0.3,
			stepInvalidate: 0.3, stepForget: 0.3 * d.float(), stepOutage: 0.05, stepWall: 0,
		}, 30 * time.Millisecond, 2 * time.Second
	}
	weights = []float64{
		stepPoll: 4, stepAsk: 4, stepAskFor: 0.8 * d.float(), stepCrowd: 0.5 * d.float(), stepUse: 0, stepWatch: 0.5, stepWarm: 0.3,
		stepInvalidate: 0.7 * d.float(), stepForget: 0.5 * d.float(), stepReset: 0.3 * d.float(), stepOutage: 0.4 * d.float(), stepClose: 0.05, stepWall: 0,
	}
	if p.behavior.lag > 0 {
		weights[stepUse] = 0.5
	}
	if p.wall {
		weights[stepWall] = 1
	}
	return weights, 20 * time.Millisecond, 2 * time.Minute
}

// drawSteps draws the steps.
func (p *plan) drawSteps(d *dice) {
	at := time.Duration(0)
	weights, fastest, slowest := p.weights(d)
	pace := d.between(fastest, slowest)
	n := 20 + d.n(140)
	for range n {
		at += d.between(pace/50, pace*4)
		s := step{at: at, kind: stepKind(d.weighted(weights)), room: d.n(p.rooms), mask: d.next()}
		if len(p.steps) < 2 {
			s.kind = stepAsk
		}
		s.timeout = d.between(20*time.Millisecond, 5*time.Minute)
		switch s.kind {
		case stepPoll:
			s.mask &= d.next()
		case stepAsk:
			s.n = d.up(0.4, 12)
			if d.chance(0.4) {
				s.timeout = 0
			}
			if d.chance(0.2) || s.timeout == 0 && p.config.MaxWait < 0 {
				s.hangUp = d.between(time.Millisecond, time.Minute)
			}
		case stepAskFor:
			s.n = 1
			s.dur = d.between(time.Second, p.behavior.lifetime*5/4)
			s.back = d.chance(0.3)
		case stepCrowd:
			if s.mask |= d.next() * uint64(d.n(2)); p.config.MaxRooms > 0 {
				s.mask = 1 << s.room
			}
		case stepReset:
			if d.chance(0.5) {
				s.room = -1
			}
		case stepWatch:
			s.timeout = d.between(time.Second, 6*time.Hour)
			if d.chance(0.4) {
				s.dur = d.between(time.Millisecond, 10*time.Minute)
			}
			s.n = 1 << 30
			if d.chance(0.2) {
				s.n = 1 + d.n(4)
			}
		case stepWarm:
			if p.config.MaxRooms > 0 {
				s.mask = 1 << s.room // one may be evicted for another at the same time
			}
		case stepInvalidate:
			s.n = d.up(0.5, 5)
			s.back = d.chance(0.2)
			s.timeout = 0
		case stepOutage:
			s.fault = [...]fault{
				faultTransient, faultTransient, faultRetryAfter, faultLimited, faultLimitedFor, faultPermanent, faultPermanent,
				faultUnauthorized, faultUnauthorized, faultNotFound, faultRejected, faultHang, faultDeaf, faultPanic, faultSame,
			}[d.n(15)]
			s.dur = d.between(time.Second, 3*time.Hour)
			if d.chance(0.6) {
				s.dur = d.between(time.Second, 5*time.Minute)
			}
			if d.chance([...]float64{0.5, 0.9, 0.5}[p.theme]) {
				s.room = -1
			}
			if p.theme == crowd {
				s.dur = d.between(time.Second, 3*time.Minute)
			}
		case stepClose:
			s.n = d.n(4)
			s.dur = d.between(time.Millisecond, 10*time.Second)
		case stepWall:
			s.dur = d.between(50*time.Millisecond, 2*time.Hour)
			if d.chance(0.5) {
				s.dur = -s.dur
			}
		}
		if s.kind == stepPoll && d.chance(0.05) {
			at += d.between(pace, 2*time.Hour) // a long pause
		}
		p.steps = append(p.steps, s)
	}
}

// calmed returns the plan with a source that fails only in outages.
func (p *plan) calmed() *plan {
	q := *p
	q.behavior.calm = true
	return &q
}
