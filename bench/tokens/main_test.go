package main

import (
	"errors"
	"io"
	"regexp"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/bench/internal/cpu"
	"github.com/roomtoken/roomtoken/bench/internal/hist"
	"github.com/roomtoken/roomtoken/bench/internal/roomid"
	"github.com/roomtoken/roomtoken/roomtokentest"
)

func TestRun(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(5)) // collections come by themselves, also with few rooms
	var out strings.Builder
	b := benchmark{out: &out, ids: roomid.New(2000), rate: 200, collections: 2, span: 100 * time.Millisecond}
	if err := b.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`^2000 rooms, each with a token of 627 B and a refresh token of 629 B\n\n`,
		`\n\| the bare strings, in Go's size classes \| 1280 B \| 3 MB \|\n`,
		`\n\| live heap \| [1-9]\d{2,3} B \| [1-9] MB \|\n`,
		`\n\| resident, once all are warm \| \d+ B \| \d+ MB \|\n`,
		`\n\| resident at most, [^|]* \| \d+ B \| \d+ MB \|\n`,
		`\n\| [1-9]\d* \| [1-9]\d* \| [1-9]\d* B \| [\d.]+[µm]?s \| [2-9] \| [\d.]+s \| \d+\.\d{3} s \| [\d.]+[nµm]?s \|\n`,
		`\n\| a random room \| they are renewed, with [2-9] collections in \d+ s \| \d+\.\d million \|( [\d.]+[nµm]?s \|){5}\n`,
		`\n\| a random room \| they are renewed, with one collection after the other: [1-9]\d* in 100ms \| \d+\.\d million \|( [\d.]+[nµm]?s \|){5}\n`,
		`\n\| nothing but the time \| they are renewed, with one collection after the other: [1-9]\d* in 100ms \|`,
	} {
		if !regexp.MustCompile(want).MatchString(out.String()) {
			t.Errorf("%q is missing in:\n%s", want, out.String())
		}
	}
}

func TestFlags(t *testing.T) {
	for _, args := range [][]string{{"-rooms", "2499"}, {"-collections", "0"}, {"-for", "0s"}, {"-for", "soon"}} {
		if err := run(t.Context(), args, io.Discard); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
}

// A hit that would wait is an error.
func TestHitThatWouldWait(t *testing.T) {
	m, err := roomtoken.NewManager(&roomtokentest.Source{}, roomtoken.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	hit := hitOf(m, []string{"a"})
	once := func() (times *hist.Sum, err error) {
		asked := make(chan struct{})
		tell := sync.OnceFunc(func() { close(asked) })
		return during(func() error { <-asked; return nil }, func() error { defer tell(); return hit() })
	}
	if _, err := once(); err == nil || !strings.Contains(err.Error(), "would have waited") {
		t.Errorf("a room without a token: %v", err)
	}
	if err := m.Warm(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if times, err := once(); err != nil || times.Total() == 0 {
		t.Errorf("a room with a token: %d hits, %v", times.Total(), err)
	}
	failed := errors.New("failed")
	if _, err := during(func() error { return failed }, nothing); !errors.Is(err, failed) {
		t.Errorf("when the work fails: %v", err)
	}
}

func TestCosts(t *testing.T) {
	if cpu.Time() == 0 {
		t.Skip("processor time is not measured on this system")
	}
	b := benchmark{ids: roomid.New(2000), rate: 200, span: 400 * time.Millisecond}
	m, err := roomtoken.NewManager(b.source(), roomtoken.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if err := m.Warm(t.Context(), b.ids...); err != nil {
		t.Fatal(err)
	}
	if c, err := b.costs(t.Context(), m); err != nil || c.renewal <= 0 || c.collection <= 0 {
		t.Errorf("%+v, %v", c, err)
	}
}

// What is allocated and collected is counted, collections that were asked for apart from
// others.
func TestCollector(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(5))
	before := readCollector()
	var got collector
	for got.automatic == 0 {
		sink = make([]byte, 1<<20)
		got = readCollector().since(before)
	}
	if got.forced != 0 || got.allocated < 1<<20 {
		t.Errorf("after allocations of 1 MiB and more, and a collection: %+v", got)
	}
	debug.SetGCPercent(-1)
	runtime.GC() // ends one that was under way
	before = readCollector()
	runtime.GC()
	if got := readCollector().since(before); got.forced != 1 || got.automatic != 0 {
		t.Errorf("after one that was asked for: %+v", got)
	}
}

var sink []byte // what it holds is on the heap
