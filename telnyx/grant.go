package telnyx

import (
	"errors"
	"strings"
	"time"

	"github.com/roomtoken/roomtoken"
)

// grant converts an answer into a grant with expiries on the local clock.
func (s *Source) grant(c call, a *answer, when times) (roomtoken.Grant, error) {
	name, value, expiry := "token", a.Token, a.TokenExpiresAt
	if s.endpoints == AccessTokens {
		name, value, expiry = "access_token", a.AccessToken, a.AccessTokenExpiresAt
	}
	token, err := tokenValue(value)
	if err != nil {
		return roomtoken.Grant{}, c.failGrant("%q %v", name, err)
	}
	expires, err := expiryTime(expiry)
	if err != nil {
		return roomtoken.Grant{}, c.failGrant("\"%s_expires_at\" %v", name, err)
	}
	lifetime := when.lifetime(expires, token, s.maxLifetime)
	if lifetime <= 0 {
		return roomtoken.Grant{}, c.failGrant("%q has no time left: it expires at %s, and %v", name, expires.Format(time.RFC3339), when)
	}
	return roomtoken.Grant{
		Token:        roomtoken.Token{Value: roomtoken.NewSecret(token), ExpiresAt: when.sent.Add(lifetime)},
		RefreshToken: s.refreshToken(a, when),
		IssuedAt:     when.sent,
	}, nil
}

// refreshToken returns the refresh token of an answer. The result is zero if the token is
// missing, unusable or expired. Its ExpiresAt is zero if the expiry is missing or
// malformed: the token is then good until it is refused.
func (s *Source) refreshToken(a *answer, when times) roomtoken.Token {
	value, err := tokenValue(a.RefreshToken)
	if err != nil {
		return roomtoken.Token{}
	}
	token := roomtoken.Token{Value: roomtoken.NewSecret(value)}
	if expires, err := expiryTime(a.RefreshTokenExpiresAt); err == nil {
		lifetime := when.lifetime(expires, value, s.maxRefreshLifetime)
		if lifetime <= 0 {
			return roomtoken.Token{}
		}
		token.ExpiresAt = when.sent.Add(lifetime)
	}
	return token
}

// tokenValue returns the token in f. Its errors have the form of those of field.value.
func tokenValue(f field) (string, error) {
	token, err := f.value()
	switch {
	case err != nil:
		return "", err
	case token == "":
		return "", errors.New("is empty")
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
	if err != nil {
		return time.Time{}, errors.New("is not an RFC 3339 time")
	}
	return expires.UTC(), nil
}
