package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/bench/internal/cpu"
	"github.com/roomtoken/roomtoken/bench/internal/roomid"
	"github.com/roomtoken/roomtoken/bench/internal/steady"
	"github.com/roomtoken/roomtoken/bench/internal/table"
)

// renewalsPerSecond does not depend on the number of rooms. It is twice as many as a
// million rooms with tokens of 650 s need.
const renewalsPerSecond = 5000

// manyRenewals measures the cost of a renewal for each number of rooms.
func manyRenewals(ctx context.Context, out io.Writer, span time.Duration, sizes ...int) error {
	fmt.Fprintf(out, "\nAbout %d renewals per second, with a source without latency\n\n", renewalsPerSecond)
	table.Heading(out, "rooms", "renewals", "processor time per renewal", "share of a core for a million rooms renewed every 400 s")
	for _, n := range sizes {
		renewals, used, err := renewals(ctx, n, span)
		if err != nil {
			return err
		}
		each := used / time.Duration(max(renewals, 1))
		table.Row(out, n, renewals, each.Round(10*time.Nanosecond), fmt.Sprintf("%.1f %%", 100*each.Seconds()*1e6/400))
	}
	return ctx.Err()
}

// renewals lets a Manager renew rooms for a span, and returns the number of renewals
// and their processor time.
func renewals(ctx context.Context, rooms int, span time.Duration) (n int64, used time.Duration, err error) {
	source := steady.Source{
		Lifetime:     steady.For(rooms, renewalsPerSecond),
		Token:        func(string, time.Time, time.Time) string { return "token" },
		RefreshToken: func(string, time.Time, time.Time) string { return "refresh token" },
	}
	m, err := roomtoken.NewManager(source, roomtoken.Config{MaxRooms: -1})
	if err != nil {
		return 0, 0, err
	}
	defer m.Close()
	if err := m.Warm(ctx, roomid.New(rooms)...); err != nil {
		return 0, 0, err
	}
	before, began := m.Stats(), cpu.Time()
	select {
	case <-time.After(span):
	case <-ctx.Done():
	}
	used, after := cpu.Time()-began, m.Stats()
	if failed := after.RefreshFailures + after.CreateFailures; failed > 0 {
		return 0, 0, fmt.Errorf("%d calls failed", failed)
	}
	return int64(after.Refreshes - before.Refreshes), used, nil
}
