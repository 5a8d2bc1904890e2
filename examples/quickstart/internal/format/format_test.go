package format

import (
	"testing"
	"time"
)

func TestSeconds(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0 s", 0: "0.0 s", 612 * time.Millisecond: "0.6 s", 9940 * time.Millisecond: "9.9 s",
		9960 * time.Millisecond: "10 s", 599 * time.Second: "599 s", time.Hour: "60 min", 24 * time.Hour: "24 h",
	} {
		if got := Seconds(d); got != want {
			t.Errorf("Seconds(%v) = %q, want %q", d, got, want)
		}
	}
}

func TestMillis(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0.0000 ms", 399 * time.Nanosecond: "0.0004 ms", 32_100 * time.Nanosecond: "0.032 ms", 416 * time.Microsecond: "0.42 ms",
		1234 * time.Microsecond: "1.2 ms", 103_684_469: "104 ms", 2104 * time.Millisecond: "2,104 ms",
	} {
		if got := Millis(d); got != want {
			t.Errorf("Millis(%v) = %q, want %q", d, got, want)
		}
	}
}

func TestCount(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 31_402: "31,402", 1_000_000: "1,000,000"} {
		if got := Count(n); got != want {
			t.Errorf("Count(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestPercent(t *testing.T) {
	for _, tt := range []struct {
		part, whole uint64
		want        string
	}{{0, 0, ""}, {1, 3, "33.33 %"}, {2, 2, "100.00 %"}} {
		if got := Percent(tt.part, tt.whole); got != tt.want {
			t.Errorf("Percent(%d, %d) = %q, want %q", tt.part, tt.whole, got, tt.want)
		}
	}
}
