package roomtoken_test

import (
	"context"
	"fmt"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/benbjohnson/clock"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/roomtokentest"
)

// maxProcesses is how many processes run at a time, at most.
const maxProcesses = 6

// fleetResult is the outcome of a run.
type fleetResult struct {
	violation                 *fleetViolation
	trace                     []string
	checks, calls, storeCalls int
	took                      time.Duration // of all processes
}

// simulateFleet runs a plan in a bubble of its own.
func simulateFleet(t *testing.T, p *fleetPlan, tracing bool) (res fleetResult) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f := &fleetSim{
			plan: p, start: time.Now(), tracing: tracing, store: &roomtokentest.Store{},
			mints: map[string]*simMint{}, names: map[roomtoken.Digest]*simMint{}, refreshes: map[string]*simMint{},
			askers: map[string]*simProcess{}, dropped: map[string]bool{}, watches: map[*simWatch]bool{},
			restored: math.MinInt64 / 4, unrest: math.MinInt64 / 4, sourceQuiet: math.MinInt64 / 4,
		}
		f.base = f.store.Now()
		f.saved = f.store.Snapshot()
		var err error
		if f.config, err = p.config.WithDefaults(); err != nil {
			panic(err)
		}
		for n := range p.rooms {
			f.rooms = append(f.rooms, &simRoom{id: fmt.Sprint("room", n), n: n, unrest: math.MinInt64 / 4})
		}
		f.run(t.Context())
		res = fleetResult{f.violation, f.trace, f.checks, f.calls, f.storeCalls, f.now() * time.Duration(p.processes)}
	})
	return res
}

func (f *fleetSim) run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	for range f.plan.processes {
		f.startProcess()
	}
	look := f.plan.issuer.lifetime / 25
	for i, step := range f.plan.steps {
		for step.at-f.now() > look && !f.broken() {
			time.Sleep(look)
			synctest.Wait()
			f.audit()
		}
		time.Sleep(max(step.at-f.now(), time.Duration(i+1))) // a time of its own
		synctest.Wait()
		f.mu.Lock()
		f.note("STEP %v", step)
		f.mu.Unlock()
		f.do(ctx, step)
		synctest.Wait()
		f.audit()
		if f.broken() {
			break
		}
	}
	f.finish()
	cancel()
	synctest.Wait()
	time.Sleep(time.Minute) // calls of the store that were given up return
	synctest.Wait()
	f.leftovers()
}

func (f *fleetSim) broken() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.violation != nil
}

// alive returns the processes that run.
func (f *fleetSim) alive() (procs []*simProcess) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range f.procs {
		if p.state == processRuns {
			procs = append(procs, p)
		}
	}
	return procs
}

// startProcess starts one more process.
func (f *fleetSim) startProcess() {
	root := dice(f.plan.seed)
	p := &simProcess{
		f: f, n: len(f.procs), store: f.store.Process(), dead: make(chan struct{}), calls: map[*simRoom]int{}, forgot: map[*simRoom]bool{}, lost: map[*simMint]bool{}, seen: map[*simMint]time.Duration{}, published: map[string]time.Duration{},
		dice: root.child(uint64(len(f.procs)) + 1000), started: f.now(), unrest: math.MinInt64 / 4,
	}
	config := f.plan.config
	if f.plan.frozen {
		p.ahead = time.Duration((p.dice.float() - 0.5) * float64(20*time.Minute))
		p.clk = &simClock{Clock: clock.New(), ahead: p.ahead}
		config.Clock = p.clk
	}
	config.Store, config.OnEvent = simStore{p}, p.observe
	f.mu.Lock()
	f.procs = append(f.procs, p)
	f.mu.Unlock()
	var err error
	if p.m, err = roomtoken.NewManager(simSource{p}, config); err != nil {
		panic(err)
	}
}

// goes runs g in a goroutine and counts it.
func (f *fleetSim) goes(g func()) {
	f.mu.Lock()
	f.running++
	f.mu.Unlock()
	go func() {
		defer func() {
			f.mu.Lock()
			f.running--
			f.mu.Unlock()
		}()
		g()
	}()
}

// finish closes all processes.
func (f *fleetSim) finish() {
	f.mu.Lock()
	f.over = true
	procs := f.procs
	f.mu.Unlock()
	for _, p := range procs {
		p.resume()
		f.mu.Lock()
		p.faults = append(p.faults, linkWindow{})
		f.mu.Unlock()
	}
	synctest.Wait()
	for _, p := range procs {
		if err := p.m.Close(); err != nil {
			f.mu.Lock()
			f.breaks("8", "process %d: Close returns %v", p.n, err)
			f.mu.Unlock()
		}
	}
}

// leftovers reports what has outlived its Manager.
func (f *fleetSim) leftovers() {
	outlived := outlived()
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case outlived != "":
		f.breaks("8", "a goroutine has outlived its Manager: %s", outlived)
	case f.running > 0:
		f.breaks("8", "%d callers or watches have outlived the Managers", f.running)
	default:
		return
	}
	panic(fmt.Sprintf("seed %d: %v", f.plan.seed, f.violation)) // or the bubble would never end
}
