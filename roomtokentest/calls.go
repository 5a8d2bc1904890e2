package roomtokentest

import (
	"context"
	"sync"
	"time"

	"github.com/roomtoken/roomtoken"
)

// MaxCalls is how many calls the log keeps: the newest ones.
const MaxCalls = 4096

// Kind is one of the two calls of a [roomtoken.TokenSource].
type Kind uint8

// The kinds.
const (
	Create Kind = iota + 1
	Refresh
)

// String returns "create" or "refresh".
func (k Kind) String() string {
	if k == Refresh {
		return "refresh"
	}
	return "create"
}

// Call is one call to a [Source].
type Call struct {
	Kind         Kind
	Room         string
	At           time.Time       // when it began, by Source.Clock
	RefreshToken roomtoken.Token // what Refresh was given
}

// books count calls and keep the log. The zero books are empty.
type books struct {
	mu         sync.Mutex
	begun      [Refresh + 1]int // by kind
	inFlight   int
	max        int
	rooms      map[string]int // calls in flight, where there are any
	maxPerRoom int
	log        []Call        // a ring, once it has MaxCalls
	oldest     int           // where the ring begins
	more       chan struct{} // closed and forgotten when a call begins; nil: nobody waits
}

func (b *books) begin(call Call) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.begun[call.Kind]++
	b.inFlight++
	b.max = max(b.max, b.inFlight)
	if b.rooms == nil {
		b.rooms = make(map[string]int)
	}
	b.rooms[call.Room]++
	b.maxPerRoom = max(b.maxPerRoom, b.rooms[call.Room])
	if len(b.log) < MaxCalls {
		b.log = append(b.log, call)
	} else {
		b.log[b.oldest] = call
		b.oldest = (b.oldest + 1) % MaxCalls
	}
	if b.more != nil {
		close(b.more)
		b.more = nil
	}
}

func (b *books) end(call Call) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.inFlight--
	if b.rooms[call.Room]--; b.rooms[call.Room] == 0 {
		delete(b.rooms, call.Room)
	}
}

// count reads one of the books' numbers.
func (b *books) count(n *int) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return *n
}

// Creates returns how often Create was called.
func (s *Source) Creates() int { return s.books.count(&s.books.begun[Create]) }

// Refreshes returns how often Refresh was called.
func (s *Source) Refreshes() int { return s.books.count(&s.books.begun[Refresh]) }

// InFlight returns how many calls have begun and not returned.
func (s *Source) InFlight() int { return s.books.count(&s.books.inFlight) }

// MaxInFlight returns the greatest number of calls in flight at the same time.
func (s *Source) MaxInFlight() int { return s.books.count(&s.books.max) }

// MaxInFlightPerRoom returns the greatest number of calls in flight for one room
// at the same time. A Manager keeps it at 1.
func (s *Source) MaxInFlightPerRoom() int { return s.books.count(&s.books.maxPerRoom) }

// Calls returns the log of the calls in the order in which they began, of the
// last [MaxCalls].
func (s *Source) Calls() []Call {
	b := &s.books
	b.mu.Lock()
	defer b.mu.Unlock()
	return append(append([]Call{}, b.log[b.oldest:]...), b.log[:b.oldest]...)
}

// WaitCalls waits until at least n calls are in flight at the same time: held,
// delayed by their latency, or busy in a function of the test's own. It returns
// ctx's cause when ctx ends first.
func (s *Source) WaitCalls(ctx context.Context, n int) error {
	b := &s.books
	for {
		b.mu.Lock()
		if b.inFlight >= n {
			b.mu.Unlock()
			return nil
		}
		if b.more == nil {
			b.more = make(chan struct{})
		}
		begun := b.more
		b.mu.Unlock()
		select {
		case <-begun:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
