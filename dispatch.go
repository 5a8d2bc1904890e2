package roomtoken

import "github.com/roomtoken/roomtoken/internal/monotime"

// dispatch begins calls while there are rooms that may have one and free slots.
func (e *engine) dispatch(now monotime.Reading) {
	e.mu.assertHeld()
	skipped := 0
	for len(e.calls) < e.config.MaxConcurrentCalls && e.account.admits(now.Mono) && !e.closed {
		r, forCaller := e.nextReady()
		if r == nil {
			return
		}
		if !forCaller && e.idle(r, now) { // nobody has asked for it while it stood in line
			if skipped++; skipped > batch {
				e.wakeScheduler()
				return
			}
			e.plan(r, now)
			continue
		}
		e.move(r, noQueue, 0)
		e.begin(r, forCaller)
		e.rerank(r, now)
	}
}

// nextReady returns the room that gets the next slot, nil if none may have it: the
// one for which somebody waits, or will wait, first. A quarter of the slots is kept
// for renewals, so that a rush of cold rooms does not let warm ones expire.
func (e *engine) nextReady() (r *room, forCaller bool) {
	if e.account.guarded {
		if r := e.nextProbe(); r != nil {
			return r, r.queue != renewalQueue
		}
	}
	caller, since, waiting := e.queues[callerQueue].Min()
	if !waiting {
		caller, since, waiting = e.queues[warmQueue].Min()
	}
	renewal, latest, due := e.queues[renewalQueue].Min()
	switch {
	case waiting && e.callersMayBegin() && (!due || !since.After(latest)):
		return caller, true
	case due:
		return renewal, false
	default:
		return nil, false
	}
}

// callersMayBegin reports whether a slot is free that is not kept for renewals.
func (e *engine) callersMayBegin() bool {
	return e.callerCalls < e.config.MaxConcurrentCalls-e.config.MaxConcurrentCalls/4
}

// nextProbe returns the room whose call says most about the source, if one is found
// soon: a room that has had a token, or was never tried, and has not failed. Rooms
// that fail for reasons of their own would keep the account guarded.
func (e *engine) nextProbe() *room {
	var untried *room
	for _, id := range []queueID{renewalQueue, callerQueue, warmQueue} {
		if id != renewalQueue && !e.callersMayBegin() {
			continue
		}
		looks := batch
		for r := range e.queues[id].All {
			switch {
			case r.transientFailures() > 0:
			case r.lifetime > 0:
				return r
			case untried == nil:
				untried = r
			}
			if looks--; looks == 0 {
				break
			}
		}
	}
	return untried
}
