// Package steady has a source for measuring renewals that are spread evenly from the start.
package steady

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/roomtoken/roomtoken"
)

// RenewedAt is the mean fraction of its lifetime after which a Manager with the default
// Config renews a token.
const RenewedAt = 2.0/3 - jitter/2

const jitter = 0.1

// Source mints without latency. A room's first token is of random age.
type Source struct {
	Lifetime time.Duration // of the tokens

	// Token and RefreshToken make the tokens of a room.
	Token, RefreshToken func(room string, issued, expires time.Time) string
}

// For returns the lifetime with which so many rooms are renewed so many times per second.
func For(rooms int, renewalsPerSecond float64) (lifetime time.Duration) {
	return time.Duration(float64(rooms) / renewalsPerSecond / RenewedAt * float64(time.Second))
}

// refreshLifetime is that of the refresh tokens.
const refreshLifetime = 24 * time.Hour

// Create implements [roomtoken.TokenSource].
func (s Source) Create(_ context.Context, room string) (roomtoken.Grant, error) {
	renewed := RenewedAt + jitter*(rand.Float64()-0.5)
	age := time.Duration(rand.Float64() * renewed * float64(s.Lifetime))
	g := s.grant(room, age)
	expires := g.IssuedAt.Add(refreshLifetime)
	g.RefreshToken = roomtoken.Token{Value: roomtoken.NewSecret(s.RefreshToken(room, g.IssuedAt, expires)), ExpiresAt: expires}
	return g, nil
}

// Refresh implements [roomtoken.TokenSource].
func (s Source) Refresh(_ context.Context, room string, _ roomtoken.Token) (roomtoken.Grant, error) {
	return s.grant(room, 0), nil
}

// grant returns a grant without a refresh token.
func (s Source) grant(room string, age time.Duration) roomtoken.Grant {
	issued := time.Now().Add(-age)
	expires := issued.Add(s.Lifetime)
	return roomtoken.Grant{
		Token:    roomtoken.Token{Value: roomtoken.NewSecret(s.Token(room, issued, expires)), ExpiresAt: expires},
		IssuedAt: issued,
	}
}
