package screen

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/examples/quickstart/internal/demo"
	"github.com/roomtoken/roomtoken/telnyx/telnyxtest"
)

const (
	roomA = "0ccc7b54-4df3-4bca-a65a-3da1ecc777f0"
	roomB = "9E2A0CBE-ce66-411e-a1ac-468f0b103c9a"
)

// sample returns a snapshot taken during an outage.
func sample() demo.Snapshot {
	now := time.Date(2026, 7, 1, 12, 0, 29, 0, time.UTC)
	start := now.Add(-29 * time.Second)
	wall := now.Add(-10 * time.Minute) // the clock was set back
	c := demo.Counts{Succeeded: 14_402, Pushed: 9, Checked: 720}
	for range 1000 {
		c.Latency.Add(400 * time.Nanosecond)
	}
	c.Latency.Add(101 * time.Millisecond)
	return demo.Snapshot{
		API: "embedded API, 40 s tokens", Time: now, Wall: wall, Elapsed: 29 * time.Second, Duration: 62 * time.Second,
		Status: "outage: the API answers 503 for 6 s (4.5 s left)", Level: demo.Bad,
		Rooms: []demo.Room{
			{
				ID: roomA, Cached: true, Waits: 5,
				Events: demo.RoomEvents{Calls: 3, Failed: 1, Fallbacks: 1, Lifetime: 39 * time.Second, Expires: now.Add(35 * time.Second)},
				Status: roomtoken.RoomStatus{
					State: roomtoken.RoomValid, ExpiresAt: now, Generation: 2,
					NextCall: roomtoken.CallRefresh, NextCallAt: wall.Add(20 * time.Second),
				},
			},
			{
				ID: roomB, Cached: true, Waits: 5,
				Events: demo.RoomEvents{Calls: 2, Failed: 1, Lifetime: 39 * time.Second, Expires: now.Add(12300 * time.Millisecond)},
				Status: roomtoken.RoomStatus{
					State: roomtoken.RoomRetrying, ExpiresAt: now, Generation: 1,
					InFlight: roomtoken.CallRefresh,
				},
			},
			{
				ID: "c7d05e91-1a2b-4c8d-b6f3-95e07a4d8c12", Cached: true, Events: demo.RoomEvents{Calls: 10, Failed: 10},
				Status: roomtoken.RoomStatus{State: roomtoken.RoomFailing, NextCall: roomtoken.CallCreate, NextCallAt: wall.Add(-time.Second), Waiters: 5},
			},
			{ID: "e60b14d8-93fa-4e5c-8d71-6a2c0f9b5e43", OpensIn: 3200 * time.Millisecond},
		},
		Entries: []demo.Entry{
			{Time: start.Add(100 * time.Millisecond), Room: roomA, Text: "token 1 from create, valid for 39 s", Level: demo.Good},
			{Time: start.Add(27500 * time.Millisecond), Text: "outage: the API answers 503 for 6 s", Level: demo.Bad},
			{Time: start.Add(28900 * time.Millisecond), Room: roomB, Text: "refresh failed: " + strings.Repeat("no luck, ", 20), Level: demo.Bad},
		},
		Total: 3, Counts: c,
		Stats: roomtoken.Stats{Misses: 15, Creates: 13, Refreshes: 3, CreateFailures: 10, RefreshFailures: 2},
	}
}

func text(lines []line) string {
	var b strings.Builder
	for _, l := range lines {
		b.WriteString(l.String() + "\n")
	}
	return b.String()
}

func TestFrame(t *testing.T) {
	const want = `
roomtoken quickstart  embedded API, 40 s tokens  #########........... 29 of 62 s
outage: the API answers 503 for 6 s (4.5 s left)

room     state    time left      next call      token calls fails fallback waits
0ccc7b54 valid    ######.   35 s refresh 20 s       2     3     1        1     5
9E2A0CBE retrying ##.....   12 s refresh runs       1     2     1        0     5
c7d05e91 failing  .......      - create now         0    10    10        0 5 now
e60b14d8 -        .......      - opens 3.2 s        0     0     0        0     0

  0.1 s  0ccc7b54  token 1 from create, valid for 39 s
 27.5 s  API       outage: the API answers 503 for 6 s
 28.9 s  9E2A0CBE  refresh failed: no luck, no luck, no luck, no luck, no luck,


callers   14,402 tokens: 14,387 from memory, 15 after a wait; 0 errors
latency   of Token: median 0.0004 ms, at most 101 ms; watchers: 9 tokens
API calls 13 create, 3 refresh, 12 of 16 failed; API rejects 0 of 720 tokens
`
	if got := text(frame(sample(), 80, 17, ascii)); got != want[1:] {
		t.Errorf("got\n%s\nwant%s", got, want)
	}
}

func TestNarrowFrame(t *testing.T) {
	const want = `
roomtoken quickstart          29 of 62 s
outage: the API answers 503 for 6 s (4.5
s left)

room     state      left next call
0ccc7b54 valid      35 s refresh 20 s
9E2A0CBE retrying   12 s refresh runs
c7d05e91 failing       - 5 callers wait
e60b14d8 -             - opens 3.2 s

                   answers 503 for 6 s
 28.9 s  9E2A0CBE  refresh failed: no
                   luck, no luck, no
                   luck, no luck, no luc

callers 14,402 tokens, 0 errors
  waited 15, at most 101 ms
API 16 calls, 12 failed
API rejects 0 of 720 tokens
`
	if got := text(frame(sample(), 40, 19, ascii)); got != want[1:] {
		t.Errorf("got\n%s\nwant%s", got, want)
	}
}

