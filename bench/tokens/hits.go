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
	"github.com/roomtoken/roomtoken/bench/internal/table"
)

// during makes calls of hit, one after the other, while work runs, and returns how long each
// took, including the time to measure it: no time between two calls is lost.
func during(work func() error, hit func() error) (times *hist.Sum, err error) {
	var (
		over   atomic.Bool
		caller sync.WaitGroup
		h      hist.Hist
		failed error
	)
	caller.Go(func() {
		for begun := time.Now(); !over.Load(); {
			if err := hit(); err != nil && failed == nil {
				failed = err
			}
			done := time.Now()
			h.Add(done.Sub(begun))
			begun = done
		}
	})
	err = work()
	over.Store(true)
	caller.Wait()
	times = new(hist.Sum)
	times.Add(&h)
	if err == nil && failed != nil {
		err = fmt.Errorf("a hit has failed, or would have waited: %w", failed)
	}
	return times, err
}

// hitOf returns a function that asks for a random room. A hit does not look at its ctx;
// with one that has ended anything else fails.
func hitOf(m *roomtoken.Manager, ids []string) func() error {
	ended, end := context.WithCancel(context.Background())
	end()
	return func() error {
		_, err := m.Token(ended, ids[rand.IntN(len(ids))])
		return err
	}
}

// nothing is what a caller of nothing calls.
func nothing() error { return nil }

func hitHeading(b benchmark) {
	table.Heading(b.out, "a caller who asks for", "while", "calls", "median", "99 %", "99.9 %", "99.99 %", "worst")
}

func (b benchmark) hitRow(what, while string, t *hist.Sum) {
	table.Row(b.out, what, while, fmt.Sprintf("%.1f million", float64(t.Total())/1e6), hist.Round(t.Quantile(0.5)), hist.Round(t.Quantile(0.99)),
		hist.Round(t.Quantile(0.999)), hist.Round(t.Quantile(0.9999)), hist.Round(t.Worst()))
}
