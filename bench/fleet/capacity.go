package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/bench/internal/roomid"
)

// cost is what an operation costs.
type cost struct {
	perSecond float64       // with all connections, on this machine
	busy      time.Duration // of the thread that runs the commands, for each
}

func (b *bench) capacityRows(ctx context.Context) error {
	costs, err := b.capacity(ctx)
	if err != nil {
		return err
	}
	for _, name := range operations {
		c := costs[name]
		b.row(fmt.Sprintf("%s, %d connections", name, connections),
			fmt.Sprintf("%.0f per second; %.1f us of the server's thread, which is full at %.0f per second", c.perSecond, micros(c.busy), 1/c.busy.Seconds()), "")
	}
	for _, on := range []float64{10, 1000} {
		renewals := 1e6 / 400.0
		load := renewals*(costs[granted].busy+costs[committed].busy).Seconds() + renewals*(on-1)*costs[found].busy.Seconds()
		news := 1000 * 2 * costs[newsRead].busy.Seconds()
		b.row(fmt.Sprintf("a million rooms, renewed every 400 s, each on %.0f of 1,000 processes: %.0f commands per second, and 2,000 for the news", on, renewals*(on+1)),
			fmt.Sprintf("%.2f + %.2f of the server's thread", load, news), "")
	}
	return nil
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// The operations, in the order of their rows.
const (
	found     = "Acquire that finds a newer record"
	nothing   = "Acquire that looks and finds none"
	granted   = "Acquire that gets the lease of a renewal"
	committed = "Commit of a renewal"
	loaded    = "Load, a room of 500"
	newsRead  = "News, of which there is none"
)

var operations = []string{found, nothing, granted, committed, loaded, newsRead}

// capacity measures what the server can do: by the time that its thread is busy, since the
// clients of this program take more of the machine than the server does.
func (b *bench) capacity(ctx context.Context) (costs map[string]cost, err error) {
	prefix := b.prefix()
	client := newClient(b.server.addr, nil, connections)
	defer func() { err = errors.Join(err, client.Close()) }()
	store, err := newStore(client, prefix)
	if err != nil {
		return nil, err
	}
	n := b.sizes.operations
	ids := roomid.New(max(n/10, roomtoken.MaxLoad))
	if err := fill(ctx, store, ids, plainToken); err != nil {
		return nil, err
	}
	var present []uint64 // versions
	for chunk := range slices.Chunk(ids, roomtoken.MaxLoad) {
		entries, err := store.Load(ctx, chunk)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			present = append(present, e.Record.Version)
		}
	}
	cursor, err := store.News(ctx, "")
	if err != nil {
		return nil, err
	}
	leases := make([]roomtoken.Lease, len(ids))
	costs = map[string]cost{}
	measure := func(name string, n, commands int, do func(ctx context.Context, i int) error) error {
		before, err := b.server.busy(ctx)
		if err != nil {
			return err
		}
		began := time.Now()
		if err := each(ctx, n, do); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		took := time.Since(began)
		after, err := b.server.busy(ctx)
		all := n * commands
		costs[name] = cost{float64(all) / took.Seconds(), (after - before) / time.Duration(all)}
		return err
	}
	acquire := func(newer, look bool) func(context.Context, int) error {
		return func(ctx context.Context, i int) error {
			i %= len(ids)
			ask := roomtoken.Ask{RoomID: ids[i], ID: "ask", TTL: time.Minute, Look: look}
			if newer {
				ask.Newer = present[i]
			}
			e, err := store.Acquire(ctx, ask)
			if err == nil && e.Record.IsZero() == !newer {
				err = fmt.Errorf("unexpected answer: %+v", e)
			}
			return err
		}
	}
	return costs, errors.Join(
		measure(found, n, 1, acquire(false, false)),
		measure(nothing, n, 1, acquire(true, true)),
		measure(granted, len(ids), 1, func(ctx context.Context, i int) (err error) {
			leases[i], err = lease(ctx, store, ids[i], present[i])
			return err
		}),
		measure(committed, len(ids), 1, func(ctx context.Context, i int) error { return commit(ctx, store, leases[i], plainToken) }),
		measure(loaded, n/roomtoken.MaxLoad, roomtoken.MaxLoad, func(ctx context.Context, i int) error {
			_, err := store.Load(ctx, ids[:roomtoken.MaxLoad])
			return err
		}),
		measure(newsRead, n, 1, func(ctx context.Context, _ int) error {
			_, err := store.News(ctx, cursor.Cursor)
			return err
		}),
	)
}
