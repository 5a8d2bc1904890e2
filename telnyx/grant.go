package telnyx

import (
	"errors"
	"strings"
	"time"

	"github.com/roomtoken/roomtoken"
)

// grant turns an answer into a grant, with its expiries on the local clock.
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

// refreshToken returns the refresh token of an answer. One that is missing,
// unusable or at its end is none; one whose end cannot be understood is good
// until it is refused.
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

// tokenValue returns what f holds if it is a token. Its errors, like those of
// expiryTime, are of the kind that field.value returns.
func tokenValue(f field) (string, error) {
	token, err := f.value()
	switch {
	case err != nil:
		return "", err
	case token == "":
		return "", errors.New("is empty")
	case strings.ContainsFunc(token, isNotTokenChar):
		return "", errors.New("contains white space, control or non-ASCII characters, as no token does")
	}
	return token, nil
}

// expiryTime returns what f holds as a time: RFC 3339 with any fraction and
// offset.
func expiryTime(f field) (time.Time, error) {
	text, err := f.value()
	if err != nil {
		return time.Time{}, err
	}
	expires, err := time.Parse(time.RFC3339, strings.ToUpper(text)) // t and z may be small (RFC 3339, 5.6)
	if err != nil {
		return time.Time{}, errors.New("is no RFC 3339 time")
	}
	return expires.UTC(), nil
}
