package telnyx

import (
	"net/http"
	"time"
)

// times are the readings of the two clocks during a call.
type times struct {
	sent time.Time // the local clock just before the request was sent
	date time.Time // the server's clock when it responded, truncated to seconds; zero if unknown
}

// granularity is the resolution of Date and iat: both are truncated to whole seconds.
const granularity = time.Second

// lifetime returns how long after t.sent a token is valid that expires at expires on the
// server's clock. The result is at most longest, and not positive if the token has
// expired.
//
// Let s be the server's clock when the request was sent. The response was made later, so
// s < date+1s, and the token has more than expires-date-1s left. If the token was minted
// for this request, also s < iat+1s, and it has more than exp-iat-1s left. The first
// value is wrong if the Date is from a proxy whose clock is slow, the second if the token
// is an older one. The smaller of the two is safe: at worst it renews the token early.
func (t times) lifetime(expires time.Time, token string, longest time.Duration) time.Duration {
	fromJWT, isJWT := jwtLifetime(token)
	if t.date.IsZero() && !isJWT {
		return min(longest, expires.Sub(t.sent)) // assumes that the clocks agree
	}
	if !t.date.IsZero() {
		longest = min(longest, expires.Sub(t.date))
	}
	if isJWT {
		longest = min(longest, fromJWT)
	}
	return max(longest, 0) - granularity // Sub saturates: avoid an overflow
}

// String describes the time at which the expiry was judged, for error messages.
func (t times) String() string {
	if t.date.IsZero() {
		return "this machine's clock shows " + t.sent.Format(time.RFC3339)
	}
	return "the server's clock shows " + t.date.Format(time.RFC3339)
}

// dateOf returns the Date of a response, or the zero Time if it is missing or malformed.
func dateOf(header http.Header) time.Time {
	date, err := http.ParseTime(header.Get("Date"))
	if err != nil {
		return time.Time{}
	}
	return date
}
