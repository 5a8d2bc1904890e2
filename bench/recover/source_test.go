package recover

import (
	"context"
	"errors"
	"sync"
	"time"
)

// work is what a contender does: get a token for each of so many rooms, from a source that is
// down, and then back with little capacity. The source refuses what exceeds that.
type work struct {
	title     string
	rooms     int
	takes     time.Duration // a call that succeeds
	slots     int           // calls at a time; 0: any number
	perSecond float64       // calls per second, as many at once; 0: any number
	refuses   float64       // the share of roomtoken's calls that may be refused; 0: any
}

var works = []work{
	{
		title: "5,000 rooms, and a source good for 8 calls of 50 ms at a time",
		rooms: 5000, takes: 50 * time.Millisecond, slots: 8, refuses: 0.05,
	},
	{
		title: "2,000 rooms, and a source good for 20 calls per second, which answers 429 to the rest",
		rooms: 2000, takes: takesLimited, perSecond: 20, refuses: 0.05,
	},
	{
		title: "1,000 rooms, and a source good for 8 calls of 1 s at a time",
		rooms: 1000, takes: time.Second, slots: 8, refuses: 0.05,
	},
	{
		title: "200 rooms, and a source good for 8 calls of 9 s at a time",
		rooms: 200, takes: 9 * time.Second, slots: 8, // one call too many in each round is a large share here
	},
}

// ideal returns how long the work takes from the end of the outage, for one who knows what
// the source bears and when it is back.
func (w work) ideal() time.Duration {
	if w.perSecond > 0 {
		return w.takes + time.Duration((float64(w.rooms)/w.perSecond-1)*float64(time.Second))
	}
	return time.Duration((w.rooms+w.slots-1)/w.slots) * w.takes
}

// Why a call fails.
var (
	errDown    = errors.New("the source is down")
	errBusy    = errors.New("too many calls at a time")
	errLimited = errors.New("too many calls per second")
)

// How long a call takes that fails. A refused call keeps a place until it ends.
const (
	takesDown    = 50 * time.Millisecond
	takesBusy    = 10 * time.Millisecond
	takesLimited = 5 * time.Millisecond
)

// retryAfter is what the source asks for with errLimited.
const retryAfter = time.Second

// source is the source of a work, and counts the calls of a contender.
type source struct {
	work
	done chan struct{} // closed when each room has a token

	mu     sync.Mutex
	back   time.Time // when the outage ended; zero: it has not
	busy   int       // calls in flight
	budget float64   // calls that are left of perSecond
	filled time.Time // when that was so
	served map[string]bool
	tally
}

// tally is what came of a work.
type tally struct {
	down    int           // calls in the outage
	calls   int           // calls after it
	refused int           // of these
	peak    int           // calls at a time
	first   time.Duration // from the end of the outage to the first call
	all     time.Duration // to the last token
}

// share returns the share of the calls after the outage that were refused.
func (r tally) share() float64 { return float64(r.refused) / float64(r.calls) }

func newSource(w work) *source {
	return &source{work: w, done: make(chan struct{}), served: map[string]bool{}}
}

// comeBack ends the outage.
func (s *source) comeBack() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.back = time.Now()
	s.budget, s.filled = s.perSecond, s.back
}

// call gets a token for a room.
func (s *source) call(ctx context.Context, room string) error {
	takes, err := s.begin()
	if errors.Is(err, errDown) {
		sleep(ctx, takes)
		return err
	}
	if sleep(ctx, takes) != nil && err == nil {
		err = ctx.Err()
	}
	s.end(room, err)
	return err
}

// begin counts a call, and returns how long it takes and why it fails.
func (s *source) begin() (takes time.Duration, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.back.IsZero() {
		s.down++
		return takesDown, errDown
	}
	if s.calls == 0 {
		s.first = time.Since(s.back)
	}
	s.calls++
	s.busy++
	s.peak = max(s.peak, s.busy)
	if s.slots > 0 && s.busy > s.slots {
		s.refused++
		return takesBusy, errBusy
	}
	if s.perSecond > 0 {
		s.budget = min(s.budget+s.perSecond*time.Since(s.filled).Seconds(), s.perSecond)
		s.filled = time.Now()
		if s.budget < 1 {
			s.refused++
			return takesLimited, errLimited
		}
		s.budget--
	}
	return s.takes, nil
}

// end counts the end of a call that began after the outage.
func (s *source) end(room string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy--
	if err != nil || s.served[room] {
		return
	}
	s.served[room] = true
	if len(s.served) == s.rooms {
		s.all = time.Since(s.back)
		close(s.done)
	}
}

// sleep returns after d, or the error of ctx if that ends before.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
