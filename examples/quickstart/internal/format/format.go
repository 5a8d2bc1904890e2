// Package format formats durations, counts and room IDs for people to read.
package format

import (
	"fmt"
	"math"
	"time"
)

// Seconds formats a duration with two or three digits: 0.6 s, 24 s, 50 min.
// Negative durations are 0 s.
func Seconds(d time.Duration) string {
	switch {
	case d < 0:
		return "0 s"
	case d < 9950*time.Millisecond:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < 10*time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d < 10*time.Hour:
		return fmt.Sprintf("%.0f min", d.Minutes())
	default:
		return fmt.Sprintf("%.0f h", d.Hours())
	}
}

// Millis formats how long a call took in milliseconds, with two or three digits, so that
// short and long calls compare: 0.0004 ms, 1.2 ms, 2,104 ms.
func Millis(d time.Duration) string {
	ms := float64(d) / float64(time.Millisecond)
	for i, limit := range [...]float64{0.01, 0.1, 1, 10} {
		if ms < limit {
			return fmt.Sprintf("%.*f ms", 4-i, ms)
		}
	}
	return Count(int(math.Round(ms))) + " ms"
}

// Count formats a number with thousands separators: 31,402.
func Count[N int | uint64](n N) string {
	s := fmt.Sprintf("%d", n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Rooms formats a number of rooms: 1 room, 6 rooms.
func Rooms(n int) string {
	if n == 1 {
		return "1 room"
	}
	return fmt.Sprintf("%d rooms", n)
}

// Callers formats a number of callers: 1 caller, 5 callers.
func Callers(n int) string {
	if n == 1 {
		return "1 caller"
	}
	return fmt.Sprintf("%d callers", n)
}

// Percent formats part / whole: 99.81 %. It returns "" if whole is 0.
func Percent(part, whole uint64) string {
	if whole == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f %%", 100*float64(part)/float64(whole))
}

// ShortID returns the first 8 characters of a room ID.
func ShortID(id string) string { return id[:min(8, len(id))] }
