package roomtoken_test

import (
	"fmt"
	"strings"
	"time"

	"github.com/roomtoken/roomtoken"
)

// fleetTheme is what a plan of a fleet is about.
type fleetTheme int

const (
	soundFleet    fleetTheme = iota // nothing is wrong
	badStore                        // the store, or the way to it
	badSource                       // the source
	badProcesses                    // processes are killed, stopped, closed and started
	badEverything                   // all of that
	fleetThemes
)

// fleetPlan is one run of the simulation of a fleet: phases of trouble, and of calm in
// which all must be well again.
type fleetPlan struct {
	seed      uint64
	theme     fleetTheme
	config    roomtoken.Config
	processes int
	rooms     int
	frozen    bool // processes have clocks of their own: minutes apart, and they stand still while a process is stopped
	needs     bool // some callers ask for more than a valid token has left
	issuer    issuerPlan
	latency   time.Duration // of the store, at most
	steps     []fleetStep
}

// issuerPlan is what the issuer of the tokens does.
type issuerPlan struct {
	lifetime   time.Duration // of a token
	refresh    time.Duration // of a refresh token; 0: there are none; negative: its end is not told
	rotates    bool          // a refresh token is spent with its first use
	fast, slow time.Duration // how long a call takes
}

// fleetStepKind is what a step does.
type fleetStepKind int

const (
	fleetLook     fleetStepKind = iota // at what all processes have
	fleetAsk                           // some callers of one process
	fleetAskAll                        // callers of all processes at a time
	fleetNeed                          // TokenValidFor
	fleetWarm                          // some rooms
	fleetWatch                         // one room
	fleetRefuse                        // Invalidate of one token, in several processes
	fleetForget                        // one room, in one process
	fleetReset                         // ResetBackoff of all rooms, in one process
	fleetStart                         // one more process
	fleetClose                         // a process
	fleetKill                          // a process
	fleetStop                          // a process, for a while
	fleetLink                          // the way to the store is bad for a while
	fleetMute                          // wakes are lost for a while
	fleetReadOnly                      // the store takes no writes for a while
	fleetFlush                         // the store loses everything
	fleetSave                          // notes the state of the store
	fleetRestore                       // brings that back
	fleetDamage                        // makes a record unreadable
	fleetTrouble                       // the source fails for a while
	fleetStepKinds
)

var fleetStepNames = [...]string{
	"look", "ask", "ask-all", "need", "warm", "watch", "refuse", "forget", "reset", "start", "close", "kill", "stop",
	"link", "mute", "read-only", "flush", "save", "restore", "damage", "trouble",
}

// fleetStep is one step of a plan. It remains valid when others are removed.
type fleetStep struct {
	at   time.Duration
	kind fleetStepKind
	proc int // counts among those that run; -1: all
	room int // -1: all
	n    int
	mask uint64
	dur  time.Duration

	link   linkFault
	chance float64 // of each call to meet the fault
	fault  fault
}

func (s fleetStep) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%12v %s process=%d room=%d", s.at, fleetStepNames[s.kind], s.proc, s.room)
	if s.n > 0 {
		fmt.Fprintf(&b, " n=%d", s.n)
	}
	if s.dur > 0 {
		fmt.Fprintf(&b, " for=%v", s.dur)
	}
	switch s.kind {
	case fleetLink:
		fmt.Fprintf(&b, " %v chance=%.2f", s.link, s.chance)
	case fleetTrouble:
		fmt.Fprintf(&b, " %v", s.fault)
	case fleetWarm, fleetRefuse:
		fmt.Fprintf(&b, " mask=%b", s.mask%64)
	}
	return b.String()
}

// linkFault is what happens to calls of the store on their way.
type linkFault int

const (
	linkError linkFault = iota // they fail
	linkLost                   // they do their work, and the answer is lost
	linkLate                   // the answer comes after StoreTimeout
	linkTwice                  // the client repeats them
	linkHang                   // nothing comes back
	linkDeaf                   // nor does the client notice that ctx ends, for seconds
	linkFaults
)

func (l linkFault) String() string {
	return [...]string{"error", "lost", "late", "twice", "hang", "deaf"}[l]
}

// drawFleet draws the plan of a seed.
func drawFleet(seed uint64) *fleetPlan {
	d := dice(seed)
	d.next()
	p := &fleetPlan{seed: seed, theme: fleetTheme(d.one(2, 4, 2, 3, 3)), processes: 2 + d.n(4), rooms: 1 + d.up(0.5, 5)}
	p.frozen = d.chance(0.6)
	p.needs = d.chance(0.1)

	t := &p.issuer
	t.lifetime = d.between(12*time.Second, 90*time.Second)
	t.fast = d.between(5*time.Millisecond, 50*time.Millisecond)
	t.slow = d.between(t.fast, t.lifetime/20)
	t.rotates = d.chance(0.7)
	switch d.n(5) {
	case 0:
		t.refresh = -1
	case 1:
		t.refresh = d.between(t.lifetime/4, t.lifetime)
	default:
		t.refresh = d.between(t.lifetime, time.Hour)
	}
	if d.chance(0.1) {
		t.refresh = 0
	}

	c := &p.config
	c.IdleAfter = -1
	c.StoreTimeout = d.between(60*time.Millisecond, 400*time.Millisecond)
	c.CallTimeout = max(t.slow, 2*c.StoreTimeout) + d.between(200*time.Millisecond, t.lifetime/12)
	if d.chance(0.4) { // leases last long
		c.CallTimeout += t.lifetime / 5
	}
	c.BackoffMin = d.between(100*time.Millisecond, time.Second)
	c.BackoffMax = c.BackoffMin + d.between(time.Second, 5*time.Second)
	if d.chance(0.3) {
		c.RefreshAfter = 0.4 + 0.4*d.float()
	}
	if d.chance(0.3) {
		c.MinValidity = d.between(time.Second, t.lifetime/4)
	}
	if d.chance(0.25) { // rooms stand in line
		p.rooms, c.MaxConcurrentCalls = 4+d.n(5), 1+d.n(3)
		t.slow = min(t.slow, t.lifetime/60)
		t.fast = min(t.fast, t.slow)
	}
	p.latency = d.between(time.Millisecond, c.StoreTimeout/8)
	p.drawSteps(&d)
	return p
}

