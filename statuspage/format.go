package statuspage

import (
	"fmt"
	"strconv"
	"time"
)

// span formats a duration for people, rounded down, with two units at most: 250 ms, 2.5 s,
// 42 s, 3 min 20 s, 5 h 10 min, 12 d 3 h. A negative one is 0 s.
func span(d time.Duration) string {
	switch {
	case d < time.Microsecond:
		return "0 s"
	case d < time.Second:
		return tenths(d, time.Millisecond) + " ms"
	case d < 10*time.Second:
		return tenths(d, time.Second) + " s"
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < time.Hour:
		return units(d, time.Minute, "min", time.Second, "s")
	case d < 24*time.Hour:
		return units(d, time.Hour, "h", time.Minute, "min")
	default:
		return units(d, 24*time.Hour, "d", time.Hour, "h")
	}
}

// tenths formats d in a unit, with a digit behind the point where there are few before it.
func tenths(d, unit time.Duration) string {
	if d >= 10*unit {
		return strconv.FormatInt(int64(d/unit), 10)
	}
	return strconv.FormatFloat(float64(d*10/unit)/10, 'f', -1, 64)
}

func units(d, large time.Duration, largeName string, small time.Duration, smallName string) string {
	text := fmt.Sprintf("%s %s", count(int(d/large)), largeName)
	if rest := d % large / small; rest > 0 {
		text += fmt.Sprintf(" %d %s", rest, smallName)
	}
	return text
}

// count formats a number with commas: 31,402.
func count[N int | uint64](n N) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// some formats a number of things: 1 room, 31,402 rooms.
func some[N int | uint64](n N, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return count(n) + " " + thing
}

// clockTime formats a time of day, in UTC.
func clockTime(t time.Time) string { return t.UTC().Format(time.TimeOnly) }
