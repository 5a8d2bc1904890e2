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

// renewWork renews many keys that are all due at the same moment, against a
// source that answers at once. For those who renew on a read, everything is read
// by a goroutine per core, and what the reads cost is part of it.
var renewWork = work{
	name: "renew",
	applies: func(c contender) bool {
		return c.renews != never && !c.single
	},
	tables: []table{{
		id: "renew", title: "Renewing a million keys that are due at once", ratios: true,
		note: "roomtoken does it by itself and with at most 64 calls at a time; the others start a renewal when somebody reads the key, and each in a " +
			"goroutine of its own, so all keys are read by a goroutine per core, which is counted. The source answers at once.",
		why: "roomtoken keeps the order in which they are due, makes each renewal a call with a timeout and a ctx of its own, contains its panics, and keeps to a number of calls at a time; " +
			"sturdyc stores whatever its goroutine returns, and starts as many goroutines as there are keys.",
	}},
	run: func(j *job) error {
		after := j.scale.renewAfter // ought to be longer than filling takes
		if j.contender.renews == onRead {
			after /= 2 // they fill faster
		}
		for {
			err := renewAll(j, after)
			if !errors.Is(err, errTooSoon) || after > time.Minute {
				return err
			}
			after *= 2 // the machine is slow: once more, with more time
		}
	},
}

// renewPatience is how long it may take.
const renewPatience = 2 * time.Minute

// errTooSoon says that the first tokens were due before all keys had one.
var errTooSoon = errors.New("the first tokens were due before all keys had one")

// renewAll fills a cache with tokens that are due after a while, and measures what
// it takes to renew them then.
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
	src.issuance.Store(&issuance{lifetime: 24 * time.Hour}) // renewed tokens are not due again
	due := epoch.Add(after)
	if j.contender.renews == onRead {
		due = time.Now().Add(after) // some count from the moment a token came
	}

	time.Sleep(time.Until(due) - time.Millisecond)
	begin, used := time.Now(), cpu.Time()
	giveUp := begin.Add(renewPatience)
	for src.answers.Load() < 2*int64(n) {
		if time.Now().After(giveUp) {
			return errors.New("not all are renewed")
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
