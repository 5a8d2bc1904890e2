package telnyx

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	// maxRetryAfter is the longest wait that an answer can ask for.
	maxRetryAfter = 24 * time.Hour

	// A number of seconds from here on is a Unix time: as a wait it would be
	// 11 days and be cut to one anyway, as a time it is in January 1970.
	unixTimeFrom = 1e6

	// And from here on it is one in milliseconds: in seconds, the year 5138.
	unixMillisFrom = 1e11
)

// retryAfter returns the wait that an answer asks for, between 0 (none) and
// 24 hours. now is the local clock.
//
// Retry-After counts with every status that is not a success. The headers of
// rate limits count with 429 alone, since they stand on answers of every kind
// and say when the limit is renewed, not that it is used up. What is negative,
// past or garbage counts as absent.
func retryAfter(status int, header http.Header, now time.Time) time.Duration {
	if date := dateOf(header); !date.IsZero() {
		now = date // other times in the answer are on the same clock
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

// parseRetryAfter reads seconds or an HTTP date (RFC 9110, 10.2.3).
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

// parseReset reads seconds or a Unix time: Telnyx's pages say now the one, now
// the other.
func parseReset(value string, now time.Time) (time.Duration, bool) {
	seconds, ok := parseSeconds(value)
	switch {
	case !ok:
		return 0, false
	case seconds >= unixMillisFrom:
		return until(time.UnixMilli(int64(min(seconds, 1e15))), now) // at most the year 33658
	case seconds >= unixTimeFrom:
		return until(time.Unix(int64(seconds), 0), now)
	}
	return secondsLong(seconds), true
}

// parseSeconds reads a decimal number without a sign or exponent, of any size.
func parseSeconds(value string) (float64, bool) {
	value = strings.TrimSpace(value)
	if value == "" || strings.Trim(value, "0123456789.") != "" {
		return 0, false
	}
	seconds, err := strconv.ParseFloat(value, 64)
	if err != nil && !math.IsInf(seconds, 1) { // out of range is just very long
		return 0, false
	}
	return seconds, true
}

// secondsLong turns a number that is not negative into a wait.
func secondsLong(seconds float64) time.Duration {
	seconds = min(seconds, maxRetryAfter.Seconds())
	return time.Duration(math.Ceil(seconds * float64(time.Second)))
}

// until is the wait from now to date, none if that is past.
func until(date, now time.Time) (time.Duration, bool) {
	wait := min(date.Sub(now), maxRetryAfter)
	return max(wait, 0), wait >= 0
}
