package main

import (
	"context"
	"runtime"
	"sync"
	"time"

	"github.com/roomtoken/roomtoken/bench/internal/stat"
)

// slowWork is a slow source with callers that time out before it answers. It measures
// when they return, and whether the next caller benefits from their call.
var slowWork = work{
	name:    "slow",
	applies: libraries,
	tables: []table{{
		id: "slow", title: "Slow source: 1 s per call, 100 callers with a timeout of 100 ms",
		note: "Late: how long after its deadline a caller returns. Next caller: how long a caller without a timeout waits that comes when all " +
			"others have left. Ideal: 0 ms late, 900 ms for the next caller, and one source call, because the call continues without callers.",
	}},
	run: func(j *job) error {
		t := hourly(1)
		src := newSource(j.scale.slow, t.lifetime)
		c, err := j.contender.open(src, t)
		if err != nil {
			return err
		}
		var (
			running sync.WaitGroup
			mu      sync.Mutex
			late    []time.Duration
		)
		for range downCallers {
			running.Go(func() {
				ctx, cancel := context.WithTimeout(context.Background(), j.scale.impatience)
				defer cancel()
				deadline, _ := ctx.Deadline()
				_, _ = c.Get(ctx, "key") // usually times out
				lateness := max(time.Since(deadline), 0)
				mu.Lock()
				defer mu.Unlock()
				late = append(late, lateness)
			})
		}
		running.Wait()
		runtime.Gosched()
		begin := time.Now()
		if _, err := c.Get(context.Background(), "key"); err != nil {
			return err
		}
		next := time.Since(begin)
		j.report("slow", "late, median, ms", stat.Median(milliseconds(late)))
		j.report("slow", "late, worst, ms", worst(late).Seconds()*1e3)
		j.report("slow", "next caller waits, ms", next.Seconds()*1e3)
		j.report("slow", "source calls", float64(src.calls.Load()))
		return c.Close()
	},
}

func milliseconds(all []time.Duration) []float64 {
	ms := make([]float64, len(all))
	for i, d := range all {
		ms[i] = d.Seconds() * 1e3
	}
	return ms
}
