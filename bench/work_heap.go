package main

import (
	"context"
	"runtime"
	"time"

	"github.com/roomtoken/roomtoken/bench/internal/memory"
	"github.com/roomtoken/roomtoken/bench/internal/roomid"
)

// heapWork measures the memory for many keys.
var heapWork = work{
	name: "heap",
	// Floors without a clock need as much memory as those with one.
	applies: func(c contender) bool { return !c.single && shown(c) },
	tables: []table{{
		id: "heap", title: "Heap per key, bytes", ratios: true,
		note: "After a garbage collection, without the strings of key and token. roomtoken also stores a refresh token per key.",
		why: "roomtoken also stores a refresh token, the token's expiry on two clocks, the time of its last use, and an entry in the queue of " +
			"renewals, which renews tokens that nobody reads.",
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

// keyCopy is the heap size of a copy of a key, which has 36 bytes.
const keyCopy = 48

// heapInUse returns the size of the live objects in bytes.
func heapInUse() float64 {
	time.Sleep(100 * time.Millisecond) // for cleanup in the background
	return float64(memory.Live())
}
