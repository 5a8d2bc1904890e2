// The program check enforces the limits on the cost of a hit, a renewal and a Telnyx call:
// it runs each benchmark together with its floor, takes the median of their ratios,
// and fails if it exceeds its target by more than the tolerance.
//
// Ratios within one run hardly depend on the speed and the load of the machine, so
// the check can run anywhere. The tolerance is for the remaining noise; counts of
// allocations have next to none.
//
// Run it in the directory of this module, or with -root:
//
//	go run ./check
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/roomtoken/roomtoken/bench/internal/program"
	"github.com/roomtoken/roomtoken/bench/internal/stat"
)

func main() {
	program.Main("bench-check", func(ctx context.Context, args []string) error { return run(ctx, args, os.Stdout) })
}

// errExceeded is wrapped by the error for a limit that is exceeded.
var errExceeded = errors.New("above the limit")

// limit is a limit on one result of a benchmark.
type limit struct {
	suite     string // key of suites
	benchmark string
	base      string // the benchmark to divide by; "": none
	unit      string // as printed by go test
	target    float64
	tolerance float64 // above target, before the check fails
}

func (l limit) String() string {
	if l.base == "" {
		return l.benchmark + ", " + l.unit
	}
	return l.benchmark + " / " + l.base + ", " + l.unit
}

// limits has no hits among more rooms: they depend on the machine's caches more than
// on the code. See docs/benchmarks.
var limits = []limit{
	hit(1), hitAllocs(1),
	hit(1000), hitAllocs(1000),
	renewal("allocs/op", 10, 0), renewal("B/op", 500, 20),
	{suite: "telnyx", benchmark: "BenchmarkCreate", base: "BenchmarkBarePost", unit: "ns/op", target: 1.3, tolerance: 0.2},
	{suite: "telnyx", benchmark: "BenchmarkCreate", base: "BenchmarkBarePost", unit: "allocs/op", target: 1.3, tolerance: 0.02},
}

func hitName(rooms int, who string) string {
	return fmt.Sprintf("BenchmarkHit/rooms=%d/goroutines=1/impl=%s", rooms, who)
}

func hit(rooms int) limit {
	return limit{suite: "root", benchmark: hitName(rooms, "roomtoken"), base: hitName(rooms, "floor"), unit: "ns/op", target: 1.15, tolerance: 0.25}
}

func hitAllocs(rooms int) limit {
	return limit{suite: "root", benchmark: hitName(rooms, "roomtoken"), unit: "allocs/op", target: 0}
}

// renewal limits what a renewal allocates. The source's own allocations are included.
func renewal(unit string, target, tolerance float64) limit {
	return limit{suite: "renewals", benchmark: "BenchmarkRenewals/rooms=10000", unit: unit, target: target, tolerance: tolerance}
}

// suite is a package's benchmarks.
type suite struct {
	dir     string // relative to the root
	pattern string // regexp of the benchmarks to run
}

var suites = map[string]suite{
	"root":     {".", `^BenchmarkHit$/^rooms=(1|1000)$/^goroutines=1$`},
	"renewals": {".", `^BenchmarkRenewals$/^rooms=10000$`},
	"telnyx":   {"telnyx", `^Benchmark(Create|BarePost)$`},
}

func run(ctx context.Context, args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("check", flag.ContinueOnError)
	root := flags.String("root", "..", "root `directory` of the library")
	rounds := flags.Int("rounds", 7, "`number` of runs of each benchmark")
	benchtime := flags.String("benchtime", "0.2s", "`duration` of each run, in the format of go test -benchtime")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *rounds < 1 {
		return fmt.Errorf("-rounds is %d; want at least 1", *rounds)
	}

	dir, err := os.MkdirTemp("", "bench-check-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	names := make([]string, 0, len(suites))
	for name, s := range suites {
		names = append(names, name)
		if err := command(ctx, filepath.Join(*root, s.dir), io.Discard, "go", "test", "-c", "-o", filepath.Join(dir, name), "."); err != nil {
			return err
		}
	}
	slices.Sort(names)

	measured := samples{}
	for range *rounds { // alternate, so that noise affects all of them
		for _, name := range names {
			var out strings.Builder
			s := suites[name]
			if err := command(ctx, filepath.Join(*root, s.dir), &out, filepath.Join(dir, name),
				"-test.run=^$", "-test.bench="+s.pattern, "-test.benchtime="+*benchtime, "-test.benchmem", "-test.timeout=5m"); err != nil {
				return err
			}
			measured.read(name, out.String())
		}
	}
	return verdict(measured, stdout)
}

// command runs a program in dir.
func command(ctx context.Context, dir string, stdout io.Writer, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...) //nolint:gosec // go, or a binary it has just built
	cmd.Dir = dir
	var failure strings.Builder
	cmd.Stdout, cmd.Stderr = io.MultiWriter(stdout, &failure), &failure
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w\n%s", filepath.Base(name), err, failure.String())
	}
	return nil
}

// sample names a benchmark's value in one unit.
type sample struct{ suite, benchmark, unit string }

// samples are the values of each benchmark, by round.
type samples map[sample][]float64

// read parses the output of a test binary. A line has the benchmark's name with the
// number of cores, the number of iterations, and pairs of value and unit.
func (s samples) read(suite, output string) {
	for line := range strings.Lines(output) {
		fields := strings.Fields(line)
		if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") {
			continue
		}
		name := fields[0]
		if i := strings.LastIndexByte(name, '-'); i > 0 {
			if _, err := strconv.Atoi(name[i+1:]); err == nil {
				name = name[:i]
			}
		}
		for i := 2; i+1 < len(fields); i += 2 {
			if v, err := strconv.ParseFloat(fields[i], 64); err == nil {
				key := sample{suite, name, fields[i+1]}
				s[key] = append(s[key], v)
			}
		}
	}
}

// verdict prints a line per limit. The error wraps errExceeded if one is exceeded.
func verdict(measured samples, stdout io.Writer) error {
	var errs []error
	for _, l := range limits {
		values := measured[sample{l.suite, l.benchmark, l.unit}]
		if l.base != "" {
			values = stat.Ratios(values, measured[sample{l.suite, l.base, l.unit}])
		}
		if len(values) == 0 {
			errs = append(errs, fmt.Errorf("%v: not measured", l))
			continue
		}
		got, word := stat.Median(values), "ok"
		switch {
		case !(got <= l.target+l.tolerance): // NaN fails, too
			word = "FAIL"
			errs = append(errs, fmt.Errorf("%v: %.2f is %w of %.2f", l, got, errExceeded, l.target+l.tolerance))
		case got > l.target:
			word = "near"
		}
		fmt.Fprintf(stdout, "%-4s %.2f (target %.2f, limit %.2f)  %v\n", word, got, l.target, l.target+l.tolerance, l)
	}
	return errors.Join(errs...)
}
