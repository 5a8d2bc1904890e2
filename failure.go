package roomtoken

import "github.com/roomtoken/roomtoken/internal/monotime"

// failureState is a room's memory of failures since its last good token. It is
// kept apart from the room because most rooms have none.
type failureState struct {
	transient int // consecutive transient failures
	permanent int // consecutive permanent failures
	refusals  int // consecutive tokens that were invalidated before their renewal was due

	lastCall CallKind // the call that failed last
	lastErr  error    // its error; nil: only refusals so far
	lastText string   // the text of lastErr, taken where a panic in Error is contained

	refused      Secret        // the token that was invalidated last
	replaceAfter monotime.Time // while nobody asks, it is not replaced before
}

// note keeps the error of a call that failed.
func (f *failureState) note(c *call, o outcome) {
	f.lastCall, f.lastErr, f.lastText = c.kind, o.err, o.text
}

// total returns the number of consecutive failures of either kind, and 0 without a
// memory of failures.
func (f *failureState) total() int {
	if f == nil {
		return 0
	}
	return f.transient + f.permanent
}

// hasFailed reports whether a call has failed, rather than a token been refused.
func (f *failureState) hasFailed() bool { return f != nil && f.lastErr != nil }
