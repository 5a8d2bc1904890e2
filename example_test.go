package roomtoken_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/roomtokentest"
)

// A process needs one Manager for all rooms and callers.
func Example() {
	source := &roomtokentest.Source{} // in production: telnyx.NewSource
	manager, err := roomtoken.NewManager(source, roomtoken.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer manager.Close()

	ctx := context.Background()
	for range 1000 {
		if _, err := manager.Token(ctx, "lobby"); err != nil {
			fmt.Println(err)
			return
		}
	}
	tok, _ := manager.Token(ctx, "lobby")
	fmt.Println("token:", tok.Value)
	fmt.Println("calls to the source:", source.Creates())
	// Output:
	// token: [redacted]
	// calls to the source: 1
}

// A recorder stays connected for hours, and passes each new token to its connection.
func ExampleManager_Watch() {
	source := &roomtokentest.Source{}
	manager, _ := roomtoken.NewManager(source, roomtoken.Config{})
	defer manager.Close()

	n := 0
	for tok, err := range manager.Watch(context.Background(), "lobby") {
		if err != nil {
			fmt.Println("the watch has ended:", err)
			break
		}
		n++
		fmt.Printf("connection uses token %d\n", n)
		if n == 1 {
			manager.Invalidate("lobby", tok) // the server has rejected it
		} else {
			go manager.Close() // the recorder shuts down
		}
	}
	// Output:
	// connection uses token 1
	// connection uses token 2
	// the watch has ended: roomtoken: manager closed
}

// A caller can require that the token remains valid for some time.
func ExampleManager_TokenValidFor() {
	manager, _ := roomtoken.NewManager(&roomtokentest.Source{TokenTTL: 10 * time.Minute}, roomtoken.Config{})
	defer manager.Close()

	ctx := context.Background()
	tok, err := manager.TokenValidFor(ctx, "lobby", 5*time.Minute)
	fmt.Println(time.Until(tok.ExpiresAt) >= 5*time.Minute, err)

	_, err = manager.TokenValidFor(ctx, "lobby", time.Hour)
	fmt.Println(errors.Is(err, roomtoken.ErrTooShort))
	// Output:
	// true <nil>
	// true
}

// After a permanent error callers get it immediately, without another call.
func ExamplePermanent() {
	source := &roomtokentest.Source{}
	source.Fail(roomtoken.Permanent(errors.New("no such room")), 1)
	manager, _ := roomtoken.NewManager(source, roomtoken.Config{})
	defer manager.Close()

	for range 3 {
		_, err := manager.Token(context.Background(), "attic")
		fmt.Println(errors.Is(err, roomtoken.ErrPermanent))
	}
	fmt.Println("calls to the source:", source.Creates())
	// Output:
	// true
	// true
	// true
	// calls to the source: 1
}

// Warm gets tokens before the first callers ask for them.
func ExampleManager_Warm() {
	source := &roomtokentest.Source{}
	manager, _ := roomtoken.NewManager(source, roomtoken.Config{})
	defer manager.Close()

	err := manager.Warm(context.Background(), "lobby", "attic", "cellar")
	_, ok := manager.Cached("attic")
	fmt.Println(err, ok, source.Creates())
	// Output: <nil> true 3
}

// Room returns the state of a room, for operators.
func ExampleManager_Room() {
	manager, _ := roomtoken.NewManager(&roomtokentest.Source{}, roomtoken.Config{})
	defer manager.Close()

	_, _ = manager.Token(context.Background(), "lobby")
	status, _ := manager.Room("lobby")
	fmt.Println(status.State, status.Generation, status.NextCall, status.Failures)
	// Output: valid 1 refresh 0
}

// Events combines several observers.
func ExampleEvents() {
	manager, _ := roomtoken.NewManager(&roomtokentest.Source{}, roomtoken.Config{
		OnEvent: roomtoken.Events(
			func(e roomtoken.Event) { fmt.Println(e.Kind) },
			func(e roomtoken.Event) { /* count it */ },
		),
	})
	_, _ = manager.Token(context.Background(), "lobby")
	_ = manager.Close() // no events after this
	// Output:
	// call begun
	// call ended
	// token published
}
