package main

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/bench/internal/memory"
	"github.com/roomtoken/roomtoken/bench/internal/program"
	"github.com/roomtoken/roomtoken/roomtokentest"
)

// together warms all rooms at once, with tokens that are due for renewal at the same
// time: renewAfter later. After that nobody asks for most of the rooms, so that their
// next tokens are not renewed and expire at the same time.
func (b benchmark) together(ctx context.Context, renewAfter time.Duration) error {
	source := newCohortSource(renewAfter * 3 / 2)
	manager, err := roomtoken.NewManager(source, roomtoken.Config{
		Jitter: -1, MaxRooms: -1, MinValidity: -1,
		IdleAfter: renewAfter + renewAfter/2, // longer than until the first renewal, shorter than until the second
	})
	if err != nil {
		return err
	}
	defer manager.Close()
	empty := memory.Live()

	start := time.Now()
	source.issueAt(start)
	var took time.Duration
	err = b.phase(ctx, "all warmed", manager, func() error {
		defer func() { took = time.Since(start) }()
		return manager.Warm(ctx, b.ids...)
	})
	if err != nil {
		return err
	}
	if took > renewAfter/3 {
		return fmt.Errorf("building the rooms took %v, and the renewals are due after %v: this machine is too slow", took, renewAfter)
	}
	full := memory.Live()

	due := start.Add(renewAfter)
	program.Sleep(ctx, time.Until(due)-renewAfter/50)
	source.issueAt(due)
	err = b.phase(ctx, "all due", manager, func() error {
		return await(ctx, manager, func(s roomtoken.Stats) bool { return s.Refreshes >= uint64(len(b.ids)) })
	})
	if err != nil {
		return err
	}
	source.issueNow()
	before := manager.Stats() // before the first tokens expire
	program.Sleep(ctx, time.Until(due.Add(source.TokenTTL))-renewAfter/50)
	err = b.phase(ctx, "all expired", manager, func() error {
		return await(ctx, manager, func(s roomtoken.Stats) bool {
			return s.Evictions-before.Evictions >= uint64(len(b.ids)-min(activeRooms, len(b.ids)))
		})
	})
	left := memory.Live()
	fmt.Fprintf(b.out, "left        %d rooms; %.1f of %.0f MB still in use\n", manager.Stats().Rooms, memory.MB(left-min(left, empty)), memory.MB(full-empty))
	runtime.KeepAlive(b.ids)
	return err
}

// cohortSource issues all tokens as of the same time.
type cohortSource struct {
	roomtokentest.Source
	issued atomic.Pointer[time.Time] // nil: now
}

func newCohortSource(lifetime time.Duration) *cohortSource {
	s := &cohortSource{Source: roomtokentest.Source{TokenTTL: lifetime, RefreshTokenTTL: 24 * time.Hour}}
	s.CreateFunc = func(_ context.Context, room string) (roomtoken.Grant, error) { return s.mint(room), nil }
	s.RefreshFunc = func(_ context.Context, room string, _ roomtoken.Token) (roomtoken.Grant, error) {
		return s.mint(room), nil
	}
	return s
}

func (s *cohortSource) mint(room string) roomtoken.Grant {
	grant := s.Mint(room)
	if at := s.issued.Load(); at != nil {
		grant = issuedAt(grant, *at, s.TokenTTL)
	}
	return grant
}

func (s *cohortSource) issueAt(at time.Time) { s.issued.Store(&at) }
func (s *cohortSource) issueNow()            { s.issued.Store(nil) }

// await polls the statistics until done accepts them.
func await(ctx context.Context, manager *roomtoken.Manager, done func(roomtoken.Stats) bool) error {
	for !done(manager.Stats()) {
		if !program.Sleep(ctx, 10*time.Millisecond) {
			return ctx.Err()
		}
	}
	return nil
}
