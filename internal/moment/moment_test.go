package moment

import (
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/benbjohnson/clock"
)

// twoClocks is a clock whose wall can be stepped on its own.
type twoClocks struct {
	*clock.Mock
	step time.Duration
}

func (c *twoClocks) Now() time.Time                        { return c.Mock.Now().Add(c.step) }
func (c *twoClocks) Since(base time.Time) time.Duration    { return c.Mock.Now().Sub(base) }
func (c *twoClocks) advance(d time.Duration) (t time.Time) { c.Add(d); return c.Now() }

func TestRealClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(nil)
		time.Sleep(time.Hour)
		now := c.Now()
		if want := int64(time.Hour); now.Mono != want || now.Wall != want {
			t.Fatalf("an hour after the base it is %+v", now)
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
			fake.advance(time.Second)
			c.Look()
			fake.step = step
			fake.advance(lookEvery + 1)
			now := c.Now()
			if now.Ahead() != int64(step) {
				t.Fatalf("after a step of %v the wall is %v ahead", step, time.Duration(now.Ahead()))
			}
			if want := int64(time.Second + lookEvery + 1); now.Mono != want {
				t.Fatalf("the step moved the monotonic clock to %d, want %d", now.Mono, want)
			}
		})
	}
}

func TestLookIsImmediate(t *testing.T) {
	fake := &twoClocks{Mock: clock.NewMock()}
	c := New(fake)
	fake.step = time.Minute
	if got := c.Look().Ahead(); got != int64(time.Minute) {
		t.Fatalf("Look finds the wall %v ahead", time.Duration(got))
	}
	if got := c.Now().Ahead(); got != int64(time.Minute) {
		t.Fatalf("Now forgot what Look found: %v", time.Duration(got))
	}
}

func TestTimes(t *testing.T) {
	fake := &twoClocks{Mock: clock.NewMock()}
	fake.Set(time.Unix(1000, 5))
	c := New(fake)
	if sec, nsec := c.UnixBase(); sec != 1000 || nsec != 5 {
		t.Fatalf("UnixBase is %d, %d", sec, nsec)
	}
	if got := c.FromTime(time.Unix(1001, 5)); got != int64(time.Second) {
		t.Fatalf("FromTime is %d", got)
	}
	if got := c.FromTime(time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)); got != math.MaxInt64 {
		t.Fatalf("a far future does not saturate: %d", got)
	}
	fake.step = time.Hour
	now := c.Look()
	if got, want := c.Time(now, int64(time.Second)), time.Unix(4601, 5); !got.Equal(want) {
		t.Fatalf("Time is %v, want %v", got, want)
	}
}

func TestAdd(t *testing.T) {
	for _, c := range [][3]int64{
		{1, 2, 3},
		{-1, 2, 1},
		{math.MaxInt64, 1, math.MaxInt64},
		{math.MaxInt64, math.MaxInt64, math.MaxInt64},
		{math.MinInt64, -1, math.MinInt64},
		{math.MinInt64, math.MinInt64, math.MinInt64},
		{math.MaxInt64, math.MinInt64, -1},
	} {
		if got := Add(c[0], c[1]); got != c[2] {
			t.Errorf("Add(%d, %d) is %d, want %d", c[0], c[1], got, c[2])
		}
	}
}
