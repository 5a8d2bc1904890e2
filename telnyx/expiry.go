package telnyx

import (
	"net/http"
	"time"
)

// times is what is known of the two clocks of an exchange.
type times struct {
	sent time.Time // the local clock when the request was about to leave
	date time.Time // the server's clock when it answered, cut to whole seconds; zero if it did not say
}

// granularity is the most by which the server's clock can have been ahead of a
// Date or an iat, which are cut to whole seconds.
const granularity = time.Second

// lifetime returns for how long after t.sent a token is good that the server
// says ends at expires: at most longest, and not positive for a token that has
// ended.
//
// Let s be the server's clock when the request left. Neither the token nor the
// answer was made before that, so s < iat+1s and s < date+1s, and what the token
// has left, expires-s, is more than expires-date-1s; and more than exp-iat-1s, if
// it was made for this request. It may be an older one, and then the former is
// right; or the Date may come from a proxy whose clock is late, and then the
// latter is. So the smaller counts, whose error is an early renewal at worst.
func (t times) lifetime(expires time.Time, token string, longest time.Duration) time.Duration {
	fromJWT, isJWT := jwtLifetime(token)
	if t.date.IsZero() && !isJWT {
		return min(longest, expires.Sub(t.sent)) // the clocks are hoped to agree
	}
	if !t.date.IsZero() {
		longest = min(longest, expires.Sub(t.date))
	}
	if isJWT {
		longest = min(longest, fromJWT)
	}
	return max(longest, 0) - granularity // Sub may have saturated at the least Duration
}

// String says what the best known clock showed.
func (t times) String() string {
	if t.date.IsZero() {
		return "this machine's clock shows " + t.sent.Format(time.RFC3339)
	}
	return "the server's clock shows " + t.date.Format(time.RFC3339)
}

// dateOf returns the Date of an answer, the zero Time if it has none that can be
// understood.
func dateOf(header http.Header) time.Time {
	date, err := http.ParseTime(header.Get("Date"))
	if err != nil {
		return time.Time{}
	}
	return date
}
