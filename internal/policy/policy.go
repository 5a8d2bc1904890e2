// Package policy decides when a token is renewed, with which call, and how long
// to wait after a failure. Everything in it is a pure function of its arguments,
// but for the draws that Backoff makes.
package policy

import (
	"time"

	"github.com/cenkalti/backoff/v4"
)

// Renewal says when tokens are renewed.
type Renewal struct {
	After       float64       // the fraction of the lifetime after which a token is renewed
	Jitter      float64       // the fraction of the lifetime by which that comes earlier, at most
	MinValidity time.Duration // the least time a usable token has left
}

// Margin returns the time before its expiry from which a token is no longer
// handed out: MinValidity, or a tenth of the lifetime where that is less.
func (r Renewal) Margin(lifetime time.Duration) time.Duration {
	return min(r.MinValidity, lifetime/10)
}

// At returns the age at which a token is renewed. draw is uniform in [0, 1) and
// made once per token, so that tokens issued together part; it only advances the
// renewal. Whether there is a refresh token plays no part: that decides which
// call is made, not when.
func (r Renewal) At(lifetime time.Duration, draw float64) time.Duration {
	return time.Duration(float64(lifetime) * (r.After - r.Jitter*draw))
}

// Call is one of the two calls of a source.
type Call uint8

// The calls of a source.
const (
	Create Call = iota + 1
	Refresh
)

// alternateFrom is the number of failures in a row from which create and refresh
// alternate: by then the one that fails may be the only one that does.
const alternateFrom = 3

// Which returns the call to make for a room after so many passing failures in a
// row. refreshable tells whether there is a refresh token that has neither
// lapsed nor been refused; without one it is always Create.
func Which(refreshable bool, failures int) Call {
	if !refreshable {
		return Create
	}
	if failures >= alternateFrom && (failures-alternateFrom)%2 == 0 {
		return Create
	}
	return Refresh
}

// Backoff says how long to wait after passing failures: Min after the first,
// twice as long after each further one. Each wait is drawn from its step's value
// to one and a half times that, and none is longer than Max: the last step is the
// one whose draws end there, so that rooms that fail for long stay spread.
type Backoff struct {
	Min, Max time.Duration
}

const (
	multiplier = 2
	// spread on either side of a step's middle: a step of 1 is drawn from 1 to
	// 1.5, that is 1.25 +- 20 %.
	spread = 0.2
)

// Wait draws the wait after so many failures in a row, at least one.
func (b Backoff) Wait(failures int) time.Duration {
	step, last := b.Min, max(b.Min, b.Max/3*2)
	for i := 1; i < failures && step < last; i++ {
		step = min(last, step*multiplier)
	}
	// The generator keeps a state per source of failures; a room only counts
	// them, so each draw starts a generator at the step where the count says.
	g := backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(time.Duration(float64(step)/(1-spread))),
		backoff.WithMaxInterval(b.Max),
		backoff.WithMultiplier(multiplier),
		backoff.WithRandomizationFactor(spread),
		backoff.WithMaxElapsedTime(0), // never Stop
	)
	return min(max(g.NextBackOff(), b.Min), b.Max)
}

// The steps after a permanent failure. They are long because the same call is
// not expected to help, and end because somebody may mend what is wrong.
const (
	permanentMin = 10 * time.Second
	permanentMax = 5 * time.Minute
)

// PermanentWait returns the wait after so many permanent failures in a row, at
// least one: 10 s, doubling up to 5 min.
func PermanentWait(failures int) time.Duration {
	wait := permanentMin
	for range min(failures-1, 10) {
		wait *= 2
	}
	return min(wait, permanentMax)
}
