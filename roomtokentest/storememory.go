package roomtokentest

import (
	"maps"
	"sync"
	"time"

	"github.com/benbjohnson/clock"

	"github.com/roomtoken/roomtoken"
)

// memory is what the processes of a [Store] share.
type memory struct {
	mu       sync.Mutex // guards the fields below
	rooms    map[string]*storeRoom
	sweepAt  int // the length of rooms at which to sweep it
	news     newsLog
	degraded error // not nil: no writes

	clock   clock.Clock
	began   time.Time
	stepped time.Duration
}

func newMemory(c clock.Clock, newsLimit int) *memory {
	if newsLimit <= 0 {
		newsLimit = DefaultNewsLimit
	}
	return &memory{
		rooms: make(map[string]*storeRoom),
		news:  newsLog{limit: newsLimit},
		clock: c,
		began: c.Now(),
	}
}

// now returns the time on the clock of the Store. It needs the lock. A step of the machine's
// wall clock does not change it.
func (m *memory) now() roomtoken.StoreTime {
	return roomtoken.StoreTime(m.began.UnixMicro()).Add(m.clock.Since(m.began) + m.stepped)
}

// room returns what is known of a room now.
func (m *memory) room(roomID string, now roomtoken.StoreTime) *storeRoom {
	r := m.rooms[roomID]
	if r == nil {
		r = &storeRoom{}
		m.rooms[roomID] = r
	}
	r.prune(now)
	return r
}

// sweep drops rooms of which nothing is known any more, now and then, so that memory
// stays bounded.
func (m *memory) sweep() {
	if len(m.rooms) < m.sweepAt {
		return
	}
	now := m.now()
	maps.DeleteFunc(m.rooms, func(_ string, r *storeRoom) bool {
		r.prune(now)
		return r.isEmpty()
	})
	m.sweepAt = max(2*len(m.rooms), 64)
}
