package main

import (
	"context"
	"runtime"
	"time"

	"github.com/roomtoken/roomtoken/bench/internal/roomid"
)

// heapWork holds many keys, and reports what that costs.
var heapWork = work{
	name: "heap",
	// A floor that reads no clock holds the same.
	applies: func(c contender) bool { return !c.single && shown(c) },
	tables: []table{{
		id: "heap", title: "Heap per key: bytes", ratios: true,
		note: "After a collection, without the strings: neither the key's, nor the token's. roomtoken also keeps a refresh token per key.",
		why: "roomtoken keeps more for each key: a refresh token, the token's end on two clocks, when it was last asked for, and a place in the queue of " +
			"renewals, which is what renews a token that nobody reads.",
	}},
	run: func(j *job) error {
		n := j.scale.heap
		keys := roomid.New(n)
		t := hourly(n)
		before := heapInUse()
		c, err := j.contender.open(newSource(0, t.lifetime), t)
		if err != nil {
			return err
		}
		if err := fill(context.Background(), c, keys); err != nil {
			return err
		}
		perKey := (heapInUse() - before) / float64(n)
		if j.contender.copiesKeys {
			perKey -= keyCopy
		}
		runtime.KeepAlive(keys)
		j.report("heap", count(n, "key"), perKey)
		return c.Close()
	},
}

// keyCopy is what a copy of a key of 36 bytes takes of the heap.
const keyCopy = 48

// heapInUse returns the bytes of live objects.
func heapInUse() float64 {
	time.Sleep(100 * time.Millisecond) // some tidy up in the background
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return float64(stats.HeapAlloc)
}
