package roomtoken_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/roomtokentest"
)

// One Manager serves all rooms and all callers of a process.
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
	fmt.Println("printed, a token is", tok.Value)
	fmt.Println("calls to the source:", source.Creates())
	// Output:
	// printed, a token is [redacted]
	// calls to the source: 1
}

// A recorder holds its connection for hours, and puts each new token into it.
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
		fmt.Printf("token %d goes into the connection\n", n)
		if n == 1 {
			manager.Invalidate("lobby", tok) // the server has refused it
		} else {
			go manager.Close() // the recorder shuts down
		}
	}
	// Output:
	// token 1 goes into the connection
	// token 2 goes into the connection
	// the watch has ended: roomtoken: manager closed
}

// A caller who needs the token to live for a while says so.
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

// A permanent failure is answered at once, without a further call.
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

// Rooms that will be asked for can be warmed ahead of the traffic.
func ExampleManager_Warm() {
	source := &roomtokentest.Source{}
	manager, _ := roomtoken.NewManager(source, roomtoken.Config{})
	defer manager.Close()

	err := manager.Warm(context.Background(), "lobby", "attic", "cellar")
	_, ok := manager.Cached("attic")
	fmt.Println(err, ok, source.Creates())
	// Output: <nil> true 3
}

// An operator looks at a room.
func ExampleManager_Room() {
	manager, _ := roomtoken.NewManager(&roomtokentest.Source{}, roomtoken.Config{})
	defer manager.Close()

	_, _ = manager.Token(context.Background(), "lobby")
	status, _ := manager.Room("lobby")
	fmt.Println(status.State, status.Generation, status.NextCall, status.Failures)
	// Output: valid 1 refresh 0
}

// Several observers can be told of what happens.
func ExampleEvents() {
	manager, _ := roomtoken.NewManager(&roomtokentest.Source{}, roomtoken.Config{
		OnEvent: roomtoken.Events(
			func(e roomtoken.Event) { fmt.Println(e.Kind) },
			func(e roomtoken.Event) { /* count it */ },
		),
	})
	_, _ = manager.Token(context.Background(), "lobby")
	_ = manager.Close() // after it there are no further events
	// Output:
	// call begun
	// call ended
	// token published
}
