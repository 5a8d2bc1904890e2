// Mutations breaks the library on purpose, one place at a time, on a copy, and
// counts the seeds of the simulation that notice. It fails if a mutation goes
// unnoticed or no longer applies.
//
//	go run ./scripts/mutations [-seeds 400] [-only regexp] [-j 1]
//
// The mutations are in scripts/mutations.txt.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

func main() {
	seeds := flag.Int("seeds", 400, "`number` of seeds for each mutation")
	only := flag.String("only", "", "run only the mutations whose title matches `regexp`")
	jobs := flag.Int("j", 1, "`number` of mutations to try at the same time")
	flag.Parse()
	if err := run(*seeds, *only, *jobs); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(seeds int, only string, jobs int) error {
	if jobs < 1 {
		return fmt.Errorf("-j is %d; want at least 1", jobs)
	}
	match, err := regexp.Compile(only)
	if err != nil {
		return err
	}
	text, err := os.ReadFile("scripts/mutations.txt")
	if err != nil {
		return err
	}
	all, err := parse(string(text))
	if err != nil {
		return err
	}
	var mutations []mutation
	for _, m := range all {
		if match.MatchString(m.title) {
			mutations = append(mutations, m)
		}
	}

	trees, cleanUp, err := copies(jobs)
	defer cleanUp()
	if err != nil {
		return err
	}
	for _, s := range []simulation{oneManager, fleet} {
		if output := try(trees[0], s, seeds); output != "" {
			return fmt.Errorf("%s fails without a mutation:\n%s", s.test, output)
		}
	}
	fmt.Print("| promise: what is broken | seeds that notice | as promise: seeds |\n|---|---:|---|\n")
	missed := 0
	for r := range results(mutations, trees, seeds) {
		if r.err != nil {
			return r.err
		}
		caught, by := verdict(r.output)
		if caught == "0" {
			missed++
			by = "MISSED " + by
		}
		fmt.Printf("| %s | %s | %s |\n", r.title, caught, by)
	}
	if missed > 0 {
		return fmt.Errorf("%d mutations went unnoticed", missed)
	}
	return nil
}

// copies makes n copies of the tree. cleanUp removes them; it is never nil.
func copies(n int) (trees []string, cleanUp func(), err error) {
	cleanUp = func() {
		for _, dir := range trees {
			_ = os.RemoveAll(dir)
		}
	}
	for range n {
		dir, err := os.MkdirTemp("", "mutations")
		if err != nil {
			return trees, cleanUp, err
		}
		trees = append(trees, dir)
		if err := copyTree(".", dir); err != nil {
			return trees, cleanUp, err
		}
	}
	return trees, cleanUp, nil
}

// result is what came of one mutation.
type result struct {
	title  string
	output string // of the simulation; "" if it passed
	err    error  // the mutation could not be tried
}

// results tries the mutations, one at a time in each tree, and yields the results
// in the order of the mutations.
func results(mutations []mutation, trees []string, seeds int) iter.Seq[result] {
	return func(yield func(result) bool) {
		done := make([]chan result, len(mutations))
		for i := range done {
			done[i] = make(chan result, 1)
		}
		next, stop := make(chan int), make(chan struct{})
		go func() {
			defer close(next)
			for i := range mutations {
				select {
				case next <- i:
				case <-stop:
					return
				}
			}
		}()
		var workers sync.WaitGroup
		for _, dir := range trees {
			workers.Go(func() {
				for i := range next {
					output, err := mutate(dir, mutations[i], seeds)
					done[i] <- result{mutations[i].title, output, err}
				}
			})
		}
		defer workers.Wait()
		defer close(stop)
		for _, c := range done {
			if !yield(<-c) {
				return
			}
		}
	}
}

// mutate breaks the tree as m says, runs the simulation, and mends the tree.
func mutate(dir string, m mutation, seeds int) (output string, err error) {
	path, content, err := find(dir, m.from)
	if err != nil {
		return "", fmt.Errorf("%s: %w", m.title, err)
	}
	if err := os.WriteFile(path, bytes.Replace(content, []byte(m.from), []byte(m.to), 1), 0o600); err != nil {
		return "", err
	}
	output = try(dir, m.simulation(), seeds)
	return output, os.WriteFile(path, content, 0o600)
}

// simulation is a test that mutations are tried with.
type simulation struct {
	test  string
	share int // of the seeds: how many of them take as long as one
}

var (
	oneManager = simulation{test: "TestSimulation", share: 1}
	fleet      = simulation{test: "TestFleetSimulation", share: 3}
)

// simulation returns the one that is to notice the mutation: that of a fleet for promises
// such as F1.
func (m mutation) simulation() simulation {
	if strings.HasPrefix(m.title, "F") {
		return fleet
	}
	return oneManager
}

// try builds the tests of the tree and runs a simulation. It returns "" if it
// passes, and what it printed if it does not.
func try(dir string, s simulation, seeds int) string {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	build := exec.CommandContext(ctx, "go", "test", "-c", "-ldflags=-s -w", "-o", "mutant.test", ".")
	build.Dir = dir
	if out, err := build.CombinedOutput(); err != nil {
		return "BUILD " + string(out)
	}
	test := exec.CommandContext(ctx, "./mutant.test",
		"-test.run=^"+s.test+"$", "-test.timeout=2m", "-sim.all", "-sim.runs="+strconv.Itoa(max(seeds/s.share, 1)))
	test.Dir = dir
	out, err := test.CombinedOutput()
	if err == nil {
		return ""
	}
	return string(out)
}

var counted = regexp.MustCompile(`SIM caught by (\d+ of \d+) seeds; by promise \{(.*)\}`)

// verdict returns how many seeds noticed the mutation, and the promises they named.
func verdict(output string) (caught, by string) {
	switch found := counted.FindStringSubmatch(output); {
	case output == "":
		return "0", ""
	case found != nil:
		return found[1], found[2]
	case strings.HasPrefix(output, "BUILD"):
		return "0", "does not compile: " + reason(output)
	default:
		return "the first", "ends the process: " + reason(output)
	}
}

// reason returns the line of the output that says why the process ended.
func reason(output string) string {
	for line := range strings.Lines(output) {
		if strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ") || strings.HasPrefix(line, "BUILD") {
			return strings.ReplaceAll(strings.TrimSpace(line), "|", "/")
		}
	}
	return "?"
}

// copyTree copies the root module, with what it embeds.
func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			_, err := os.Stat(filepath.Join(path, "go.mod"))
			otherModule := !errors.Is(err, fs.ErrNotExist)
			if path != from && (strings.HasPrefix(name, ".") || otherModule) {
				return filepath.SkipDir
			}
			return os.MkdirAll(filepath.Join(to, path), 0o755)
		}
		if !d.Type().IsRegular() {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, path), text, 0o600)
	})
}
