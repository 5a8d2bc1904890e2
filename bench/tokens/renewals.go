package main

import (
	"context"
	"fmt"
	"time"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/bench/internal/hist"
	"github.com/roomtoken/roomtoken/bench/internal/table"
)

// renewed is what happened while rooms were renewed.
type renewed struct {
	renewals  uint64
	took      time.Duration
	collector collector
	hits      *hist.Sum
}

// renew lets the Manager renew until the collections are over. It begins with the end of
// one, so that it has as many as there would be in the long run.
func (b benchmark) renew(ctx context.Context, m *roomtoken.Manager) (r renewed, err error) {
	before, collected, begun := m.Stats(), readCollector(), time.Now()
	r.hits, err = during(func() error { return awaitCollections(ctx, b.collections) }, hitOf(m, b.ids))
	if err != nil {
		return r, err
	}
	after := m.Stats()
	r.took, r.collector, r.renewals = time.Since(begun), readCollector().since(collected), after.Refreshes-before.Refreshes
	if failed := after.RefreshFailures + after.CreateFailures; failed > 0 {
		return r, fmt.Errorf("%d calls failed: %w", failed, after.LastError)
	}
	return r, nil
}

// renewals prints what the garbage collector does for a renewal.
func (b benchmark) renewals(r renewed) {
	n := max(r.renewals, 1)
	fmt.Fprintln(b.out)
	table.Heading(b.out, "renewals", "per second", "collections", "one every", "its processor time", "per renewal", "allocated per renewal")
	table.Row(b.out, r.renewals, int(float64(r.renewals)/r.took.Seconds()), r.collector.automatic,
		(r.took / time.Duration(r.collector.automatic)).Round(100*time.Millisecond),
		fmt.Sprintf("%.2f s", r.collector.used.Seconds()/float64(r.collector.automatic)),
		(r.collector.used / time.Duration(n)).Round(10*time.Nanosecond),
		fmt.Sprintf("%d B", r.collector.allocated/n))
}

// hits prints how long hits take.
func (b benchmark) hits(ctx context.Context, m *roomtoken.Manager, r renewed) error {
	fmt.Fprintln(b.out)
	hitHeading(b)
	b.hitRow("a random room", fmt.Sprintf("they are renewed, with %d collections in %.0f s", r.collector.automatic, r.took.Seconds()), r.hits)
	for _, caller := range []struct {
		what string
		call func() error
	}{{"a random room", hitOf(m, b.ids)}, {"nothing but the time", nothing}} {
		before := readCollector()
		times, err := during(func() error { return collect(ctx, b.span) }, caller.call)
		if err != nil {
			return err
		}
		n := readCollector().since(before)
		b.hitRow(caller.what, fmt.Sprintf("they are renewed, with one collection after the other: %d in %v", n.forced+n.automatic, b.span), times)
	}
	fmt.Fprintln(b.out, "\nThe times include about 40 ns to measure them, and the time to pick a room.")
	return nil
}
