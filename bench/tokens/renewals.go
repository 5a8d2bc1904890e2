package main

import (
	"context"
	"fmt"
	"time"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/bench/internal/cpu"
	"github.com/roomtoken/roomtoken/bench/internal/hist"
	"github.com/roomtoken/roomtoken/bench/internal/program"
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

// costs is processor time as the operating system counts it. What the Go runtime counts as
// the collector's includes the time in which the system runs other programs.
type costs struct {
	renewal    time.Duration
	collection time.Duration
}

// costs measures without callers: renewals alone, and then collections, less the renewals
// meanwhile.
func (b benchmark) costs(ctx context.Context, m *roomtoken.Manager) (c costs, err error) {
	measure := func(work func() error) (used time.Duration, renewals uint64, err error) {
		began, before := cpu.Time(), m.Stats().Refreshes
		err = work()
		return cpu.Time() - began, m.Stats().Refreshes - before, err
	}
	used, renewals, err := measure(func() error {
		program.Sleep(ctx, b.span/2)
		return ctx.Err()
	})
	if err != nil {
		return c, err
	}
	c.renewal = used / time.Duration(max(renewals, 1))
	before := readCollector()
	used, renewals, err = measure(func() error { return collect(ctx, b.span/2) })
	n := readCollector().since(before).forced
	c.collection = max(used-c.renewal*time.Duration(renewals), 0) / time.Duration(max(n, 1))
	return c, err
}

// renewals prints what a renewal costs, and what the garbage collector does for it.
func (b benchmark) renewals(r renewed, c costs) {
	n := max(r.renewals, 1)
	table.Heading(b.out, "renewals", "per second", "allocated per renewal", "processor time per renewal",
		"collections", "one every", "processor time of one", "per renewal")
	table.Row(b.out, r.renewals, int(float64(r.renewals)/r.took.Seconds()), fmt.Sprintf("%d B", r.collector.allocated/n),
		c.renewal.Round(10*time.Nanosecond), r.collector.automatic,
		(r.took / time.Duration(r.collector.automatic)).Round(100*time.Millisecond), fmt.Sprintf("%.3f s", c.collection.Seconds()),
		(c.collection * time.Duration(r.collector.automatic) / time.Duration(n)).Round(10*time.Nanosecond))
}

// hits prints how long hits take.
func (b benchmark) hits(ctx context.Context, m *roomtoken.Manager, r renewed) error {
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
