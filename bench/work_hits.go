package main

import (
	"context"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/roomtoken/roomtoken/bench/internal/roomid"
	"github.com/roomtoken/roomtoken/bench/internal/stat"
)

// hitsWork reads cached tokens in random order, for several numbers of keys.
//
// With independent reads the processor begins a lookup before the previous one has
// ended. If each key depends on the previous result it cannot, so that the time per
// read is the latency for a single caller. Keys are copies of the stored ones, like
// keys from a request: comparing strings that share their bytes would not read them.
var hitsWork = work{
	name:    "hits",
	applies: anyContender,
	tables: []table{
		{
			id: "one", title: "Hit, one goroutine, ns", ratios: true,
			note: "Keys in random order; reads are independent of each other.",
			why:  whyHits,
		},
		{
			id: "dependent", title: "Hit whose key depends on the previous result, ns", ratios: true,
			note: "The latency of a read: the processor cannot begin it before the previous one has ended.",
			why:  whyHits,
		},
		{
			id: "all", title: "Hits on all cores, millions per second", ratios: true, more: true,
			note: "One goroutine per core, all with the same keys.",
			why:  whyHits,
		},
		{id: "allocs", title: "Hit, allocations"},
	},
	run: func(j *job) error {
		for _, size := range j.scale.sizes {
			if size > 1 && j.contender.single {
				continue
			}
			if err := hits(j, size); err != nil {
				return err
			}
		}
		return nil
	},
}

const whyHits = "A hit among many keys mostly waits for memory, so on a shared machine it varies with the cache that other machines leave: see the " +
	"rounds in results.csv. roomtoken reads the key, a bucket of its table, and one record with the key, the token's expiry on two clocks and the header of its text."

func hits(j *job, size int) error {
	t := hourly(size)
	src := newSource(0, t.lifetime)
	c, err := j.contender.open(src, t)
	if err != nil {
		return err
	}
	keys := roomid.New(size)
	if err := fill(context.Background(), c, keys); err != nil {
		return err
	}
	for i := range keys { // see hitsWork
		keys[i] = strings.Clone(keys[i])
	}
	rand.Shuffle(size, func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	runtime.GC()

	column := count(size, "key")
	one, allocs, err := readAlone(c, keys, j.scale.slice, readIndependent)
	if err != nil {
		return err
	}
	j.report("one", column, one)
	dependent, _, err := readAlone(c, keys, j.scale.slice, readDependent)
	if err != nil {
		return err
	}
	j.report("dependent", column, dependent)
	all, err := readTogether(c, keys, j.scale.slice)
	if err != nil {
		return err
	}
	j.report("all", column, all)
	j.report("allocs", column, allocs)
	return c.Close()
}

const (
	samples   = 3    // measurements per median
	readBatch = 1024 // reads between two readings of the clock
)

// reader reads tokens from keys[start] on, cyclically, until a point in time. It
// returns the number of reads.
type reader func(c cache, keys []string, start int, until time.Time) (int, error)

// readIndependent reads the keys in order.
func readIndependent(c cache, keys []string, start int, until time.Time) (int, error) {
	ctx := context.Background()
	n, i := 0, start
	for time.Now().Before(until) {
		for range readBatch {
			if _, err := c.Get(ctx, keys[i]); err != nil {
				return n, err
			}
			if i++; i == len(keys) {
				i = 0
			}
		}
		n += readBatch
	}
	return n, nil
}

// readDependent computes the next key from the previous result. That is always the
// next one in order, but the processor does not know before it has the result.
func readDependent(c cache, keys []string, start int, until time.Time) (int, error) {
	ctx := context.Background()
	n, i := 0, start
	for time.Now().Before(until) {
		for range readBatch {
			text, err := c.Get(ctx, keys[i])
			if err != nil {
				return n, err
			}
			if i += len(text) - (len(tokenText) - 1); i >= len(keys) {
				i = 0
			}
		}
		n += readBatch
	}
	return n, nil
}

// readAlone measures nanoseconds and allocations per read, with one goroutine.
func readAlone(c cache, keys []string, slice time.Duration, read reader) (ns, allocs float64, err error) {
	var times, counts []float64
	at := 0
	for range 1 + samples { // the first is a warm-up
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		begin := time.Now()
		n, err := read(c, keys, at, begin.Add(slice))
		took := time.Since(begin)
		if err != nil {
			return 0, 0, err
		}
		runtime.ReadMemStats(&after)
		times = append(times, float64(took)/float64(n))
		counts = append(counts, float64(after.Mallocs-before.Mallocs)/float64(n))
		at = (at + n) % len(keys)
	}
	return stat.Median(times[1:]), stat.Median(counts[1:]), nil
}

// readTogether measures millions of reads per second, with a goroutine per core.
func readTogether(c cache, keys []string, slice time.Duration) (float64, error) {
	var rates []float64
	procs := runtime.GOMAXPROCS(0)
	for range samples {
		var (
			running sync.WaitGroup
			mu      sync.Mutex
			rate    float64
			failed  error
		)
		until := time.Now().Add(slice)
		for p := range procs {
			running.Go(func() {
				begin := time.Now()
				n, err := readIndependent(c, keys, p*len(keys)/procs, until)
				took := time.Since(begin)
				mu.Lock()
				defer mu.Unlock()
				rate += float64(n) / took.Seconds() / 1e6
				if err != nil {
					failed = err
				}
			})
		}
		running.Wait()
		if failed != nil {
			return 0, failed
		}
		rates = append(rates, rate)
	}
	return stat.Median(rates), nil
}
