package main

import (
	"fmt"
	"slices"
	"time"
)

// A work is something that every contender it applies to is asked to do.
type work struct {
	name    string
	tables  []table // that its measurements go to
	applies func(contender) bool
	run     func(*job) error
}

// table is a table of the page.
type table struct {
	id     string // what measurements name
	title  string
	note   string // how to read it
	more   bool   // more is better
	ratios bool   // ratios say something
	why    string // what explains it where a peer does better
}

// job is one contender at one work.
type job struct {
	contender contender
	scale     scale
	found     []measurement
}

// measurement is one number that a job finds.
type measurement struct {
	Table  string  `json:"table"`
	Column string  `json:"column"`
	Value  float64 `json:"value"`
}

// report adds a number to what the job has found.
func (j *job) report(table, column string, value float64) {
	j.found = append(j.found, measurement{table, column, value})
}

// works are all of them, in the order of the page.
var works = []work{hitsWork, coldWork, slowWork, downWork, heapWork, renewWork}

// do has the contender do the work.
func do(w work, c contender, s scale) ([]measurement, error) {
	j := &job{contender: c, scale: s}
	if err := w.run(j); err != nil {
		return nil, fmt.Errorf("%s, %s: %w", w.name, c.name, err)
	}
	return j.found, nil
}

// scale says how much of everything there is.
type scale struct {
	sizes      []int         // keys, for hits
	slice      time.Duration // how long one measurement of hits takes; each is made three times
	crowd      int           // callers on a cold key
	crowdWait  time.Duration // until the source answers them
	minute     time.Duration // what a minute of outage is made to last
	slow       time.Duration // latency of a slow source
	impatience time.Duration // deadline of those who wait for it
	heap       int           // keys
	renew      int           // keys
	renewAfter time.Duration // for those who renew by themselves; half of it for others
}

// scales by name.
var scales = map[string]scale{
	"full": {
		sizes:      []int{1, 1_000, 100_000, 1_000_000},
		slice:      100 * time.Millisecond,
		crowd:      10_000,
		crowdWait:  200 * time.Millisecond,
		minute:     4 * time.Second,
		slow:       time.Second,
		impatience: 100 * time.Millisecond,
		heap:       1_000_000,
		renew:      1_000_000,
		renewAfter: 8 * time.Second,
	},
	"quick": {
		sizes:      []int{1, 1_000, 100_000},
		slice:      20 * time.Millisecond,
		crowd:      1_000,
		crowdWait:  100 * time.Millisecond,
		minute:     1500 * time.Millisecond,
		slow:       300 * time.Millisecond,
		impatience: 100 * time.Millisecond,
		heap:       100_000,
		renew:      100_000,
		renewAfter: time.Second,
	},
	// For tests, under the race detector: what it finds means nothing.
	"tiny": {
		sizes:      []int{1, 100},
		slice:      time.Millisecond,
		crowd:      50,
		crowdWait:  50 * time.Millisecond,
		minute:     600 * time.Millisecond,
		slow:       150 * time.Millisecond,
		impatience: 20 * time.Millisecond,
		heap:       1_000,
		renew:      300,
		renewAfter: 500 * time.Millisecond,
	},
}

// everybody and loaders say to whom a work applies.
func everybody(contender) bool { return true }
func loaders(c contender) bool { return c.kind != floor }

// worst returns the largest duration, 0 if there is none.
func worst(all []time.Duration) time.Duration {
	if len(all) == 0 {
		return 0
	}
	return slices.Max(all)
}

// count names a number of keys: "1 key", "1,000 keys".
func count(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return grouped(int64(n)) + " " + noun
}
