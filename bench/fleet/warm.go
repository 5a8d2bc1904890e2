package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/bench/internal/hist"
	"github.com/roomtoken/roomtoken/bench/internal/roomid"
)

// warmResult is what it costs to warm rooms that are in the store.
type warmResult struct {
	took                time.Duration
	commands, exchanges int64
	adopted, creates    uint64
}

func (b *bench) warmRows(ctx context.Context) error {
	for _, n := range b.sizes.warm {
		r, err := b.warm(ctx, n)
		if err != nil {
			return err
		}
		what := fmt.Sprintf("Warm of %d rooms that are in the store", n)
		most := "5s"
		if n <= 10_000 {
			most = "1s"
		}
		b.row(what, hist.Round(r.took).String(), "at most "+most)
		b.row(what+": commands for each; round trips; calls of the source", fmt.Sprintf("%.3f; %d; %d", float64(r.commands)/float64(n), r.exchanges, r.creates), "at most 1.1; -; 0")
	}
	return nil
}

func (b *bench) warm(ctx context.Context, n int) (r warmResult, err error) {
	s := b.settings()
	ids := roomid.New(n)
	store, err := newStore(b.server.client, s.Prefix)
	if err != nil {
		return r, err
	}
	if err := fill(ctx, store, ids, plainToken); err != nil {
		return r, err
	}
	t := &traffic{prefix: s.Prefix}
	p, err := startProcess(s, t, &source{lifetime: time.Hour}, roomtoken.Config{MaxRooms: -1})
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	commands, exchanges, began := t.commands.Load(), t.exchanges.Load(), time.Now()
	if err := p.Warm(ctx, ids...); err != nil {
		return r, err
	}
	r.took = time.Since(began)
	r.commands, r.exchanges = t.commands.Load()-commands, t.exchanges.Load()-exchanges
	stats := p.Stats()
	r.adopted, r.creates = stats.Adopted, stats.Creates
	return r, nil
}
