package main

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/roomtokentest"
)

// allAtOnce warms all rooms at a stroke, with tokens that are all due for renewal
// at the same moment, a pace later. Since nobody asks for most of them after that,
// the next tokens are not renewed, and expire at the same moment.
func (p play) allAtOnce(ctx context.Context, ids []string, pace time.Duration) error {
	lifetime := pace * 3 / 2
	var birth atomic.Pointer[time.Time] // of all tokens alike; nil: now
	source := &roomtokentest.Source{TokenTTL: lifetime, RefreshTokenTTL: 24 * time.Hour}
	mint := func(room string) roomtoken.Grant {
		grant := source.Mint(room)
		if at := birth.Load(); at != nil {
			grant = issued(grant, *at, lifetime)
		}
		return grant
	}
	source.CreateFunc = func(_ context.Context, room string) (roomtoken.Grant, error) { return mint(room), nil }
	source.RefreshFunc = func(_ context.Context, room string, _ roomtoken.Token) (roomtoken.Grant, error) {
		return mint(room), nil
	}
	manager, err := roomtoken.NewManager(source, roomtoken.Config{
		Jitter: -1, MaxRooms: -1, MinValidity: -1,
		IdleAfter: pace + pace/2, // long enough for one renewal, however late
	})
	if err != nil {
		return err
	}
	defer manager.Close()
	empty := heap()

	begun := time.Now()
	birth.Store(&begun)
	var spent time.Duration
	err = p.during(ctx, "all warmed", manager, ids, func() error {
		defer func() { spent = time.Since(begun) }()
		return manager.Warm(ctx, ids...)
	})
	if err != nil {
		return err
	}
	if spent > pace/3 {
		return fmt.Errorf("it took %v to build what is due after %v: the machine is too slow for this", spent, pace)
	}
	full := heap()

	due := begun.Add(pace)
	every(ctx, time.Until(due)-pace/50)
	birth.Store(&due)
	err = p.during(ctx, "all due", manager, ids, func() error {
		return await(ctx, manager, func(s roomtoken.Stats) bool { return s.Refreshes >= uint64(len(ids)) })
	})
	if err != nil {
		return err
	}
	birth.Store(nil)
	before := manager.Stats() // in good time: they must not begin to expire before it
	every(ctx, time.Until(due.Add(lifetime))-pace/50)
	err = p.during(ctx, "all expired", manager, ids, func() error {
		return await(ctx, manager, func(s roomtoken.Stats) bool {
			return s.Evictions-before.Evictions >= uint64(len(ids)-min(kept, len(ids)))
		})
	})
	left := heap()
	fmt.Fprintf(p.out, "left        %d rooms; %.1f MB of %.0f\n", manager.Stats().Rooms, mb(left-min(left, empty)), mb(full-empty))
	runtime.KeepAlive(ids)
	return err
}

// await waits until the counters say so.
func await(ctx context.Context, manager *roomtoken.Manager, done func(roomtoken.Stats) bool) error {
	for !done(manager.Stats()) {
		if !every(ctx, 10*time.Millisecond) {
			return ctx.Err()
		}
	}
	return nil
}
