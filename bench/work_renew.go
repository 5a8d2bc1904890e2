package main

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"time"

	"github.com/roomtoken/roomtoken/bench/internal/cpu"
	"github.com/roomtoken/roomtoken/bench/internal/roomid"
)

// renewWork renews many keys that are all due at the same time, with a source without
// latency. For contenders that renew on a read, one goroutine per core reads all keys,
// and the cost of the reads is included.
var renewWork = work{
	name: "renew",
	applies: func(c contender) bool {
		return c.renews != never && !c.single
	},
	tables: []table{{
		id: "renew", title: "Renewing a million keys that are due at once", ratios: true,
		note: "The source has no latency. roomtoken renews in the background, with at most 64 calls at a time. The others renew on a read, each " +
			"key in a separate goroutine: one goroutine per core reads all keys, and the cost of that is included.",
		why: "roomtoken takes less processor time, but not on all cores all the time: it renews in the order of expiry and limits the number of " +
			"calls, under one lock. sturdyc stores whatever its goroutine returns, and starts as many goroutines as there are keys.",
	}},
	run: func(j *job) error {
		after := j.scale.renewAfter // must be longer than it takes to fill the cache
		if j.contender.renews == onRead {
			after /= 2 // filling is faster
		}
		for {
			err := renewAll(j, after)
			if !errors.Is(err, errTooSoon) || after > time.Minute {
				return err
			}
			after *= 2 // the machine is slow: retry with more time
		}
	},
}

// renewTimeout limits the duration of the renewals.
const renewTimeout = 2 * time.Minute

var errTooSoon = errors.New("renewals were due before all keys had a token")

// renewAll fills a cache with tokens that are due later, and measures their renewal.
func renewAll(j *job, after time.Duration) (err error) {
	n := j.scale.renew
	t := hourly(n)
	t.lifetime, t.renewAfter, t.early = 10*after, after, 0
	keys := roomid.New(n)

	src := newSource(0, 0)
	epoch := time.Now()
	src.issuance.Store(&issuance{issued: epoch, lifetime: t.lifetime})
	c, err := j.contender.open(src, t)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	if err := fill(context.Background(), c, keys); err != nil {
		return err
	}
	runtime.GC()
	if src.answers.Load() != int64(n) || time.Since(epoch) > after-after/20 {
		return errTooSoon
	}
	src.issuance.Store(&issuance{lifetime: 24 * time.Hour}) // renewed tokens are not due in this job
	due := epoch.Add(after)
	if j.contender.renews == onRead {
		due = time.Now().Add(after) // some count from the time at which they got the token
	}

	time.Sleep(time.Until(due) - time.Millisecond)
	begin, used := time.Now(), cpu.Time()
	giveUp := begin.Add(renewTimeout)
	for src.answers.Load() < 2*int64(n) {
		if time.Now().After(giveUp) {
			return errors.New("timeout: not all tokens are renewed")
		}
		if j.contender.renews == onRead {
			if err := readAll(c, keys); err != nil {
				return err
			}
		}
		time.Sleep(time.Millisecond)
	}
	j.report("renew", "µs per key", perKey(time.Since(begin), n))
	j.report("renew", "µs of CPU per key", perKey(cpu.Time()-used, n))
	return nil
}

func perKey(d time.Duration, n int) float64 {
	return float64(d) / float64(time.Microsecond) / float64(n)
}

// readAll reads every key once, with a goroutine per core.
func readAll(c cache, keys []string) error {
	procs := runtime.GOMAXPROCS(0)
	errs := make([]error, procs)
	var running sync.WaitGroup
	for p := range procs {
		running.Go(func() {
			for _, key := range keys[p*len(keys)/procs : (p+1)*len(keys)/procs] {
				if _, err := c.Get(context.Background(), key); err != nil {
					errs[p] = err
				}
			}
		})
	}
	running.Wait()
	return errors.Join(errs...)
}
