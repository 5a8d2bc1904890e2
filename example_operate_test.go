package roomtoken_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/roomtokentest"
)

// The log says what an operator wants to know, without a secret. Here it leaves out what
// differs from run to run.
func ExampleConfig_logger() {
	steady := func(_ []string, a slog.Attr) slog.Attr {
		if slices.Contains([]string{slog.TimeKey, "duration", "until"}, a.Key) {
			return slog.Attr{}
		}
		return a
	}
	source := &roomtokentest.Source{}
	source.Fail(roomtoken.Permanent(errors.New("403 Forbidden")), 1)
	manager, _ := roomtoken.NewManager(source, roomtoken.Config{
		Logger: slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: steady})),
	})

	_, _ = manager.Token(context.Background(), "attic")
	_ = manager.Close() // the log is complete
	// Output:
	// level=WARN msg="roomtoken: call failed" room=attic call=create failures=1 err="403 Forbidden"
}

// Events are for what your program must do itself.
func ExampleEvent() {
	source := &roomtokentest.Source{}
	manager, _ := roomtoken.NewManager(source, roomtoken.Config{
		OnEvent: func(e roomtoken.Event) {
			switch {
			case e.Kind == roomtoken.EventCallEnded && e.Err != nil:
				fmt.Printf("%s: %v, %d in a row\n", e.RoomID, e.Err, e.Failures)
			case e.Kind == roomtoken.EventTokenPublished:
				fmt.Printf("%s: token %d\n", e.RoomID, e.Generation)
			}
		},
	})

	_, _ = manager.Token(context.Background(), "lobby")
	source.Fail(roomtoken.ErrRoomNotFound, 1)
	_, _ = manager.Token(context.Background(), "attic")
	_ = manager.Close() // no events after this
	// Output:
	// lobby: token 1
	// attic: roomtoken: room not found, 1 in a row
}

// The cause of a failure is mended, and whoever has mended it does not want to wait.
func ExampleManager_ResetBackoff() {
	source := &roomtokentest.Source{}
	source.Fail(roomtoken.Permanent(errors.New("the account is suspended")), 1)
	manager, _ := roomtoken.NewManager(source, roomtoken.Config{})
	defer manager.Close()

	ctx := context.Background()
	for range 2 { // one call: it will not be tried again for a second or more
		_, err := manager.Token(ctx, "lobby")
		fmt.Println(errors.Is(err, roomtoken.ErrPermanent), source.Creates())
	}
	manager.ResetBackoff()
	_, err := manager.Token(ctx, "lobby")
	fmt.Println(err, source.Creates())
	// Output:
	// true 1
	// true 1
	// <nil> 2
}

// Scan looks at all rooms, cheaper than Rooms. What it yields is valid until the next room.
func ExampleManager_Scan() {
	source := &roomtokentest.Source{}
	manager, _ := roomtoken.NewManager(source, roomtoken.Config{})
	defer manager.Close()

	_ = manager.Warm(context.Background(), "lobby", "attic")
	source.Fail(roomtoken.ErrRoomNotFound, 1)
	_, _ = manager.Token(context.Background(), "nowhere")

	rooms := map[roomtoken.RoomState]int{}
	for status := range manager.Scan() {
		rooms[status.State]++
	}
	fmt.Println(rooms)
	// Output: map[valid:2 failed:1]
}

// After Close every call returns ErrClosed, and nothing is left behind.
func ExampleManager_Close() {
	manager, _ := roomtoken.NewManager(&roomtokentest.Source{}, roomtoken.Config{})
	_, err := manager.Token(context.Background(), "lobby")
	fmt.Println(err)

	fmt.Println(manager.Close())
	_, err = manager.Token(context.Background(), "lobby")
	fmt.Println(errors.Is(err, roomtoken.ErrClosed))
	// Output:
	// <nil>
	// <nil>
	// true
}

// A bug in a source does not end the process.
func ExamplePanicError() {
	source := &roomtokentest.Source{}
	source.Next(roomtokentest.Outcome{Do: func(context.Context, roomtokentest.Call) (roomtoken.Grant, error) {
		panic("a bug")
	}})
	manager, _ := roomtoken.NewManager(source, roomtoken.Config{MaxWait: 100 * time.Millisecond})
	defer manager.Close()

	_, err := manager.Token(context.Background(), "lobby") // the next attempt comes later than MaxWait
	var thrown *roomtoken.PanicError
	if errors.As(err, &thrown) {
		fmt.Println(thrown.Value, len(thrown.Stack) > 0)
	}
	// Output: a bug true
}

// Histograms hold durations in buckets, from which quantiles can be read.
func ExampleHistogram() {
	h := roomtoken.Histogram{Count: 1000} // in production: manager.Stats().CreateTimes
	h.Buckets[5], h.Buckets[6], h.Buckets[7] = 700, 280, 15
	for _, share := range []float64{0.5, 0.99, 0.999} {
		below := uint64(0)
		bound := "more than that" // beyond the last bucket
		for i, limit := range roomtoken.HistogramBounds() {
			if below += h.Buckets[i]; float64(below) >= share*float64(h.Count) {
				bound = limit.String()
				break
			}
		}
		fmt.Println(share, bound)
	}
	// Output:
	// 0.5 50ms
	// 0.99 250ms
	// 0.999 more than that
}
