package monotime

import (
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/benbjohnson/clock"
)

// twoClocks is a clock whose wall clock can be stepped on its own.
type twoClocks struct {
	*clock.Mock
	step time.Duration
}

func (c *twoClocks) Now() time.Time                     { return c.Mock.Now().Add(c.step) }
func (c *twoClocks) Since(base time.Time) time.Duration { return c.Mock.Now().Sub(base) }

func TestRealClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(nil)
		time.Sleep(time.Hour)
		if got, want := c.Now(), (Reading{Mono: Time(time.Hour), Wall: WallTime(time.Hour)}); got != want {
			t.Fatalf("Now() an hour after the base = %+v, want %+v", got, want)
		}
		if !c.IsReal() || New(clock.NewMock()).IsReal() {
			t.Fatal("IsReal does not tell the real clock from the mock")
		}
	})
}

func TestStepsAreSeenWithin100ms(t *testing.T) {
	for name, step := range map[string]time.Duration{"forward": time.Hour, "backward": -time.Hour} {
		t.Run(name, func(t *testing.T) {
			fake := &twoClocks{Mock: clock.NewMock()}
			c := New(fake)
			fake.Add(time.Second)
			c.Look()
			fake.step = step
			fake.Add(lookEvery + 1)
			now := c.Now()
			if got := now.Ahead(); got != step {
				t.Fatalf("Ahead() after a step = %v, want %v", got, step)
			}
			if want := Time(time.Second + lookEvery + 1); now.Mono != want {
				t.Fatalf("Mono after a step = %d, want %d: a step must not move the monotonic clock", now.Mono, want)
			}
		})
	}
}

func TestLookIsImmediate(t *testing.T) {
	fake := &twoClocks{Mock: clock.NewMock()}
	c := New(fake)
	fake.step = time.Minute
	if got := c.Look().Ahead(); got != time.Minute {
		t.Fatalf("Look().Ahead() = %v, want %v", got, time.Minute)
	}
	if got := c.Now().Ahead(); got != time.Minute {
		t.Fatalf("Now().Ahead() after Look = %v, want %v", got, time.Minute)
	}
}

func TestTimes(t *testing.T) {
	fake := &twoClocks{Mock: clock.NewMock()}
	fake.Set(time.Unix(1000, 5))
	c := New(fake)
	if got := c.FromTime(time.Unix(1001, 5)); got != WallTime(time.Second) {
		t.Fatalf("FromTime(a second after the base) = %d", got)
	}
	if got := c.FromTime(time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)); got != math.MaxInt64 {
		t.Fatalf("FromTime(far future) = %d, want it to saturate", got)
	}
	fake.step = time.Hour
	now := c.Look()
	if got, want := c.Time(now, Time(time.Second)), time.Unix(4601, 5); !got.Equal(want) {
		t.Fatalf("Time() = %v, want %v", got, want)
	}
}

func TestLeft(t *testing.T) {
	fake := &twoClocks{Mock: clock.NewMock()}
	fake.Set(time.Unix(1000, 500))
	c := New(fake)
	at := func(sec int64, nsec uint32) Expiry { return Expiry{Mono: Time(time.Minute), Sec: sec, Nsec: nsec} }
	for _, tt := range []struct {
		name   string
		expiry Expiry
		now    Reading
		want   time.Duration
	}{
		{"both clocks agree", at(1060, 500), Reading{}, time.Minute},
		{"the wall clock leaves less", at(1059, 499), Reading{}, 59*time.Second - 1},
		{"the monotonic clock leaves less", at(1061, 500), Reading{}, time.Minute},
		{"it ages on both", at(1060, 500), Reading{Mono: Time(time.Second), Wall: WallTime(time.Second)}, 59 * time.Second},
		{"suspended: the wall clock went on", at(1060, 500), Reading{Wall: WallTime(time.Hour)}, time.Minute - time.Hour},
		{"stepped backward", at(1060, 500), Reading{Mono: Time(time.Second), Wall: -WallTime(time.Hour)}, 59 * time.Second},
		{"an expiry beyond what nanoseconds hold", at(math.MaxInt64, 0), Reading{Wall: WallTime(time.Hour)}, time.Minute},
		{"never", Expiry{Mono: Never, Sec: math.MaxInt64}, Reading{}, time.Duration(Never)},
	} {
		if got := c.Left(tt.expiry, tt.now); got != tt.want {
			t.Errorf("%s: Left() = %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestTimeArithmetic(t *testing.T) {
	for _, tt := range []struct {
		t    Time
		d    time.Duration
		want Time
	}{
		{1, 2, 3},
		{-1, 2, 1},
		{math.MaxInt64, 1, math.MaxInt64},
		{math.MaxInt64, math.MaxInt64, math.MaxInt64},
		{math.MinInt64, -1, math.MinInt64},
		{math.MinInt64, math.MinInt64, math.MinInt64},
		{math.MaxInt64, math.MinInt64, -1},
	} {
		if got := tt.t.Add(tt.d); got != tt.want {
			t.Errorf("Time(%d).Add(%d) = %d, want %d", tt.t, tt.d, got, tt.want)
		}
	}
	early, late := Time(1), Time(2)
	if !early.Before(late) || late.Before(early) || early.Before(early) {
		t.Error("Before is wrong")
	}
	if early.After(late) || !late.After(early) || late.After(late) {
		t.Error("After is wrong")
	}
	if got := WallTime(5).Sub(2); got != 3 {
		t.Errorf("WallTime(5).Sub(2) = %v", got)
	}
}
