package roomtokentest

import (
	"context"
	"slices"
	"time"

	"github.com/roomtoken/roomtoken"
)

// Outcome scripts the result of calls; see [Source.Next].
type Outcome struct {
	On    Kind   // the kind of call it applies to; 0: either
	Room  string // the room it applies to; "": any
	Times int    // the number of calls it applies to; 0: one; negative: all, until [Source.Clear]

	// Latency is added to Source.Latency.
	Latency time.Duration

	// Err is the error that the call returns. If Err and Do are nil, the call proceeds
	// as if nothing were scripted.
	Err error

	// Do replaces the call; Err is then ignored. It may return anything, panic, or
	// block for as long as it likes. It is called concurrently if Times allows that.
	Do func(ctx context.Context, call Call) (roomtoken.Grant, error)
}

// Next appends outcomes to the script. Each call takes the first one that applies to
// it, at the moment it begins.
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

// Fail scripts err for the next n calls of either kind and any room. A negative n
// means every call until [Source.Clear], as in an outage; with n 0 it does nothing.
func (s *Source) Fail(err error, n int) {
	if n != 0 {
		s.Next(Outcome{Err: err, Times: n})
	}
}

// Clear empties the script. Calls that have begun keep their outcomes, and holds stay.
func (s *Source) Clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.script = nil
}

// next takes the outcome of a call that begins and returns the holds that apply to it.
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
