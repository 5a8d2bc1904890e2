package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/roomtokentest"
)

// kept is how many of the rooms are asked for all the time.
const kept = 1000

// allAtOnce builds rooms whose tokens are all due for renewal at the same moment,
// after a time that is enough to build them; and next time, since nobody asks for
// most of them any longer, they all expire at the same moment. It measures
// how long callers wait meanwhile, and what is left of the memory.
func allAtOnce(ctx context.Context, out io.Writer, ids []string, pace time.Duration) error {
	lifetime := pace * 3 / 2
	var issued atomic.Pointer[time.Time] // of all tokens alike
	source := &roomtokentest.Source{TokenTTL: lifetime, RefreshTokenTTL: 24 * time.Hour}
	source.CreateFunc = func(_ context.Context, room string) (roomtoken.Grant, error) {
		return mintedAt(source, room, *issued.Load()), nil
	}
	source.RefreshFunc = func(_ context.Context, room string, _ roomtoken.Token) (roomtoken.Grant, error) {
		return mintedAt(source, room, *issued.Load()), nil
	}
	manager, err := roomtoken.NewManager(source, roomtoken.Config{
		Jitter: -1, MaxRooms: -1, MinValidity: -1,
		IdleAfter: pace + pace/4, // all rooms are renewed once, and after that those that are kept
	})
	if err != nil {
		return err
	}
	defer manager.Close()
	empty := heap()

	begun := time.Now()
	issued.Store(&begun)
	during(ctx, out, "all queued at once", manager, ids, func() error { return manager.Warm(ctx, ids...) })
	if spent := time.Since(begun); spent > pace*9/10 {
		return fmt.Errorf("it took %v to build what is due after %v", spent, pace)
	}
	full := heap()

	due := begun.Add(pace)
	time.Sleep(time.Until(due) - pace/50)
	issued.Store(&due)
	during(ctx, out, "all due at once", manager, ids, func() error {
		return until(ctx, manager, func(s roomtoken.Stats) bool { return s.Refreshes >= uint64(len(ids)) && s.CallsInFlight == 0 })
	})
	time.Sleep(time.Until(due.Add(lifetime)) - pace/50)
	during(ctx, out, "all expire at once", manager, ids, func() error {
		return until(ctx, manager, func(s roomtoken.Stats) bool { return s.Rooms < kept*2 })
	})
	left := heap()
	fmt.Fprintf(out, "expired     %d rooms are left, with %.0f MB of %.0f\n", manager.Stats().Rooms, mb(left-min(left, empty)), mb(full-empty))
	runtime.KeepAlive(ids)
	return manager.Close()
}
