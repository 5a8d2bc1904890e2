// Package policy decides when a token is renewed, with which call, and how long
// to wait after a failure. Everything in it is a pure function of its arguments,
// except for the random draws of [Backoff.Wait].
package policy

import (
	"time"

	"github.com/cenkalti/backoff/v4"
)

// Renewal configures when tokens are renewed.
type Renewal struct {
	After       float64       // fraction of the lifetime after which a token is renewed
	Jitter      float64       // fraction of the lifetime by which a renewal is advanced, at most
	MinValidity time.Duration // the least time a usable token has left
	Explicit    bool          // the user has set MinValidity
}

// Margin returns how long before its expiry a token stops being handed out:
// MinValidity, or a part of the lifetime where that is less: half of it for a
// MinValidity that the user has set, a tenth for the default.
func (r Renewal) Margin(lifetime time.Duration) time.Duration {
	if r.Explicit {
		return min(r.MinValidity, lifetime/2)
	}
	return min(r.MinValidity, lifetime/10)
}

// Age returns the age at which a token is renewed. draw is uniform in [0, 1) and
// drawn once per token, so that tokens issued together are renewed apart; it only
// advances the renewal. need is the longest validity that callers have asked for: up to
// half of the lifetime it moves the renewal ahead, so that none of them has to wait. The
// refresh token plays no part here: it decides which call is made, not when.
func (r Renewal) Age(lifetime, need time.Duration, draw float64) time.Duration {
	age := time.Duration(float64(lifetime) * (r.After - r.Jitter*draw))
	if margin := r.Margin(lifetime); r.Explicit || need > margin {
		floor := max(margin, min(need, lifetime/2))
		lead := time.Duration(float64(lifetime) * (lead + r.Jitter*draw/2))
		age = min(age, max(lifetime-floor-lead, 0))
	}
	return age
}

// lead is the fraction of the lifetime by which a renewal comes before the time at which
// callers would have to wait.
const lead = 1.0 / 20

// alternateFrom is the number of consecutive failures from which create and
// refresh alternate: by then the call that fails may be the only one that does.
const alternateFrom = 3

// Refreshes reports whether a room's next call, after so many consecutive
// transient failures, is a refresh; otherwise it is a create. refreshable:
// the room has a refresh token that has neither lapsed nor been refused.
func Refreshes(refreshable bool, failures int) bool {
	return refreshable && (failures < alternateFrom || (failures-alternateFrom)%2 != 0)
}

// Backoff configures the waits after transient failures: Min after the first,
// doubled after each further one. Each wait is drawn from its step to 1.5 times
// its step and never exceeds Max: the last step is the one whose draws end at
// Max, so that rooms that fail for long stay spread.
type Backoff struct {
	Min, Max time.Duration
}

const (
	multiplier = 2
	// spread on either side of a step's middle: a step of 1 is drawn from 1 to
	// 1.5, that is 1.25 +- 20 %.
	spread = 0.2
)

// Wait draws the wait after so many consecutive failures, at least one.
func (b Backoff) Wait(failures int) time.Duration {
	step, last := b.Min, max(b.Min, b.Max/3*2)
	for i := 1; i < failures && step < last; i++ {
		step = min(last, step*multiplier)
	}
	// The generator keeps its state per sequence of failures, whereas a room only
	// counts them. So each draw starts a generator at the step of the count.
	g := backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(time.Duration(float64(step)/(1-spread))),
		backoff.WithMaxInterval(b.Max),
		backoff.WithMultiplier(multiplier),
		backoff.WithRandomizationFactor(spread),
		backoff.WithMaxElapsedTime(0), // never Stop
	)
	return min(max(g.NextBackOff(), b.Min), b.Max)
}

// Permanent is the backoff of a room after permanent failures: short at first because a
// room that was just made may be unknown for a moment, and bounded because somebody may
// fix the cause.
var Permanent = Backoff{Min: time.Second, Max: 5 * time.Minute}

// Credential is the backoff after the source has refused the credential.
var Credential = Backoff{Min: time.Second, Max: time.Minute}
