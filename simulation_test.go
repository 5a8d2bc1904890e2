//go:debug randseednop=0
package roomtoken_test

import (
	"flag"
	"fmt"
	"math"
	"math/rand"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The simulation draws a plan from a seed and runs it on a Manager in a synctest
// bubble, where hours pass in milliseconds. It checks every answer and every call of
// the source against a model of the promises. See docs/simulation.md.
//
// A failing seed is printed. Run it again with -sim.seed=N or ROOMTOKEN_SIM_SEED.

var (
	simSeed = flag.Uint64("sim.seed", 0, "run only this seed of the simulation, with a trace")
	simFrom = flag.Uint64("sim.from", 1, "the first seed")
	simRuns = flag.Int("sim.runs", 0, "number of seeds; 0: 2,000, or as many as fit in 20 s")
	simFor  = flag.Duration("sim.for", 0, "run for this long and ignore sim.runs")
	simRaw  = flag.Bool("sim.raw", false, "do not shrink the plan of a failing seed")
	simAll  = flag.Bool("sim.all", false, "count failing seeds instead of stopping at the first")
)

// replays is how often a failing seed is replayed: the runtime decides in which order
// goroutines run at the same time, and the seed of a hash.
const replays = 10

// begin begins the run of a seed: everything that the library draws depends on the seed, too.
// end must be called after the run, which may not last for long in real time.
func begin(seed uint64) (end func()) {
	rand.Seed(int64(seed)) //nolint:staticcheck // the only way to replay what backoff draws
	patience := time.AfterFunc(time.Minute, func() {
		panic(fmt.Sprintf("seed %d: the run does not end: promise 5 (a loop in which no time passes) or promise 8", seed))
	})
	if *simAll {
		patience.Reset(8 * time.Second)
	}
	return func() { patience.Stop() }
}

func TestSimulation(t *testing.T) {
	// On one processor goroutines take turns, so that a seed can be replayed.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))

	readSeed(t)
	if *simSeed != 0 {
		p := draw(*simSeed)
		var res result
		for range replays {
			if res = run(t, p, true); res.violation != nil {
				fails(t, p, res)
				return
			}
		}
		if testing.Verbose() {
			t.Logf("seed %d: all promises hold\n%s", p.seed, strings.Join(res.trace, "\n"))
		}
		return
	}

	var sum result
	sweep(t, 2000, 20*time.Second, func(seed uint64) *brokenPlan {
		p := draw(seed)
		res := run(t, p, false)
		sum.checks += res.checks
		sum.calls += res.calls
		sum.roomTime += res.roomTime
		if res.violation == nil {
			return nil
		}
		return &brokenPlan{strconv.Itoa(res.violation.promise), res.violation.String(), func() { fails(t, p, res) }}
	}, func(seeds int, took time.Duration) string { return report(seeds, &sum, took) })
}

// readSeed takes the seed to replay from the environment, unless there is a flag.
func readSeed(t *testing.T) {
	t.Helper()
	text := os.Getenv("ROOMTOKEN_SIM_SEED")
	if text == "" || *simSeed != 0 {
		return
	}
	seed, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("ROOMTOKEN_SIM_SEED: %v", err)
	}
	*simSeed = seed
}

// brokenPlan is a seed whose run has broken a promise.
type brokenPlan struct {
	promise string
	text    string
	report  func() // reports it, with what is needed to understand it
}

