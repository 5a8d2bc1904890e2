package main

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// tally counts what callers and watchers see.
type tally struct {
	mu     sync.Mutex
	counts counts
	faults []string
}

// counts are the counts of a tally.
type counts struct {
	Answered  uint64         // calls of Token that returned one
	Failed    uint64         // calls of Token that returned an error
	LastError error          // the last of these
	Waits     map[string]int // calls that waited for the API, by room
	Latency   histogram      // of the calls answered
	Pushed    uint64         // tokens that watchers were given
	Checked   uint64         // tokens that the API was asked about
	Refused   uint64         // those that it would not let in
}

// noWait is the time below which a call of Token has not waited for the API: a
// call to that takes longer, and a busy machine seldom keeps a goroutine so long.
const noWait = 25 * time.Millisecond

func (t *tally) answered(room string, took time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts.Answered++
	t.counts.Latency.add(took)
	if took >= noWait {
		if t.counts.Waits == nil {
			t.counts.Waits = make(map[string]int)
		}
		t.counts.Waits[room]++
	}
}

func (t *tally) failed(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts.Failed++
	t.counts.LastError = err
}

func (t *tally) pushed() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts.Pushed++
}

func (t *tally) checked(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts.Checked++
	if err != nil {
		t.counts.Refused++
		t.counts.LastError = err
	}
}

func (t *tally) injected(fault string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.faults = append(t.faults, fault)
}

// read returns the counts so far, and the faults injected.
func (t *tally) read() (counts, []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.counts
	c.Waits = maps.Clone(c.Waits)
	return c, slices.Clone(t.faults)
}
