package statuspage

import (
	"math"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
)

func TestSpan(t *testing.T) {
	const day = 24 * time.Hour
	for d, want := range map[time.Duration]string{
		math.MinInt64:                        "0 s",
		-1:                                   "0 s",
		0:                                    "0 s",
		999:                                  "0 s",
		time.Microsecond:                     "0 ms",
		150 * time.Microsecond:               "0.1 ms",
		2500 * time.Microsecond:              "2.5 ms",
		10 * time.Millisecond:                "10 ms",
		999999 * time.Microsecond:            "999 ms",
		time.Second:                          "1 s",
		2500 * time.Millisecond:              "2.5 s",
		9999 * time.Millisecond:              "9.9 s",
		10500 * time.Millisecond:             "10 s",
		59999 * time.Millisecond:             "59 s",
		time.Minute:                          "1 min",
		3*time.Minute + 20*time.Second:       "3 min 20 s",
		time.Hour - 1:                        "59 min 59 s",
		5*time.Hour + 10*time.Minute:         "5 h 10 min",
		day:                                  "1 d",
		12*day + 3*time.Hour + 5*time.Minute: "12 d 3 h",
		math.MaxInt64:                        "106,751 d 23 h",
	} {
		if got := span(d); got != want {
			t.Errorf("span(%v) = %q, want %q", d, got, want)
		}
	}
	for i, want := range []string{"1 ms", "2.5 ms", "5 ms", "10 ms", "25 ms", "50 ms", "100 ms", "250 ms", "500 ms", "1 s", "2.5 s", "5 s", "10 s", "30 s", "1 min", "2 min", "5 min", "15 min"} {
		if got := span(roomtoken.HistogramBounds()[i]); got != want {
			t.Errorf("span of bound %d = %q, want %q", i, got, want)
		}
	}
}

func TestCount(t *testing.T) {
	for n, want := range map[uint64]string{0: "0", 999: "999", 1000: "1,000", 31402: "31,402", 1234567: "1,234,567", math.MaxUint64: "18,446,744,073,709,551,615"} {
		if got := count(n); got != want {
			t.Errorf("count(%d) = %q, want %q", n, got, want)
		}
	}
	for n, want := range map[int]string{0: "0 rooms", 1: "1 room", 1200: "1,200 rooms"} {
		if got := some(n, "room"); got != want {
			t.Errorf("some(%d) = %q, want %q", n, got, want)
		}
	}
}
