package roomtoken

import (
	"time"

	"github.com/roomtoken/roomtoken/internal/monotime"
)

// hit returns the room's record if its token lives for atLeast, else nil. This is
// the path that has to be fast: no lock, no allocation, and no shared write but one
// in half a second per room. Manager.Token has a copy of it.
func (e *engine) hit(roomID string, atLeast time.Duration) *record {
	rec := e.cache.get(roomID)
	if rec == nil {
		return nil
	}
	validity := rec.validity() // before the clock is read, which waits for all loads
	now := e.clock.Now()
	if !validity.covers(e.clock, now, atLeast) {
		return nil
	}
	if atLeast > validity.margin {
		rec.needs(atLeast)
	}
	if rec.lastUsed.Load() != tick(now) {
		e.touch(rec, now)
	}
	return rec
}

// touch notes that the room is asked for, and starts its renewal if that was skipped.
// It takes the lock in that case only.
func (e *engine) touch(rec *record, now monotime.Reading) {
	if rec.lastUsed.Swap(tick(now))&dormantMark == 0 {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if r := rec.owner; r.life != dropped && !e.closed {
		now = e.clock.Now() // getting the lock may have taken long
		r.use(now)
		e.settle(r, now)
	}
}
