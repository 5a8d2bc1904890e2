package redisstore_test

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/extra/redisstore"
)

// A Store makes no network call before it is used.
func ExampleNew() {
	client := redis.NewClient(&redis.Options{
		Addr:                  shared, // "redis:6379"
		ContextTimeoutEnabled: true,
	})
	defer client.Close()
	key := bytes.Repeat([]byte{1}, 32) // yours comes from a secret manager

	store, err := redisstore.New(client, redisstore.Config{Prefix: "example-new:", EncryptionKeys: [][]byte{key}})
	fmt.Println(store, err)
	// Output: redisstore.Store(example-new:) <nil>
}

// What a Manager does for a room that nobody knows: it asks for the lease, calls its source,
// and commits the token. Another process then finds it.
func ExampleStore() {
	client := redis.NewClient(&redis.Options{Addr: shared})
	defer client.Close()
	ctx := context.Background()
	store, err := redisstore.New(client, redisstore.Config{Prefix: "example-store:", AllowPlaintext: true})
	if err != nil {
		fmt.Println(err)
		return
	}

	entry, err := store.Acquire(ctx, roomtoken.Ask{RoomID: "lobby", ID: "first", TTL: 10 * time.Second})
	if err != nil {
		fmt.Println(err)
		return
	}
	committed, err := store.Commit(ctx, entry.Lease, roomtoken.Result{Record: roomtoken.Record{
		Version:  uint64(entry.Lease.Granted),
		Token:    roomtoken.NewSecret("a-token"),
		Began:    entry.Lease.Granted,
		Lifetime: time.Second,
	}})
	fmt.Println(committed.Taken, err)

	entry, err = store.Acquire(ctx, roomtoken.Ask{RoomID: "lobby", ID: "second", TTL: 10 * time.Second})
	fmt.Println(entry.Record.Token.Reveal(), err)
	// Output:
	// true <nil>
	// a-token <nil>
}
