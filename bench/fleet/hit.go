package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/bench/internal/roomid"
	"github.com/roomtoken/roomtoken/bench/internal/stat"
)

// hitResult compares hits of three Managers in the same process.
type hitResult struct {
	again, withStore float64 // ratios of the time to that of the first Manager: of another one like it, and of one with a Store
	each             time.Duration
	allocations      float64 // for each hit, with a Store
}

func (b *bench) hitRows(ctx context.Context) error {
	r, err := b.hit(ctx)
	if err != nil {
		return err
	}
	b.row("a hit with a Store, to one without", fmt.Sprintf("%.3f x; of two without: %.3f x (%v)", r.withStore, r.again, r.each), "1 x within noise")
	b.row("allocations of a hit with a Store", fmt.Sprintf("%.4f", r.allocations), "0")
	return nil
}

func (b *bench) hit(ctx context.Context) (r hitResult, err error) {
	src := &source{lifetime: time.Hour, size: plainToken}
	ids := roomid.New(1000)
	var managers []*roomtoken.Manager
	defer func() {
		for _, m := range managers {
			err = errors.Join(err, m.Close())
		}
	}()
	for range 2 {
		m, err := roomtoken.NewManager(src, roomtoken.Config{})
		if err != nil {
			return r, err
		}
		managers = append(managers, m)
	}
	p, err := startProcess(b.settings(), nil, src, roomtoken.Config{})
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, p.client.Close()) }()
	managers = append(managers, p.Manager)

	for _, m := range managers {
		if err := m.Warm(ctx, ids...); err != nil {
			return r, err
		}
	}
	times := make([][]float64, len(managers))
	allocations := make([]float64, b.sizes.hitRounds)
	for round := range b.sizes.hitRounds {
		for i := range managers { // in turn, each of them first in some rounds
			i = (i + round) % len(managers)
			took, allocated, err := hits(ctx, managers[i], ids, b.sizes.hits)
			if err != nil {
				return r, err
			}
			times[i] = append(times[i], float64(took))
			if managers[i] == p.Manager {
				allocations[round] = float64(allocated) / float64(b.sizes.hits)
			}
		}
	}
	r.again, r.withStore = stat.Median(stat.Ratios(times[1], times[0])), stat.Median(stat.Ratios(times[2], times[0]))
	r.each = time.Duration(stat.Median(times[0])) / time.Duration(b.sizes.hits)
	r.allocations = stat.Median(allocations)
	return r, nil
}

// hits asks for rooms that have a token, n times. What the program allocates meanwhile is
// not all of the hits: a Manager with a Store reads the news every 500 ms.
func hits(ctx context.Context, m *roomtoken.Manager, ids []string, n int) (took time.Duration, allocated uint64, err error) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	began := time.Now()
	for i := range n {
		if _, err := m.Token(ctx, ids[i%len(ids)]); err != nil {
			return 0, 0, err
		}
	}
	took = time.Since(began)
	runtime.ReadMemStats(&after)
	return took, after.Mallocs - before.Mallocs, nil
}
