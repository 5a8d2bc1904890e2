// The program check is the guard of the numbers that design and README promise:
// it runs the benchmarks that have their floor beside them, takes the medians of
// the ratios, and fails if one is beyond what it must reach and a slack.
//
// A ratio within one run stays what it is on a slow or a busy machine, so that
// the check can run anywhere; the slack is for what noise is left. Counts of
// allocations have no noise, and get none, or next to none.
//
// It is run from the directory of the module, or with -root:
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

// errBeyond says that some number is not what it must be.
var errBeyond = errors.New("beyond the slack")

// limit is one promise about a benchmark.
type limit struct {
	suite     string // key of suites
	benchmark string
	base      string // the benchmark that it is compared to; "": the value itself counts
	unit      string // as go test prints it
	must      float64
	slack     float64 // beyond must, before the check fails
}

func (l limit) String() string {
	if l.base == "" {
		return l.benchmark + ", " + l.unit
	}
	return l.benchmark + " / " + l.base + ", " + l.unit
}

// limits are the promises. A hit at more rooms depends on the machine's caches
// more than on us; docs/benchmarks has those.
var limits = []limit{
	hit(1), hitAllocs(1),
	hit(1000), hitAllocs(1000),
	{suite: "telnyx", benchmark: "BenchmarkCreate", base: "BenchmarkBarePost", unit: "ns/op", must: 1.3, slack: 0.2},
	{suite: "telnyx", benchmark: "BenchmarkCreate", base: "BenchmarkBarePost", unit: "allocs/op", must: 1.3, slack: 0.02},
}

func hitName(rooms int, who string) string {
	return fmt.Sprintf("BenchmarkHit/rooms=%d/goroutines=1/impl=%s", rooms, who)
}

func hit(rooms int) limit {
	return limit{suite: "root", benchmark: hitName(rooms, "roomtoken"), base: hitName(rooms, "floor"), unit: "ns/op", must: 1.2, slack: 0.2}
}

func hitAllocs(rooms int) limit {
	return limit{suite: "root", benchmark: hitName(rooms, "roomtoken"), unit: "allocs/op", must: 0}
}

// suite is a package with benchmarks.
type suite struct {
	dir     string // below the root
	pattern string // of the benchmarks to run
}

var suites = map[string]suite{
	"root":   {".", `^BenchmarkHit$/^rooms=(1|1000)$/^goroutines=1$`},
	"telnyx": {"telnyx", `^Benchmark(Create|BarePost)$`},
}

func run(ctx context.Context, args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("check", flag.ContinueOnError)
	root := flags.String("root", "..", "`directory` of the library")
	rounds := flags.Int("rounds", 7, "how often each benchmark runs")
	benchtime := flags.String("benchtime", "0.2s", "how long each runs, as go test takes it")
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
	for range *rounds { // the suites take turns, and so do floor and contender
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

// command runs a program in a directory.
func command(ctx context.Context, dir string, stdout io.Writer, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...) //nolint:gosec // go, or what it has just built
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

// samples are the values, in the order of the rounds.
type samples map[sample][]float64

// read takes the values from what a test binary prints: a line has the name with
// the number of cores, the iterations, and pairs of value and unit.
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

// verdict prints a line per limit. The error is errBeyond if one is not kept.
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
		case !(got <= l.must+l.slack): // NaN too
			word = "FAIL"
			errs = append(errs, fmt.Errorf("%v: %.2f is %w: must be %.2f, fails beyond %.2f", l, got, errBeyond, l.must, l.must+l.slack))
		case got > l.must:
			word = "slack"
		}
		fmt.Fprintf(stdout, "%-5s %.2f (must be %.2f, fails beyond %.2f)  %v\n", word, got, l.must, l.must+l.slack, l)
	}
	return errors.Join(errs...)
}
