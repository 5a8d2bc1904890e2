package roomtoken

import (
	"time"

	"github.com/roomtoken/roomtoken/internal/monotime"
	"github.com/roomtoken/roomtoken/internal/queue"
)

// room is the state of one room. The engine's lock guards all of it.
//
// A room lives from the first time it is asked for until it is dropped: by Forget,
// by eviction, by Close. While one of its calls is in flight, a room with its ID
// stays in the cache whatever happens, so that there is at most one room per ID,
// and so at most one call.
type room struct {
	rec *record // its entry in the cache; only engine.replace changes it

	refresh     Secret        // the refresh token; zero: none, or none that is accepted
	refreshMono monotime.Time // its expiry on the monotonic clock; Never: unknown
	refreshSec  int64         // its expiry in Unix time, see also refreshNsec
	lifetime    time.Duration // of the newest token; 0: there has been none
	renewLeft   time.Duration // the token is due for renewal when it has this much left

	nextAttempt monotime.Time // no call begins before
	longID      *string       // the ID, if it does not fit into a record; constant
	call        *call         // in flight; nil: none
	demand      *demand       // who wants its token; nil: nobody
	failure     *failureState // what went wrong since the last good token; nil: nothing

	generation  uint32 // tokens published
	refreshNsec uint32
	queue       queueID        // the queue it stands in
	orphaned    bool           // forgotten, and kept only while its call is in flight
	dropped     bool           // no longer in the cache
	position    queue.Position // in queue
	recency     queue.Position // in engine.recency
}

// queueID names the queue that a room stands in.
type queueID uint8

const (
	noQueue      queueID = iota // a call is in flight, or nothing is to be done
	timerQueue                  // key: when something is to be done
	callerQueue                 // its call may begin and somebody waits; key: since when
	warmQueue                   // the same, where only Warm waits
	renewalQueue                // its call may begin; key: when somebody would have to wait
	queueCount
)

// rank orders the rooms that can be evicted, least first: when the room was last
// used, and for rooms with a valid token hasToken more.
type rank int64

const hasToken = rank(monotime.Never)

// newRoom returns a room that has just been asked for.
func newRoom(roomID string, now monotime.Reading) *room {
	r := &room{}
	r.rec = newRecord(r, roomID)
	r.use(now)
	return r
}

// transientFailures returns the number of consecutive transient failures.
func (r *room) transientFailures() int {
	if r.failure == nil {
		return 0
	}
	return r.failure.transient
}

// failures returns the room's memory of failures, created if need be.
func (r *room) failures() *failureState {
	if r.failure == nil {
		r.failure = &failureState{}
	}
	return r.failure
}

// failedPermanently reports whether callers are answered with a permanent failure.
func (r *room) failedPermanently(now monotime.Reading) bool {
	return r.failure != nil && r.failure.permanent > 0 && now.Mono.Before(r.nextAttempt)
}

// wake makes all who wait for the room or watch it look at it again.
func (r *room) wake() {
	if r.demand != nil {
		r.demand.wake()
	}
}

// wakeWatches makes all watches of the room look at it again.
func (r *room) wakeWatches() {
	if r.demand != nil {
		r.demand.changed.send()
	}
}

// want returns the room's demand, created if need be.
func (r *room) want() *demand {
	if r.demand == nil {
		r.demand = &demand{room: r}
	}
	return r.demand
}

// waiters returns the callers who wait for the room, nil if nobody does.
func (r *room) waiters() *waiters {
	if r.demand == nil {
		return nil
	}
	return r.demand.waiters
}

// wanted reports whether somebody waits for a call. valid: the room has a valid
// token.
func (r *room) wanted(valid bool) bool {
	d := r.demand
	return d != nil && (d.waiters != nil && d.waiters.forced > 0 || !valid && !d.empty())
}

// line returns the queue for rooms that somebody waits for: warmQueue if that is only
// Warm and the room is new, so that a million rooms that are warmed do not keep a
// caller waiting.
func (r *room) line() queueID {
	d := r.demand
	warming := d.watchers == 0 && d.waiters != nil && d.waiters.warming == d.waiters.count
	if warming && r.lifetime == 0 && r.queue != callerQueue {
		return warmQueue
	}
	return callerQueue
}

// refreshExpiry returns the refresh token's expiry on both clocks.
func (r *room) refreshExpiry() monotime.Expiry {
	return monotime.Expiry{Mono: r.refreshMono, Sec: r.refreshSec, Nsec: r.refreshNsec}
}

// refreshToken returns the refresh token as the source gave it.
func (r *room) refreshToken() Token {
	t := Token{Value: r.refresh}
	if r.refreshMono != monotime.Never && !t.IsZero() {
		t.ExpiresAt = time.Unix(r.refreshSec, int64(r.refreshNsec)).UTC()
	}
	return t
}

// dropRefresh drops the refresh token.
func (r *room) dropRefresh() {
	r.refresh, r.refreshMono, r.refreshSec, r.refreshNsec = Secret{}, 0, 0, 0
}

// dropSecrets drops everything that is or holds a credential, except for the token.
func (r *room) dropSecrets() {
	r.dropRefresh()
	r.failure = nil
	r.demand = nil
}

// lastUsed returns when the room was last asked for, in whole ticks.
func (r *room) lastUsed() monotime.Time {
	return monotime.Time(r.rec.lastUsed.Load()&^dormantMark) << tickBits
}

// use notes that the room is asked for.
func (r *room) use(now monotime.Reading) { r.rec.lastUsed.Store(tick(now)) }

// dormant reports whether the room's renewal was skipped because the room is idle.
// The next hit starts it.
func (r *room) dormant() bool { return r.rec.lastUsed.Load()&dormantMark != 0 }
