package main

import (
	"context"
	"time"

	"github.com/roomtoken/roomtoken"
)

var roomtokenContender = contender{
	name:       "roomtoken",
	module:     "github.com/roomtoken/roomtoken",
	kind:       us,
	renews:     inBackground,
	copiesKeys: true,
	open: func(src *source, t terms) (cache, error) {
		m, err := roomtoken.NewManager(roomtokenSource{src}, roomtoken.Config{
			RefreshAfter: float64(t.renewAfter) / float64(t.lifetime),
			Jitter:       -1, // renew all tokens at the same age
			MinValidity:  t.early,
			MaxRooms:     -1,
			CallTimeout:  t.callTimeout,
			MaxWait:      t.maxWait,
			BackoffMin:   t.backoff,
			BackoffMax:   t.maxBackoff,
		})
		if err != nil {
			return nil, err
		}
		return roomtokenCache{m}, nil
	},
}

type roomtokenCache struct{ *roomtoken.Manager }

func (c roomtokenCache) Get(ctx context.Context, key string) (string, error) {
	tok, err := c.Token(ctx, key)
	return tok.Value.Reveal(), err
}

func (c roomtokenCache) Fill(ctx context.Context, keys []string) error { return c.Warm(ctx, keys...) }

// roomtokenSource also mints refresh tokens, like Telnyx.
type roomtokenSource struct{ *source }

func (s roomtokenSource) Create(ctx context.Context, key string) (roomtoken.Grant, error) {
	tok, err := s.mint(ctx, key)
	if err != nil {
		return roomtoken.Grant{}, err
	}
	return roomtoken.Grant{
		Token:        roomtoken.Token{Value: roomtoken.NewSecret(tok.text), ExpiresAt: tok.expires},
		RefreshToken: roomtoken.Token{Value: roomtoken.NewSecret(tok.text), ExpiresAt: tok.expires.Add(24 * time.Hour)},
		IssuedAt:     tok.issued,
	}, nil
}

func (s roomtokenSource) Refresh(ctx context.Context, key string, _ roomtoken.Token) (roomtoken.Grant, error) {
	return s.Create(ctx, key)
}
