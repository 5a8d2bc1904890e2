package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// step is something that is done to the fleet.
type step struct {
	at   time.Duration
	text string
	do   func() error
}

// plan returns the steps in order. A server that is somebody else's is left alone.
func plan(ctx context.Context, f *fleet, server *redisServer, duration time.Duration) []step {
	killed, down := duration/4, (duration * 6 / 10).Truncate(time.Second)
	steps := []step{
		{killed, fmt.Sprintf("process %d is killed", victim), func() error { f.processes[victim].kill(); return nil }},
		{killed + 2*time.Second, fmt.Sprintf("process %d starts again", victim), func() error { return f.restart(victim) }},
	}
	if server == nil {
		return steps
	}
	return append(steps,
		step{down, "Redis is killed", func() error { server.kill(); return nil }},
		step{down + 4*time.Second, "Redis starts again, empty", func() error { return server.start(ctx) }})
}

// play takes the steps, and prints a line each second, until the time is over or ctx ends.
func (f *fleet) play(ctx context.Context, out io.Writer, duration time.Duration, steps []step) error {
	fmt.Fprintln(out, "        creates  refreshes  adopted  requests  failed  store")
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for now := time.Second; now <= duration; now += time.Second {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
		c := f.counts()
		fmt.Fprintf(out, "%4.0f s  %7d  %9d  %7d  %8d  %6d  %s\n",
			now.Seconds(), c.creates, c.refreshes, c.adopted, c.requests, c.failures, c.store())
		for len(steps) > 0 && steps[0].at <= now {
			fmt.Fprintf(out, "        %s\n", steps[0].text)
			if err := steps[0].do(); err != nil && ctx.Err() == nil {
				return err
			}
			steps = steps[1:]
		}
		if c.running < processes-1 {
			return errors.New("a process has ended by itself")
		}
	}
	return nil
}
