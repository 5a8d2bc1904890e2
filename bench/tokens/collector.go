package main

import (
	"context"
	"runtime"
	"runtime/metrics"
	"time"

	"github.com/roomtoken/roomtoken/bench/internal/program"
)

// collector is what the garbage collector has done since the start of the program.
type collector struct {
	automatic uint64 // collections that came by themselves, every two minutes at least
	forced    uint64 // collections that this program has asked for
	allocated uint64 // bytes on the heap, those collected since included
}

func readCollector() collector {
	samples := []metrics.Sample{
		{Name: "/gc/cycles/automatic:gc-cycles"},
		{Name: "/gc/cycles/forced:gc-cycles"},
		{Name: "/gc/heap/allocs:bytes"},
	}
	metrics.Read(samples)
	return collector{
		automatic: samples[0].Value.Uint64(),
		forced:    samples[1].Value.Uint64(),
		allocated: samples[2].Value.Uint64(),
	}
}

func (c collector) since(before collector) collector {
	return collector{
		automatic: c.automatic - before.automatic,
		forced:    c.forced - before.forced,
		allocated: c.allocated - before.allocated,
	}
}

// awaitCollections waits for so many collections that come by themselves.
func awaitCollections(ctx context.Context, n int) error {
	for last := readCollector().automatic + uint64(n); readCollector().automatic < last; {
		if !program.Sleep(ctx, 10*time.Millisecond) {
			return ctx.Err()
		}
	}
	return nil
}

// collect collects garbage until span has passed.
func collect(ctx context.Context, span time.Duration) error {
	for until := time.Now().Add(span); time.Now().Before(until); {
		runtime.GC()
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}
