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

// TestMain lets the test binary be the API, as the program itself does.
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
	small := crowd{
		callers: 50, rooms: 10, lifetime: 2 * time.Second, latency: time.Millisecond,
		span: 300 * time.Millisecond, outage: 100 * time.Millisecond,
	}
	if err := manyCallers(t.Context(), &out, small); err != nil {
		t.Fatal(err)
	}
	wantLines(t, out.String(), `^50 goroutines, 10 rooms`, `^\| up \| 300ms \|.*\| 0 \|$`, `^\| down \|`, `^\| up again \|`)
}

// A call that would wait though a token is known is what the program is there to
// find.
func TestAskNoticesAWait(t *testing.T) {
	source := &failingSource{lifetime: time.Minute}
	source.down.Store(true)
	m, err := roomtoken.NewManager(source, roomtoken.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	b := newBook([]string{"a"}, 0)
	published := roomtoken.Event{Kind: roomtoken.EventTokenPublished, RoomID: "a", ExpiresAt: time.Now().Add(time.Hour)}
	b.hear(published) // a lie
	if r := ask(t.Context(), m, b, []string{"a"}, []uint16{0}, 2, 50*time.Millisecond); r.broken == 0 {
		t.Errorf("%d calls, and none that would have waited", r.hits.Total())
	}
	published.ExpiresAt = time.Now()
	b.hear(published)
	r := ask(t.Context(), m, b, []string{"a"}, []uint16{0}, 2, 50*time.Millisecond)
	if r.broken != 0 || r.hits.Total() != 0 || r.failed == 0 && r.waits.Total() == 0 {
		t.Errorf("without a token known: %d broken, %d hits, %d failed, %d waited", r.broken, r.hits.Total(), r.failed, r.waits.Total())
	}
}

func TestManyCalls(t *testing.T) {
	var out strings.Builder
	if err := manyCalls(t.Context(), &out, 100*time.Millisecond, 100); err != nil {
		t.Fatal(err)
	}
	wantLines(t, out.String(), `^\| http1 \| bare POST \| \d+ \|`, `^\| http2 \| Source.Create \| \d+ \|`,
		`^\| http2 \| Manager, renewals \| \d+ \|`, `^A renewal .* takes \d`, `^\| 1h0m0s \| \d+ \|`)
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

func TestShort(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 123: "123ns", 12345: "12.3µs", 1234567: "1.23ms", 51849113: "51.8ms", 12345678901: "12.3s",
	} {
		if got := short(d).String(); got != want {
			t.Errorf("%d is %s, want %s", d, got, want)
		}
	}
}
