package oauth2roomtoken

import (
	"context"

	"golang.org/x/oauth2"

	"github.com/roomtoken/roomtoken"
)

// NewTokenSource returns a source of the room's tokens, with the promises of
// [roomtoken.Manager.Token]: they come from memory, are renewed ahead of their end, and
// are there during an outage as long as they are valid. The oauth2.Token method has no
// ctx; this ctx bounds each call that has to wait. Errors are those of Manager.Token.
//
// Tokens have the type Bearer and an Expiry, and no refresh token. What they have left is at
// least Config.MinValidity: with its default, and lifetimes of more than 100 s, more than
// the 10 s below which x/oauth2 calls a token invalid.
//
// Use the source as it is. Do not put it into [oauth2.ReuseTokenSource], nor into
// [oauth2.NewClient], which does that: they keep a token until it expires, also when the
// Manager has replaced it because a server refused it.
//
// An oauth2.Token is not a [roomtoken.Secret]: printing one shows the token. The source is
// safe for concurrent use. A nil manager panics.
func NewTokenSource(ctx context.Context, manager *roomtoken.Manager, roomID string) oauth2.TokenSource {
	if manager == nil {
		panic("oauth2roomtoken: NewTokenSource with a nil Manager")
	}
	return &tokenSource{ctx, manager, roomID}
}

type tokenSource struct {
	ctx     context.Context //nolint:containedctx // oauth2.TokenSource has no other way
	manager *roomtoken.Manager
	roomID  string
}

// Token implements [oauth2.TokenSource].
func (s *tokenSource) Token() (*oauth2.Token, error) {
	tok, err := s.manager.Token(s.ctx, s.roomID)
	if err != nil {
		return nil, err
	}
	return &oauth2.Token{AccessToken: tok.Value.Reveal(), TokenType: "Bearer", Expiry: tok.ExpiresAt}, nil
}
