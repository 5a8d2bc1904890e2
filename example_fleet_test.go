package roomtoken_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/roomtokentest"
)

// Processes that are given the same Store share their tokens. Here a Store in memory stands
// for Redis, and each Manager for a process; in production use package redisstore.
func ExampleStore() {
	store := &roomtokentest.Store{}
	source := &roomtokentest.Source{}
	ctx := context.Background()
	for range 8 {
		manager, err := roomtoken.NewManager(source, roomtoken.Config{Store: store})
		if err != nil {
			fmt.Println(err)
			return
		}
		if _, err := manager.Token(ctx, "lobby"); err != nil {
			fmt.Println(err)
		}
		_ = manager.Close() // the token stays in the store
	}
	fmt.Println("creates:", source.Creates())
	// Output: creates: 1
}

// A Store that does not answer costs sharing, never a token.
func ExampleConfig_store() {
	store := &roomtokentest.Store{}
	store.Next(roomtokentest.StoreFault{Err: errors.New("connection refused"), Times: -1})
	source := &roomtokentest.Source{}
	manager, _ := roomtoken.NewManager(source, roomtoken.Config{Store: store})
	defer manager.Close()

	_, err := manager.Token(context.Background(), "lobby")
	fmt.Println(err, source.Creates())
	// Output: <nil> 1
}

// A token that another process got is published with a reason instead of a call.
func ExampleEvent_adopted() {
	store := &roomtokentest.Store{}
	source := &roomtokentest.Source{}
	ctx := context.Background()
	first, _ := roomtoken.NewManager(source, roomtoken.Config{Store: store})
	defer first.Close()
	second, _ := roomtoken.NewManager(source, roomtoken.Config{
		Store: store,
		OnEvent: func(e roomtoken.Event) {
			if e.Kind == roomtoken.EventTokenPublished {
				fmt.Println(e.Kind, e.RoomID, e.Reason)
			}
		},
	})

	_, _ = first.Token(ctx, "lobby")
	_, _ = second.Token(ctx, "lobby")
	_ = second.Close() // no events after this
	fmt.Println(second.Stats().Adopted, "adopted,", second.Stats().Creates, "created")
	// Output:
	// token published lobby adopted
	// 1 adopted, 0 created
}

// A Digest names a token without showing it.
func ExampleSecret_Digest() {
	refused := roomtoken.NewSecret("a-token").Digest()
	for _, token := range []string{"a-token", "another-token"} {
		fmt.Println(roomtoken.NewSecret(token).Digest() == refused)
	}
	// Output:
	// true
	// false
}

// A Store that sets an expiry on its own clock asks the record when it ends.
func ExampleRecord_Ends() {
	now := roomtoken.StoreTime(1_000_000) // on the clock of the Store, in microseconds
	record := roomtoken.Record{
		Version:  1,
		Token:    roomtoken.NewSecret("a-token"),
		Began:    now.Add(-4 * time.Minute),
		Lifetime: 10 * time.Minute,
	}
	fmt.Println("expires in", record.Ends().Sub(now))
	// Output: expires in 6m0s
}
