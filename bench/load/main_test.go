package main

import (
	"context"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
)

// TestMain lets the test binary serve the API, like the program itself.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "-serve" {
		if err := run(context.Background(), os.Args[1:], os.Stdout); err != nil {
			panic(err)
		}
		return
	}
	os.Exit(m.Run())
}

func wantLines(t *testing.T, text string, patterns ...string) {
	t.Helper()
	for _, p := range patterns {
		if !regexp.MustCompile("(?m)" + p).MatchString(text) {
			t.Errorf("%q is missing in:\n%s", p, text)
		}
	}
}

func TestManyCallers(t *testing.T) {
	var out strings.Builder
	small := callerLoad{
		callers: 50, rooms: 10, lifetime: 2 * time.Second, latency: time.Millisecond,
		span: 300 * time.Millisecond, outage: 100 * time.Millisecond,
	}
	if err := manyCallers(t.Context(), &out, small); err != nil {
		t.Fatal(err)
	}
	wantLines(t, out.String(), `^50 goroutines, 10 rooms`, `^\| up \| 300ms \|.*\| 0 \|$`, `^\| down \|`, `^\| up again \|`)
}

// A hit that would wait is broken.
func TestAskDetectsBrokenHits(t *testing.T) {
	source := &failingSource{lifetime: time.Minute}
	source.down.Store(true)
	m, err := roomtoken.NewManager(source, roomtoken.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	x := newExpiries([]string{"a"}, 0)
	published := roomtoken.Event{Kind: roomtoken.EventTokenPublished, RoomID: "a", ExpiresAt: time.Now().Add(time.Hour)}
	x.record(published) // no such token exists
	if r := ask(t.Context(), m, x, []string{"a"}, []uint16{0}, 2, 50*time.Millisecond); r.broken == 0 {
		t.Errorf("no broken hits among %d", r.hits.Total())
	}
	published.ExpiresAt = time.Now()
	x.record(published)
	r := ask(t.Context(), m, x, []string{"a"}, []uint16{0}, 2, 50*time.Millisecond)
	if r.broken != 0 || r.hits.Total() != 0 || r.failed == 0 && r.waits.Total() == 0 {
		t.Errorf("without a usable token: %d broken, %d hits, %d failed, %d may wait", r.broken, r.hits.Total(), r.failed, r.waits.Total())
	}
}

func TestManyCalls(t *testing.T) {
	var out strings.Builder
	if err := manyCalls(t.Context(), &out, 100*time.Millisecond, 100); err != nil {
		t.Fatal(err)
	}
	wantLines(t, out.String(), `^\| http1 \| plain POST \| \d+ \|`, `^\| http2 \| Source.Create \| \d+ \|`,
		`^\| http2 \| renewals through the Manager \| \d+ \|`, `^A renewal .* takes \d`, `^\| 1h0m0s \| \d+ \|`)
}

func TestManyRenewals(t *testing.T) {
	var out strings.Builder
	if err := manyRenewals(t.Context(), &out, 300*time.Millisecond, 1000, 2000); err != nil {
		t.Fatal(err)
	}
	wantLines(t, out.String(), `^\| 1000 \| [1-9]\d+ \| \d`, `^\| 2000 \| [1-9]\d+ \| \d.* %`)
}

func TestUnknownPart(t *testing.T) {
	if err := run(t.Context(), []string{"-only", "everything"}, io.Discard); err == nil || !strings.Contains(err.Error(), "everything") {
		t.Errorf("-only everything: %v", err)
	}
}
