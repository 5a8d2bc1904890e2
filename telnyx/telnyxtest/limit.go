package telnyxtest

import (
	"net/http"
	"strconv"
	"sync"
	"time"
)

// limiter counts calls in windows of fixed length. The zero limiter sets no limit.
type limiter struct {
	mu     sync.Mutex
	n      int
	window time.Duration
	ends   time.Time // of the current window
	used   int       // in the current window
}

func (l *limiter) set(n int, window time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.n, l.window, l.ends, l.used = n, window, time.Time{}, 0
}

// take counts a call at now. It reports whether the call is within the limit, and
// returns the rate limit headers of the response.
func (l *limiter) take(now time.Time) (ok bool, header http.Header) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.n < 1 {
		return true, nil
	}
	if !now.Before(l.ends) {
		l.ends, l.used = now.Add(l.window), 0
	}
	ok = l.used < l.n
	if ok {
		l.used++
	}
	reset := ceilSeconds(l.ends.Sub(now))
	header = http.Header{
		"X-Ratelimit-Limit":     {strconv.Itoa(l.n)},
		"X-Ratelimit-Remaining": {strconv.Itoa(l.n - l.used)},
		"X-Ratelimit-Reset":     {reset},
	}
	if !ok {
		header.Set("Retry-After", reset)
	}
	return ok, header
}
