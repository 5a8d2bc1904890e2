package roomtokentest

import (
	"context"
	"slices"
	"sync"
	"time"
)

// StoreFault scripts what happens to calls of a [Store]; see [Store.Next].
type StoreFault struct {
	On    StoreMethods // the methods it applies to; 0: all but [StoreWake]
	Room  string       // the room it applies to; "": any
	Times int          // the number of calls it applies to; 0: one; negative: all, until [Store.Clear]

	// After makes the fault happen after the work is done: an Err then means that the
	// answer is lost, and a Latency that it is late. It changes nothing for [StoreWake].
	After bool

	// Latency is added to Store.Latency.
	Latency time.Duration

	// Err is the error that the call returns. If Err and Do are nil, the call proceeds.
	Err error

	// Do is called after the latency; Err is then ignored. It may panic, or block for as
	// long as it likes, whether ctx ends or not. The call returns the error that it
	// returns, and proceeds if that is nil. It is called concurrently if Times allows
	// that.
	Do func(ctx context.Context) error
}

// storeScript is the faults to come.
type storeScript struct {
	mu     sync.Mutex
	faults []*StoreFault
}

// Next appends faults to the script. Each call of this process takes the first one that
// applies to it, at the moment it begins.
func (s *Store) Next(faults ...StoreFault) {
	s.script.mu.Lock()
	defer s.script.mu.Unlock()
	for _, f := range faults {
		if f.Times == 0 {
			f.Times = 1
		}
		if f.On == 0 {
			f.On = storeAnswers
		}
		s.script.faults = append(s.script.faults, &f)
	}
}

// Fail scripts err for the next n calls of the given methods, or of all but [StoreWake] if
// on is 0. A negative n means every call until [Store.Clear], as in an outage; with n 0 it
// does nothing.
func (s *Store) Fail(err error, n int, on StoreMethods) {
	if n != 0 {
		s.Next(StoreFault{On: on, Err: err, Times: n})
	}
}

// Clear empties the script. Calls that have begun keep their faults.
func (s *Store) Clear() {
	s.script.mu.Lock()
	defer s.script.mu.Unlock()
	s.script.faults = nil
}

// next takes the fault of a call that begins.
func (s *storeScript) next(method StoreMethods, roomIDs []string) StoreFault {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.faults, func(f *StoreFault) bool {
		return f.On&method != 0 && (f.Room == "" || slices.Contains(roomIDs, f.Room))
	})
	if i < 0 {
		return StoreFault{}
	}
	f := s.faults[i]
	if f.Times--; f.Times == 0 {
		s.faults = slices.Delete(s.faults, i, i+1)
	}
	return *f
}

// suffer lets a fault happen to a call.
func (s *Store) suffer(ctx context.Context, fault StoreFault) error {
	if err := s.delay(ctx, fault.Latency); err != nil {
		return err
	}
	if fault.Do != nil {
		return fault.Do(ctx)
	}
	return fault.Err
}

// delay waits for d. It returns an error if ctx has ended.
func (s *Store) delay(ctx context.Context, d time.Duration) error {
	gone := ctx.Done()
	if s.IgnoreContext {
		gone = nil
	}
	if d > 0 {
		elapsed, timer := after(s.clock(), d)
		defer timer.Stop()
		wait(elapsed, gone)
	}
	if gone != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}
