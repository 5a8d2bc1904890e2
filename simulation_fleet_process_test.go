package roomtoken_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/benbjohnson/clock"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/roomtokentest"
)

// simProcess is a process of the simulation: a Manager, its way to the store, and its
// source. What is below mu is guarded by the lock of the simulation.
type simProcess struct {
	f     *fleetSim
	n     int
	m     *roomtoken.Manager
	store *roomtokentest.Store // as the process sees it
	clk   *simClock            // nil: the real clock
	ahead time.Duration        // of its wall clock
	dice  dice
	dead  chan struct{} // closed when it is killed

	// guarded by fleetSim.mu
	state     processState
	goes      chan struct{} // not nil: it is stopped until that is closed
	faults    []linkWindow  // of its way to the store
	cutWakes  func()        // ends the present call of Wake
	reset     time.Duration // when ResetBackoff was called last
	asks      int           // calls of Acquire and Commit
	window    asksWindow
	running   int                        // calls of the store
	calls     map[*simRoom]int           // calls of the source
	forgot    map[*simRoom]bool          // Forget was called, and no call of the source has begun since
	lost      map[*simMint]bool          // grants that the store has refused
	unheard   time.Duration              // when a call of the store failed last
	heard     time.Duration              // when the news was read first since; 0: not yet
	seen      map[*simMint]time.Duration // when it handed a token out first
	published map[string]time.Duration   // when a token was published last, by room
	newest    time.Duration              // when a token was published last
	unrest    time.Duration              // nothing is wrong with it, or its way to the store, from then on
	started   time.Duration
	resumed   time.Duration
	muted     time.Duration // wakes are lost until then
	down      bool          // EventStoreDown was reported, and EventStoreUp not yet
}

type processState int

const (
	processRuns processState = iota
	processStopped
	processClosed
	processKilled
)

// linkWindow is a time in which the way to the store is bad.
type linkWindow struct {
	fault       linkFault
	chance      float64
	from, until time.Duration
}

var errCut = errors.New("the process was killed")

// pass lets a call, or its answer, through to the process. It waits while the process is
// stopped. It fails if the process is dead.
func (p *simProcess) pass() error {
	for {
		p.f.mu.Lock()
		state, goes := p.state, p.goes
		p.f.mu.Unlock()
		switch state {
		case processStopped:
			select {
			case <-goes:
			case <-p.dead:
			}
		case processKilled:
			return errCut
		default:
			return nil
		}
	}
}

// stop stops the process until resume.
func (p *simProcess) stop() {
	p.f.mu.Lock()
	defer p.f.mu.Unlock()
	p.state, p.goes = processStopped, make(chan struct{})
	if p.clk != nil {
		p.clk.stop()
	}
}

// resume lets a process that was stopped go on.
func (p *simProcess) resume() {
	p.f.mu.Lock()
	defer p.f.mu.Unlock()
	if p.state != processStopped {
		return
	}
	p.f.note("process %d goes on", p.n)
	p.f.unwell(p, 0)
	p.state, p.resumed = processRuns, p.f.now()
	close(p.goes)
	if p.clk != nil {
		p.clk.resume()
	}
}

// kill ends the process without a word: no call of its comes through, nor an answer.
func (p *simProcess) kill() {
	p.f.mu.Lock()
	p.state = processKilled
	p.f.mu.Unlock()
	close(p.dead)
	if p.clk != nil {
		p.clk.resume()
	}
	_ = p.m.Close() // nobody hears of that
}

// wall returns the time on the wall clock of the process.
func (p *simProcess) wall() time.Time { return time.Now().Add(p.ahead) }

// observe is the OnEvent of the process.
func (p *simProcess) observe(e roomtoken.Event) {
	f := p.f
	f.mu.Lock()
	defer f.mu.Unlock()
	if p.state == processKilled || p.state == processClosed {
		return
	}
	if f.tracing {
		f.note("  process %d: %v", p.n, e)
	}
	if f.checks++; strings.Contains(e.String(), canary) {
		f.breaks("12", "process %d: an event contains a secret: %v", p.n, e)
	}
	switch e.Kind {
	case roomtoken.EventStoreDown:
		if p.down {
			f.breaks("F8", "process %d: a second StoreDown without a StoreUp: %v", p.n, e)
		}
		if p.unrest < f.now()-time.Second && f.unrest < f.now()-time.Second {
			f.breaks("F8", "process %d: StoreDown, but the store was well since %v: %v", p.n, max(p.unrest, f.unrest), e)
		}
		p.down = true
	case roomtoken.EventStoreUp:
		if !p.down {
			f.breaks("F8", "process %d: StoreUp without a StoreDown: %v", p.n, e)
		}
		p.down = false
	case roomtoken.EventTokenPublished:
		p.published[e.RoomID] = f.now()
		p.newest = f.now()
	case roomtoken.EventTokenLost:
		if r := f.room(e.RoomID); f.strict(r) && f.now()-p.published[r.id] > time.Second && f.sourceIsWell(0) && !f.plan.needs && !f.inLine() {
			f.breaks("3", "process %d: the token of %s is lost, though nothing is wrong: %v", p.n, r.id, e)
		}
	}
}

// simClock is the clock of a process: its wall clock is ahead of the others', and its
// timers stand still while the process is stopped.
type simClock struct {
	clock.Clock
	ahead time.Duration

	mu      sync.Mutex
	stopped bool
	due     []func()
}

func (c *simClock) Now() time.Time { return c.Clock.Now().Add(c.ahead).Round(0) }

func (c *simClock) Since(t time.Time) time.Duration { return c.Now().Sub(t) }

// AfterFunc implements [clock.Clock].
func (c *simClock) AfterFunc(d time.Duration, f func()) *clock.Timer {
	return c.Clock.AfterFunc(d, func() {
		c.mu.Lock()
		if c.stopped {
			c.due = append(c.due, f)
			c.mu.Unlock()
			return
		}
		c.mu.Unlock()
		f()
	})
}

func (c *simClock) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopped = true
}

// resume lets the timers fire that were due.
func (c *simClock) resume() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopped = false
	for _, f := range c.due {
		go f()
	}
	c.due = nil
}

// sleepUntil waits for d, or until ctx ends unless deaf.
func sleepUntil(ctx context.Context, d time.Duration, deaf bool) error {
	done := ctx.Done()
	if deaf {
		done = nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-done:
		return context.Cause(ctx)
	}
}
