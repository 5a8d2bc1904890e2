package roomtoken

import (
	"fmt"
	"runtime"

	"github.com/roomtoken/roomtoken/internal/monotime"
)

// admit returns the room, created if need be, and the time by then. It returns
// ErrTooManyRooms if there is no space, and ErrClosed.
//
// It may release the lock and take it again: with a hundred thousand rooms of which
// hardly any can be evicted, finding one takes milliseconds.
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
	for e.config.MaxRooms >= 0 && e.rooms >= e.config.MaxRooms {
		if e.evictable == 0 {
			return false, ErrTooManyRooms
		}
		r := e.lapsed(now)
		if r == nil {
			r = e.leastRecentTokenless(now)
		}
		if r == nil {
			r = e.leastRecent(now)
		}
		if r == nil {
			return false, nil
		}
		e.evict(r, ReasonMaxRooms, now)
	}
	return true, nil
}

// leastRecentTokenless returns the least recently used room without a token, nil if there
// is none. Who asks for such a room in its backoff does not move it; it is moved here.
func (e *engine) leastRecentTokenless(now monotime.Reading) *room {
	for range batch {
		r, key, ok := e.tokenless.Min()
		if !ok {
			return nil
		}
		last := r.lastUsed(now)
		if !last.After(key) {
			return r
		}
		e.tokenless.Set(r, last)
	}
	r, _, _ := e.tokenless.Min()
	return r
}

// samples is how many rooms are looked at to find one that was not used for long.
const samples = 32

// leastRecent returns the least recently used of some rooms that can be evicted, nil if
// there is none among the next ones. Where the rooms stand in the cache is random, so no
// room needs an entry in an order of all. With samples rooms or fewer it is the least
// recently used one of all.
func (e *engine) leastRecent(now monotime.Reading) (least *room) {
	seen := 0
	at := e.cache.cursorAt(e.hand)
	for range batch {
		rec := at.next()
		if rec == nil {
			at = e.cache.cursor()
			continue
		}
		r := rec.owner
		if r.flags&flagEvictable == 0 {
			continue
		}
		if least == nil || r.lastUsed(now).Before(least.lastUsed(now)) {
			least = r
		}
		if seen++; seen == samples {
			break
		}
	}
	e.hand = at.position()
	return least
}

// lapsed returns a room whose token has run out while its renewal stood in line, nil if
// there is none: such a room is not ranked anew.
func (e *engine) lapsed(now monotime.Reading) *room {
	for _, q := range []queueID{renewalQueue, sickRenewalQueue} {
		r, gone, ok := e.queues[q].Min()
		if ok && !gone.After(now.Mono) && r.flags&flagEvictable != 0 && !e.valid(r.rec, now, 0) {
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
	e.unrank(r)
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

// rank notes whether the room can be evicted: not while it is watched, waited for, or in a
// call. Those that can and have no token stand in order.
func (e *engine) rank(r *room, now monotime.Reading) {
	if e.config.MaxRooms < 0 || r.life == dropped || r.call() != nil || r.demand() != nil {
		e.unrank(r)
		return
	}
	if r.flags&flagEvictable == 0 {
		r.flags.set(flagEvictable, true)
		e.evictable++
	}
	if e.valid(r.rec, now, 0) {
		e.leaveTokenless(r)
		return
	}
	r.active()
	e.tokenless.Set(r, r.lastUsed(now))
}

// unrank notes that the room cannot be evicted.
func (e *engine) unrank(r *room) {
	if r.flags&flagEvictable != 0 {
		r.flags.set(flagEvictable, false)
		e.evictable--
	}
	e.leaveTokenless(r)
}

// leaveTokenless takes the room out of the queue of those without a token.
func (e *engine) leaveTokenless(r *room) {
	if r.activity != nil {
		e.tokenless.Remove(r)
		r.rest()
	}
}
