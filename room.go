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

	refresh      string                // the refresh token, packed; "": none, or none that is accepted
	refreshUntil monotime.PackedExpiry // its expiry

	generation uint32        // tokens published
	lifetime   time.Duration // of the newest token; 0: there has been none
	renewLeft  time.Duration // the token is due for renewal when it has this much left

	activity *activity // nil: the room is at rest
	longID   *string   // the ID, if it does not fit into a record; constant

	queue    queueID // the queue it stands in
	life     lifeState
	state    RoomState // as it is counted in engine.states; 0: not counted
	flags    roomFlags
	position queue.Position // in queue
}

// roomFlags are small facts about a room.
type roomFlags uint8

const (
	// flagShrunk: the newest token came from a refresh and lives shorter than the one
	// before.
	flagShrunk roomFlags = 1 << iota
	// flagSkipped: the renewal of the newest token was skipped because nobody asked.
	flagSkipped
	// flagEvictable: the room can be evicted if another needs the space.
	flagEvictable
)

// set sets or clears a flag.
func (f *roomFlags) set(flag roomFlags, on bool) {
	if on {
		*f |= flag
	} else {
		*f &^= flag
	}
}

// lifeState says whether a room is in memory.
type lifeState uint8

const (
	alive    lifeState = iota
	orphaned           // forgotten, and kept only while its call is in flight
	dropped            // no longer in the cache
)

// queueID names the queue that a room stands in.
type queueID uint8

const (
	noQueue          queueID = iota // a call is in flight, or nothing is to be done
	timerQueue                      // key: when something is to be done
	callerQueue                     // its call may begin and somebody waits; key: since when
	renewalQueue                    // its call may begin; key: when somebody would have to wait
	sickCallerQueue                 // callerQueue, of rooms that fail
	sickRenewalQueue                // renewalQueue, of rooms that fail
	queueCount
)

// behind is added to the keys of rooms that stand behind all others in callerQueue and
// renewalQueue: nobody waits for them any more, or nobody who could be served in time.
const behind = time.Duration(monotime.Never)

// sick returns the queue for the same call of a room that fails.
func (q queueID) sick() queueID { return q + sickCallerQueue - callerQueue }

// newRoom returns a room that has just been asked for.
func newRoom(roomID string, now monotime.Reading) *room {
	r := &room{}
	r.rec = newRecord(r, roomID)
	r.use(now)
	return r
}

// transientFailures returns the number of consecutive transient failures.
func (r *room) transientFailures() int {
	if f := r.failure(); f != nil {
		return f.transient
	}
	return 0
}

// failures returns the room's memory of failures, created if need be.
func (r *room) failures() *failureState {
	a := r.active()
	if a.failure == nil {
		a.failure = &failureState{}
	}
	return a.failure
}

// pending returns the token that waits to be handed out, nil if there is none.
func (r *room) pending() *grantRecord {
	if f := r.failure(); f != nil {
		return f.pending
	}
	return nil
}

// wakeWatches makes all watches of the room look at it again.
func (r *room) wakeWatches() {
	if d := r.demand(); d != nil {
		d.watches.wake()
	}
}

// want returns the room's demand, created if need be.
func (r *room) want() *demand {
	a := r.active()
	if a.demand == nil {
		a.demand = &demand{room: r}
	}
	return a.demand
}

// waiters returns the callers who wait for the room, nil if nobody does.
func (r *room) waiters() *waiters {
	if d := r.demand(); d != nil {
		return d.waiters
	}
	return nil
}

// wanted reports whether somebody waits for a call. valid: the room has a valid
// token.
func (r *room) wanted(valid bool) bool {
	d := r.demand()
	return d != nil && (d.waiters != nil && d.waiters.forced > 0 || !valid && !d.empty())
}

// refreshSecret returns the room's refresh token; zero: there is none.
func (e *engine) refreshSecret(r *room) Secret { return NewSecret(e.packer.Unpack(r.refresh)) }

// refreshExpiresAt returns when the refresh token expires; zero: there is none, or that
// is unknown.
func (r *room) refreshExpiresAt() time.Time {
	if r.refresh == "" {
		return time.Time{}
	}
	return r.refreshUntil.Time()
}

// dropRefresh drops the refresh token.
func (r *room) dropRefresh() {
	r.refresh, r.refreshUntil = "", monotime.PackedExpiry{}
}

// dropSecrets drops everything that is or holds a credential, except for the token.
func (r *room) dropSecrets() {
	r.dropRefresh()
	r.activity = nil
}

// lastUsed returns when the room was last asked for, in whole ticks. Ticks wrap around
// after 36 years; their distance from now does not.
func (r *room) lastUsed(now monotime.Reading) monotime.Time {
	age := (tick(now) - r.rec.lastUsed.Load()) &^ dormantMark
	if age > 1<<30 { // it was asked for a moment after now was read
		age = 0
	}
	return (now.Mono>>tickBits - monotime.Time(age)) << tickBits
}

// use notes that the room is asked for.
func (r *room) use(now monotime.Reading) { r.rec.lastUsed.Store(tick(now)) }

// dormant reports whether the room's renewal was skipped because the room is idle.
// The next hit starts it.
func (r *room) dormant() bool { return r.rec.lastUsed.Load()&dormantMark != 0 }
