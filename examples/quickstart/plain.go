package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/benbjohnson/clock"

	"github.com/roomtoken/roomtoken"
)

// statusEvery is how often the plain view says how things stand.
const statusEvery = 5 * time.Second

// plainView writes a line for each thing that happens, and a status line now and
// then, for pipes and logs.
func plainView(out io.Writer) view {
	return func(ctx context.Context, clk clock.Clock, look func() snapshot) {
		first := look()
		fmt.Fprintf(out, "roomtoken quickstart, %s, %s\n", first.where, roomsIn(len(first.rooms)))
		written, status := 0, time.Duration(0)
		tell := func() {
			s := look()
			for _, e := range s.entries[len(s.entries)-min(s.written-written, len(s.entries)):] {
				fmt.Fprintln(out, entryLine(e, s.time.Add(-s.elapsed)))
			}
			written = s.written
			if s.elapsed >= status+statusEvery {
				status = s.elapsed.Truncate(statusEvery)
				fmt.Fprintln(out, statusLine(s))
			}
		}
		ticker := clk.Ticker(redrawEvery)
		defer ticker.Stop()
		for ctx.Err() == nil {
			tell()
			select {
			case <-ticker.C:
			case <-ctx.Done():
			}
		}
		tell()
	}
}

// statusLine is a snapshot in a line.
func statusLine(s snapshot) string {
	valid := 0
	for _, r := range s.rooms {
		switch r.status.State {
		case roomtoken.RoomValid, roomtoken.RoomRetrying, roomtoken.RoomIdle:
			valid++
		}
	}
	return fmt.Sprintf("%5.1f s  --        %d of %d rooms have a token; %s tokens for callers, %s after a wait, %s failures; %s API calls",
		s.elapsed.Seconds(), valid, len(s.rooms), count(s.counts.Answered), count(s.counts.waited(s.stats)), count(s.counts.Failed),
		count(s.stats.Creates+s.stats.Refreshes))
}
