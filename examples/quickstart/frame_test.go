package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/roomtoken/roomtoken"
)

// sample is a moment in an outage.
func sample() snapshot {
	now := time.Date(2026, 7, 1, 12, 0, 29, 0, time.UTC)
	start := now.Add(-29 * time.Second)
	c := counts{Answered: 14_402, Pushed: 9, Checked: 720}
	for range 1000 {
		c.Latency.add(400 * time.Nanosecond)
	}
	c.Latency.add(101 * time.Millisecond)
	return snapshot{
		where: "embedded API, 40 s tokens", time: now, elapsed: 29 * time.Second, length: 62 * time.Second,
		now: "outage: the API answers 503 for 6 s, 4.5 s to go", mood: alarm,
		rooms: []roomRow{
			{
				id: roomA, known: true, waits: 5, log: roomLog{calls: 3, failed: 1, fallbacks: 1, lifetime: 39 * time.Second},
				status: roomtoken.RoomStatus{
					State: roomtoken.RoomValid, ExpiresAt: now.Add(35 * time.Second), Generation: 2,
					NextCall: roomtoken.CallRefresh, NextCallAt: now.Add(20 * time.Second),
				},
			},
			{
				id: roomB, known: true, waits: 5, log: roomLog{calls: 2, failed: 1, lifetime: 39 * time.Second},
				status: roomtoken.RoomStatus{
					State: roomtoken.RoomRetrying, ExpiresAt: now.Add(12300 * time.Millisecond), Generation: 1,
					InFlight: roomtoken.CallRefresh,
				},
			},
			{
				id: "c7d05e91-1a2b-4c8d-b6f3-95e07a4d8c12", known: true, log: roomLog{calls: 10, failed: 10},
				status: roomtoken.RoomStatus{State: roomtoken.RoomFailing, NextCall: roomtoken.CallCreate, NextCallAt: now.Add(-time.Second)},
			},
			{id: "e60b14d8-93fa-4e5c-8d71-6a2c0f9b5e43", opensIn: 3200 * time.Millisecond},
		},
		entries: []entry{
			{start.Add(100 * time.Millisecond), roomA, "token 1, by create, good for 39 s", good},
			{start.Add(27500 * time.Millisecond), "", "outage: the API answers 503 for 6 s", alarm},
			{start.Add(28900 * time.Millisecond), roomB, "refresh failed: " + strings.Repeat("no luck, ", 20), alarm},
		},
		written: 3, counts: c,
		stats: roomtoken.Stats{Misses: 15, Creates: 13, Refreshes: 3, CreateFailures: 10, RefreshFailures: 2},
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
outage: the API answers 503 for 6 s, 4.5 s to go

room      state    time left       next call      gen calls fails fallback waits
0ccc7b54  valid    #######.  35 s  refresh 20 s     2     3     1        1     5
9E2A0CBE  retrying ###.....  12 s  refresh runs     1     2     1        0     5
c7d05e91  failing  ........     -  create now       0    10    10        0     0
e60b14d8  -        ........     -  opens 3.2 s      0     0     0        0     0

  0.1 s  0ccc7b54  token 1, by create, good for 39 s
 27.5 s  API       outage: the API answers 503 for 6 s
 28.9 s  9E2A0CBE  refresh failed: no luck, no luck, no luck, no luck, no luck,


callers   14,402 tokens, 14,387 at once, 15 after a wait, 0 failures
Token     takes 399 ns (median), 399 ns (99 of 100); watchers got 9 tokens
API calls 16: create 13, refresh 3, failed 12; would refuse 0 of 720 tokens
`
	if got := text(frame(sample(), 80, 17, ascii)); got != want[1:] {
		t.Errorf("got\n%s\nwant%s", got, want)
	}
}

// Whatever the size of the terminal, a frame fits.
func TestFrameFits(t *testing.T) {
	s := sample()
	for i := range 100 {
		s.rooms = append(s.rooms, roomRow{id: fmt.Sprintf("%08d", i)})
	}
	for range 100 {
		s.entries = append(s.entries, s.entries[0])
	}
	for _, g := range []glyphs{ascii, blocks} {
		for _, width := range []int{1, 20, 80, 200} {
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
		t.Errorf("no word of the rooms that have no place:\n%s", got)
	}
}

func TestColors(t *testing.T) {
	lines := frame(sample(), 80, 16, blocks)
	colored := liveView{colors: true}.draw(lines)
	if !strings.Contains(colored, "\x1b[31moutage: the API answers 503 for 6 s, 4.5 s to go\x1b[0m") {
		t.Errorf("no red outage in %q", colored)
	}
	sober := liveView{}.draw(lines)
	for _, sequence := range []string{toTop, eraseLine, eraseRest} {
		sober = strings.ReplaceAll(sober, sequence, "")
	}
	if strings.Contains(sober, "\x1b") {
		t.Errorf("colours where none are wanted: %q", sober)
	}
}

func TestPlainLines(t *testing.T) {
	s := sample()
	got := statusLine(s)
	want := " 29.0 s  --        2 of 4 rooms have a token; 14,402 tokens for callers, 15 after a wait, 0 failures; 16 API calls"
	if got != want {
		t.Errorf("got  %q,\nwant %q", got, want)
	}
}

// Where there is no terminal, or one that can do nothing, lines are plain.
func TestNoTerminal(t *testing.T) {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if _, _, ok := terminalSize(null); ok {
		t.Error("the null device is taken for a terminal")
	}
}

func TestInWords(t *testing.T) {
	at := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		event roomtoken.Event
		want  string
	}{
		{roomtoken.Event{Kind: roomtoken.EventCallBegun, Call: roomtoken.CallCreate}, ""},
		{roomtoken.Event{Kind: roomtoken.EventCallEnded, Call: roomtoken.CallCreate}, ""},
		{roomtoken.Event{Kind: roomtoken.EventCallEnded, Call: roomtoken.CallRefresh, Err: errors.New("no route"), Until: at.Add(612 * time.Millisecond)}, "refresh failed: no route, next try in 0.6 s"},
		{roomtoken.Event{Kind: roomtoken.EventCallEnded, Call: roomtoken.CallCreate, Err: roomtoken.Permanent(errors.New("no such room"))}, "create failed: no such room"},
		{roomtoken.Event{Kind: roomtoken.EventCallEnded, Call: roomtoken.CallRefresh, Err: roomtoken.ErrRefreshRejected}, "refresh refused: roomtoken: refresh token rejected"},
		{roomtoken.Event{Kind: roomtoken.EventCallOverdue, Call: roomtoken.CallCreate, Duration: 10 * time.Second}, "create has not returned after 10 s"},
		{roomtoken.Event{Kind: roomtoken.EventTokenPublished, Call: roomtoken.CallCreate, Generation: 3, ExpiresAt: at.Add(39 * time.Second)}, "token 3, by create, good for 39 s"},
		{roomtoken.Event{Kind: roomtoken.EventFellBack, Reason: roomtoken.ReasonRefreshLapsed}, "falls back to create: refresh token lapsed"},
		{roomtoken.Event{Kind: roomtoken.EventHeldBack, Err: roomtoken.ErrRateLimited, Until: at.Add(5 * time.Second)}, "no call of any room for 5.0 s: roomtoken: rate limited"},
		{roomtoken.Event{Kind: roomtoken.EventRoomEvicted, Reason: roomtoken.ReasonIdle}, "dropped: idle"},
		{roomtoken.Event{Kind: roomtoken.EventTokenInvalidated}, "token invalidated"},
	} {
		tt.event.Time = at
		if got, _ := inWords(tt.event); got != tt.want {
			t.Errorf("%v: got %q, want %q", tt.event, got, tt.want)
		}
	}
}

func TestNumbersInWords(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0 s", 0: "0.0 s", 612 * time.Millisecond: "0.6 s", 9940 * time.Millisecond: "9.9 s",
		9960 * time.Millisecond: "10 s", 599 * time.Second: "599 s", time.Hour: "60 min", 24 * time.Hour: "24 h",
	} {
		if got := seconds(d); got != want {
			t.Errorf("seconds(%v) = %q, want %q", d, got, want)
		}
	}
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 31_402: "31,402", 1_000_000: "1,000,000"} {
		if got := count(n); got != want {
			t.Errorf("count(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestHistogram(t *testing.T) {
	var h histogram
	if got := h.quantile(0.5); got != 0 {
		t.Errorf("the median of nothing is %v", got)
	}
	for d := range time.Millisecond / 1000 {
		h.add(1000 * d)
	}
	h.add(2 * time.Hour) // beyond the last bucket
	for q, want := range map[float64]time.Duration{0.5: 500 * time.Microsecond, 0.99: 990 * time.Microsecond} {
		if got := h.quantile(q); got < want*98/100 || got > want*102/100 {
			t.Errorf("quantile %v is %v, want about %v", q, got, want)
		}
	}
	if got := h.quantile(1); got < time.Minute || h.slowest != 2*time.Hour {
		t.Errorf("the slowest are %v and %v", got, h.slowest)
	}
}
