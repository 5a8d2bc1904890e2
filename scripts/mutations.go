//go:build ignore

// Mutations breaks the library on purpose, one place at a time, on a copy, and
// tells by how many seeds the simulation notices. It fails if a mutation is not
// noticed, or does not fit the code any more.
//
//	go run scripts/mutations.go [-seeds 400] [-only regexp]
//
// The mutations are in scripts/mutations.txt.
package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// mutation is one place that is broken.
type mutation struct {
	title string // "5: a rate limit holds nothing"
	from  string
	to    string
}

func main() {
	seeds := flag.Int("seeds", 400, "seeds for each mutation")
	only := flag.String("only", "", "the mutations whose title matches")
	flag.Parse()
	if err := run(*seeds, *only); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(seeds int, only string) error {
	mutations, err := read("scripts/mutations.txt")
	if err != nil {
		return err
	}
	match, err := regexp.Compile(only)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "mutations")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := copyTree(".", dir); err != nil {
		return err
	}

	if text := try(dir, seeds); text != "" {
		return fmt.Errorf("the simulation fails without a mutation:\n%s", text)
	}
	fmt.Printf("| promise: what is broken | seeds of %d that notice | as promise: seeds |\n|---|---:|---|\n", seeds)
	missed := 0
	for _, m := range mutations {
		if !match.MatchString(m.title) {
			continue
		}
		path, whole, err := find(dir, m.from)
		if err != nil {
			return fmt.Errorf("%s: %w", m.title, err)
		}
		if err := os.WriteFile(path, bytes.Replace(whole, []byte(m.from), []byte(m.to), 1), 0o600); err != nil {
			return err
		}
		said := try(dir, seeds)
		caught, by := verdict(said)
		if caught == "0" {
			missed++
			by = "MISSED " + by
		}
		fmt.Printf("| %s | %s | %s |\n", m.title, caught, by)
		if err := os.WriteFile(path, whole, 0o600); err != nil {
			return err
		}
	}
	if missed > 0 {
		return fmt.Errorf("%d mutations were not noticed", missed)
	}
	return nil
}

// try builds the tests of the tree and runs the simulation. It returns "" if it
// passes, and else what it said.
func try(dir string, seeds int) string {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	build := exec.CommandContext(ctx, "go", "test", "-c", "-ldflags=-s -w", "-o", "mutant.test", ".")
	build.Dir = dir
	if out, err := build.CombinedOutput(); err != nil {
		return "BUILD " + string(out)
	}
	test := exec.CommandContext(ctx, "./mutant.test", "-test.run=^TestSimulation$", "-test.timeout=2m", "-sim.all", fmt.Sprint("-sim.runs=", seeds))
	test.Dir = dir
	out, err := test.CombinedOutput()
	if err == nil {
		return ""
	}
	return string(out)
}

var counted = regexp.MustCompile(`SIM caught by (\d+) of \d+ seeds; by promise \{(.*)\}`)

// verdict tells how many seeds noticed, and which promise they named.
func verdict(said string) (caught, by string) {
	switch found := counted.FindStringSubmatch(said); {
	case said == "":
		return "0", ""
	case found != nil:
		return found[1], found[2]
	case strings.HasPrefix(said, "BUILD"):
		return "0", "does not compile: " + firstLine(said)
	default:
		return "the first", "ends the process: " + firstLine(said)
	}
}

func firstLine(said string) string {
	for line := range strings.Lines(said) {
		if strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ") || strings.HasPrefix(line, "BUILD") {
			return strings.ReplaceAll(strings.TrimSpace(line), "|", "/")
		}
	}
	return "?"
}

// find returns the file of the library in which the text stands, and the whole of
// it.
func find(dir, text string) (path string, whole []byte, err error) {
	root, _ := filepath.Glob(filepath.Join(dir, "*.go"))
	inner, _ := filepath.Glob(filepath.Join(dir, "internal", "*", "*.go"))
	places := 0
	for _, file := range append(root, inner...) {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		content, err := os.ReadFile(file)
		if err != nil {
			return "", nil, err
		}
		if n := bytes.Count(content, []byte(text)); n > 0 {
			places += n
			path, whole = file, content
		}
	}
	if places != 1 {
		return "", nil, fmt.Errorf("what it replaces stands in %d places", places)
	}
	return path, whole, nil
}

// read reads the table: titles after "# ", and between lines of "<<<<", "====" and
// ">>>>" what is replaced by what.
func read(path string) ([]mutation, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var all []mutation
	for block := range strings.SplitSeq(string(text), "\n# ") {
		title, rest, _ := strings.Cut(block, "\n")
		_, rest, ok := strings.Cut(rest, "<<<<\n")
		if !ok {
			continue
		}
		from, rest, ok1 := strings.Cut(rest, "====\n")
		to, _, ok2 := strings.Cut(rest, ">>>>")
		if !ok1 || !ok2 {
			return nil, fmt.Errorf("%s: %q has no end", path, title)
		}
		all = append(all, mutation{
			title: strings.TrimPrefix(title, "# "),
			from:  from,
			to:    to,
		})
	}
	return all, nil
}

// copyTree copies what the tests of the root package need.
func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			_, noModule := os.Stat(filepath.Join(path, "go.mod"))
			if path != from && (strings.HasPrefix(name, ".") || noModule == nil) {
				return filepath.SkipDir
			}
			return os.MkdirAll(filepath.Join(to, path), 0o755)
		}
		if !strings.HasSuffix(name, ".go") && name != "go.mod" && name != "go.sum" {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, path), text, 0o600)
	})
}
