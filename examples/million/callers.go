package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/roomtoken/roomtoken"
)

const (
	kept      = 1000                 // rooms that are asked for all the time
	hitEvery  = time.Millisecond     // at which one of them is
	coldEvery = 5 * time.Millisecond // at which a room is asked for that is new
)

// newcomers counts the new rooms, so that each has a name of its own.
var newcomers atomic.Int64

// during runs work while callers ask for rooms that have a token and for rooms that
// have none, and reports how long both waited.
func (p play) during(ctx context.Context, what string, manager *roomtoken.Manager, ids []string, work func() error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	begun := time.Now()
	var warm, cold latencies
	var callers sync.WaitGroup
	callers.Go(func() {
		for every(ctx, hitEvery) {
			warm.measure(func() { _, _ = manager.Token(ctx, ids[rand.IntN(min(kept, len(ids)))]) })
		}
	})
	callers.Go(func() {
		for every(ctx, coldEvery) {
			room := fmt.Sprint("newcomer-", newcomers.Add(1))
			cold.measure(func() { _, _ = manager.Token(ctx, room) })
		}
	})
	err := work()
	took := time.Since(begun)
	every(ctx, p.linger-took)
	cancel()
	callers.Wait()
	fmt.Fprintf(p.out, "%-12sin %.1f s\n", what, took.Seconds())
	fmt.Fprintf(p.out, "  hits        %v\n", &warm)
	fmt.Fprintf(p.out, "  cold rooms  %v\n", &cold)
	return err
}

// every waits for d, and reports whether ctx goes on.
func every(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
