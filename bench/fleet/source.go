package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/roomtoken/roomtoken"
)

// Sizes of tokens, in bytes.
const (
	plainToken  = 320 // with its refresh token, a record of 700 bytes
	telnyxToken = 630 // as the tokens and refresh tokens of Telnyx
)

// source is a source in this program. No two of its tokens are alike, nor are those of other
// processes.
type source struct {
	latency, lifetime  time.Duration
	size               int // of the tokens
	creates, refreshes atomic.Int64
}

func (s *source) Create(ctx context.Context, room string) (roomtoken.Grant, error) {
	return s.grant(ctx, fmt.Sprintf("%s-%d", room, s.creates.Add(1)))
}

func (s *source) Refresh(ctx context.Context, room string, _ roomtoken.Token) (roomtoken.Grant, error) {
	return s.grant(ctx, fmt.Sprintf("%s-r%d", room, s.refreshes.Add(1)))
}

func (s *source) grant(ctx context.Context, text string) (roomtoken.Grant, error) {
	select {
	case <-time.After(s.latency):
	case <-ctx.Done():
		return roomtoken.Grant{}, ctx.Err()
	}
	now := time.Now()
	text += fmt.Sprint("-", os.Getpid())
	return roomtoken.Grant{
		Token:        roomtoken.Token{Value: pad("token-"+text, s.size), ExpiresAt: now.Add(s.lifetime)},
		RefreshToken: roomtoken.Token{Value: pad("refresh-"+text, s.size), ExpiresAt: now.Add(24 * time.Hour)},
		IssuedAt:     now,
	}, nil
}

// pad returns a Secret of a size.
func pad(text string, size int) roomtoken.Secret {
	return roomtoken.NewSecret(text + strings.Repeat(".", max(size-len(text), 0)))
}
