package main

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// coldWork is many callers that ask for a key without a token.
var coldWork = work{
	name:    "cold",
	applies: libraries,
	tables: []table{{
		id: "cold", title: "10,000 callers on a cold key",
		note: "All callers ask before the source answers. Ideal: one call, and all callers return soon after the answer.",
	}},
	run: func(j *job) error {
		t := hourly(1)
		src := newSource(j.scale.coldWait, t.lifetime)
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
		for range j.scale.callers {
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
		j.report("cold", "failed callers", float64(failed.Load()))
		late := begin.Add(time.Duration(last.Load())).Sub(src.firstAnswer())
		j.report("cold", "last caller returns after, ms", late.Seconds()*1e3)
		return c.Close()
	},
}
