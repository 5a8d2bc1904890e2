// Package format formats durations, counts and room IDs for people to read.
package format

import (
	"fmt"
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

// Count formats a number with thousands separators: 31,402.
func Count[N int | uint64 | time.Duration](n N) string {
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

// Percent formats part / whole: 99.81 %. It returns "" if whole is 0.
func Percent(part, whole uint64) string {
	if whole == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f %%", 100*float64(part)/float64(whole))
}

// ShortID returns the first 8 characters of a room ID.
func ShortID(id string) string { return id[:min(8, len(id))] }
