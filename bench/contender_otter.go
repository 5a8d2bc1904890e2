package main

import (
	"context"
	"time"

	"github.com/maypok86/otter/v2"
)

var otterContender = contender{
	name:   "otter",
	module: "github.com/maypok86/otter/v2",
	kind:   peer,
	renews: onRead,
	open: func(src *source, t terms) (cache, error) {
		c, err := otter.New(&otter.Options[string, token]{
			ExpiryCalculator: otter.ExpiryWritingFunc(func(e otter.Entry[string, token]) time.Duration {
				return time.Until(e.Value.expires) - t.early
			}),
			RefreshCalculator: otterRefresh{
				RefreshCalculator: otter.RefreshWritingFunc(func(e otter.Entry[string, token]) time.Duration {
					return time.Until(e.Value.expires) - (t.lifetime - t.renewAfter)
				}),
				retry: t.retry,
			},
			Logger: &otter.NoopLogger{},
		})
		if err != nil {
			return nil, err
		}
		return &otterCache{c, otter.LoaderFunc[string, token](src.mint)}, nil
	},
}

// otterRefresh waits for a fixed time after a failed renewal: otter has no backoff.
type otterRefresh struct {
	otter.RefreshCalculator[string, token]
	retry time.Duration
}

func (r otterRefresh) RefreshAfterReloadFailure(otter.Entry[string, token], error) time.Duration {
	return r.retry
}

type otterCache struct {
	cache  *otter.Cache[string, token]
	loader otter.Loader[string, token]
}

func (c *otterCache) Get(ctx context.Context, key string) (string, error) {
	tok, err := c.cache.Get(ctx, key, c.loader)
	return tok.text, err
}

func (c *otterCache) Close() error {
	c.cache.StopAllGoroutines()
	return nil
}
