package main

import (
	"context"

	"golang.org/x/oauth2"
)

var oauth2Contender = contender{
	name:   "x/oauth2",
	module: "golang.org/x/oauth2",
	kind:   peer,
	single: true,
	open: func(src *source, t terms) (cache, error) {
		return oauth2Cache{oauth2.ReuseTokenSourceWithExpiry(nil, oauth2Source{src}, t.early)}, nil
	},
}

type oauth2Cache struct{ tokens oauth2.TokenSource }

func (c oauth2Cache) Get(context.Context, string) (string, error) { // no support for contexts
	tok, err := c.tokens.Token()
	if err != nil {
		return "", err
	}
	return tok.AccessToken, nil
}

func (oauth2Cache) Close() error { return nil }

type oauth2Source struct{ source *source }

func (s oauth2Source) Token() (*oauth2.Token, error) {
	tok, err := s.source.mint(context.Background(), "")
	if err != nil {
		return nil, err
	}
	return &oauth2.Token{AccessToken: tok.text, Expiry: tok.expires}, nil
}
