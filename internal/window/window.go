// Package window bounds the calls in flight to a source that comes back from an
// outage or a rate limit: slow start, then additive increase and multiplicative
// decrease, as in TCP. It compares no latencies and waits for no number of samples, so
// it works with one call at a time that takes ten seconds. It keeps no lock; time is an
// argument.
package window

import "github.com/roomtoken/roomtoken/internal/monotime"

// start is the size of a window that opens.
const start = 2

// A round in which calls time out is judged after at least minRound calls, and cut if
// at least minTimeouts of them and more than 3 in 10 timed out.
const (
	minRound    = 10
	minTimeouts = 3
)

// Window bounds the calls in flight. The zero Window is full: it bounds nothing.
type Window struct {
	size   int // 0: full
	max    int
	slow   bool          // it was cut: it grows by one per round, not by one per success
	grown  int           // successes since it grew, if slow
	cutAt  monotime.Time // a call that began before does not cut it again
	calls  int           // that ended in this round
	missed int           // those of them that timed out
}

// Outcome is how a call ended, as far as it says anything about the source's load.
type Outcome uint8

// The outcomes of a call. Failures of rooms that keep failing are not noted: they say
// nothing of the source's load.
const (
	Success Outcome = iota
	Timeout         // there was no answer in time
	Refusal         // any other transient failure, or a rate limit
)

// Open opens the window anew: two calls at a time. Beyond limit calls it is full.
func (w *Window) Open(now monotime.Time, limit int) {
	*w = Window{size: start, max: limit, cutAt: now - 1}
	w.fill()
}

// Full reports whether the window bounds nothing.
func (w *Window) Full() bool { return w.size == 0 }

// Size returns how many calls the window allows in flight, limit if it is full.
func (w *Window) Size(limit int) int {
	if w.Full() {
		return limit
	}
	return min(w.size, limit)
}

// Ended notes the end of a call that began at that time, with inFlight calls in
// flight, this one included.
func (w *Window) Ended(o Outcome, began, now monotime.Time, inFlight int) {
	if w.Full() {
		return
	}
	w.calls++
	switch o {
	case Success:
		w.grow(inFlight)
	case Timeout:
		w.missed++
		if w.missed >= minTimeouts && 10*w.missed > 3*w.calls {
			w.cut(began, now)
		}
	case Refusal:
		w.cut(began, now)
	}
	if w.calls >= max(w.size, minRound) {
		w.calls, w.missed = 0, 0
	}
}

// grow makes the window larger after a success, if at least half of it is used.
func (w *Window) grow(inFlight int) {
	if 2*inFlight < w.size {
		return
	}
	if w.slow {
		if w.grown++; w.grown < w.size {
			return
		}
		w.grown = 0
	}
	w.size++
	w.fill()
}

// fill makes the window full if it has reached its limit.
func (w *Window) fill() {
	if w.size >= w.max {
		*w = Window{}
	}
}

// cut halves the window, once per round.
func (w *Window) cut(began, now monotime.Time) {
	if !began.After(w.cutAt) {
		return
	}
	w.size = max(w.size/2, 1)
	w.slow, w.grown, w.cutAt = true, 0, now
	w.calls, w.missed = 0, 0
}
