package roomtoken

import (
	"bytes"
	"math"
	"strings"
	"sync/atomic"
	"time"

	"github.com/roomtoken/roomtoken/internal/monotime"
)

// record is one room's entry in the cache: all that a hit reads, in 96 bytes that
// span two adjacent cache lines. With a million rooms a hit waits for the misses of
// the processor's cache, one after the other. That is why the room ID is in here and
// not behind a pointer, and so is the token's string, to which the Secret that
// callers get points.
//
// A record is immutable except for lastUsed and need. A new token is a new record.
type record struct {
	text  string // of the token; "": the room has none
	owner *room

	// The fields of validity. A struct of their own would take four bytes more.
	mono   monotime.Time
	margin time.Duration
	sec    int64
	nsec   uint32

	lastUsed atomic.Uint32 // in ticks, see tick; with dormantMark, the next hit starts the renewal
	need     atomic.Uint32 // the longest validity asked for since the token came, in ms

	// The room ID, up to the first NUL. If it begins with one, the ID is in the room: it
	// contains a NUL, or is too long.
	id [maxShortID]byte

	// There is no space for more: see TestRecordFillsTwoCacheLines.
}

// maxShortID is the length of the longest room ID that fits into a record, in bytes:
// that of a UUID. Telnyx's room IDs are UUIDs.
const maxShortID = 36

// newRecord returns a record without a token for a new room.
func newRecord(owner *room, roomID string) *record {
	r := &record{owner: owner}
	if roomID != "" && len(roomID) <= maxShortID && strings.IndexByte(roomID, 0) < 0 {
		copy(r.id[:], roomID)
	} else {
		long := strings.Clone(roomID) // the caller's string may be part of a large one
		owner.longID = &long
	}
	return r
}

// blank returns a record without a token for the same room.
func (r *record) blank() *record {
	next := &record{owner: r.owner, id: r.id}
	next.lastUsed.Store(r.lastUsed.Load() &^ dormantMark)
	return next
}

// validity returns for how long the token is handed out.
func (r *record) validity() validity {
	return validity{monotime.Expiry{Mono: r.mono, Sec: r.sec, Nsec: r.nsec}, r.margin}
}

// secret returns the token, the zero Secret if there is none. The Secret points
// into the record and keeps it alive.
func (r *record) secret() Secret { return secretIn(&r.text) }

// token returns the token as callers get it.
func (r *record) token() Token {
	return Token{Value: r.secret(), ExpiresAt: time.Unix(r.sec, int64(r.nsec)).UTC()}
}

// is reports whether this is the record of the room with that ID.
func (r *record) is(roomID string) bool {
	if r.id[0] == 0 {
		return *r.owner.longID == roomID
	}
	n := len(roomID)
	return n <= maxShortID && string(r.id[:n]) == roomID &&
		(n == maxShortID || r.id[n] == 0) && roomID[n-1] != 0 // NULs after a short ID are not part of it
}

// sameRoom reports whether both are records of rooms with the same ID.
func (r *record) sameRoom(other *record) bool {
	return r.id == other.id && (r.id[0] != 0 || *r.owner.longID == *other.owner.longID)
}

// shortID returns the room's ID if it is in the record; else it is empty.
func (r *record) shortID() []byte {
	if end := bytes.IndexByte(r.id[:], 0); end >= 0 {
		return r.id[:end]
	}
	return r.id[:]
}

// roomID returns the room's ID, in a string of its own.
func (r *record) roomID() string {
	if r.id[0] == 0 {
		return *r.owner.longID
	}
	return string(r.shortID())
}

// needs notes that a caller needs the token to live for atLeast. It needs no lock.
func (r *record) needs(atLeast time.Duration) {
	ms := uint32(min(max(atLeast, 0)/time.Millisecond, math.MaxUint32))
	for old := r.need.Load(); ms > old; old = r.need.Load() {
		if r.need.CompareAndSwap(old, ms) {
			return
		}
	}
}

// validity says for how long a token is handed out.
type validity struct {
	expiry monotime.Expiry
	margin time.Duration // it is not handed out with less left
}

// covers reports whether the token may be handed out to a caller who needs it to
// live for atLeast.
func (v validity) covers(c *monotime.Clock, now monotime.Reading, atLeast time.Duration) bool {
	left := c.Left(v.expiry, now)
	return left > 0 && left >= max(v.margin, atLeast)
}

// record.lastUsed holds a mark and a time in ticks of 0.54 s. A tick is a power of
// two nanoseconds because every hit computes one; 31 bits of ticks are 36 years.
const (
	tickBits    = 29
	dormantMark = 1 << 31
)

// tick returns the monotonic time in whole ticks.
func tick(now monotime.Reading) uint32 { return uint32(now.Mono>>tickBits) &^ dormantMark }

// laterTick reports whether tick a is later than b. Ticks wrap around.
func laterTick(a, b uint32) bool { return int32((a-b)<<1) > 0 }
