package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/bench/internal/hist"
	"github.com/roomtoken/roomtoken/bench/internal/program"
)

const (
	activeRooms  = 1000                 // rooms that callers keep asking for
	hitInterval  = time.Millisecond     // between two calls for an active room
	coldInterval = 5 * time.Millisecond // between two calls for a new room
)

// coldRooms counts the new rooms, so that each gets an ID of its own.
var coldRooms atomic.Int64

// phase runs work while one caller asks for active rooms and another for new ones,
// and prints how long their calls took.
func (b benchmark) phase(ctx context.Context, name string, manager *roomtoken.Manager, work func() error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	start := time.Now()
	var hits, cold hist.Hist
	var callers sync.WaitGroup
	callers.Go(func() {
		for program.Sleep(ctx, hitInterval) {
			measure(&hits, func() { _, _ = manager.Token(ctx, b.ids[rand.IntN(min(activeRooms, len(b.ids)))]) })
		}
	})
	callers.Go(func() {
		for program.Sleep(ctx, coldInterval) {
			id := fmt.Sprint("new-room-", coldRooms.Add(1))
			measure(&cold, func() { _, _ = manager.Token(ctx, id) })
		}
	})
	err := work()
	took := time.Since(start)
	program.Sleep(ctx, b.minPhase-took)
	cancel()
	callers.Wait()
	fmt.Fprintf(b.out, "%-12s%.1f s\n", name, took.Seconds())
	fmt.Fprintf(b.out, "  hits        %s\n", percentiles(&hits))
	fmt.Fprintf(b.out, "  cold rooms  %s\n", percentiles(&cold))
	return err
}

func measure(h *hist.Hist, call func()) {
	start := time.Now()
	call()
	h.Add(time.Since(start))
}

func percentiles(h *hist.Hist) string {
	var s hist.Sum
	s.Add(h)
	return fmt.Sprintf("%d calls: median %v, 99 %% %v, 99.9 %% %v, worst %v",
		s.Total(), hist.Round(s.Quantile(0.5)), hist.Round(s.Quantile(0.99)), hist.Round(s.Quantile(0.999)), hist.Round(s.Worst()))
}
