package roomtoken

import (
	"sort"
	"sync/atomic"
	"time"
)

// Stats describes a [Manager] as a whole to an operator. The counters count from
// NewManager on.
type Stats struct {
	Rooms  int                // in memory
	States [RoomStuck + 1]int // rooms by RoomState; they add up to Rooms

	Misses uint64 // calls of Token and its kin that found no token to hand out at once

	Creates         uint64 // calls begun
	CreateFailures  uint64 // calls that ended without a token, unusable grants included
	Refreshes       uint64 // calls begun
	RefreshFailures uint64 // calls that ended without a token, refused refresh tokens included
	Fallbacks       uint64 // creates that took the place of a refresh

	Invalidations uint64 // tokens that Invalidate dropped
	Evictions     uint64 // rooms dropped because they were idle or MaxRooms was reached

	// How long calls took that ended. The counts of failures are CreateFailures and
	// RefreshFailures.
	CreateTimes, CreateFailureTimes, RefreshTimes, RefreshFailureTimes Histogram

	// Waits is how long Token and TokenValidFor took where they found no token at once,
	// whatever the result. Calls of Warm are not counted.
	Waits        Histogram
	WaitFailures uint64 // those of them that ended without a token

	// Slack is, at each publication of a token, for how long the token before would still
	// have been handed out. It is not counted where that token was invalidated or
	// forgotten, nor where its renewal was skipped because the room was idle.
	Slack  Histogram
	Lapses uint64 // publications with no slack: a room in use was without a token in between

	Waiters  int // callers who wait for a token
	Watchers int // watches in progress

	LastError     error     // of the call that failed last; nil: none has
	LastErrorAt   time.Time // when that was
	LastSuccessAt time.Time // when a call got a token last; zero: none has

	CallsInFlight int // calls to the source that have not returned
	CallsOverdue  int // those of them whose CallTimeout has passed
	CallsQueued   int // calls that wait for a slot or the end of a hold

	// HeldUntil is the end of a rate limit, or of the wait before the next probe. Before
	// it no call begins, but for rooms that have not failed while there is no rate limit.
	// Zero: nothing is held.
	HeldUntil time.Time
	// RateLimited reports whether a rate limit is in force.
	RateLimited bool
	// Probing reports whether one call at a time tests if the source is up or the
	// credential is accepted, or if a rate limit is over.
	Probing bool
	// Window is how many calls may be in flight now: MaxConcurrentCalls, or less while
	// calls come back after an outage or a rate limit.
	Window int

	// The counters of Config.Store; all zero without one.
	StoreCalls    uint64 // calls of the Store's methods begun
	StoreFailures uint64 // those that failed or were given up at StoreTimeout
	Adopted       uint64 // tokens that another process got
	LeasesLost    uint64 // tokens of this process that the Store refused because its lease had passed to another
	StoreDown     bool   // the Store does not answer: this process is on its own

	EventsDropped  uint64 // because OnEvent or Logger was too slow
	ObserverPanics uint64 // contained
}

// waitTimes counts waits without the engine's lock: ten thousand callers who are served
// at once must not queue for it again.
type waitTimes struct {
	buckets  [len(histogramBounds) + 1]atomic.Uint64 // the last one: beyond all bounds
	sum      atomic.Int64
	failures atomic.Uint64
}

// observe counts a wait.
func (w *waitTimes) observe(d time.Duration, err error) {
	i := sort.Search(len(histogramBounds), func(i int) bool { return d <= histogramBounds[i] })
	w.buckets[i].Add(1)
	w.sum.Add(int64(d))
	if err != nil {
		w.failures.Add(1)
	}
}

// histogram returns what was counted so far.
func (w *waitTimes) histogram() (h Histogram) {
	for i := range w.buckets {
		n := w.buckets[i].Load()
		h.Count += n
		if i < len(h.Buckets) {
			h.Buckets[i] = n
		}
	}
	h.Sum = time.Duration(w.sum.Load())
	return h
}
