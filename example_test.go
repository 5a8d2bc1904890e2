package roomtoken_test

import (
	"context"
	"encoding/json"
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

// A server has refused a token: the next one is new. However many callers report the same
// token, there is one call.
func ExampleManager_Invalidate() {
	source := &roomtokentest.Source{}
	manager, _ := roomtoken.NewManager(source, roomtoken.Config{})
	defer manager.Close()

	ctx := context.Background()
	refused, _ := manager.Token(ctx, "lobby")
	fmt.Println("dropped:", manager.Invalidate("lobby", refused))
	fmt.Println("dropped again:", manager.Invalidate("lobby", refused))
	tok, err := manager.Token(ctx, "lobby")
	fmt.Println("the same token:", tok.Value.Equal(refused.Value), err)
	fmt.Println("creates:", source.Creates())
	// Output:
	// dropped: true
	// dropped again: false
	// the same token: false <nil>
	// creates: 2
}

// Cached returns what is in memory, and never waits.
func ExampleManager_Cached() {
	manager, _ := roomtoken.NewManager(&roomtokentest.Source{}, roomtoken.Config{})
	defer manager.Close()

	_, ok := manager.Cached("lobby")
	fmt.Println(ok)
	_, _ = manager.Token(context.Background(), "lobby")
	tok, ok := manager.Cached("lobby")
	fmt.Println(ok, tok.Value)
	// Output:
	// false
	// true [redacted]
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

// The error says when to ask again, as a server may want to tell its own clients.
func ExampleError() {
	source := &roomtokentest.Source{}
	source.Fail(roomtoken.RetryAfter(errors.New("503 Service Unavailable"), 90*time.Second), 1)
	manager, _ := roomtoken.NewManager(source, roomtoken.Config{})
	defer manager.Close()

	_, err := manager.Token(context.Background(), "lobby")
	var failed *roomtoken.Error
	if errors.As(err, &failed) {
		fmt.Printf("room %s: %v failed: %v\n", failed.RoomID, failed.Call, failed.Err)
		fmt.Println("Retry-After:", failed.RetryAfter().Round(time.Second).Seconds())
	}
	// Output:
	// room lobby: create failed: 503 Service Unavailable
	// Retry-After: 90
}

// A source passes on how long its server asks it to wait. A wait longer than a caller's
// own is answered at once.
func ExampleRetryAfter() {
	source := &roomtokentest.Source{}
	tooMany := fmt.Errorf("%w: 429 Too Many Requests", roomtoken.ErrRateLimited) // concerns all rooms
	source.Fail(roomtoken.RetryAfter(tooMany, time.Minute), 1)
	manager, _ := roomtoken.NewManager(source, roomtoken.Config{MaxWait: 10 * time.Second})
	defer manager.Close()

	for _, room := range []string{"lobby", "attic"} {
		_, err := manager.Token(context.Background(), room)
		fmt.Println(room, errors.Is(err, roomtoken.ErrRateLimited))
	}
	fmt.Println("calls to the source:", source.Creates())
	// Output:
	// lobby true
	// attic true
	// calls to the source: 1
}

// An operator looks at all rooms.
func ExampleManager_Rooms() {
	source := &roomtokentest.Source{}
	manager, _ := roomtoken.NewManager(source, roomtoken.Config{})
	defer manager.Close()

	_ = manager.Warm(context.Background(), "lobby", "attic")
	source.Fail(roomtoken.Permanent(errors.New("no such room")), 1)
	_, _ = manager.Token(context.Background(), "nowhere")

	for status := range manager.Rooms() {
		fmt.Println(status.RoomID, status.State, status.LastError)
	}
	// Unordered output:
	// lobby valid <nil>
	// attic valid <nil>
	// nowhere failed no such room
}

// Stats are counters and gauges for dashboards and alerts.
func ExampleManager_Stats() {
	manager, _ := roomtoken.NewManager(&roomtokentest.Source{}, roomtoken.Config{})
	defer manager.Close()

	for range 3 {
		_, _ = manager.Token(context.Background(), "lobby")
	}
	stats := manager.Stats()
	fmt.Println("rooms:", stats.Rooms)
	fmt.Println("calls that found no token:", stats.Misses)
	fmt.Println("creates:", stats.Creates, "failed:", stats.CreateFailures)
	// Output:
	// rooms: 1
	// calls that found no token: 1
	// creates: 1 failed: 0
}

// A room that has closed is forgotten. If somebody asks for it again, it starts over.
func ExampleManager_Forget() {
	source := &roomtokentest.Source{}
	manager, _ := roomtoken.NewManager(source, roomtoken.Config{})
	defer manager.Close()

	ctx := context.Background()
	_, _ = manager.Token(ctx, "lobby")
	manager.Forget("lobby")
	_, ok := manager.Cached("lobby")
	fmt.Println("in memory:", ok)
	_, _ = manager.Token(ctx, "lobby")
	fmt.Println("creates:", source.Creates())
	// Output:
	// in memory: false
	// creates: 2
}

// A Secret does not show its value unless it is asked to.
func ExampleSecret() {
	secret := roomtoken.NewSecret("eyJhbGciOi")
	fmt.Println(secret)
	fmt.Printf("%+v %q %x\n", secret, secret, secret)
	text, _ := json.Marshal(struct{ Token roomtoken.Secret }{secret})
	fmt.Println(string(text))
	fmt.Println("fingerprint:", secret.Fingerprint())
	fmt.Println("value:", secret.Reveal())
	// Output:
	// [redacted]
	// [redacted] [redacted] [redacted]
	// {"Token":"[redacted]"}
	// fingerprint: a073386d97e2
	// value: eyJhbGciOi
}

// A handler of a long response waits for the next token, for its heartbeat, and for the
// end of the request, all at once.
func ExampleManager_Subscribe() {
	manager, _ := roomtoken.NewManager(&roomtokentest.Source{}, roomtoken.Config{})
	defer manager.Close()

	ctx, leave := context.WithCancel(context.Background()) // of the request
	defer leave()
	sub := manager.Subscribe(ctx, "lobby")
	defer sub.Close()
	heartbeat := time.NewTicker(15 * time.Second)
	defer heartbeat.Stop()

	for sent := 0; !sub.Ended(); {
		select {
		case <-heartbeat.C:
			fmt.Println("heartbeat")
		case <-sub.Changed():
			tok, err, ok := sub.Next()
			switch {
			case !ok: // nothing new
			case err != nil:
				fmt.Println("error:", errors.Is(err, context.Canceled))
			default:
				sent++
				fmt.Println("token", sent)
				if sent == 1 {
					manager.Invalidate("lobby", tok) // the client says that it was refused
				} else {
					leave() // the client goes
				}
			}
		}
	}
	// Output:
	// token 1
	// token 2
	// error: true
}
