package redisstore

import "time"

// micros returns a duration as the scripts take it; a negative one is none.
func micros(d time.Duration) int64 { return max(d.Microseconds(), 0) }

// flag returns a bool as the scripts take it.
func flag(b bool) string {
	if b {
		return "1"
	}
	return "0"
}
