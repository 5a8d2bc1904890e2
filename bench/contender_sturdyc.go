package main

import (
	"context"

	"github.com/viccon/sturdyc"
)

var sturdycContender = contender{
	name:   "sturdyc",
	module: "github.com/viccon/sturdyc",
	kind:   peer,
	renews: onRead,
	open: func(src *source, t terms) (cache, error) {
		const (
			shards  = 64
			percent = 10 // to evict when full, which never happens
		)
		life := t.lifetime - t.early
		return &sturdycCache{
			client: sturdyc.New[token](2*t.keys+100*shards, shards, life, percent,
				sturdyc.WithEarlyRefreshes(t.renewAfter, t.renewAfter, life, t.backoff),
				sturdyc.WithLog(&sturdyc.NoopLogger{})),
			source: src,
		}, nil
	},
}

type sturdycCache struct {
	client *sturdyc.Client[token]
	source *source
}

func (c *sturdycCache) Get(ctx context.Context, key string) (string, error) {
	tok, err := c.client.GetOrFetch(ctx, key, func(ctx context.Context) (token, error) {
		return c.source.mint(ctx, key)
	})
	return tok.text, err
}

func (*sturdycCache) Close() error { return nil } // sturdyc cannot stop its goroutine
