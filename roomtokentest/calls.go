package roomtokentest

import (
	"context"
	"sync"
	"time"

	"github.com/roomtoken/roomtoken"
)

// MaxCalls is the number of calls that [Source.Calls] keeps: the newest ones.
const MaxCalls = 4096

// Kind is one of the two calls of a [roomtoken.TokenSource].
type Kind = roomtoken.CallKind

// The two calls of a [roomtoken.TokenSource].
const (
	Create  = roomtoken.CallCreate
	Refresh = roomtoken.CallRefresh
)

// Call is one call to a [Source].
type Call struct {
	Kind         Kind
	Room         string
	At           time.Time       // when the call began, on Source.Clock
	RefreshToken roomtoken.Token // the argument of Refresh; zero for Create
}

// ledger counts calls and logs them. The zero ledger is empty.
type ledger struct {
	mu         sync.Mutex
	begun      [Refresh + 1]int // by kind
	inFlight   int
	max        int            // the peak of inFlight
	rooms      map[string]int // calls in flight by room; no zero entries
	maxPerRoom int            // the peak of any room's entry in rooms
	log        []Call         // a ring once it has MaxCalls entries
	oldest     int            // the index of the ring's first entry
	more       chan struct{}  // closed and cleared when a call begins; nil: nobody waits
}

func (l *ledger) begin(call Call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.begun[call.Kind]++
	l.inFlight++
	l.max = max(l.max, l.inFlight)
	if l.rooms == nil {
		l.rooms = make(map[string]int)
	}
	l.rooms[call.Room]++
	l.maxPerRoom = max(l.maxPerRoom, l.rooms[call.Room])
	if len(l.log) < MaxCalls {
		l.log = append(l.log, call)
	} else {
		l.log[l.oldest] = call
		l.oldest = (l.oldest + 1) % MaxCalls
	}
	if l.more != nil {
		close(l.more)
		l.more = nil
	}
}

func (l *ledger) end(call Call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.inFlight--
	if l.rooms[call.Room]--; l.rooms[call.Room] == 0 {
		delete(l.rooms, call.Room)
	}
}

// read returns one of the ledger's counters.
func (l *ledger) read(n *int) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return *n
}

// Creates returns the number of calls of Create that have begun.
func (s *Source) Creates() int { return s.ledger.read(&s.ledger.begun[Create]) }

// Refreshes returns the number of calls of Refresh that have begun.
func (s *Source) Refreshes() int { return s.ledger.read(&s.ledger.begun[Refresh]) }

// InFlight returns the number of calls that have begun and not returned.
func (s *Source) InFlight() int { return s.ledger.read(&s.ledger.inFlight) }

// MaxInFlight returns the largest number of calls that were in flight at once.
func (s *Source) MaxInFlight() int { return s.ledger.read(&s.ledger.max) }

// MaxInFlightPerRoom returns the largest number of calls that were in flight at
// once for any one room. A Manager keeps it at 1.
func (s *Source) MaxInFlightPerRoom() int { return s.ledger.read(&s.ledger.maxPerRoom) }

// Calls returns a copy of the log: the last [MaxCalls] calls in the order in which
// they began.
func (s *Source) Calls() []Call {
	l := &s.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	return append(append([]Call{}, l.log[l.oldest:]...), l.log[:l.oldest]...)
}

// WaitCalls waits until at least n calls are in flight at once: held, delayed by
// their latency, or running a function of the test. If ctx ends first, it returns
// the cause of that (see [context.Cause]).
func (s *Source) WaitCalls(ctx context.Context, n int) error {
	l := &s.ledger
	for {
		l.mu.Lock()
		if l.inFlight >= n {
			l.mu.Unlock()
			return nil
		}
		if l.more == nil {
			l.more = make(chan struct{})
		}
		begun := l.more
		l.mu.Unlock()
		select {
		case <-begun:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
