package roomtoken

import "time"

// Stats describes a [Manager] as a whole to an operator. The counters count from
// NewManager on.
type Stats struct {
	Rooms int // in memory

	Misses uint64 // calls of Token and its kin that found no token to hand out at once

	Creates         uint64 // calls begun
	CreateFailures  uint64 // calls that ended without a token, unusable grants included
	Refreshes       uint64 // calls begun
	RefreshFailures uint64 // calls that ended without a token, refused refresh tokens included
	Fallbacks       uint64 // creates that took the place of a refresh

	Invalidations uint64 // tokens that Invalidate dropped
	Evictions     uint64 // rooms dropped because they were idle or MaxRooms was reached

	CallsInFlight int // calls to the source that have not returned
	CallsOverdue  int // those of them whose CallTimeout has passed
	CallsQueued   int // calls that wait for a slot or the end of a hold

	// HeldUntil is the end of a rate limit or of a probe's backoff, before which no
	// call begins. Zero: nothing is held.
	HeldUntil time.Time
	// RateLimited reports whether HeldUntil comes from a rate limit.
	RateLimited bool
	// Probing reports whether one call at a time tests if the source is up, because
	// many rooms in a row have failed or a hold has ended.
	Probing bool

	EventsDropped  uint64 // because OnEvent or Logger was too slow
	ObserverPanics uint64 // contained
}