// sweep tries one seed after the other: as many as the flags say, else runs, as far as they
// fit in limit.
func sweep(t *testing.T, runs int, limit time.Duration, try func(seed uint64) *brokenPlan, report func(seeds int, took time.Duration) string) {
	t.Helper()
	if testing.Short() {
		runs /= 20
	}
	if *simRuns > 0 {
		runs, limit = *simRuns, math.MaxInt64
	}
	began := time.Now()
	reported := began
	seeds, total := 0, 0
	broken := map[string]int{} // seeds by promise
	var first []string
	for seed := *simFrom; *simFor == 0 && seeds < runs && time.Since(began) < limit || time.Since(began) < *simFor; seed++ {
		bad := try(seed)
		seeds++
		if bad != nil {
			if !*simAll {
				bad.report()
				return
			}
			total++
			if broken[bad.promise]++; broken[bad.promise] <= 5 {
				first = append(first, fmt.Sprintf("seed %d: %s", seed, bad.text))
			}
		}
		if *simFor > 0 && time.Since(reported) > 10*time.Second {
			reported = time.Now()
			fmt.Println(report(seeds, time.Since(began)))
		}
	}
	t.Log(report(seeds, time.Since(began)))
	if total > 0 {
		var promises []string
		for promise, n := range broken {
			promises = append(promises, fmt.Sprintf("%s: %d", promise, n))
		}
		slices.Sort(promises)
		t.Errorf("SIM caught by %d of %d seeds; by promise {%s}\n%s", total, seeds, strings.Join(promises, ", "), strings.Join(first, "\n"))
	}
}

// run simulates a plan.
func run(t *testing.T, p *plan, tracing bool) result {
	t.Helper()
	end := begin(p.seed)
	defer end()
	return simulate(t, p, tracing)
}

// report summarizes the runs so far.
func report(seeds int, sum *result, took time.Duration) string {
	const year = 365 * 24 * time.Hour
	return fmt.Sprintf("%d seeds, %.1f per second; %.2f room-years; %d answers and calls checked, %.2f million per minute; %d calls of the source",
		seeds, float64(seeds)/took.Seconds(), float64(sum.roomTime)/float64(year),
		sum.checks, float64(sum.checks)/took.Minutes()/1e6, sum.calls)
}

// fails reports a failing seed with its plan shrunk to the steps it needs.
func fails(t *testing.T, p *plan, res result) {
	t.Helper()
	small, last := shrink(t, p, res)
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d: %v\nrun it again with -run=TestSimulation -sim.seed=%d\n", p.seed, res.violation, p.seed)
	fmt.Fprintf(&b, "\nof its %d steps these %d are enough: %v\n", len(p.steps), len(small.steps), last.violation)
	fmt.Fprintf(&b, "config: %+v\nsource: %+v\nwall clock stepped: %v\n", small.config, small.behavior, small.wall)
	for _, s := range small.steps {
		fmt.Fprintln(&b, s)
	}
	t.Error(b.String() + lastLines(last.trace))
}

// shrink removes steps from a plan as long as the same promise breaks.
func shrink(t *testing.T, p *plan, res result) (*plan, result) {
	t.Helper()
	breaks := func(q *plan) (result, bool) {
		r := run(t, q, true)
		return r, r.violation != nil && r.violation.promise == res.violation.promise
	}
	replayed := false
	for range replays {
		if r, ok := breaks(p); ok {
			res, replayed = r, true
			break
		}
	}
	if !replayed || *simRaw {
		return p, res
	}
	if q := p.calmed(); !p.behavior.calm {
		if r, ok := breaks(q); ok {
			p, res = q, r
		}
	}
	fewest(p.steps, func(steps []step) bool {
		q := *p
		q.steps = steps
		r, ok := breaks(&q)
		if ok {
			p, res = &q, r
		}
		return ok
	})
	return p, res
}

// fewest tries to remove steps of a plan, as long as it breaks the same promise.
func fewest[S any](steps []S, breaks func(steps []S) bool) {
	const maxTries = 600
	tries := 0
	for size := len(steps); size > 0 && tries < maxTries; {
		shrunk := false
		for i := 0; i < len(steps) && tries < maxTries; {
			less := slices.Concat(steps[:i], steps[min(i+size, len(steps)):])
			if tries++; breaks(less) {
				steps, shrunk = less, true
			} else {
				i += size
			}
		}
		if !shrunk || size > len(steps) {
			size /= 2
		}
	}
}

// lastLines returns the end of a trace as text.
func lastLines(trace []string) string {
	if n := len(trace); n > 80 && !*simRaw {
		trace = trace[n-80:]
	}
	return "\nthe end of the trace:\n" + strings.Join(trace, "\n")
}