// The weights of steps, by theme: what is asked for in all of them, and what is wrong in
// times of trouble.
var (
	fleetUse = []float64{
		fleetLook: 3, fleetAsk: 4, fleetAskAll: 3, fleetWarm: 0.4, fleetWatch: 0.3,
		fleetRefuse: 0.4, fleetForget: 0.3, fleetStart: 0.25, fleetClose: 0.25, fleetStepKinds - 1: 0,
	}
	fleetWrong = [fleetThemes][]float64{
		soundFleet: {fleetLook: 1},
		badStore: {
			fleetLink: 5, fleetMute: 1, fleetReadOnly: 1, fleetFlush: 0.7, fleetSave: 0.7, fleetRestore: 0.7, fleetDamage: 0.5,
			fleetRefuse: 0.5, fleetStepKinds - 1: 0,
		},
		badSource:    {fleetTrouble: 5, fleetRefuse: 1, fleetForget: 0.5, fleetReset: 0.3},
		badProcesses: {fleetStart: 3, fleetClose: 2, fleetKill: 2, fleetStop: 4, fleetRefuse: 1},
		badEverything: {
			fleetStart: 2, fleetClose: 0.7, fleetKill: 1, fleetStop: 2, fleetLink: 3, fleetMute: 0.5, fleetReadOnly: 0.5,
			fleetFlush: 0.5, fleetSave: 0.5, fleetRestore: 0.5, fleetDamage: 0.3, fleetTrouble: 2, fleetRefuse: 1, fleetForget: 0.5, fleetReset: 0.2,
		},
	}
)

// drawSteps draws the steps.
func (p *fleetPlan) drawSteps(d *dice) {
	life := p.issuer.lifetime
	pace := d.between(life/60, life/8)
	at := time.Duration(0)
	for phase := range 2 + 2*d.n(2) {
		trouble := phase%2 == 1 && p.theme != soundFleet
		length := d.between(life/4, 2*life)
		if phase > 0 && !trouble {
			length = d.between(3*life, 4*life) // one renewal after, and a few more
		}
		for ends := at + length; at < ends; at += d.between(pace/10, pace*3) {
			s := fleetStep{at: at, kind: fleetStepKind(d.weighted(fleetUse)), proc: d.n(8), room: d.n(p.rooms), mask: d.next()}
			if trouble && d.chance(0.35) {
				s.kind = fleetStepKind(d.weighted(fleetWrong[p.theme]))
			}
			if p.needs && d.chance(0.1) {
				s.kind = fleetNeed
			}
			p.drawStep(d, &s)
			if s.dur = min(s.dur, ends-at); s.kind == fleetWatch {
				s.dur = d.between(life/4, 4*life)
			}
			p.steps = append(p.steps, s)
		}
	}
	for range 3 { // the trouble of the last phase must be over
		at += life
		p.steps = append(p.steps, fleetStep{at: at, kind: fleetAskAll, n: 1}, fleetStep{at: at + life/7, kind: fleetLook})
	}
}

// drawStep draws what a step of its kind does.
func (p *fleetPlan) drawStep(d *dice, s *fleetStep) {
	life := p.issuer.lifetime
	s.dur = d.between(200*time.Millisecond, life)
	switch s.kind {
	case fleetAsk, fleetAskAll:
		s.n, s.dur = d.up(0.5, 8), 0
		if d.chance(0.25) { // they leave early
			s.dur = d.between(100*time.Microsecond, time.Second)
		}
	case fleetRefuse:
		s.n, s.dur = [...]int{0, 1, 4}[d.one(4, 4, 1)], 0 // in a row, each as soon as a process has got it
	case fleetNeed:
		s.dur = d.between(time.Second, life)
	case fleetClose, fleetKill, fleetStop:
		s.n = d.n(2) // in the middle of a call
		s.dur = d.between(100*time.Millisecond, life)
	case fleetLink:
		s.link = linkFault(d.n(int(linkFaults)))
		s.chance = 1
		if d.chance(0.5) {
			s.chance = d.float()
		}
		switch d.n(5) {
		case 0, 1:
			s.proc = -1
		case 2: // just when a process has got a token
			s.n, s.chance, s.dur = 1, 1, d.between(20*time.Millisecond, 600*time.Millisecond)
		}
	case fleetMute:
		if d.chance(0.5) {
			s.proc = -1
		}
	case fleetTrouble:
		s.fault = [...]fault{
			faultTransient, faultTransient, faultRetryAfter, faultLimitedFor, faultLimitedFor, faultPermanent, faultNotFound,
			faultUnauthorized, faultRejected, faultHang, faultLost,
		}[d.n(11)]
		if d.chance(0.4) {
			s.room = -1
		}
	case fleetReadOnly:
	default:
		s.dur = 0
	}
}