// A frame fits into a terminal of any size.
func TestFrameFits(t *testing.T) {
	s := sample()
	for i := range 100 {
		s.Rooms = append(s.Rooms, demo.Room{ID: fmt.Sprintf("%08d", i)})
	}
	for range 100 {
		s.Entries = append(s.Entries, s.Entries[0])
	}
	for _, g := range []glyphs{ascii, blocks} {
		for _, width := range []int{1, 20, 40, 79, 80, 200} {
			for _, height := range []int{1, 5, 12, 24, 60} {
				lines := frame(s, width, height, g)
				if len(lines) > height {
					t.Errorf("%d x %d: %d lines", width, height, len(lines))
				}
				for _, l := range lines {
					if n := utf8.RuneCountInString(l.String()); n > width {
						t.Errorf("%d x %d: %d characters in %q", width, height, n, l)
					}
				}
			}
		}
	}
	if got := text(frame(s, 80, 24, ascii)); !strings.Contains(got, "and 94 more rooms\n") {
		t.Errorf("the frame does not mention the hidden rooms:\n%s", got)
	}
}

func TestColors(t *testing.T) {
	lines := frame(sample(), 80, 16, blocks)
	colored := (&live{colors: true}).render(lines)
	if !strings.Contains(colored, "\x1b[31moutage: the API answers 503 for 6 s (4.5 s left)\x1b[0m") {
		t.Errorf("the outage is not red in %q", colored)
	}
	uncolored := (&live{}).render(lines)
	for _, sequence := range []string{home, eraseLine, eraseRest} {
		uncolored = strings.ReplaceAll(uncolored, sequence, "")
	}
	if strings.Contains(uncolored, "\x1b") {
		t.Errorf("colors although they are disabled: %q", uncolored)
	}
}

// Every entry and every status is written once.
func TestPlain(t *testing.T) {
	var out bytes.Buffer
	v := NewPlain(&out)
	s := sample()
	v.Draw(s)
	s.Elapsed, s.Time = s.Elapsed+time.Second, s.Time.Add(time.Second)
	s.Entries = append(s.Entries, demo.Entry{Time: s.Time, Room: roomA, Text: "token 3 from refresh, valid for 39 s"})
	s.Total++
	v.Draw(s)
	v.Draw(s)
	v.Close()

	const status = "2 of 4 rooms have a token; callers: 14,402 tokens, 15 after a wait, 0 errors; 16 API calls\n"
	want := "roomtoken quickstart, embedded API, 40 s tokens, 4 rooms\n" +
		"  0.1 s  0ccc7b54  token 1 from create, valid for 39 s\n" +
		" 27.5 s  API       outage: the API answers 503 for 6 s\n" +
		" 28.9 s  9E2A0CBE  refresh failed: " + strings.TrimRight(strings.Repeat("no luck, ", 20), " ") + "\n" +
		" 29.0 s  status    " + status +
		" 30.0 s  0ccc7b54  token 3 from refresh, valid for 39 s\n" +
		" 30.0 s  status    " + status
	if got := out.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestSummary(t *testing.T) {
	s := sample()
	r := demo.Result{
		API: s.API, Took: 62 * time.Second, Rooms: 6, CallersPerRoom: 5, Counts: s.Counts, Stats: s.Stats,
		APICalls: &telnyxtest.Calls{Creates: 13, Refreshes: 3, Statuses: map[int]int{201: 4, 503: 11, 403: 1}},
		Faults:   []string{"outage of 6 s"},
	}
	r.Counts.Revoked, r.Stats.Invalidations = 2, 1
	const want = `roomtoken quickstart: 62 s, 6 rooms, 5 callers each, embedded API, 40 s tokens

What callers got from Token
    14,402  tokens
    14,387  from memory: 99.90 %
        15  after waiting for the API, because the room had no token yet or its
            token was refused
         0  errors

How long Token took
 0.0004 ms  median
 0.0004 ms  99th percentile
    101 ms  maximum; a caller who waits, waits for the API

What became of the tokens
         9  pushed to Watch, one for each new token of a room
         1  given to Invalidate, because the room refused it
       720  presented to the API, as by participants who join
         2  of them refused, because the API had revoked them
         0  of them refused for another reason, such as being too old

What it took: API calls
        13  creates, with the API key
         3  refreshes, with a refresh token only
        12  of them answered with an error: 403 x 1, 503 x 11
         0  creates in place of a refresh, because the refresh token was refused
            or had lapsed, or the refresh kept failing

What went wrong, on purpose
         -  outage of 6 s

Every caller got a good token.
`
	if got := Summary(r, 80); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	for _, width := range []int{20, 40, 80} {
		for l := range strings.Lines(Summary(r, width)) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(l, "\n")); n > width {
				t.Errorf("%d characters in %q, want at most %d", n, l, width)
			}
		}
	}

	r.Counts.Failed, r.Counts.LastError = 1, errors.New("no luck")
	if got := Summary(r, 80); !strings.HasSuffix(got, "\nlast error: no luck\n") {
		t.Errorf("the summary of a failure ends in %q", got[len(got)-100:])
	}
}

// Something other than a terminal gets plain lines.
func TestNoTerminal(t *testing.T) {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	xterm := func(name string) string { return map[string]string{"TERM": "xterm"}[name] }
	if _, ok := New(xterm, null).(*plain); !ok {
		t.Error("the null device gets a live view")
	}
}
