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

// record is one room's line in the cache: all that a hit reads, in 96 bytes that
// span two cache lines side by side. At a million rooms it is the misses of the
// processor's cache that a hit waits for, one after the other, so the room ID is
// in here too and not behind a pointer, and so is the token's string, to which the
// Secret that callers get points. A record is immutable but for lastUsed; a new
// token is a new record.
type record struct {
	text  string // of the token; "": the room has none
	owner *room

	// The fields of an end, see there. As a struct of their own they would take four
	// bytes more.
	mono, margin, sec int64
	nsec              uint32

	lastUsed atomic.Uint32 // see tick; with dormantMark, the next hit starts the renewal

	idLen uint8 // or longID
	id    [maxShortID]byte
	// No room for more: see TestRecordFillsTwoCacheLines.
}

const (
	// maxShortID is the length of the longest room ID that a record holds. Telnyx's
	// have 36 bytes.
	maxShortID = 39
	// longID, as a length, means that the ID is in the room.
	longID = maxShortID + 1
)

// newRecord returns a line without a token for a new room.
func newRecord(owner *room, roomID string) *record {
	r := &record{owner: owner, idLen: longID}
	if len(roomID) <= maxShortID {
		r.idLen = uint8(copy(r.id[:], roomID))
	} else {
		long := strings.Clone(roomID) // the caller's may be part of something large
		owner.longID = &long
	}
	return r
}

// blank returns a line without a token for the same room.
func (r *record) blank() *record {
	line := &record{owner: r.owner, idLen: r.idLen, id: r.id}
	line.lastUsed.Store(r.lastUsed.Load() &^ dormantMark)
	return line
}

// end returns when the token ends.
func (r *record) end() end { return end{r.mono, r.margin, r.sec, r.nsec} }

// secret returns the token, zero if there is none. It points into the record, and
// keeps it alive.
func (r *record) secret() Secret {
	if r.text == "" {
		return Secret{}
	}
	return Secret{value: &r.text}
}

// is reports whether this is the line of the room.
func (r *record) is(roomID string) bool {
	if r.idLen == longID {
		return *r.owner.longID == roomID
	}
	return string(r.id[:r.idLen]) == roomID
}

// sameRoom reports whether both are lines of rooms with the same ID.
func (r *record) sameRoom(other *record) bool {
	if r.idLen != other.idLen {
		return false
	}
	return r.idLen == longID && *r.owner.longID == *other.owner.longID || r.idLen != longID && r.id == other.id
}

// roomID returns the room's ID, in a string of its own.
func (r *record) roomID() string {
	if r.idLen == longID {
		return *r.owner.longID
	}
	return string(r.id[:r.idLen])
}

// farFuture is a distance in time that no calculation here overflows: 146 years.
const farFuture = int64(math.MaxInt64 / 2)

// end is the end of a token: on both clocks, and the time before it from which it
// is no longer handed out.
type end struct {
	mono   int64 // monotonic nanoseconds since the clock's base
	margin int64 // nanoseconds
	sec    int64 // Token.ExpiresAt in Unix time
	nsec   uint32
}

// left returns how long the token lives from now on, see timeLeft.
func (e end) left(now moment.Moment, base unixTime) int64 {
	return timeLeft(e.mono, e.sec, e.nsec, now, base)
}

// serves reports whether the token may be handed out to one who needs it for so
// long.
func (e end) serves(now moment.Moment, base unixTime, atLeast time.Duration) bool {
	left := e.left(now, base)
	return left > 0 && left >= max(e.margin, int64(atLeast))
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
	return Token{Value: r.secret(), ExpiresAt: time.Unix(r.sec, int64(r.nsec)).UTC()}
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
	r.rec = newRecord(r, roomID)
	r.used(now)
	m.cache.put(r.rec)
	if m.rooms == 1 {
		m.wakeScheduler() // it has slept without a look at the clock
	}
	return r, nil
}

// show makes a line the room's line in the cache. Caller must hold mu.
func (m *Manager) show(r *room, line *record) {
	old := r.rec
	r.rec = line
	m.cache.put(line)
	// A hit may have found the old one meanwhile.
	if last := old.lastUsed.Load() &^ dormantMark; last > line.lastUsed.Load() {
		line.lastUsed.Store(last)
	}
}

// drop takes the room out of memory, and lets those who wait for it start anew.
// Caller must hold mu.
func (m *Manager) drop(r *room) {
	r.dropped = true
	m.move(r, nowhere, 0)
	m.recency.Remove(r)
	m.cache.remove(r.rec)
	r.forgetRefresh() // a Token in somebody's hands keeps the room alive, see record.secret
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
	m.event(Event{Kind: EventRoomEvicted, RoomID: r.rec.roomID(), Reason: reason})
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
		// If all are hit faster than they can be ranked, the first will do.
		if actual := m.rankOf(r, now); actual != key && m.ranked < 2*m.rooms {
			m.recency.Set(r, actual)
			m.ranked++
			if looks >= batch {
				return errAgain
			}
			continue
		}
		m.ranked = 0
		m.evict(r, ReasonMaxRooms)
	}
	return nil
}
