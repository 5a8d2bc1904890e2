package telnyxtest

import (
	"context"
	"maps"
	"sync"
	"time"
)

// MaxRequests is the number of requests that [Server.Requests] keeps: the newest ones.
const MaxRequests = 4096

// Calls are the counters of a [Server] at one moment. A call is counted when its
// request has been read, whatever the response.
type Calls struct {
	Creates          int
	Refreshes        int
	CredentialTokens int
	Other            int                  // requests to a path that the API does not have
	Rooms            map[string]RoomCalls // by the ID of the room, in lower case, or of the telephony credential, as it is
	Statuses         map[int]int          // calls that have ended, by status; 0: no response
	Injected         int                  // ended calls decided by a Fault, not counting latency and headers alone
	KeyLeaks         int                  // calls that exposed the API key; see Request.KeyLeak

	// A call is in flight until its response is sent. If the client disconnects, it
	// stays in flight until the server notices.
	InFlight    int
	MaxInFlight int // the largest InFlight so far
}

// RoomCalls are the counters of one room, or of one telephony credential.
type RoomCalls struct {
	Creates          int
	Refreshes        int
	CredentialTokens int
	InFlight         int
	MaxInFlight      int
}

// Request is one request in the log. It holds no secrets.
type Request struct {
	At       time.Time     // when the request had been read, on Config.Clock
	Took     time.Duration // from At until the response was sent, on Config.Clock
	Endpoint Endpoint      // 0: a path that the API does not have
	Legacy   bool          // the request used the legacy path
	Room     string        // the ID in the path: of a room, in lower case, or of a telephony credential, as it is
	Status   int           // of the response; 0: none, the connection was reset or the client disconnected
	Injected bool          // a Fault decided the response

	// KeyLeak says that the request carried the API key outside the Authorization
	// header, which gets a 400, or that it was a Refresh with an Authorization header of
	// any kind, which needs none.
	KeyLeak bool
}

// ledger counts calls and logs requests.
type ledger struct {
	mu      sync.Mutex
	calls   Calls
	ended   int           // calls
	log     []Request     // a ring once it has MaxRequests entries
	next    int           // the index of the ring's next entry
	held    int           // calls that are delayed or hang
	changed chan struct{} // closed and cleared when something above changes; nil: nobody waits
}

func newLedger() *ledger {
	return &ledger{calls: Calls{Rooms: make(map[string]RoomCalls), Statuses: make(map[int]int)}}
}

// begin counts a call that begins.
func (l *ledger) begin(r Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.notify()
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
	case CredentialToken:
		c.CredentialTokens++
		room.CredentialTokens++
	default:
		c.Other++
		return
	}
	room.InFlight++
	room.MaxInFlight = max(room.MaxInFlight, room.InFlight)
	c.Rooms[r.Room] = room
}

// end counts a call that ends and logs it. It runs before the first byte of the
// response is sent, so that a client that has the response finds the call counted.
func (l *ledger) end(r Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.notify()
	l.ended++
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

// hold adds n to the number of held calls.
func (l *ledger) hold(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held += n
	l.notify()
}

// notify wakes those who wait. It requires the lock.
func (l *ledger) notify() {
	if l.changed != nil {
		close(l.changed)
		l.changed = nil
	}
}

// wait waits until count, which it calls with the lock, returns n or more.
func (l *ledger) wait(ctx context.Context, n int, count func(*ledger) int) error {
	for {
		l.mu.Lock()
		if count(l) >= n {
			l.mu.Unlock()
			return nil
		}
		if l.changed == nil {
			l.changed = make(chan struct{})
		}
		changed := l.changed
		l.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Calls returns a copy of the counters. A call whose client has received the response is
// counted as ended.
func (s *Server) Calls() Calls { return s.ledger.snapshot() }

// Requests returns a copy of the log: the last [MaxRequests] requests that have ended, in
// the order in which they ended.
func (s *Server) Requests() []Request { return s.ledger.requests() }

// WaitHeld waits until at least n calls are held by the Latency or Hang of a [Fault]; a
// test can then move its clock. If ctx ends first, it returns the cause of that (see
// [context.Cause]).
func (s *Server) WaitHeld(ctx context.Context, n int) error {
	return s.ledger.wait(ctx, n, func(l *ledger) int { return l.held })
}

// WaitRequests waits until at least n requests have ended since the server started,
// whatever they were: those that Requests has returned or would have returned if it kept
// all of them. If ctx ends first, it returns the cause of that (see [context.Cause]).
func (s *Server) WaitRequests(ctx context.Context, n int) error {
	return s.ledger.wait(ctx, n, func(l *ledger) int { return l.ended })
}

// WaitCreates waits until at least n creates have been counted since the server started:
// until Calls().Creates is n. The last of them may still be in flight. If ctx ends first,
// it returns the cause of that (see [context.Cause]).
func (s *Server) WaitCreates(ctx context.Context, n int) error {
	return s.ledger.wait(ctx, n, func(l *ledger) int { return l.calls.Creates })
}
