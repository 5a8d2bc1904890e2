package breaker

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken/internal/monotime"
	"github.com/roomtoken/roomtoken/internal/policy"
)

const sec = monotime.Time(time.Second)

var errDown = errors.New("down")

// script drives a Breaker: every call begins and ends within a second of its own.
type script struct {
	t   *testing.T
	b   Breaker
	now monotime.Time
	n   uint64
}

func newScript(t *testing.T) *script {
	return &script{t: t, b: Breaker{Backoff: policy.Backoff{Min: time.Second, Max: 30 * time.Second}}, now: 100 * sec}
}

// call is a call for a room that was not failing.
func (s *script) call(room int, v Verdict) Change { return s.end(s.begin(room), v) }

func (s *script) begin(room int) Call {
	s.n++
	s.now += sec / 2
	return Call{Number: s.n, Room: fmt.Sprint("r", room), Began: s.now, Witness: true}
}

func (s *script) end(c Call, v Verdict) Change {
	s.now += sec / 2
	return s.b.Ended(c, v, errDown, s.now, 1000)
}

// calls lets so many distinct rooms end so.
func (s *script) calls(rooms int, v Verdict) {
	for i := range rooms {
		s.call(i, v)
	}
}

// probe waits until a probe may begin and ends it so.
func (s *script) probe(v Verdict) Change {
	s.t.Helper()
	if at := s.b.Opens(s.now); at != 0 {
		s.now = at
	}
	if !s.b.MayProbe(s.now) {
		s.t.Fatalf("no probe may begin: %+v", s.b)
	}
	c := s.begin(int(s.n))
	s.b.BeganProbe(c.Number)
	if s.b.MayProbe(s.now) {
		s.t.Fatal("two probes at a time")
	}
	return s.end(c, v)
}

func (s *script) state(want State) {
	s.t.Helper()
	if got := s.b.State(); got != want {
		s.t.Fatalf("State = %d, want %d: %+v", got, want, s.b)
	}
}

func TestRows(t *testing.T) {
	for _, tt := range []struct {
		name string
		play func(s *script)
		want State
	}{
		{"seven failures", func(s *script) { s.calls(7, Failure) }, Open},
		{"eight failures", func(s *script) { s.calls(8, Failure) }, Outage},
		{"eight failures of seven rooms", func(s *script) { s.calls(7, Failure); s.call(0, Failure) }, Open},
		{"a success between", func(s *script) { s.calls(7, Failure); s.call(0, Success); s.calls(7, Failure) }, Open},
		{"other answers between", func(s *script) { s.calls(7, Failure); s.call(0, Answer); s.call(7, Failure) }, Outage},
		{"failing rooms are no witnesses", func(s *script) {
			for i := range 100 {
				c := s.begin(i)
				c.Witness = false
				s.end(c, Failure)
			}
		}, Open},
		{"calls that began before the last success", func(s *script) {
			var cs []Call
			for i := range 20 {
				cs = append(cs, s.begin(i))
			}
			s.call(99, Success)
			for _, c := range cs {
				s.end(c, Failure)
			}
		}, Open},
		{"two refused credentials", func(s *script) { s.calls(2, Unauthorized) }, Refused},
		{"one room whose credential is refused", func(s *script) { s.call(0, Unauthorized); s.call(0, Unauthorized) }, Open},
		{"a success between refused credentials", func(s *script) { s.call(0, Unauthorized); s.call(9, Success); s.call(1, Unauthorized) }, Open},
		{"seven denials", func(s *script) { s.calls(7, Denial) }, Open},
		{"eight denials", func(s *script) { s.calls(8, Denial) }, Suspect},
		{"a hundred unknown rooms", func(s *script) { s.calls(100, Answer) }, Open},
		{"an outage ends with any answer", func(s *script) { s.calls(8, Failure); s.probe(Answer) }, Open},
		{"an outage ends with a denial", func(s *script) { s.calls(8, Failure); s.probe(Denial) }, Open},
		{"an outage ends with any success", func(s *script) { s.calls(8, Failure); s.call(99, Success) }, Open},
		{"an outage goes on with a failure", func(s *script) { s.calls(8, Failure); s.probe(Failure) }, Outage},
		{"a suspicion does not end with an answer", func(s *script) { s.calls(8, Denial); s.probe(Answer) }, Suspect},
		{"a suspicion ends with a success", func(s *script) { s.calls(8, Denial); s.probe(Success) }, Open},
		{"a suspicion is confirmed", func(s *script) { s.calls(8, Denial); s.calls(2, Unauthorized) }, Refused},
		{"a refusal does not end with a denial", func(s *script) { s.calls(2, Unauthorized); s.probe(Denial) }, Refused},
		{"a refusal ends with a success", func(s *script) { s.calls(2, Unauthorized); s.probe(Success) }, Open},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newScript(t)
			tt.play(s)
			s.state(tt.want)
		})
	}
}

// TestFewRoomsInUse: where fewer rooms are in use, all of them are enough.
func TestFewRoomsInUse(t *testing.T) {
	s := newScript(t)
	for i := range 3 {
		s.state(Open)
		s.b.Ended(s.begin(i), Failure, errDown, s.now, 3)
	}
	s.state(Outage)
}

