package telnyx

import (
	"errors"
	"strings"
	"time"

	"github.com/roomtoken/roomtoken"
)

// grant converts an answer into a grant with expiries on the local clock.
func (s *Source) grant(c call, a *answer, when times) (roomtoken.Grant, error) {
	name, value, expiry := "token", a.token, a.tokenExpiresAt
	if s.endpoints == AccessTokens {
		name, value, expiry = "access_token", a.accessToken, a.accessTokenExpiresAt
	}
	token, err := tokenValue(value)
	if err != nil {
		return roomtoken.Grant{}, c.failGrant("%q %v", name, err)
	}
	expiresAt, err := expiryTime(expiry)
	if err != nil {
		return roomtoken.Grant{}, c.failGrant("\"%s_expires_at\" %v", name, err)
	}
	// Both are optional: a refresh token is missing if it is unusable, and good until it
	// is refused if its expiry is missing or malformed.
	refreshToken, _ := tokenValue(a.refreshToken)
	refreshExpiresAt, _ := expiryTime(a.refreshTokenExpiresAt)

	issue, refreshIssue := issueOf(token, expiresAt), issueOf(refreshToken, refreshExpiresAt)
	clock := when.issuerClock(issue, refreshIssue)
	lifetime := clock.lifetime(issue, s.maxLifetime)
	if lifetime <= 0 {
		return roomtoken.Grant{}, c.failGrant("%q has no time left: it expires at %s, and %v", name, issue.end().Format(time.RFC3339), clock)
	}
	grant := roomtoken.Grant{
		Token:    roomtoken.Token{Value: roomtoken.NewSecret(token), ExpiresAt: when.sent.Add(lifetime)},
		IssuedAt: when.sent,
	}
	if refreshToken == "" {
		return grant, nil
	}
	if refreshIssue.end().IsZero() {
		grant.RefreshToken.Value = roomtoken.NewSecret(refreshToken)
	} else if lifetime := clock.lifetime(refreshIssue, s.maxRefreshLifetime); lifetime > 0 {
		grant.RefreshToken = roomtoken.Token{Value: roomtoken.NewSecret(refreshToken), ExpiresAt: when.sent.Add(lifetime)}
	}
	return grant, nil
}

// maxToken limits the length of a token, in bytes. A Manager keeps them in memory; good ones
// have about 630 bytes.
const maxToken = 16 << 10

// tokenValue returns the token in f. Its errors have the form of those of field.value.
func tokenValue(f field) (string, error) {
	token, err := f.value()
	switch {
	case err != nil:
		return "", err
	case token == "":
		return "", errors.New("is empty")
	case len(token) > maxToken:
		return "", errors.New("is larger than 16 KiB")
	case strings.ContainsFunc(token, isNotTokenChar):
		return "", errors.New("contains white space, control or non-ASCII characters")
	}
	return token, nil
}

// expiryTime returns the RFC 3339 time in f. Its errors have the form of those of
// field.value.
func expiryTime(f field) (time.Time, error) {
	text, err := f.value()
	if err != nil {
		return time.Time{}, err
	}
	expires, err := time.Parse(time.RFC3339, strings.ToUpper(text)) // T and Z may be in lower case (RFC 3339, 5.6)
	switch {
	case err != nil:
		return time.Time{}, errors.New("is not an RFC 3339 time")
	case expires.IsZero(): // how programs in Go encode that there is none
		return time.Time{}, errors.New("is the zero time")
	}
	return expires.UTC(), nil
}
