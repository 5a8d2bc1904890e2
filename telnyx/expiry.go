package telnyx

import (
	"net/http"
	"time"
)

// times are the readings of the two clocks during a call.
type times struct {
	sent time.Time // the local clock just before the request was sent
	date time.Time // the Date of the response, truncated to seconds; zero if unknown
}

// granularity is the resolution of Date and iat: both are truncated to whole seconds.
const granularity = time.Second

// agreement is the difference up to which an iat and the local clock confirm each other.
const agreement = time.Minute

// issuerClock is the clock by which the expiries in a response are judged: the issuer's
// at the time of the response, as far as the response tells.
type issuerClock struct {
	now  time.Time
	from string        // what it is read from, for error messages
	unit time.Duration // its resolution
}

// The clocks that issuerClock.now can be read from.
const (
	fromServer = "the server's clock"
	fromLocal  = "this machine's clock"
	fromBoth   = "this machine's clock or the token's iat, which agree and Date does not,"
)

// issuerClock returns the clock for a response with these tokens.
//
// The issuer's clock is not earlier than any iat in the response, nor than its Date: one
// that is may come from a proxy or a cache whose clock is slow. So the latest of them
// counts: at worst a token is renewed early. A proxy whose clock is fast would make every
// token look expired. So a Date after the end of the client token does not count, if the
// newest iat and the local clock confirm each other.
func (t times) issuerClock(token, refreshToken issue) issuerClock {
	newest := later(token.iat, refreshToken.iat)
	clock := issuerClock{later(t.date, newest), fromServer, granularity}
	switch {
	case clock.now.IsZero():
		return issuerClock{t.sent, fromLocal, 0} // assumes that the clocks agree
	case clock.hasEnded(token) && !newest.IsZero() && newest.Sub(t.sent).Abs() <= agreement:
		return issuerClock{later(newest, t.sent), fromBoth, granularity}
	}
	return clock
}

// lifetime returns how long after the request the token is valid: at most longest, and
// not positive if the token has expired.
//
// The response was made after the request was sent, at now or less than the granularity
// later, so the token has more than its end minus now minus the granularity left.
func (c issuerClock) lifetime(token issue, longest time.Duration) time.Duration {
	return max(min(longest, token.end().Sub(c.now)), 0) - c.unit // Sub saturates: avoid an overflow
}

// hasEnded reports whether a token has no time left.
func (c issuerClock) hasEnded(token issue) bool { return c.lifetime(token, granularity+1) <= 0 }

// String describes the time at which an expiry was judged, for error messages.
func (c issuerClock) String() string { return c.from + " shows " + c.now.UTC().Format(time.RFC3339) }

// issue is what a response says about the times of one token. A zero time is unknown.
type issue struct {
	iat, exp  time.Time // claims of a token that is a JWT (RFC 7519, 4.1)
	expiresAt time.Time // the field beside the token
}

// issueOf returns the times of a token whose field of expiry is expiresAt.
func issueOf(token string, expiresAt time.Time) issue {
	iat, exp := jwtTimes(token)
	return issue{iat, exp, expiresAt}
}

// end returns when the token ends, on the issuer's clock: the earlier one of exp and
// expiresAt, or the one that is known. It is zero if neither is.
func (i issue) end() time.Time {
	if i.expiresAt.IsZero() || !i.exp.IsZero() && i.exp.Before(i.expiresAt) {
		return i.exp
	}
	return i.expiresAt
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// dateOf returns the Date of a response, or the zero Time if it is missing or malformed.
func dateOf(header http.Header) time.Time {
	date, err := http.ParseTime(header.Get("Date"))
	if err != nil {
		return time.Time{}
	}
	return date
}
