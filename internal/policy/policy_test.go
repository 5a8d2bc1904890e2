package policy

import (
	"math"
	"testing"
	"time"
)

const (
	sec  = time.Second
	min_ = time.Minute
)

func TestMargin(t *testing.T) {
	for _, c := range []struct {
		lifetime, minValidity, want time.Duration
	}{
		{10 * sec, 30 * sec, 1 * sec},
		{40 * sec, 30 * sec, 4 * sec},
		{5 * min_, 30 * sec, 30 * sec},
		{time.Hour, 30 * sec, 30 * sec},
		{time.Hour, 0, 0},
		{time.Hour, 24 * time.Hour, 6 * min_},
		{0, 30 * sec, 0},
		{math.MaxInt64, 30 * sec, 30 * sec},
	} {
		if got := (Renewal{MinValidity: c.minValidity}).Margin(c.lifetime); got != c.want {
			t.Errorf("Margin of a lifetime of %v with MinValidity %v is %v, want %v", c.lifetime, c.minValidity, got, c.want)
		}
	}
}

func TestExplicitMargin(t *testing.T) {
	for _, c := range []struct{ lifetime, minValidity, want time.Duration }{
		{10 * min_, 2 * min_, 2 * min_},
		{10 * min_, 7 * min_, 5 * min_},
		{10 * sec, 30 * sec, 5 * sec},
		{0, 30 * sec, 0},
	} {
		r := Renewal{After: 2.0 / 3, Jitter: 0.1, MinValidity: c.minValidity, Explicit: true}
		if got := r.Margin(c.lifetime); got != c.want {
			t.Errorf("Margin(%v) with an explicit MinValidity of %v = %v, want %v", c.lifetime, c.minValidity, got, c.want)
		}
		for _, draw := range []float64{0, 0.5, 0.999} {
			if left := c.lifetime - r.Age(c.lifetime, 0, draw); left < c.want+c.lifetime/20 {
				t.Errorf("a token of %v with an explicit MinValidity of %v is renewed with %v left", c.lifetime, c.minValidity, left)
			}
		}
	}
}

func TestNeedMovesTheRenewalAhead(t *testing.T) {
	r := Renewal{After: 2.0 / 3, MinValidity: 30 * sec}
	for _, c := range []struct{ need, left time.Duration }{
		{0, 200 * sec},
		{10 * sec, 200 * sec},
		{160 * sec, 200 * sec},
		{240 * sec, 270 * sec},
		{300 * sec, 330 * sec},
		{500 * sec, 330 * sec}, // more than half cannot be had
	} {
		if got := 600*sec - r.Age(600*sec, c.need, 0); (got - c.left).Abs() > time.Millisecond {
			t.Errorf("with a need of %v a token of 10 min is renewed with %v left, want %v", c.need, got, c.left)
		}
	}
}

func TestAge(t *testing.T) {
	for _, c := range []struct {
		lifetime      time.Duration
		after, jitter float64
		draw          float64
		want          time.Duration
	}{
		{600 * sec, 0.5, 0.1, 0, 300 * sec},
		{600 * sec, 0.5, 0.1, 0.5, 270 * sec},
		{600 * sec, 0.75, 0, 0.9, 450 * sec},
		{10 * sec, 0.5, 0.1, 0.5, 4500 * time.Millisecond},
		{0, 0.5, 0.1, 0.5, 0},
	} {
		got := Renewal{After: c.after, Jitter: c.jitter}.Age(c.lifetime, 0, c.draw)
		if (got - c.want).Abs() > time.Microsecond {
			t.Errorf("%+v: renewed at the age of %v", c, got)
		}
	}
	// Whatever the draw and the lifetime: before the token stops being usable,
	// and not before it was issued.
	for _, after := range []float64{0.01, 2.0 / 3, 0.85} {
		for _, lifetime := range []time.Duration{1, 10 * sec, time.Hour, math.MaxInt64 / 4} {
			for _, draw := range []float64{0, 0.5, 0.999999} {
				r := Renewal{After: after, Jitter: after / 2, MinValidity: time.Hour}
				if at := r.Age(lifetime, 0, draw); at < 0 || at > lifetime-r.Margin(lifetime) {
					t.Errorf("lifetime %v is renewed at the age of %v", lifetime, at)
				}
			}
		}
	}
}

func TestRefreshes(t *testing.T) {
	for failures, want := range []bool{true, true, true, false, true, false, true, false} {
		if got := Refreshes(true, failures); got != want {
			t.Errorf("Refreshes(true, %d) = %v, want %v", failures, got, want)
		}
		if Refreshes(false, failures) {
			t.Errorf("Refreshes(false, %d) = true, want a create without a refresh token", failures)
		}
	}
}

func TestBackoffSteps(t *testing.T) {
	b := Backoff{Min: 500 * time.Millisecond, Max: 30 * sec}
	steps := []time.Duration{500 * time.Millisecond, sec, 2 * sec, 4 * sec, 8 * sec, 16 * sec, 20 * sec, 20 * sec}
	for i, step := range steps {
		var least, most time.Duration = math.MaxInt64, 0
		for range 2000 {
			wait := b.Wait(i + 1)
			least, most = min(least, wait), max(most, wait)
		}
		if least < step || most > step*3/2 {
			t.Errorf("waits after %d failures are drawn from %v to %v, want %v to %v", i+1, least, most, step, step*3/2)
		}
		if least > step*21/20 || most < step*29/20 {
			t.Errorf("waits after %d failures are drawn from %v to %v only: the jitter is missing", i+1, least, most)
		}
	}
	if wait := b.Wait(math.MaxInt); wait < 20*sec || wait > 30*sec {
		t.Errorf("the wait after very many failures is %v", wait)
	}
}

func TestBackoffBounds(t *testing.T) {
	for _, b := range []Backoff{{sec, sec}, {sec, sec * 11 / 10}, {1, 1}, {sec, 1000 * time.Hour}, {1, math.MaxInt64}} {
		for failures := 1; failures < 80; failures++ {
			if wait := b.Wait(failures); wait < b.Min || wait > b.Max {
				t.Errorf("%+v: the wait after %d failures is %v", b, failures, wait)
			}
		}
	}
}

func TestFixedBackoffs(t *testing.T) {
	for _, c := range []struct {
		name  string
		b     Backoff
		steps []time.Duration
	}{
		{"Permanent", Permanent, []time.Duration{sec, 2 * sec, 4 * sec, 8 * sec, 16 * sec, 32 * sec, 64 * sec, 128 * sec, 200 * sec, 200 * sec}},
		{"Credential", Credential, []time.Duration{sec, 2 * sec, 4 * sec, 8 * sec, 16 * sec, 32 * sec, 40 * sec, 40 * sec}},
	} {
		for i, step := range c.steps {
			if wait := c.b.Wait(i + 1); wait < step || wait > step*3/2 {
				t.Errorf("%s: the wait after %d failures is %v, want %v to %v", c.name, i+1, wait, step, step*3/2)
			}
		}
	}
}