func TestProbesComeAtGrowingSteps(t *testing.T) {
	for _, tt := range []struct {
		name   string
		fail   Verdict
		rooms  int
		probe  Verdict
		lowest []monotime.Time
	}{
		{"outage", Failure, 8, Failure, []monotime.Time{1, 2, 4, 8, 16, 20, 20}},
		{"suspect", Denial, 8, Denial, []monotime.Time{1, 2, 4, 8, 16, 32, 40, 40}},
		{"refused", Unauthorized, 2, Unauthorized, []monotime.Time{1, 2, 4, 8, 16, 32, 40, 40}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newScript(t)
			s.calls(tt.rooms, tt.fail)
			for i, low := range tt.lowest {
				if wait := s.b.Opens(s.now) - s.now; wait < low*sec || wait > low*sec*3/2 {
					t.Fatalf("probe %d may begin after %v, want %d to 1.5 x %d s", i+1, time.Duration(wait), low, low)
				}
				if got := s.probe(tt.probe); got.Opened || !got.Later {
					t.Fatalf("probe %d changed %+v", i+1, got)
				}
			}
			if got := s.probe(Success); !got.Opened {
				t.Fatalf("a successful probe changed %+v", got)
			}
			if s.b.Guarded() || s.b.Err() != nil {
				t.Fatalf("guarded after a success: %v", s.b.Err())
			}
			if want := map[bool]uint64{true: 0, false: 1}[tt.fail == Failure]; s.b.Mended() != want {
				t.Errorf("Mended = %d, want %d", s.b.Mended(), want)
			}
		})
	}
}

// TestOverdueProbe: it has failed, the next one begins, and its answer still counts.
func TestOverdueProbe(t *testing.T) {
	s := newScript(t)
	s.calls(8, Failure)
	s.now = s.b.Opens(s.now)
	first := s.begin(50)
	s.b.BeganProbe(first.Number)
	if got := s.end(first, Failure); !got.Later {
		t.Fatalf("an overdue probe changed %+v", got)
	}
	s.probe(Failure)
	if got := s.end(first, Success); !got.Opened {
		t.Fatalf("the late success of a probe changed %+v", got)
	}
}

func TestRateLimit(t *testing.T) {
	s := newScript(t)
	limit := func(c Call, wait time.Duration) Change { return s.b.RateLimited(c, errDown, wait, s.now) }
	before := s.begin(1)
	if got := limit(s.begin(2), 10*time.Second); !got.Later {
		t.Fatalf("a rate limit changed %+v", got)
	}
	if !s.b.Held(s.now) || s.b.MayProbe(s.now) {
		t.Fatal("calls may begin during a rate limit")
	}
	if got := limit(s.begin(3), 5*time.Second); got.Later {
		t.Fatal("a shorter rate limit makes calls later")
	}
	if got := limit(s.begin(4), 0); got.Later {
		t.Fatal("a rate limit without a time makes calls later than the one with a time")
	}
	if s.end(before, Success); !s.b.Guarded() {
		t.Fatal("a call that began before lifts the rate limit")
	}
	if got := s.probe(Failure); got.Opened || s.b.Opens(s.now) == 0 {
		t.Fatalf("a failed probe after a rate limit: %+v", got)
	}
	if got := s.probe(Denial); !got.Opened || s.b.Guarded() {
		t.Fatalf("an answered probe after a rate limit: %+v", got)
	}
	// Without a time: the steps of the backoff.
	for i, low := range []monotime.Time{1, 2, 4} {
		limit(s.begin(1), 0)
		if wait := s.b.Opens(s.now) - s.now; wait < low*sec || wait > low*sec*3/2 {
			t.Fatalf("rate limit %d holds for %v, want %d to 1.5 x %d s", i+1, time.Duration(wait), low, low)
		}
		s.now = s.b.Opens(s.now)
	}
}

func TestLane(t *testing.T) {
	s := newScript(t)
	s.calls(8, Failure)
	open := func(want bool) {
		t.Helper()
		at, ok := s.b.LaneOpens(s.now)
		if got := ok && at == 0; got != want {
			t.Fatalf("LaneOpens = %v, %v; want open: %v", at, ok, want)
		}
	}
	open(true)
	c := s.begin(70)
	s.b.BeganInLane(c.Number, s.now)
	open(false)
	s.end(c, Failure)
	open(false) // at most one per second
	s.now += sec
	open(true)
	s.state(Outage) // no step: it is not the probe
	overdue := s.begin(71)
	s.b.BeganInLane(overdue.Number, s.now)
	s.now += 10 * sec
	s.b.Left(overdue.Number)
	open(true)
	if got := s.call(72, Success); !got.Opened {
		t.Fatalf("a success in the lane changed %+v", got)
	}
	s.calls(2, Unauthorized)
	open(false)
}

func TestInnocence(t *testing.T) {
	s := newScript(t)
	failed := s.now
	if s.b.Innocent(failed) || s.b.Forgiven(failed) {
		t.Fatal("a failure is forgiven before the source has worked")
	}
	s.call(1, Success)
	if !s.b.Innocent(failed) {
		t.Fatal("a failure counts though the source has worked since")
	}
	if s.b.Forgiven(failed) {
		t.Fatal("a failure is forgiven though calls have not come back")
	}
	s.calls(8, Failure)
	s.probe(Success)
	if !s.b.Forgiven(failed) || s.b.Forgiven(s.now) {
		t.Fatal("calls have come back: what failed before is forgiven, what fails now is not")
	}
}

func TestReset(t *testing.T) {
	s := newScript(t)
	s.calls(2, Unauthorized)
	s.b.RateLimited(s.begin(1), errDown, time.Hour, s.now)
	s.b.Reset(s.now)
	if s.b.Guarded() || s.b.Held(s.now) || s.b.Err() != nil || s.b.Mended() != 1 {
		t.Fatalf("after Reset: %+v", s.b)
	}
	s.call(1, Unauthorized)
	s.state(Open)
}
