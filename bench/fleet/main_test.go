package main

import (
	"context"
	"io"
	"net"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestMain lets the test binary be a process, like the program itself.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "-process" {
		if err := run(context.Background(), os.Args[1:], os.Stdin, os.Stdout); err != nil {
			panic(err)
		}
		return
	}
	os.Exit(m.Run())
}

// The tests check counts. Times are for those who read the table.

func newBench(t *testing.T) *bench {
	t.Helper()
	s, err := startServer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.stop(); err != nil {
			t.Error(err)
		}
	})
	return &bench{out: io.Discard, sizes: small, server: s}
}

func TestHit(t *testing.T) {
	r, err := newBench(t).hit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if r.again <= 0 || r.withStore <= 0 || r.each <= 0 || r.allocations > 0.1 {
		t.Errorf("%+v", r)
	}
}

func TestFound(t *testing.T) {
	r, err := newBench(t).found(t.Context(), plainToken)
	if err != nil {
		t.Fatal(err)
	}
	if r.adopted != uint64(small.found) || r.creates != 0 {
		t.Errorf("adopted %d of %d rooms, created %d", r.adopted, small.found, r.creates)
	}
	if r.bytes < 2*plainToken || min(r.get, r.script, r.handed, r.acquire, r.token) <= 0 {
		t.Errorf("%+v", r)
	}
}

