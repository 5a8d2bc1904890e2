package roomtokentest

import (
	"context"
	"slices"
	"time"

	"github.com/roomtoken/roomtoken"
)

// Outcome is what becomes of the next call that fits it.
type Outcome struct {
	On    Kind   // only this kind of call; 0: either
	Room  string // only this room; "": any
	Times int    // for so many calls; 0: one; negative: until [Source.Clear]

	// Latency comes on top of Source.Latency.
	Latency time.Duration

	// Err is the call's error. Without it, and without Do, the call succeeds.
	Err error

	// Do is the call, instead of all else. It may return anything, panic, or
	// block for as long as it likes.
	Do func(ctx context.Context, call Call) (roomtoken.Grant, error)
}

// Next scripts outcomes. Each call takes the first that fits it, when it begins.
func (s *Source) Next(outcomes ...Outcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range outcomes {
		if o.Times == 0 {
			o.Times = 1
		}
		s.script = append(s.script, &o)
	}
}

// Fail scripts an error for the next n calls, whichever they are. A negative n
// means every call until [Source.Clear]: an outage.
func (s *Source) Fail(err error, n int) {
	if n != 0 {
		s.Next(Outcome{Err: err, Times: n})
	}
}

// Clear drops what is scripted and not taken yet. Holds stay.
func (s *Source) Clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.script = nil
}

// next takes the outcome of a call that begins, and the holds that it meets.
func (s *Source) next(call Call) (Outcome, []*Hold) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var holds []*Hold
	for _, h := range s.holds {
		if len(h.rooms) == 0 || slices.Contains(h.rooms, call.Room) {
			holds = append(holds, h)
		}
	}
	i := slices.IndexFunc(s.script, func(o *Outcome) bool {
		return (o.On == 0 || o.On == call.Kind) && (o.Room == "" || o.Room == call.Room)
	})
	if i < 0 {
		return Outcome{}, holds
	}
	o := s.script[i]
	if o.Times--; o.Times == 0 {
		s.script = slices.Delete(s.script, i, i+1)
	}
	return *o, holds
}
