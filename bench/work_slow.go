package main

import (
	"context"
	"runtime"
	"sync"
	"time"

	"github.com/roomtoken/roomtoken/bench/internal/stat"
)

// slowWork is a source that is slow, and callers who give up before it answers:
// when do they really leave, and is the call they leave behind of use to the next
// one?
var slowWork = work{
	name:    "slow",
	applies: loaders,
	tables: []table{{
		id: "slow", title: "100 callers with 100 ms of patience, a source that takes 1 s",
		note: "How long after its deadline a caller returns; and how long a patient caller who comes when all have left waits, and the calls " +
			"made until then. Best is to leave at once, one call, and 900 ms: the call goes on though nobody waits.",
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
				_, _ = c.Get(ctx, "key") // most fail: that is what patience is for
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
		patient := time.Since(begin)
		j.report("slow", "late, median, ms", stat.Median(milliseconds(late)))
		j.report("slow", "late, worst, ms", worst(late).Seconds()*1e3)
		j.report("slow", "the patient one waits, ms", patient.Seconds()*1e3)
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
