// The program bench runs roomtoken and its peers on the same work, and writes
// down how they did: a table on standard output, and a page with tables and
// charts in a directory.
//
// Each contender, work and round has a process of its own, so that no heap, no
// goroutine and no timer of one disturbs the other. Rounds are interleaved: what
// slows the machine for a while slows everybody. What is reported are medians
// over the rounds, and their ratios to a floor and to roomtoken.
//
//	go run . -within 10m   # all work, all contenders, as many rounds as that allows
//	go run . -quick        # small sizes and one round: to see that it works
//
// A contender is a file contender_*.go, a kind of work a file work_*.go.
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

// run is main, as far as a test can call it.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) > 0 && args[0] == childCommand {
		return runChild(args[1:], stdout)
	}
	options, err := parseOptions(args, stderr)
	if err != nil {
		return err
	}
	found, err := compare(ctx, options, stderr)
	if err != nil {
		return err
	}
	return publish(found, options.out, stdout)
}

// options are what the command line asks for.
type options struct {
	scale      string // a key of scales
	rounds     int
	within     time.Duration // no round begins that would take longer; 0: no bound
	works      []work
	contenders []contender
	out        string
	command    string // how to do the same again
}

// parseOptions reads the command line.
func parseOptions(args []string, stderr io.Writer) (options, error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	quick := flags.Bool("quick", false, "small sizes and one round: says that it works, not how fast")
	rounds := flags.Int("rounds", 0, "how often each contender does each work (default 5, with -quick 1)")
	within := flags.Duration("within", 0, "begin no round, after the first, that would end later than this (default no bound)")
	workNames := flags.String("work", "", "regexp of the `names` of the work to do: hits, cold, down, slow, heap, renew (default all)")
	names := flags.String("contender", "", "regexp of the `names` of the contenders (default all)")
	out := flags.String("out", "../docs/benchmarks", "`directory` for the page, the charts and the raw results")
	flags.StringVar(out, "o", *out, "short for -out")
	if err := flags.Parse(args); err != nil {
		return options{}, err
	}
	if flags.NArg() > 0 {
		return options{}, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}

	o := options{scale: "full", rounds: 5, within: *within, out: *out, command: "go run ."}
	if *quick {
		o.scale, o.rounds = "quick", 1
	}
	flags.Visit(func(f *flag.Flag) {
		if f.Name != "o" && f.Name != "out" { // where it went is nobody's business
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
		return options{}, errors.New("-work and -contender leave nothing to do")
	}
	return o, nil
}
