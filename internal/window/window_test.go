package window

import (
	"testing"
	"time"

	"github.com/roomtoken/roomtoken/internal/monotime"
)

const sec = monotime.Time(time.Second)

func TestZeroWindowIsFull(t *testing.T) {
	var w Window
	w.Ended(Refusal, 1, 2, 1)
	if !w.Full() || w.Size(64) != 64 {
		t.Fatalf("Full() = %v, Size(64) = %d", w.Full(), w.Size(64))
	}
}

// TestSlowStart lets every call of each round succeed.
func TestSlowStart(t *testing.T) {
	for _, limit := range []int{1, 2, 3, 64, 100} {
		var w Window
		w.Open(0, limit)
		rounds := 0
		for now := sec; !w.Full(); now += sec {
			rounds++
			n := w.Size(limit)
			for range n { // another call begins as soon as one ends
				w.Ended(Success, now-sec, now, n)
			}
			if rounds > 20 {
				t.Fatalf("limit %d: not full after %d rounds: %+v", limit, rounds, w)
			}
		}
		if want := map[int]int{1: 0, 2: 0, 3: 1, 64: 5, 100: 6}[limit]; rounds != want {
			t.Errorf("limit %d: full after %d rounds, want %d", limit, rounds, want)
		}
	}
}

func TestOutcomes(t *testing.T) {
	type call struct {
		outcome  Outcome
		began    monotime.Time
		inFlight int
	}
	repeat := func(n int, c call) (calls []call) {
		for range n {
			calls = append(calls, c)
		}
		return calls
	}
	then := func(parts ...[]call) (all []call) {
		for _, p := range parts {
			all = append(all, p...)
		}
		return all
	}
	ok := call{Success, sec, 64}
	for _, tt := range []struct {
		name  string
		calls []call
		want  int
	}{
		{"opened", nil, 2},
		{"one more with each success", repeat(10, ok), 12},
		{"not while less than half is used", repeat(10, call{Success, sec, 0}), 2},
		{"halved by a refusal", then(repeat(10, ok), repeat(1, call{Refusal, sec, 64})), 6},
		{"once per round", then(repeat(10, ok), repeat(5, call{Refusal, sec, 64})), 6},
		{"by a call that began after the cut, once more", then(repeat(10, ok), repeat(1, call{Refusal, sec, 64}), repeat(1, call{Refusal, 11 * sec, 64})), 3},
		{"by one that began before it opened, not at all", then(repeat(10, ok), repeat(1, call{Refusal, -2, 64})), 12},
		{"never below one", then(repeat(1, call{Refusal, sec, 64}), repeat(1, call{Refusal, 11 * sec, 64}), repeat(1, call{Refusal, 12 * sec, 64})), 1},
		{"after a cut, not for less than a round", then(repeat(10, ok), repeat(1, call{Refusal, sec, 64}), repeat(5, ok)), 6},
		{"after a cut, one more per round", then(repeat(10, ok), repeat(1, call{Refusal, sec, 64}), repeat(6, ok)), 7},
		{"two timeouts do no harm", then(repeat(10, ok), repeat(2, call{Timeout, sec, 64})), 12},
		{"three in a round do", then(repeat(5, ok), repeat(3, call{Timeout, sec, 64})), 3},
		{"not among many", then(repeat(19, ok), repeat(3, call{Timeout, sec, 64})), 21},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var w Window
			w.Open(0, 64)
			for _, c := range tt.calls {
				w.Ended(c.outcome, c.began, 10*sec, c.inFlight)
			}
			if got := w.Size(64); got != tt.want {
				t.Errorf("Size = %d, want %d: %+v", got, tt.want, w)
			}
		})
	}
}

// TestSettlesAtWhatTheSourceBears plays 5,000 calls of a second each at a source that
// refuses what exceeds eight at a time.
func TestSettlesAtWhatTheSourceBears(t *testing.T) {
	var w Window
	w.Open(0, 64)
	served, refused, now := 0, 0, monotime.Time(0)
	for served < 5000 {
		n := w.Size(64)
		for i := range n {
			if i < 8 {
				w.Ended(Success, now, now+sec, n)
				served++
			} else {
				w.Ended(Refusal, now, now+sec, n)
				refused++
			}
		}
		now += sec
	}
	ideal := monotime.Time(5000/8) * sec
	if now > 2*ideal || refused > 250 {
		t.Errorf("served in %v, ideal %v, with %d refused; want twice the ideal and 250 refused at most", now, ideal, refused)
	}
}
