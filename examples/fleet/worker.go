package main

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/extra/redisstore"
	"github.com/roomtoken/roomtoken/telnyx"
)

// newClient returns a client of the Redis that the processes share.
func newClient(s settings) *redis.Client {
	return redis.NewClient(&redis.Options{
		Addr:                  s.RedisAddr,
		ContextTimeoutEnabled: true, // a Redis that hangs keeps no connection
		DialerRetries:         1,    // one that refuses connections is noticed at once
	})
}

// newManager returns the Manager of a process. Only the store is what a process alone would
// not have.
func newManager(client redis.UniversalClient, s settings) (*roomtoken.Manager, error) {
	store, err := redisstore.New(client, redisstore.Config{Prefix: s.Prefix, EncryptionKeys: [][]byte{s.EncryptionKey}})
	if err != nil {
		return nil, err
	}
	source, err := telnyx.NewSource(telnyx.Config{BaseURL: s.APIURL, APIKey: s.APIKey, TokenTTL: s.TokenTTL})
	if err != nil {
		return nil, err
	}
	return roomtoken.NewManager(source, roomtoken.Config{
		Store:        store,
		StoreTimeout: 2 * time.Second, // eight processes start at once, on one machine
		CallTimeout:  2 * time.Second, // these tokens live for seconds
	})
}

// handle is a request: somebody wants to join a room.
func handle(ctx context.Context, manager *roomtoken.Manager, roomID string) error {
	_, err := manager.Token(ctx, roomID)
	return err
}
