package roomtoken

import (
	"sync"

	"github.com/roomtoken/roomtoken/internal/monotime"
	"github.com/roomtoken/roomtoken/internal/queue"
)

// activity is what a room has only while something goes on: a call is in flight,
// somebody wants its token, something has failed, or the next call has to wait; also if
// it has no token and can be evicted. A room at rest has none.
type activity struct {
	call        *call          // in flight; nil: none
	demand      *demand        // who wants the token; nil: nobody
	failure     *failureState  // what went wrong since the last good token; nil: nothing
	nextAttempt monotime.Time  // no call begins before
	tokenless   queue.Position // in engine.tokenless
}

// activities keeps those of rooms that have come to rest, so that a renewal allocates
// none.
var activities = sync.Pool{New: func() any { return new(activity) }}

// active returns the room's activity, created if need be. It must not be kept.
func (r *room) active() *activity {
	if r.activity == nil {
		r.activity, _ = activities.Get().(*activity)
	}
	return r.activity
}

// rest drops the room's activity if nothing goes on any more.
func (r *room) rest() {
	if a := r.activity; a != nil && *a == (activity{}) {
		r.activity = nil
		activities.Put(a)
	}
}

// The accessors below read zeros from a room at rest. To set a zero creates nothing.

func (r *room) call() *call {
	if r.activity == nil {
		return nil
	}
	return r.activity.call
}

func (r *room) demand() *demand {
	if r.activity == nil {
		return nil
	}
	return r.activity.demand
}

func (r *room) failure() *failureState {
	if r.activity == nil {
		return nil
	}
	return r.activity.failure
}

func (r *room) nextAttempt() monotime.Time {
	if r.activity == nil {
		return 0
	}
	return r.activity.nextAttempt
}

func (r *room) setCall(c *call) {
	if c != nil || r.activity != nil {
		r.active().call = c
	}
}

func (r *room) setDemand(d *demand) {
	if d != nil || r.activity != nil {
		r.active().demand = d
	}
}

func (r *room) setFailure(f *failureState) {
	if f != nil || r.activity != nil {
		r.active().failure = f
	}
}

func (r *room) setNextAttempt(t monotime.Time) {
	if t != 0 || r.activity != nil {
		r.active().nextAttempt = t
	}
}
