package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"time"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/bench/internal/jwt"
	"github.com/roomtoken/roomtoken/bench/internal/memory"
	"github.com/roomtoken/roomtoken/bench/internal/steady"
	"github.com/roomtoken/roomtoken/bench/internal/table"
)

// benchmark is one run of the program.
type benchmark struct {
	out         io.Writer
	ids         []string
	rate        float64       // renewals per second
	collections int           // to wait for
	span        time.Duration // how long one collection follows another
}

// source returns a source that is called as often as b says.
func (b benchmark) source() steady.Source {
	return steady.Source{
		Lifetime: steady.For(len(b.ids), b.rate),
		Token: func(room string, issued, expires time.Time) string {
			return jwt.New(jwt.Access, room, issued, expires)
		},
		RefreshToken: func(room string, issued, expires time.Time) string {
			return jwt.New(jwt.Refresh, room, issued, expires)
		},
	}
}

func (b benchmark) run(ctx context.Context) (err error) {
	source := b.source()
	m, err := roomtoken.NewManager(source, roomtoken.Config{MaxRooms: -1, IdleAfter: -1})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()

	resident, live := memory.Resident(), memory.Live()
	if err := m.Warm(ctx, b.ids...); err != nil {
		return err
	}
	warm := memory.Live()
	debug.FreeOSMemory()
	warmResident := memory.Resident()

	renewed, err := b.renew(ctx, m)
	if err != nil {
		return err
	}
	b.memory(source, warm-live, warmResident-resident, memory.Peak()-resident)
	fmt.Fprintln(b.out)
	costs, err := b.costs(ctx, m)
	if err != nil {
		return err
	}
	b.renewals(renewed, costs)
	fmt.Fprintln(b.out)
	return b.hits(ctx, m, renewed)
}

// memory prints what the rooms take.
func (b benchmark) memory(source steady.Source, live, resident, peak uint64) {
	each := func(bytes uint64) string { return fmt.Sprintf("%d B", bytes/uint64(len(b.ids))) }
	now := time.Now()
	token, refresh := source.Token(b.ids[0], now, now), source.RefreshToken(b.ids[0], now, now)
	bare := sizeClass(token) + sizeClass(refresh)
	fmt.Fprintf(b.out, "%d rooms, each with a token of %d B and a refresh token of %d B\n\n", len(b.ids), len(token), len(refresh))
	table.Heading(b.out, "memory", "per room", "in all")
	table.Row(b.out, "the bare strings, in Go's size classes", fmt.Sprintf("%d B", bare), mb(uint64(bare*len(b.ids))))
	table.Row(b.out, "live heap", each(live), mb(live))
	table.Row(b.out, "resident, once all are warm", each(resident), mb(resident))
	table.Row(b.out, "resident at most, with what is garbage until the next collection", each(peak), mb(peak))
}

func mb(bytes uint64) string { return fmt.Sprintf("%.0f MB", memory.MB(bytes)) }

// sizeClass returns the size of the heap object that holds a string.
func sizeClass(s string) int { return cap(append([]byte(nil), s...)) }
