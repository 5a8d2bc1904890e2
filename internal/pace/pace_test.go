package pace

import (
	"math"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken/internal/monotime"
)

const (
	ms  = monotime.Time(time.Millisecond)
	sec = monotime.Time(time.Second)
)

func TestZeroPaceSpacesNothing(t *testing.T) {
	var p Pace
	for range 1000 {
		if at := p.Opens(sec); at != 0 {
			t.Fatalf("Opens = %v", at)
		}
		p.Began(sec)
	}
}

// A timer that is late by several gaps costs no calls.
func TestLimitWithALateTimer(t *testing.T) {
	p := Pace{Limit: 500}
	begun := 0
	for now := sec; now < 11*sec; now += 7 * ms {
		for p.Opens(now) == 0 {
			p.Began(now)
			begun++
		}
	}
	if begun < 4990 || begun > 5001 {
		t.Errorf("%d calls in ten seconds at 500 per second, with a look every 7 ms", begun)
	}
	// More than 25 ms are not made up for.
	p.Opens(11 * sec)
	burst := 0
	for now := 11*sec + 26*ms; p.Opens(now) == 0; burst++ {
		p.Began(now)
	}
	if burst > 1 {
		t.Errorf("%d calls at once after a timer was 26 ms late, want 1", burst)
	}
}

// TestLimit asks every millisecond for ten seconds, with a timer that is late.
func TestLimit(t *testing.T) {
	p := Pace{Limit: 50}
	began := []monotime.Time{}
	for now := sec; now < 11*sec; now += 3 * ms {
		if p.Opens(now) == 0 {
			p.Began(now)
			began = append(began, now)
		}
	}
	if n := len(began); n < 499 || n > 501 {
		t.Errorf("%d calls in ten seconds at 50 per second: the lateness of the timer counts", n)
	}
	// After a pause nothing is made up for.
	burst := 0
	for now := 20 * sec; now < 21*sec; now += ms {
		if p.Opens(now) == 0 {
			p.Began(now)
			burst++
		}
	}
	if burst > 50 {
		t.Errorf("%d calls in the second after a pause, want 50 at most", burst)
	}
}

func TestLearnedPace(t *testing.T) {
	var p Pace
	for now := sec; now < 2*sec; now += 50 * ms {
		p.Succeeded(now)
	}
	check := func(what string, now monotime.Time, want float64) {
		t.Helper()
		if got := p.Rate(now); math.Abs(got-want) > 0.01*want {
			t.Errorf("%s: Rate = %v, want %v", what, got, want)
		}
	}
	p.RateLimited(2*sec-1, 5*sec)
	check("half of the successes of the last second", 5*sec, 10)
	p.RateLimited(5*sec+500*ms, 7*sec)
	check("not again within a second after the hold", 7*sec, 10)
	check("a twentieth more per second", 8*sec, 10.5)
	p.RateLimited(10*sec, 10*sec)
	check("half of itself", 10*sec, 10*1.05*1.05*1.05/2)
	p.Limit = 1
	check("the user's bound", 10*sec, 1)
	p.Limit = 0
	check("dropped after ten minutes", 610*sec, 0)
	p.RateLimited(700*sec, 700*sec)
	check("never nothing", 700*sec, slowest)
	p.Forget()
	check("forgotten", 700*sec, 0)
}

// TestRecovers plays 2,000 calls at a source that bears 20 per second and else answers
// with a rate limit of a second.
func TestRecovers(t *testing.T) {
	var p Pace
	var held monotime.Time
	budget, served, refused := 20.0, 0, 0
	now := monotime.Time(0)
	for ; served < 2000; now += ms {
		budget = min(budget+0.020, 20)
		if now < held || p.Opens(now) != 0 {
			continue
		}
		p.Began(now)
		if budget < 1 {
			refused++
			held = now + sec
			p.RateLimited(now, held)
			continue
		}
		budget--
		served++
		p.Succeeded(now)
	}
	if now > 200*sec || refused > 100 {
		t.Errorf("2,000 calls in %v with %d refused, want 200 s and 100 at most", time.Duration(now), refused)
	}
	t.Logf("2,000 calls in %v with %d refused", time.Duration(now), refused)
}
