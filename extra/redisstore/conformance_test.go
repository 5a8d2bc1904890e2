package redisstore_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/extra/redisstore"
	"github.com/roomtoken/roomtoken/storetest"
)

func TestConformance(t *testing.T) {
	for name, config := range map[string]redisstore.Config{
		"sealed":       {EncryptionKeys: [][]byte{testKey(1)}},
		"in the clear": {AllowPlaintext: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr := ownServer(t)
			storetest.Run(t, func(t *testing.T) storetest.Harness {
				config := config
				config.Prefix = prefixOf(t)
				return newHarness(t, addr, config)
			})
		})
	}
}

// newHarness returns two stores on a server, whose clients have some options changed.
func newHarness(t *testing.T, addr string, config redisstore.Config, change ...func(*redis.Options)) storetest.Harness {
	t.Helper()
	admin := newClient(t, addr)
	f := fleet{t: t, prefix: config.Prefix, client: admin}
	resp2 := func(o *redis.Options) { o.Protocol = 2 }
	return storetest.Harness{
		Stores: []roomtoken.Store{
			newStore(t, newClient(t, addr, change...), config),
			newStore(t, newClient(t, addr, append(change, resp2)...), config),
		},
		Tolerance: 20 * time.Millisecond,
		Damage: func(roomID string) {
			damaged := []byte(f.stored(roomID))
			damaged[len(damaged)-1] ^= 1
			f.set(roomID, f.field(roomID), damaged)
		},
		Flush:     func() { must(t, admin.FlushAll(t.Context()).Err()) },
		NewsLimit: 10_000,
		ReadOnly: func(on bool) {
			replicas := 0
			if on { // which it does not have
				replicas = 1
			}
			must(t, admin.ConfigSet(context.Background(), "min-replicas-to-write", fmt.Sprint(replicas)).Err())
		},
	}
}
