package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/roomtoken/roomtoken/bench/internal/stat"
)

// A work is a task for all contenders that it applies to.
type work struct {
	name    string
	tables  []table // of its measurements
	applies func(contender) bool
	run     func(*job) error
}

// table is a table in the page.
type table struct {
	id     string // measurements refer to it
	title  string
	note   string // how to read the table
	more   bool   // more is better
	ratios bool   // show ratios
	why    string // the reason if a peer is better
}

// job is one contender doing one work.
type job struct {
	contender contender
	scale     scale
	found     []measurement
}

// measurement is one value that a job reports.
type measurement struct {
	Table  string  `json:"table"`
	Column string  `json:"column"`
	Value  float64 `json:"value"`
}

// report adds a measurement.
func (j *job) report(table, column string, value float64) {
	j.found = append(j.found, measurement{table, column, value})
}

// works are in the order of the page.
var works = []work{hitsWork, coldWork, slowWork, downWork, heapWork, renewWork}

// do runs one job.
func do(w work, c contender, s scale) ([]measurement, error) {
	j := &job{contender: c, scale: s}
	if err := w.run(j); err != nil {
		return nil, fmt.Errorf("%s, %s: %w", w.name, c.name, err)
	}
	return j.found, nil
}

// scale is the size of all works.
type scale struct {
	sizes      []int         // keys, for hits
	slice      time.Duration // duration of one measurement of hits; each is repeated three times
	callers    int           // on a cold key
	coldWait   time.Duration // until the source answers them
	minute     time.Duration // real duration of a simulated minute
	slow       time.Duration // latency of a slow source
	impatience time.Duration // timeout of its callers
	heap       int           // number of keys
	renew      int           // number of keys
	renewAfter time.Duration // for contenders that renew in the background; half of it for others
}

// scales by name.
var scales = map[string]scale{
	"full": {
		sizes:      []int{1, 1_000, 100_000, 1_000_000},
		slice:      100 * time.Millisecond,
		callers:    10_000,
		coldWait:   200 * time.Millisecond,
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
		callers:    1_000,
		coldWait:   100 * time.Millisecond,
		minute:     1500 * time.Millisecond,
		slow:       300 * time.Millisecond,
		impatience: 100 * time.Millisecond,
		heap:       100_000,
		renew:      100_000,
		renewAfter: time.Second,
	},
	// For tests with the race detector; the figures mean nothing.
	"tiny": {
		sizes:      []int{1, 100},
		slice:      time.Millisecond,
		callers:    50,
		coldWait:   50 * time.Millisecond,
		minute:     600 * time.Millisecond,
		slow:       150 * time.Millisecond,
		impatience: 20 * time.Millisecond,
		heap:       1_000,
		renew:      300,
		renewAfter: 500 * time.Millisecond,
	},
}

// anyContender and libraries are predicates for work.applies.
func anyContender(contender) bool { return true }
func libraries(c contender) bool  { return c.kind != floor }

// worst returns the longest duration, or 0 if there are none.
func worst(durations []time.Duration) time.Duration {
	if len(durations) == 0 {
		return 0
	}
	return slices.Max(durations)
}

// count formats a number with a noun: "1 key", "1,000 keys".
func count(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return stat.Grouped(int64(n)) + " " + noun
}
