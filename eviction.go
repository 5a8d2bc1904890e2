package roomtoken

import (
	"fmt"
	"runtime"

	"github.com/roomtoken/roomtoken/internal/monotime"
)

// admit returns the room, created if need be, and the time by then. It returns
// ErrTooManyRooms if there is no space, and ErrClosed.
//
// It may release the lock and take it again: with a hundred thousand rooms that were
// all used since they were ranked, finding the one to evict takes ten milliseconds.
func (e *engine) admit(roomID string) (*room, monotime.Reading, error) {
	e.mu.assertHeld()
	for {
		now := e.clock.Now()
		if e.closed {
			return nil, now, ErrClosed
		}
		r := e.lookUp(roomID)
		if r != nil && r.life == alive {
			return r, now, nil
		}
		done, err := e.makeSpace(now)
		if err != nil {
			return nil, now, &Error{RoomID: roomID, Err: fmt.Errorf("%w: each of %d (MaxRooms) is watched, waited for, or has a call in flight",
				err, e.config.MaxRooms)}
		}
		if done {
			if r == nil {
				r = newRoom(roomID, now)
				e.cache.put(r.rec)
				e.memo.restore(r, roomID)
			}
			r.life = alive
			if e.rooms++; e.rooms == 1 {
				e.wakeScheduler() // it has slept without a look at the clock
			}
			return r, now, nil
		}
		e.mu.Unlock()
		runtime.Gosched()
		e.mu.Lock()
	}
}

// makeSpace evicts rooms until there is space for one more. It returns
// ErrTooManyRooms if no room can be evicted, and done false if the lock should be
// released first.
func (e *engine) makeSpace(now monotime.Reading) (done bool, err error) {
	for looks := 0; e.config.MaxRooms >= 0 && e.rooms >= e.config.MaxRooms; looks++ {
		if r := e.lapsed(now); r != nil {
			e.evict(r, ReasonMaxRooms, now)
			continue
		}
		r, key, ok := e.recency.Min()
		if !ok {
			return false, ErrTooManyRooms
		}
		// Hits do not move a room; it is moved when its turn comes. If all are hit faster
		// than they can be ranked, the first one is evicted.
		if actual := e.rankOf(r, now); actual != key && e.reranked < 2*e.rooms {
			e.recency.Set(r, actual)
			e.reranked++
			if looks >= batch {
				return false, nil
			}
			continue
		}
		e.reranked = 0
		e.evict(r, ReasonMaxRooms, now)
	}
	return true, nil
}

// lapsed returns a room whose token has run out while its renewal stood in line, nil if
// there is none: such a room is not ranked anew.
func (e *engine) lapsed(now monotime.Reading) *room {
	for _, q := range []queueID{renewalQueue, sickRenewalQueue} {
		r, gone, ok := e.queues[q].Min()
		if ok && !gone.After(now.Mono) && r.recency.Queued() && !e.valid(r.rec, now, 0) {
			return r
		}
	}
	return nil
}

// evict drops the room for a reason of the Manager's own.
func (e *engine) evict(r *room, reason string, now monotime.Reading) {
	e.memo.keep(r, now.Mono)
	e.stats.Evictions++
	e.report(Event{Kind: EventRoomEvicted, RoomID: r.rec.roomID(), Reason: reason})
	e.drop(r)
}

// drop takes the room out of memory. Those who wait for it start over.
func (e *engine) drop(r *room) {
	e.mu.assertHeld()
	if r.life == alive {
		e.rooms--
	}
	if r.state != 0 {
		e.states[r.state]--
		r.state = 0
	}
	r.life = dropped
	e.move(r, noQueue, 0)
	e.recency.Remove(r)
	e.cache.remove(r.rec)
	e.forgetShare(r)
	r.dropRefresh() // a Token in somebody's hands keeps the room alive, see record.secret
	if d := r.demand(); d != nil {
		e.lane.Remove(d)
		e.release(d, nil, nil)
	}
}

// replace makes rec the room's record in the cache.
func (e *engine) replace(r *room, rec *record) {
	e.mu.assertHeld()
	old := r.rec
	r.rec = rec
	e.cache.put(rec)
	// A hit may have found the old one meanwhile.
	if last := old.lastUsed.Load() &^ dormantMark; laterTick(last, rec.lastUsed.Load()) {
		rec.lastUsed.Store(last)
	}
}

// rankOf returns the room's rank now.
func (e *engine) rankOf(r *room, now monotime.Reading) rank {
	key := rank(r.lastUsed(now))
	if e.valid(r.rec, now, 0) {
		key += hasToken
	}
	return key
}

// rerank puts the room in its place among those that can be evicted. A room that is
// watched, waited for, or in a call is not among them.
func (e *engine) rerank(r *room, now monotime.Reading) {
	switch {
	case e.config.MaxRooms < 0:
	case r.life == dropped || r.call() != nil || r.demand() != nil:
		e.recency.Remove(r)
	default:
		e.recency.Set(r, e.rankOf(r, now))
	}
}
