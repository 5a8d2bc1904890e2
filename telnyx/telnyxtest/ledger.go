package telnyxtest

import (
	"context"
	"maps"
	"sync"
	"time"
)

// MaxRequests is how many requests the log keeps: the newest ones.
const MaxRequests = 4096

// Calls are the counts of a [Server] at one moment. A call counts from the
// moment its request has been read, whatever is answered.
type Calls struct {
	Creates   int
	Refreshes int
	Other     int                  // requests to a path that the API does not have
	Rooms     map[string]RoomCalls // by room ID in lower case
	Statuses  map[int]int          // calls that have ended, by status; 0: without an answer
	Injected  int                  // calls that a Fault decided; delays and headers alone do not count
	KeyLeaks  int                  // calls that carried the API key where none is needed

	// A call is in flight until its answer leaves. One whose client has gone
	// stays in flight until the server notices.
	InFlight    int
	MaxInFlight int // at the same time, since the start
}

// RoomCalls are the counts of one room.
type RoomCalls struct {
	Creates     int
	Refreshes   int
	InFlight    int
	MaxInFlight int
}

// Request is one request in the log. It holds no secret.
type Request struct {
	At       time.Time     // when it had been read, by Config.Clock
	Took     time.Duration // until its answer left, by Config.Clock
	Endpoint Endpoint      // 0: a path that the API does not have
	Legacy   bool          // came by the legacy path
	Room     string        // as in the path, in lower case
	Status   int           // of the answer; 0: none, the connection was cut or the client had gone
	Injected bool          // a Fault decided the answer
	KeyLeak  bool          // carried the API key where none is needed
}

// ledger counts calls and keeps the log.
type ledger struct {
	mu      sync.Mutex
	calls   Calls
	log     []Request // a ring, once it has MaxRequests
	next    int       // where the ring's next entry goes
	held    int       // calls that wait for the clock or hang
	changed chan struct{}
}

func newLedger() *ledger {
	return &ledger{
		calls:   Calls{Rooms: make(map[string]RoomCalls), Statuses: make(map[int]int)},
		changed: make(chan struct{}),
	}
}

// begin counts a call in.
func (l *ledger) begin(r Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := &l.calls
	c.InFlight++
	c.MaxInFlight = max(c.MaxInFlight, c.InFlight)
	if r.KeyLeak {
		c.KeyLeaks++
	}
	room := c.Rooms[r.Room]
	switch r.Endpoint {
	case Create:
		c.Creates++
		room.Creates++
	case Refresh:
		c.Refreshes++
		room.Refreshes++
	default:
		c.Other++
		return
	}
	room.InFlight++
	room.MaxInFlight = max(room.MaxInFlight, room.InFlight)
	c.Rooms[r.Room] = room
}

// end counts it out and logs it. It comes before the first byte of the answer:
// whoever has that finds the call in the books, and its place free.
func (l *ledger) end(r Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := &l.calls
	c.InFlight--
	c.Statuses[r.Status]++
	if r.Injected {
		c.Injected++
	}
	if r.Endpoint != 0 {
		room := c.Rooms[r.Room]
		room.InFlight--
		c.Rooms[r.Room] = room
	}
	if len(l.log) < MaxRequests {
		l.log = append(l.log, r)
		return
	}
	l.log[l.next] = r
	l.next = (l.next + 1) % MaxRequests
}

func (l *ledger) snapshot() Calls {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.calls
	c.Rooms, c.Statuses = maps.Clone(c.Rooms), maps.Clone(c.Statuses)
	return c
}

func (l *ledger) requests() []Request {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append(append([]Request{}, l.log[l.next:]...), l.log[:l.next]...)
}

// hold changes the number of calls held by n.
func (l *ledger) hold(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held += n
	close(l.changed)
	l.changed = make(chan struct{})
}

func (l *ledger) waitHeld(ctx context.Context, n int) error {
	for {
		l.mu.Lock()
		held, changed := l.held, l.changed
		l.mu.Unlock()
		if held >= n {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
