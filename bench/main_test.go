package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestMain lets the test binary run a job for compare, like the program itself.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == childCommand {
		if err := run(context.Background(), os.Args[1:], os.Stdout, os.Stderr); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func TestOptions(t *testing.T) {
	for _, test := range []struct {
		args       string
		scale      string
		rounds     int
		works      string
		contenders int
		out        string
	}{
		{"", "full", 5, "hits cold slow down heap renew", len(contenders), "../docs/benchmarks"},
		{"-quick", "quick", 1, "hits cold slow down heap renew", len(contenders), "../docs/benchmarks"},
		{"-quick -rounds 3", "quick", 3, "hits cold slow down heap renew", len(contenders), "../docs/benchmarks"},
		{"-work ^(heap|cold)$ -o here", "full", 5, "cold heap", len(contenders), "here"},
		{"-contender xsync -out there", "full", 5, "hits cold slow down heap renew", 3, "there"},
	} {
		t.Run(test.args, func(t *testing.T) {
			o, err := parseOptions(strings.Fields(test.args), io.Discard)
			if err != nil {
				t.Fatal(err)
			}
			names := make([]string, len(o.works))
			for i, w := range o.works {
				names[i] = w.name
			}
			if o.scale != test.scale || o.rounds != test.rounds || o.out != test.out || len(o.contenders) != test.contenders {
				t.Errorf("got %s, %d rounds, %d contenders, %s", o.scale, o.rounds, len(o.contenders), o.out)
			}
			if got := strings.Join(names, " "); got != test.works {
				t.Errorf("works %q, want %q", got, test.works)
			}
		})
	}
	o, err := parseOptions(strings.Fields("-o somewhere -within 10m"), io.Discard)
	if err != nil || o.command != "go run . -within=10m0s" {
		t.Errorf("command %q, %v", o.command, err)
	}
	for _, args := range []string{"-rounds -1", "-work (", "-work nothing", "-contender (", "-contender nobody", "stray", "-nonsense"} {
		if _, err := parseOptions(strings.Fields(args), io.Discard); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
}

func TestInvalidJobs(t *testing.T) {
	for _, args := range []string{"", "hits roomtoken", "nothing roomtoken tiny", "hits nobody tiny", "hits roomtoken huge"} {
		if err := run(context.Background(), append([]string{childCommand}, strings.Fields(args)...), io.Discard, io.Discard); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
}

// A comparison end to end: processes, page, charts and values.
func TestCompareAndPublish(t *testing.T) {
	t.Setenv("GORACE", "atexit_sleep_ms=0") // otherwise each process takes a second to exit
	dir := filepath.Join(t.TempDir(), "deep", "inside")
	o, err := parseOptions(strings.Fields("-rounds 2 -work ^(hits|cold|heap|down)$ -contender ^(roomtoken|aws|sync.Map.*Since)$"), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	o.scale = "tiny"
	var progress, out strings.Builder
	found, err := compare(t.Context(), o, &progress)
	if err != nil {
		t.Fatal(err)
	}
	if found.Rounds != 2 {
		t.Errorf("%d rounds", found.Rounds)
	}
	// Jobs per round: hits 3, cold and down 2 each without the floor, heap 2 without aws.
	if got := strings.Count(progress.String(), "\n"); got != 2*9 {
		t.Errorf("%d jobs in two rounds, want 18:\n%s", got, &progress)
	}
	if err := publish(found, dir, &out); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(dir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"medians over 2 rounds", "| **roomtoken** |", "| aws |", "(throughput.svg)", "Go | go"} {
		if !strings.Contains(string(page), want) {
			t.Errorf("%q is missing in the page:\n%s", want, page)
		}
	}
	if strings.Contains(string(page), dir) || !strings.Contains(out.String(), "| aws |") {
		t.Error("the page contains the output directory, or nothing was printed")
	}
	for _, c := range allCharts {
		svg, err := os.ReadFile(filepath.Join(dir, c.file))
		if err != nil {
			t.Fatal(err)
		}
		if text := string(svg); !strings.Contains(text, "<svg") || !strings.Contains(text, ">"+c.title+"<") || !strings.Contains(text, ">roomtoken<") {
			t.Errorf("%s is not the expected chart", c.file)
		}
	}
	values, err := os.ReadFile(filepath.Join(dir, "results.csv"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(values), "table,column,contender,round 1,round 2\none,1 key,roomtoken,") {
		t.Errorf("results.csv starts with %.80q", values)
	}
}

// The first round always runs, however short the time is.
func TestCompareWithin(t *testing.T) {
	t.Setenv("GORACE", "atexit_sleep_ms=0")
	o := options{scale: "tiny", rounds: 5, within: time.Nanosecond, works: []work{coldWork}, contenders: []contender{awsContender}}
	found, err := compare(t.Context(), o, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if found.Rounds != 1 {
		t.Errorf("%d rounds, want 1", found.Rounds)
	}
}

// A failed job ends the comparison with its error.
func TestCompareFails(t *testing.T) {
	t.Setenv("GORACE", "atexit_sleep_ms=0")
	o := options{scale: "no such scale", rounds: 1, works: works[:1], contenders: contenders[:1]}
	if _, err := compare(t.Context(), o, io.Discard); err == nil || !strings.Contains(err.Error(), `unknown scale "no such scale"`) {
		t.Errorf("got error %v", err)
	}
	o = options{scale: "tiny", rounds: 1, works: works, contenders: []contender{awsContender}}
	o.works = slices.DeleteFunc(slices.Clone(works), func(w work) bool { return w.applies(awsContender) })
	if _, err := compare(t.Context(), o, io.Discard); err == nil {
		t.Error("no error without any job")
	}
}
