package roomtokentest

import (
	"math/bits"
	"sync"
)

// StoreMethods is a set of methods of a [Store]. Combine them with |.
type StoreMethods uint8

// The methods of a [Store].
const (
	StoreLoad StoreMethods = 1 << iota
	StoreAcquire
	StoreCommit
	StoreReject
	StoreHold
	StoreNews
	StoreWake // of [roomtoken.Waker]

	storeAnswers = StoreWake - 1 // those of roomtoken.Store
)

// storeTally counts calls.
type storeTally struct {
	mu       sync.Mutex
	begun    [7]int // by the number of the method's bit
	inFlight int
	max      int // the peak of inFlight
}

func (t *storeTally) count(method StoreMethods) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.begun[bits.TrailingZeros8(uint8(method))]++
}

func (t *storeTally) begin(method StoreMethods) {
	t.count(method)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.inFlight++
	t.max = max(t.max, t.inFlight)
}

func (t *storeTally) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.inFlight--
}

// Count returns the number of calls of the given methods that this process has begun, of
// all but [StoreWake] if on is 0.
func (s *Store) Count(on StoreMethods) int {
	if on == 0 {
		on = storeAnswers
	}
	s.tally.mu.Lock()
	defer s.tally.mu.Unlock()
	sum := 0
	for bit, n := range s.tally.begun {
		if on&(1<<bit) != 0 {
			sum += n
		}
	}
	return sum
}

// InFlight returns the number of calls of this process that have begun and not returned,
// those of [Store.Wake] not counted.
func (s *Store) InFlight() int {
	s.tally.mu.Lock()
	defer s.tally.mu.Unlock()
	return s.tally.inFlight
}

// MaxInFlight returns the largest number of calls of this process that were in flight at
// once, those of [Store.Wake] not counted.
func (s *Store) MaxInFlight() int {
	s.tally.mu.Lock()
	defer s.tally.mu.Unlock()
	return s.tally.max
}
