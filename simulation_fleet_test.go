package roomtoken_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
)

// The simulation of a fleet draws a plan from a seed, as that of one Manager does, and runs
// it on several Managers that share a store. It has the same flags. See docs/simulation.md.
func TestFleetSimulation(t *testing.T) {
	// On one processor goroutines take turns, so that a seed can be replayed.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))

	readSeed(t)
	if *simSeed != 0 {
		p := drawFleet(*simSeed)
		var res fleetResult
		for range replays {
			if res = runFleet(t, p, true); res.violation != nil {
				fleetFails(t, p, res)
				return
			}
		}
		if testing.Verbose() {
			t.Logf("seed %d: all promises hold\n%s", p.seed, strings.Join(res.trace, "\n"))
		}
		return
	}

	var sum fleetResult
	sweep(t, 100, 10*time.Second, func(seed uint64) *brokenPlan {
		p := drawFleet(seed)
		res := runFleet(t, p, false)
		sum.checks += res.checks
		sum.calls += res.calls
		sum.storeCalls += res.storeCalls
		sum.took += res.took
		if res.violation == nil {
			return nil
		}
		return &brokenPlan{res.violation.promise, res.violation.String(), func() { fleetFails(t, p, res) }}
	}, func(seeds int, took time.Duration) string {
		return fmt.Sprintf("%d seeds, %.1f per second; %.0f process-hours; %d checks; %d calls of the source, %d of the store",
			seeds, float64(seeds)/took.Seconds(), sum.took.Hours(), sum.checks, sum.calls, sum.storeCalls)
	})
}

// runFleet simulates a plan.
func runFleet(t *testing.T, p *fleetPlan, tracing bool) fleetResult {
	t.Helper()
	end := begin(p.seed)
	defer end()
	return simulateFleet(t, p, tracing)
}

// fleetFails reports a failing seed with its plan shrunk to the steps it needs.
func fleetFails(t *testing.T, p *fleetPlan, res fleetResult) {
	t.Helper()
	small, last := shrinkFleet(t, p, res)
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d: %v\nrun it again with -run=TestFleetSimulation -sim.seed=%d\n", p.seed, res.violation, p.seed)
	fmt.Fprintf(&b, "\nof its %d steps these %d are enough: %v\n", len(p.steps), len(small.steps), last.violation)
	fmt.Fprintf(&b, "config: %+v\nissuer: %+v\n%d processes, %d rooms, latency of the store %v, clocks of their own: %v\n",
		small.config, small.issuer, small.processes, small.rooms, small.latency, small.frozen)
	for _, s := range small.steps {
		fmt.Fprintln(&b, s)
	}
	t.Error(b.String() + lastLines(last.trace))
}

// shrinkFleet removes steps from a plan as long as the same promise breaks.
func shrinkFleet(t *testing.T, p *fleetPlan, res fleetResult) (*fleetPlan, fleetResult) {
	t.Helper()
	breaks := func(q *fleetPlan) bool {
		r := runFleet(t, q, true)
		if r.violation == nil || r.violation.promise != res.violation.promise {
			return false
		}
		p, res = q, r
		return true
	}
	for range replays {
		if !breaks(p) {
			continue
		}
		if *simRaw {
			break
		}
		fewest(p.steps, func(steps []fleetStep) bool {
			q := *p
			q.steps = steps
			return breaks(&q)
		})
		break
	}
	return p, res
}
