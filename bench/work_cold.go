package main

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// coldWork is a crowd that asks for a key whose token is not there yet.
var coldWork = work{
	name:    "cold",
	applies: loaders,
	tables: []table{{
		id: "cold", title: "10,000 callers on a cold key",
		note: "All ask before the source answers. Best is one call, and everybody served soon after its answer.",
	}},
	run: func(j *job) error {
		t := hourly(1)
		src := newSource(j.scale.crowdWait, t.lifetime)
		c, err := j.contender.open(src, t)
		if err != nil {
			return err
		}
		var (
			running sync.WaitGroup
			failed  atomic.Int64
			last    atomic.Int64 // since begin
		)
		begin := time.Now()
		for range j.scale.crowd {
			running.Go(func() {
				if _, err := c.Get(context.Background(), "key"); err != nil {
					failed.Add(1)
				}
				for now := int64(time.Since(begin)); ; {
					old := last.Load()
					if now <= old || last.CompareAndSwap(old, now) {
						return
					}
				}
			})
		}
		running.Wait()
		j.report("cold", "source calls", float64(src.calls.Load()))
		j.report("cold", "callers failed", float64(failed.Load()))
		late := begin.Add(time.Duration(last.Load())).Sub(src.firstAnswer())
		j.report("cold", "last one served after, ms", late.Seconds()*1e3)
		return c.Close()
	},
}
