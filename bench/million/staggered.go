package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/bench/internal/cpu"
	"github.com/roomtoken/roomtoken/bench/internal/memory"
	"github.com/roomtoken/roomtoken/bench/internal/program"
	"github.com/roomtoken/roomtoken/roomtokentest"
)

// staggered builds the rooms, measures evenly spread renewals, and forgets the
// rooms. It returns how long it took to build them.
func (b benchmark) staggered(ctx context.Context) (built time.Duration, err error) {
	manager, err := roomtoken.NewManager(staggeredSource(b.lifetime), roomtoken.Config{MaxRooms: -1})
	if err != nil {
		return 0, err
	}
	defer manager.Close()
	empty, start := memory.Live(), time.Now()
	if err := b.build(ctx, manager); err != nil {
		return 0, err
	}
	built = time.Since(start)
	full := memory.Live()
	fmt.Fprintf(b.out, "memory      %.0f MB, %.0f B per room including its tokens\n", memory.MB(full-empty), float64(full-empty)/float64(len(b.ids)))

	if err := b.phase(ctx, "staggered", manager, func() error { return b.watchRenewals(ctx, manager) }); err != nil {
		return 0, err
	}
	b.forget(manager, empty)
	return built, manager.Close()
}

// staggeredSource returns a source that issues tokens of all ages, so that renewals
// are spread evenly from the start.
func staggeredSource(lifetime time.Duration) *roomtokentest.Source {
	source := &roomtokentest.Source{TokenTTL: lifetime, RefreshTokenTTL: 24 * time.Hour}
	source.CreateFunc = func(_ context.Context, room string) (roomtoken.Grant, error) {
		renewed := 2.0/3 - 0.1*rand.Float64() // the fraction of its lifetime after which a token is renewed
		age := time.Duration(rand.Float64() * renewed * float64(lifetime))
		return issuedAt(source.Mint(room), time.Now().Add(-age), lifetime), nil
	}
	return source
}

// issuedAt returns the grant with another time of issue.
func issuedAt(grant roomtoken.Grant, at time.Time, lifetime time.Duration) roomtoken.Grant {
	grant.IssuedAt = at
	grant.Token.ExpiresAt = at.Add(lifetime)
	return grant
}

// build warms the rooms in ten steps, and prints the progress.
func (b benchmark) build(ctx context.Context, manager *roomtoken.Manager) error {
	start := time.Now()
	step := max(len(b.ids)/10, 1)
	for from := 0; from < len(b.ids); from += step {
		to := min(from+step, len(b.ids))
		if err := manager.Warm(ctx, b.ids[from:to]...); err != nil {
			return err
		}
		took := time.Since(start)
		fmt.Fprintf(b.out, "building    %8d rooms in %5.1f s, %.1f us each\n", to, took.Seconds(), took.Seconds()*1e6/float64(to))
	}
	return nil
}

// watchRenewals prints the renewals and their CPU time.
func (b benchmark) watchRenewals(ctx context.Context, manager *roomtoken.Manager) error {
	before, used, start := manager.Stats(), cpu.Time(), time.Now()
	for range 6 {
		if !program.Sleep(ctx, b.steady/6) {
			return ctx.Err()
		}
		s := manager.Stats()
		fmt.Fprintf(b.out, "renewing    %8d renewals, %d failures, %d calls in flight\n",
			s.Refreshes-before.Refreshes, s.RefreshFailures-before.RefreshFailures, s.CallsInFlight)
	}
	took, used := time.Since(start), cpu.Time()-used
	renewals := manager.Stats().Refreshes - before.Refreshes
	fmt.Fprintf(b.out, "renewed     %d tokens in %.0f s, %.0f per second\n", renewals, took.Seconds(), float64(renewals)/took.Seconds())
	if used > 0 { // 0 where it cannot be measured
		fmt.Fprintf(b.out, "CPU         %.1f %% of one core, including the source and the callers\n", 100*used.Seconds()/took.Seconds())
	}
	return nil
}

// forget drops all rooms, and prints how much memory is not released.
func (b benchmark) forget(manager *roomtoken.Manager, empty uint64) {
	start := time.Now()
	for _, id := range b.ids {
		manager.Forget(id)
	}
	took, left := time.Since(start), memory.Live()
	fmt.Fprintf(b.out, "forgotten   in %.1f s; %.0f MB still in use\n", took.Seconds(), memory.MB(left-min(empty, left)))
}
