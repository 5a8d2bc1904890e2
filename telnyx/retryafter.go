package telnyx

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	// maxRetryAfter caps the wait that a response can ask for.
	maxRetryAfter = 24 * time.Hour

	// A number from here on is a Unix time in seconds. As a wait it would be longer
	// than 11 days, which is capped anyway; as a time it is after 12 January 1970.
	unixTimeFrom = 1e6

	// A number from here on is a Unix time in milliseconds. In seconds it would be
	// after the year 5138.
	unixMillisFrom = 1e11
)

// retryAfter returns the wait that a response asks for, from 0 (none) to maxRetryAfter.
// now is the local clock.
//
// Retry-After counts with every error status. The rate limit headers count with 429
// only: other responses have them, too, and they say when the limit is renewed, not that
// it is exhausted. Negative, past and malformed values are ignored.
func retryAfter(status int, header http.Header, now time.Time) time.Duration {
	if date := dateOf(header); !date.IsZero() {
		now = date // the other times in the header are on the same clock
	}
	if wait, ok := parseRetryAfter(header.Get("Retry-After"), now); ok {
		return wait
	}
	if status != http.StatusTooManyRequests {
		return 0
	}
	for _, name := range [...]string{"X-Ratelimit-Reset", "Ratelimit-Reset"} {
		if wait, ok := parseReset(header.Get(name), now); ok {
			return wait
		}
	}
	return 0
}

// parseRetryAfter parses seconds or an HTTP date (RFC 9110, 10.2.3).
func parseRetryAfter(value string, now time.Time) (time.Duration, bool) {
	if seconds, ok := parseSeconds(value); ok {
		return secondsLong(seconds), true
	}
	date, err := http.ParseTime(strings.TrimSpace(value))
	if err != nil {
		return 0, false
	}
	return until(date, now)
}

// parseReset parses seconds or a Unix time. Telnyx's documentation is inconsistent about
// which of them it is.
func parseReset(value string, now time.Time) (time.Duration, bool) {
	seconds, ok := parseSeconds(value)
	switch {
	case !ok:
		return 0, false
	case seconds >= unixMillisFrom:
		return until(time.UnixMilli(int64(min(seconds, 1e15))), now) // in the year 33658 at the latest
	case seconds >= unixTimeFrom:
		return until(time.Unix(int64(seconds), 0), now)
	}
	return secondsLong(seconds), true
}

// parseSeconds parses a decimal number of any size without a sign or exponent.
func parseSeconds(value string) (float64, bool) {
	value = strings.TrimSpace(value)
	if value == "" || strings.Trim(value, "0123456789.") != "" {
		return 0, false
	}
	seconds, err := strconv.ParseFloat(value, 64)
	if err != nil && !math.IsInf(seconds, 1) { // out of range: a very long wait
		return 0, false
	}
	return seconds, true
}

// secondsLong converts a nonnegative number of seconds into a wait.
func secondsLong(seconds float64) time.Duration {
	seconds = min(seconds, maxRetryAfter.Seconds())
	return time.Duration(math.Ceil(seconds * float64(time.Second)))
}

// until returns the wait from now to date. ok is false if date is in the past.
func until(date, now time.Time) (wait time.Duration, ok bool) {
	wait = min(date.Sub(now), maxRetryAfter)
	return max(wait, 0), wait >= 0
}
