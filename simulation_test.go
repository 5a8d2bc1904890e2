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

// The simulation draws what happens from a seed, lets it happen to a Manager in
// a synctest bubble, where hours pass in milliseconds, and checks every answer
// and every call of the source against a model of the promises. docs/simulation.md
// tells more.
//
// A seed that fails prints itself; -sim.seed=N, or ROOMTOKEN_SIM_SEED, runs it
// again.

var (
	simSeed = flag.Uint64("sim.seed", 0, "run this seed of the simulation only, with a trace")
	simFrom = flag.Uint64("sim.from", 1, "the first seed")
	simRuns = flag.Int("sim.runs", 0, "how many seeds; 0: 2,000, or as many as 20 s allow")
	simFor  = flag.Duration("sim.for", 0, "run for so long, whatever sim.runs says")
	simAll  = flag.Bool("sim.all", false, "do not stop at a seed that fails, but count them")
)

// replays is how often a seed is tried that has failed before: the order in which
// goroutines run at one moment is the runtime's, and so is the seed of a hash.
const replays = 10

// begin makes all that the library draws follow from the seed too.
func begin(seed uint64) {
	rand.Seed(int64(seed)) //nolint:staticcheck // the only way to replay what backoff draws
}

func TestSimulation(t *testing.T) {
	// On one processor goroutines take turns, and a seed replays.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))

	if text := os.Getenv("ROOMTOKEN_SIM_SEED"); text != "" && *simSeed == 0 {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("ROOMTOKEN_SIM_SEED: %v", err)
		}
		*simSeed = seed
	}
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

	runs, limit := *simRuns, time.Duration(math.MaxInt64)
	if runs == 0 {
		runs, limit = 2000, 20*time.Second
		if testing.Short() {
			runs = 100
		}
	}
	began := time.Now()
	told := began
	var sum result
	seeds := 0
	broken := map[int]int{} // promises, by seeds
	var first []string
	for seed := *simFrom; *simFor == 0 && seeds < runs && time.Since(began) < limit || time.Since(began) < *simFor; seed++ {
		p := draw(seed)
		res := run(t, p, false)
		seeds++
		sum.checks += res.checks
		sum.calls += res.calls
		sum.roomTime += res.roomTime
		if res.violation != nil {
			if !*simAll {
				fails(t, p, res)
				return
			}
			broken[res.violation.promise]++
			if len(first) < 5 {
				first = append(first, fmt.Sprintf("seed %d: %v", seed, res.violation))
			}
		}
		if *simFor > 0 && time.Since(told) > 10*time.Second {
			told = time.Now()
			fmt.Println(report(seeds, &sum, time.Since(began)))
		}
	}
	t.Log(report(seeds, &sum, time.Since(began)))
	if len(broken) > 0 {
		total := 0
		var promises []string
		for promise, n := range broken {
			total += n
			promises = append(promises, fmt.Sprintf("%d: %d", promise, n))
		}
		slices.Sort(promises)
		t.Errorf("SIM caught by %d of %d seeds; by promise {%s}\n%s", total, seeds, strings.Join(promises, ", "), strings.Join(first, "\n"))
	}
}

// run simulates a plan.
func run(t *testing.T, p *plan, tracing bool) result {
	t.Helper()
	begin(p.seed)
	patience := time.AfterFunc(time.Minute, func() { // in real time
		panic(fmt.Sprintf("seed %d: the run does not end: promise 5, a loop in which no time passes, or 8", p.seed))
	})
	if *simAll {
		patience.Reset(8 * time.Second)
	}
	defer patience.Stop()
	return simulate(t, p, tracing)
}

// report says how much was done.
func report(seeds int, sum *result, took time.Duration) string {
	const year = 365 * 24 * time.Hour
	return fmt.Sprintf("%d seeds, %.1f per second; %.2f room-years; %d answers and calls checked, %.2f million per minute; %d calls of the source",
		seeds, float64(seeds)/took.Seconds(), float64(sum.roomTime)/float64(year),
		sum.checks, float64(sum.checks)/took.Minutes()/1e6, sum.calls)
}

// fails reports a seed that fails, shrunk to what it takes.
func fails(t *testing.T, p *plan, res result) {
	t.Helper()
	small, last := shrink(t, p, res)
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d: %v\nrun it again with -run=TestSimulation -sim.seed=%d\n", p.seed, res.violation, p.seed)
	fmt.Fprintf(&b, "\nof its %d steps these %d suffice: %v\n", len(p.steps), len(small.steps), last.violation)
	fmt.Fprintf(&b, "config: %+v\nsource: %+v\nwall clock stepped: %v\n", small.config, small.temper, small.wall)
	for _, s := range small.steps {
		fmt.Fprintln(&b, s)
	}
	trace := last.trace
	if len(trace) > 80 {
		trace = trace[len(trace)-80:]
	}
	fmt.Fprintf(&b, "\nwhat happened, to the end:\n%s", strings.Join(trace, "\n"))
	t.Error(b.String())
}

// shrink takes steps out of a plan while the same promise breaks.
func shrink(t *testing.T, p *plan, res result) (*plan, result) {
	t.Helper()
	tries := 0
	breaks := func(q *plan) (result, bool) {
		tries++
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
	if !replayed {
		return p, res
	}
	if q := p.calmed(); !p.temper.calm {
		if r, ok := breaks(q); ok {
			p, res = q, r
		}
	}
	for size := len(p.steps); size > 0 && tries < 600; {
		shrunk := false
		for i := 0; i < len(p.steps) && tries < 600; {
			q := p.without(i, min(i+size, len(p.steps)))
			if r, ok := breaks(q); ok {
				p, res, shrunk = q, r, true
			} else {
				i += size
			}
		}
		if !shrunk || size > len(p.steps) {
			size /= 2
		}
	}
	return p, res
}
