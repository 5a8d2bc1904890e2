package roomtoken

import (
	"sync/atomic"
	"time"

	"github.com/roomtoken/roomtoken/internal/monotime"
	"github.com/roomtoken/roomtoken/internal/queue"
)

// call is one call to the source, with what is said to the store before and after it. The
// engine's lock guards it, except for what run sets and nobody changes, for returned and
// ctx, and for refresh and what outcome points to, which are the worker's until the call
// ends.
type call struct {
	room    *room // Forget replaces it
	roomID  string
	number  uint64 // the first call of a Manager has 1; it is none while a room is only looked up
	refresh string // the refresh token: packed, until the worker calls the source with it
	ctx     callCtx
	began   monotime.Reading

	returned atomic.Bool    // the source has returned
	index    int32          // in engine.calls
	deadline queue.Position // in engine.deadlines, while the source has time

	refreshUntil monotime.PackedExpiry // its expiry
	recovered    int32                 // consecutive failures that it put an end to

	kind      CallKind
	as        role  // why it may begin
	phase     phase // changes; without a store it is running
	forCaller bool  // somebody waited when it began: it takes one of the callers' slots
	forced    bool  // the room's token was valid, but did not live long enough for a caller
	failing   bool  // its room was failing when it began: it is no witness
	sick      bool  // the same, and calls have not come back since
	chronic   bool  // its room has failed more than once, and calls have not come back since
	inLane    bool  // see breaker.Breaker
	unsure    bool  // whether the store has given lease is not known
	orphaned  bool  // its room was forgotten: it answers waiters and changes nothing else
	overdue   bool  // CallTimeout has passed
	retry     bool  // ResetBackoff came while it ran: if it fails, the next attempt is at once

	outcome  *outcome
	lease    *Lease   // that it has to end; nil: none
	waiters  *waiters // if it is orphaned: those who waited then; nil: nobody did
	result   *record  // the token that it got
	rejected []Secret // tokens that were invalidated while it ran
}

// maxRejected bounds how many invalidated tokens a call remembers. It is more than
// are ever issued for a room during one call.
const maxRejected = 1000

// took returns how long the call has run.
func (c *call) took(now monotime.Reading) time.Duration { return now.Mono.Sub(c.began.Mono) }

// refreshToken returns what the source is called with.
func (c *call) refreshToken() Token {
	return Token{Value: c.refreshSecret(), ExpiresAt: c.refreshUntil.Time()}
}

// refreshSecret returns the refresh token that the source is called with; zero: there is
// none. The Secret points into the call and keeps it alive.
func (c *call) refreshSecret() Secret { return secretIn(&c.refresh) }