func TestCold(t *testing.T) {
	b := newBench(t)
	for _, c := range contenders {
		t.Run(c.name, func(t *testing.T) {
			r, err := b.cold(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			checkCold(t, r)
		})
	}
}

func TestRealProcesses(t *testing.T) {
	r, err := newBench(t).realProcesses(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	checkCold(t, r)
}

// checkCold checks that each room was created once, that all callers have got its token, and
// that each process has asked the server.
func checkCold(t *testing.T, r coldResult) {
	t.Helper()
	if r.creates != r.rooms || r.tokens != r.rooms || r.rooms == 0 {
		t.Errorf("%d creates and %d tokens of %d rooms", r.creates, r.tokens, r.rooms)
	}
	if least := float64(small.processes + 1); r.commands < least {
		t.Errorf("%.1f commands for each room, of which each process makes at least one, and one a second", r.commands)
	}
	if want := r.rooms * small.processes * small.callers; len(r.waits) != want {
		t.Errorf("%d waits, want %d", len(r.waits), want)
	}
	if r.waits[0] < sourceLatency {
		t.Errorf("somebody had a token after %v, when nobody could", r.waits[0])
	}
}

func TestRenewals(t *testing.T) {
	r, err := newBench(t).renewals(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if r.creates != int64(small.renewed) || r.renewals == 0 || r.commands < 2 {
		t.Errorf("%d creates of %d rooms, %d renewals with %.1f commands", r.creates, small.renewed, r.renewals, r.commands)
	}
}

func TestTestResult(t *testing.T) {
	text := "--- PASS: Test/20s (1.00s)\n x.go:1: 900 renewals, 17.40 commands each\n--- PASS: Test/10m0s (2.00s)\n x.go:1: 320 renewals, 17.01 commands each\n"
	if found := testResult.FindStringSubmatch(text); found == nil || found[1] != "320" || found[2] != "17.01" {
		t.Errorf("%q", found)
	}
}

func TestWarm(t *testing.T) {
	n := small.warm[0]
	r, err := newBench(t).warm(t.Context(), n)
	if err != nil {
		t.Fatal(err)
	}
	if r.creates != 0 || r.adopted != uint64(n) {
		t.Errorf("adopted %d of %d rooms, created %d", r.adopted, n, r.creates)
	}
	// The server does not know the script in the first batches, two of which are under way
	// at a time.
	if r.commands < int64(n) || r.commands > int64(n)+1000 || r.exchanges < 3 || r.exchanges > 5 {
		t.Errorf("%d commands in %d round trips for %d rooms", r.commands, r.exchanges, n)
	}
}

func TestIdle(t *testing.T) {
	perSecond, err := newBench(t).idle(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if perSecond == 0 || perSecond > 4 {
		t.Errorf("%.1f commands per second", perSecond)
	}
}

func TestMemory(t *testing.T) {
	r, err := newBench(t).memory(t.Context(), plainToken)
	if err != nil {
		t.Fatal(err)
	}
	if r.record < 2*plainToken || r.usage < r.record || r.usage > 2*r.record {
		t.Errorf("%+v", r)
	}
}

func TestCapacity(t *testing.T) {
	costs, err := newBench(t).capacity(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range operations {
		if costs[name].perSecond <= 0 {
			t.Errorf("%s: %+v", name, costs[name])
		}
	}
}

// The program prints one table.
func TestTable(t *testing.T) {
	var out strings.Builder
	if err := run(t.Context(), []string{"-quick", "-only", "idle"}, nil, &out); err != nil {
		t.Fatal(err)
	}
	want := "^\\| what \\| figure \\| target \\| command \\|\n\\| --- \\| --- \\| --- \\| --- \\|\n" +
		"\\| a process with nothing to do: commands per second \\| [\\d.]+ \\| at most 3 \\| `go run ./fleet -only idle` \\|\n$"
	if !regexp.MustCompile(want).MatchString(out.String()) {
		t.Errorf("the table is\n%s", out.String())
	}
}

func TestUnknownPart(t *testing.T) {
	if err := run(t.Context(), []string{"-only", "everything"}, nil, io.Discard); err == nil || !strings.Contains(err.Error(), "everything") {
		t.Errorf("-only everything: %v", err)
	}
}

func TestNoServer(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if err := run(t.Context(), nil, nil, io.Discard); err == nil || !strings.Contains(err.Error(), "Debian package redis-server") {
		t.Errorf("without redis-server: %v", err)
	}
}

// What is sent in pieces, or many commands at a time, is counted all the same.
func TestTraffic(t *testing.T) {
	client, server := net.Pipe()
	defer client.Close()
	go func() { _, _ = io.Copy(io.Discard, server) }()
	count := &traffic{prefix: "p:"}
	c := &countedConn{Conn: client, traffic: count}
	text := "*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n" +
		"*3\r\n$6\r\nCLIENT\r\n$7\r\nSETINFO\r\n$1\r\nx\r\n" +
		"*3\r\n$6\r\nCLIENT\r\n$7\r\nCACHING\r\n$3\r\nYES\r\n" +
		"*4\r\n$7\r\nEVALSHA\r\n$2\r\nab\r\n$1\r\n2\r\n$6\r\np:news\r\n" +
		"*3\r\n$7\r\nPUBLISH\r\n$1\r\nc\r\n$0\r\n\r\n" +
		"*2\r\n$3\r\nGET\r\n$6\r\np:news\r\n" +
		"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$300\r\n" + strings.Repeat("*1\r\n", 75) + "\r\n"
	for _, length := range []int{1, 7, len(text)} {
		before := [3]int64{count.commands.Load(), count.idle.Load(), count.exchanges.Load()}
		c.waits.Store(false) // as if it had read something
		for rest := text; rest != ""; {
			n := min(length, len(rest))
			if _, err := c.Write([]byte(rest[:n])); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if count.commands.Load()-before[0] != 3 || count.idle.Load()-before[1] != 2 || count.exchanges.Load()-before[2] != 1 {
			t.Errorf("in pieces of %d bytes: %d commands, %d idle, %d exchanges", length,
				count.commands.Load()-before[0], count.idle.Load()-before[1], count.exchanges.Load()-before[2])
		}
	}
}

func TestQuantile(t *testing.T) {
	r := coldResult{waits: []time.Duration{1, 2, 3, 4}}
	if r.quantile(0) != 1 || r.quantile(0.5) != 3 || r.quantile(1) != 4 {
		t.Errorf("%v %v %v", r.quantile(0), r.quantile(0.5), r.quantile(1))
	}
}
