package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/roomtokentest"
)

// oneByOne builds the rooms, keeps them fresh for a while, and forgets them. It
// returns how long building took.
func (p play) oneByOne(ctx context.Context, ids []string) (built time.Duration, err error) {
	manager, err := roomtoken.NewManager(steady(p.lifetime), roomtoken.Config{MaxRooms: -1})
	if err != nil {
		return 0, err
	}
	defer manager.Close()
	empty, begun := heap(), time.Now()
	if err := p.build(ctx, manager, ids); err != nil {
		return 0, err
	}
	built = time.Since(begun)
	full := heap()
	fmt.Fprintf(p.out, "memory      %.0f MB, %.0f B per room with its tokens\n", mb(full-empty), float64(full-empty)/float64(len(ids)))

	before, used, begun := manager.Stats(), cpu(), time.Now()
	err = p.during(ctx, "one by one", manager, ids, func() error {
		for range 6 {
			if !every(ctx, p.keep/6) {
				return ctx.Err()
			}
			s := manager.Stats()
			fmt.Fprintf(p.out, "renewing    %8d renewals, %d failures, %d calls in flight\n",
				s.Refreshes-before.Refreshes, s.RefreshFailures-before.RefreshFailures, s.CallsInFlight)
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	spent := time.Since(begun)
	renewals := manager.Stats().Refreshes - before.Refreshes
	fmt.Fprintf(p.out, "renewed     %d times in %.0f s, %.0f per second\n", renewals, spent.Seconds(), float64(renewals)/spent.Seconds())
	if share := cpu() - used; share > 0 {
		fmt.Fprintf(p.out, "CPU         %.1f %% of one core, source, callers and this program included\n", 100*share.Seconds()/spent.Seconds())
	}
	p.forget(manager, ids, empty)
	return built, manager.Close()
}

// steady returns a source whose first token for a room is some way into its
// lifetime already, so that renewals are spread evenly from the beginning.
func steady(lifetime time.Duration) *roomtokentest.Source {
	source := &roomtokentest.Source{TokenTTL: lifetime, RefreshTokenTTL: 24 * time.Hour}
	source.CreateFunc = func(_ context.Context, room string) (roomtoken.Grant, error) {
		renewed := 2.0/3 - 0.1*rand.Float64() // the share of its lifetime at which a token is renewed
		age := time.Duration(rand.Float64() * renewed * float64(lifetime))
		return issued(source.Mint(room), time.Now().Add(-age), lifetime), nil
	}
	return source
}

// issued returns the grant as if it had been issued at another time.
func issued(grant roomtoken.Grant, at time.Time, lifetime time.Duration) roomtoken.Grant {
	grant.IssuedAt = at
	grant.Token.ExpiresAt = at.Add(lifetime)
	return grant
}

// build warms the rooms, a part at a time, and shows how far it is.
func (p play) build(ctx context.Context, manager *roomtoken.Manager, ids []string) error {
	begun := time.Now()
	part := max(len(ids)/10, 1)
	for at := 0; at < len(ids); at += part {
		end := min(at+part, len(ids))
		if err := manager.Warm(ctx, ids[at:end]...); err != nil {
			return err
		}
		spent := time.Since(begun)
		fmt.Fprintf(p.out, "building    %8d rooms in %5.1f s, %.1f us each\n", end, spent.Seconds(), spent.Seconds()*1e6/float64(end))
	}
	return nil
}
