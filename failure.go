package roomtoken

import (
	"time"

	"github.com/roomtoken/roomtoken/internal/monotime"
)

// failureState is a room's memory of failures since its last good token. It is
// kept apart from the room because most rooms have none.
type failureState struct {
	transient int  // consecutive transient failures
	permanent int  // consecutive permanent failures
	refusals  int  // consecutive tokens that were invalidated before their renewal was due
	learned   bool // the refusals are another process's; the room may have an older token

	lastCall  CallKind // the call that failed last
	lastErr   error    // its error; nil: only refusals so far
	lastCause string   // the cause of lastErr, see causeOf

	since  monotime.Time // the first failure
	at     monotime.Time // the last failure
	asked  monotime.Time // the end of the wait that the server asked for at the last permanent failure
	own    bool          // the permanent failure is the room's own, whatever the credential
	mended uint64        // the breaker's count at the last permanent failure

	refused      Secret        // the token that was invalidated last
	replaceAfter monotime.Time // while nobody asks, it is not replaced before
	handOutAge   time.Duration // its replacement is not handed out younger than this
	pending      *grantRecord  // the replacement that waits for that age
	handOutAfter monotime.Time // when pending has it
}

// note keeps the error of a call that failed.
func (f *failureState) note(c *call, o *outcome) {
	f.lastCall, f.lastErr, f.lastCause = c.kind, o.err, o.cause
}

// count counts a failure.
func (f *failureState) count(c *call, o *outcome, now monotime.Time) {
	if f.total() == 0 {
		f.since = now
	}
	f.at = now
	f.note(c, o)
	if o.verdict == permanent {
		f.permanent++
		f.transient = 0
	} else {
		f.transient++
		f.permanent = 0
	}
}

// total returns the number of consecutive failures of either kind, and 0 without a
// memory of failures.
func (f *failureState) total() int {
	if f == nil {
		return 0
	}
	return f.transient + f.permanent
}

// refusalsOnly returns the memory of the tokens that were refused.
func (f *failureState) refusalsOnly() *failureState {
	return &failureState{refusals: f.refusals, refused: f.refused, handOutAge: f.handOutAge}
}

// hasFailed reports whether a call has failed, rather than a token been refused.
func (f *failureState) hasFailed() bool { return f != nil && f.lastErr != nil }

// grantRecord is a grant that was found usable.
type grantRecord struct {
	rec       *record
	lifetime  time.Duration // of the token
	renewLeft time.Duration // see room
	number    uint64        // of the call that got it; 0: it came from the store
}
