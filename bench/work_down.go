package main

import (
	"context"
	"sync"
	"time"
)

// downCallers is the number of callers while the source is down or slow.
const downCallers = 100

// downWork is an outage. A key has a token that lives 30 s and is due for renewal
// after 20 s. The source is down for a minute, and each caller asks once a second,
// with a timeout of 2 s. All times are scaled by the same factor, including those in
// the configuration of the contenders.
var downWork = work{
	name:    "down",
	applies: libraries,
	tables: []table{{
		id: "down", title: "Source down for a minute, 100 callers",
		note: "A token lives 30 s and is due for renewal after 20 s. Each caller asks once a second, with a timeout of 2 s, and the source takes " +
			"100 ms to fail. All times are scaled down by the same factor. Failed with token: failed calls while the token had more than 3 s " +
			"left. Failed without token: failed calls after that. Returned late: calls that returned half a second or more after their deadline.",
	}},
	run: outage,
}

// outcomes counts the callers' calls.
type outcomes struct {
	mu                 sync.Mutex
	early, earlyFailed int // with a valid token
	after, afterFailed int // without one
	late               int
}

func outage(j *job) error {
	scaled := func(d time.Duration) time.Duration {
		return time.Duration(float64(d) * float64(j.scale.minute) / float64(time.Minute))
	}
	t := terms{
		lifetime:    scaled(30 * time.Second),
		renewAfter:  scaled(20 * time.Second),
		early:       scaled(3 * time.Second),
		backoff:     scaled(500 * time.Millisecond),
		maxBackoff:  scaled(30 * time.Second),
		retry:       scaled(5 * time.Second),
		callTimeout: scaled(10 * time.Second),
		maxWait:     scaled(30 * time.Second),
		keys:        1,
	}
	src := newSource(scaled(100*time.Millisecond), t.lifetime)
	c, err := j.contender.open(src, t)
	if err != nil {
		return err
	}
	gone := time.Now().Add(t.lifetime - t.early) // the lifetime begins with the call
	if _, err := c.Get(context.Background(), "key"); err != nil {
		return err
	}
	src.down.Store(true)
	begin := time.Now()
	before := src.calls.Load()
	end := begin.Add(j.scale.minute)

	var (
		counts  outcomes
		running sync.WaitGroup
		second  = scaled(time.Second)
	)
	for caller := range downCallers {
		running.Go(func() {
			next := begin.Add(time.Duration(caller) * second / downCallers)
			for ; next.Before(end); next = next.Add(second) {
				time.Sleep(time.Until(next))
				asked := time.Now()
				ctx, cancel := context.WithDeadline(context.Background(), asked.Add(2*second))
				_, err := c.Get(ctx, "key")
				cancel()
				returned := time.Now()
				counts.add(asked.Before(gone) && returned.Before(gone), err != nil, returned.Sub(asked) > 2*second+second/2)
				if returned.After(next) { // skip the times at which it was waiting
					next = next.Add(returned.Sub(next).Truncate(second))
				}
			}
		})
	}
	running.Wait()
	counts.report(j, src.calls.Load()-before)
	return c.Close()
}

// add counts one call of a caller.
func (o *outcomes) add(early, failed, late bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n, bad := &o.after, &o.afterFailed
	if early {
		n, bad = &o.early, &o.earlyFailed
	}
	*n++
	if failed {
		*bad++
	}
	if late {
		o.late++
	}
}

// report reports the counts.
func (o *outcomes) report(j *job, calls int64) {
	j.report("down", "source calls", float64(calls))
	j.report("down", "failed with token", float64(o.earlyFailed))
	j.report("down", "failed without token", float64(o.afterFailed))
	j.report("down", "returned late", float64(o.late))
	j.report("down", "calls", float64(o.early+o.after))
}
