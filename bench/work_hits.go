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

// hitsWork reads tokens that are there, in a random order, at several sizes.
//
// One goroutine that reads one key after the other lets the processor begin a
// look-up before the last has ended, as a program does that has other things to
// look up. Where each key depends on the last answer it cannot: that is what a
// single caller waits. The keys asked for are copies of those that are stored, as
// they are when they come in with a request: comparing two strings that share
// their bytes reads none of them.
var hitsWork = work{
	name:    "hits",
	applies: everybody,
	tables: []table{
		{
			id: "one", title: "A hit, one goroutine: ns", ratios: true,
			note: "Keys in a random order, each read independent of the one before.",
			why:  whyHits,
		},
		{
			id: "dependent", title: "A hit whose key depends on the last answer: ns", ratios: true,
			note: "The latency of a read: the processor cannot begin it before the last one has ended.",
			why:  whyHits,
		},
		{
			id: "all", title: "Hits by all cores: millions per second", ratios: true, more: true,
			note: "A goroutine per core, all on the same keys.",
			why:  whyHits,
		},
		{id: "allocs", title: "A hit: allocations"},
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

const whyHits = "A hit among many keys is mostly waiting for memory, and so varies with what the neighbours of a shared machine leave of its cache: see the " +
	"rounds in results.csv. roomtoken reads the key, a slot of its table, and one record that has the key, the token's end on two clocks, and the header of its text."

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
	for i := range keys { // a key comes in with a request: it is not the very string that is stored
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
	samples   = 3    // measurements of which the median counts
	readBatch = 1024 // reads between two looks at the clock
)

// reader reads tokens from keys[start] on, round and round, until it is time. It
// returns how many.
type reader func(c cache, keys []string, start int, until time.Time) (int, error)

// readIndependent reads one key after the other.
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

// readDependent reads the key that the last answer says. It says the next one,
// but the processor cannot know that before it has the answer.
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

// readAlone measures one goroutine: nanoseconds and allocations per read.
func readAlone(c cache, keys []string, slice time.Duration, read reader) (ns, allocs float64, err error) {
	var times, counts []float64
	at := 0
	for range 1 + samples { // the first is to warm up
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

// readTogether measures a goroutine per core: millions of reads per second.
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
