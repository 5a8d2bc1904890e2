package main

import (
	"context"

	"cloud.google.com/go/auth"
)

var gcpContender = contender{
	name:   "gcp auth",
	module: "cloud.google.com/go/auth",
	kind:   peer,
	single: true,
	renews: onRead,
	open: func(src *source, t terms) (cache, error) {
		return gcpCache{auth.NewCachedTokenProvider(gcpSource{src}, &auth.CachedTokenProviderOptions{
			ExpireEarly: t.lifetime - t.renewAfter,
		})}, nil
	},
}

type gcpCache struct{ tokens auth.TokenProvider }

func (c gcpCache) Get(ctx context.Context, _ string) (string, error) {
	tok, err := c.tokens.Token(ctx)
	if err != nil {
		return "", err
	}
	return tok.Value, nil
}

func (gcpCache) Close() error { return nil }

type gcpSource struct{ source *source }

func (s gcpSource) Token(ctx context.Context) (*auth.Token, error) {
	tok, err := s.source.mint(ctx, "")
	if err != nil {
		return nil, err
	}
	return &auth.Token{Value: tok.text, Expiry: tok.expires}, nil
}
