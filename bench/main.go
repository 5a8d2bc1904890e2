// The program bench compares roomtoken with similar libraries doing the same work. It
// prints tables, and writes a page with tables and charts.
//
// Each combination of contender, work and round has a separate process, so that the
// heap, goroutines and timers of one do not affect another. Contenders alternate, so
// that whatever slows the machine down affects all of them. The results are medians
// over the rounds, and ratios to a floor and to roomtoken.
//
//	go run . -within 10m   # everything, as many rounds as fit into 10 minutes
//	go run . -quick        # small sizes and one round, to see that it works
//	go run . -redraw       # the charts again, from the values of the last run
//
// Each contender is a file contender_*.go, and each work a file work_*.go.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"time"

	"github.com/roomtoken/roomtoken/bench/internal/program"
)

func main() {
	program.Main("bench", func(ctx context.Context, args []string) error { return run(ctx, args, os.Stdout, os.Stderr) })
}

// run executes the command line.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) > 0 && args[0] == childCommand {
		return runChild(args[1:], stdout)
	}
	options, err := parseOptions(args, stderr)
	if err != nil {
		return err
	}
	if options.redraw {
		return redraw(options.out)
	}
	found, err := compare(ctx, options, stderr)
	if err != nil {
		return err
	}
	return publish(found, options.out, stdout)
}

// options are the parsed command line.
type options struct {
	scale      string // a key of scales
	rounds     int
	within     time.Duration // do not begin a round that would end later; 0: no limit
	works      []work
	contenders []contender
	out        string
	redraw     bool   // draw the charts, measure nothing
	command    string // reproduces the run
}

// parseOptions reads the command line.
func parseOptions(args []string, stderr io.Writer) (options, error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	quick := flags.Bool("quick", false, "small sizes and one round, to see that it works; the figures mean nothing")
	rounds := flags.Int("rounds", 0, "`number` of rounds (default 5, with -quick 1)")
	within := flags.Duration("within", 0, "after the first, do not begin a round that would end later than this (default no limit)")
	workNames := flags.String("work", "", "`regexp` of the works to run: hits, cold, slow, down, heap, renew (default all)")
	names := flags.String("contender", "", "`regexp` of the contenders to run (default all)")
	out := flags.String("out", "../docs/benchmarks", "`directory` for the page, the charts and the raw results")
	redraw := flags.Bool("redraw", false, "draw the charts of the values in the directory; measure nothing")
	flags.StringVar(out, "o", *out, "short for -out")
	if err := flags.Parse(args); err != nil {
		return options{}, err
	}
	if flags.NArg() > 0 {
		return options{}, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}

	o := options{scale: "full", rounds: 5, within: *within, out: *out, redraw: *redraw, command: "go run ."}
	if *quick {
		o.scale, o.rounds = "quick", 1
	}
	flags.Visit(func(f *flag.Flag) {
		if f.Name != "o" && f.Name != "out" { // irrelevant for the results
			o.command += fmt.Sprintf(" -%s=%s", f.Name, f.Value)
		}
	})
	switch {
	case *rounds < 0:
		return options{}, fmt.Errorf("-rounds is %d; want at least 1", *rounds)
	case *rounds > 0:
		o.rounds = *rounds
	}
	workPattern, err := regexp.Compile(*workNames)
	if err != nil {
		return options{}, fmt.Errorf("-work: %w", err)
	}
	for _, w := range works {
		if workPattern.MatchString(w.name) {
			o.works = append(o.works, w)
		}
	}
	pattern, err := regexp.Compile(*names)
	if err != nil {
		return options{}, fmt.Errorf("-contender: %w", err)
	}
	for _, c := range contenders {
		if pattern.MatchString(c.name) {
			o.contenders = append(o.contenders, c)
		}
	}
	if len(o.works) == 0 || len(o.contenders) == 0 {
		return options{}, errors.New("-work and -contender match nothing")
	}
	return o, nil
}
