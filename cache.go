package roomtoken

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"sync/atomic"
	"time"

	"github.com/roomtoken/roomtoken/internal/moment"
)

// record is one room's line in the cache: all that a hit reads, in 64 bytes, so
// that at a million rooms a hit misses the processor's cache three times (slot,
// record, the key's bytes) and not more. It is immutable but for lastUsed; a new
// token is a new record.
type record struct {
	key   string
	value Secret // zero: the room has no token

	// The token's end on both clocks, and the time before it from which it is
	// no longer handed out. expires is in monotonic nanoseconds since the
	// clock's base; the wall-clock end is Token.ExpiresAt, to the nanosecond.
	expires  int64
	margin   int64
	unixSec  int64
	unixNsec uint32
	lastUsed atomic.Uint32 // in ticks of monotonic time since the clock's base
	owner    *room
	// No room for more: see TestRecordFillsOneCacheLine.
}

// farFuture is a distance in time that no calculation here overflows: 146 years.
const farFuture = int64(math.MaxInt64 / 2)

// left returns how long the token lives from now on, see timeLeft.
func (r *record) left(now moment.Moment, base unixTime) int64 {
	return timeLeft(r.expires, r.unixSec, r.unixNsec, now, base)
}

// timeLeft returns how long a credential lives from now on that ends at mono on
// the monotonic clock and at sec and nsec of Unix time on the wall clock: by the
// one that says less, in nanoseconds; negative or zero if it has ended. base is
// the wall clock's base in Unix time.
func timeLeft(mono, sec int64, nsec uint32, now moment.Moment, base unixTime) int64 {
	wall := farFuture
	if s := sec - base.sec; s < farFuture/int64(time.Second) {
		wall = s*int64(time.Second) + int64(nsec) - base.nsec - now.Wall
	}
	return min(mono-now.Mono, wall)
}

// token returns the token as callers get it.
func (r *record) token() Token {
	return Token{Value: r.value, ExpiresAt: time.Unix(r.unixSec, int64(r.unixNsec)).UTC()}
}

// unixTime is a moment in Unix time.
type unixTime struct{ sec, nsec int64 }

// lookUp returns the room, nil if it is not in memory. Caller must hold mu.
func (m *Manager) lookUp(roomID string) *room {
	if rec := m.cache.get(roomID); rec != nil {
		return rec.owner
	}
	return nil
}

// admit returns the room, made if need be; ErrTooManyRooms if there is no place
// for it, errAgain if the caller should let go of the lock and come back. Caller
// must hold mu.
func (m *Manager) admit(roomID string, now moment.Moment) (*room, error) {
	r := m.lookUp(roomID)
	if r != nil && !r.ghost {
		return r, nil
	}
	switch err := m.makePlace(now); {
	case errors.Is(err, errAgain):
		return nil, err
	case err != nil:
		return nil, fmt.Errorf("%w: room %q: each of %d (MaxRooms) is watched, waited for, or has a call in flight",
			err, shorten(roomID), m.config.MaxRooms)
	}
	m.rooms++
	if r != nil {
		r.ghost = false
		return r, nil
	}
	r = &room{}
	r.rec = &record{key: strings.Clone(roomID), owner: r} // the caller's may be part of something large
	r.used(now)
	m.cache.put(r.rec)
	if m.rooms == 1 {
		m.wakeScheduler() // it has slept without a look at the clock
	}
	return r, nil
}

// show makes a line the room's line in the cache. Caller must hold mu.
func (m *Manager) show(r *room, line *record) {
	r.rec = line
	m.cache.put(line)
}

// blank returns a line without a token.
func (r *room) blank() *record {
	line := &record{key: r.rec.key, owner: r}
	line.lastUsed.Store(r.rec.lastUsed.Load())
	return line
}

// drop takes the room out of memory, and lets those who wait for it start anew.
// Caller must hold mu.
func (m *Manager) drop(r *room) {
	r.dropped = true
	m.move(r, nowhere, 0)
	m.recency.Remove(r)
	m.cache.remove(r.rec.key)
	if !r.ghost {
		m.rooms--
	}
	if r.crowd != nil {
		r.crowd.dismiss()
	}
}

// evict drops the room for a reason of the Manager's own. Caller must hold mu.
func (m *Manager) evict(r *room, reason string) {
	m.stats.Evictions++
	m.event(Event{Kind: RoomEvicted, RoomID: r.rec.key, Reason: reason})
	m.drop(r)
}

// rank puts the room where it belongs among those that can be let go. Those
// without a valid token come first, then the one used least recently; a room
// that is watched, waited for or in a call is not among them. Caller must hold
// mu.
func (m *Manager) rank(r *room, now moment.Moment) {
	switch {
	case m.config.MaxRooms < 0:
	case r.dropped || r.call != nil || r.crowd != nil:
		m.recency.Remove(r)
	default:
		m.recency.Set(r, m.rankOf(r, now))
	}
}

// rankOf returns a room's key in m.recency.
func (m *Manager) rankOf(r *room, now moment.Moment) int64 {
	key := r.lastUsed()
	if m.serves(r.rec, now, 0) {
		key += farFuture
	}
	return key
}

// errAgain is makePlace's way to say that it needs the lock for longer than it
// ought to hold it.
var errAgain = errors.New("again")

// makePlace lets rooms go until there is place for one more. It returns
// errAgain when the caller should let go of the lock and come back, and
// ErrTooManyRooms if there is nothing to let go. Caller must hold mu.
func (m *Manager) makePlace(now moment.Moment) error {
	for looks := 0; m.config.MaxRooms >= 0 && m.rooms >= m.config.MaxRooms; looks++ {
		// One whose renewal waits while its token runs out is not ranked anew.
		r, gone, ok := m.queues[inRenewals].Min()
		if ok && gone <= now.Mono && r.recency.Queued() && !m.serves(r.rec, now, 0) {
			m.evict(r, ReasonMaxRooms)
			continue
		}
		r, key, ok := m.recency.Min()
		if !ok {
			return ErrTooManyRooms
		}
		// Hits do not move a room in the queue; it is moved when its turn comes.
		if actual := m.rankOf(r, now); actual != key {
			m.recency.Set(r, actual)
			if looks == batch {
				return errAgain
			}
			continue
		}
		m.evict(r, ReasonMaxRooms)
	}
	return nil
}
