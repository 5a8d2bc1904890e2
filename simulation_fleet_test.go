package roomtoken_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
)

func (f *fleetSim) leftovers() {
	buf := make([]byte, 1<<16)
	buf = buf[:runtime.Stack(buf, true)]
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.running > 0 {
		f.breaks("8", "%d callers or watches have outlived the Managers", f.running)
	}
	for g := range strings.SplitSeq(string(buf), "\n\n") {
		head, rest, _ := strings.Cut(g, "\n")
		if strings.Contains(head, "synctest bubble") && strings.Contains(rest, libraryFrame) {
			f.breaks("8", "a goroutine has outlived its Manager: %s", g)
		}
	}
	if f.violation != nil && (f.running > 0 || strings.Contains(f.violation.text, "outlived")) {
		panic(fmt.Sprintf("seed %d: %v\n%s", f.plan.seed, f.violation, buf)) // or the bubble would never end
	}
}

func TestFleetSimulation(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	if *simSeed != 0 {
		p := drawFleet(*simSeed)
		begin(p.seed)
		res := simulateFleet(t, p, true)
		t.Logf("%+v\n%+v", p.config, p.issuer)
		t.Logf("%d processes, %d rooms, theme %d, latency %v, frozen %v, needs %v", p.processes, p.rooms, p.theme, p.latency, p.frozen, p.needs)
		t.Logf("%v\n%s", res.violation, strings.Join(res.trace, "\n"))
		return
	}
	runs := 60
	if *simRuns > 0 {
		runs = *simRuns
	}
	began := time.Now()
	var sum fleetResult
	for seed := *simFrom; seed < *simFrom+uint64(runs); seed++ {
		p := drawFleet(seed)
		begin(p.seed)
		res := simulateFleet(t, p, false)
		sum.checks += res.checks
		sum.calls += res.calls
		sum.storeCalls += res.storeCalls
		sum.took += res.took
		if res.violation != nil {
			t.Errorf("seed %d theme %d: %v", seed, p.theme, res.violation)
		}
	}
	t.Logf("%v: checks %d calls %d store calls %d took %v", time.Since(began), sum.checks, sum.calls, sum.storeCalls, sum.took)
}
