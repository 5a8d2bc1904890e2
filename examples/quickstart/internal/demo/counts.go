package demo

import (
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/examples/quickstart/internal/histogram"
	"github.com/roomtoken/roomtoken/telnyx/telnyxtest"
)

// Counts is what callers and watchers have seen.
type Counts struct {
	Succeeded uint64              // calls of Token that returned a token
	Failed    uint64              // calls of Token that returned an error
	LastError error               // of such a call, or of a check
	Waits     map[string]int      // calls that waited for the API, by room
	Latency   histogram.Histogram // of the calls that succeeded
	Pushed    uint64              // tokens that watchers received
	Checked   uint64              // tokens checked with the API
	Revoked   uint64              // checked tokens that the API had revoked
	Rejected  uint64              // checked tokens that the API did not accept for another reason
}

// Waited returns the number of tokens that were not in memory when a caller asked.
func (c Counts) Waited(stats roomtoken.Stats) uint64 { return min(stats.Misses, c.Succeeded) }

// counter collects Counts and the injected faults.
type counter struct {
	mu     sync.Mutex
	counts Counts
	faults []string
	joined map[string]time.Time // when a token was last checked, by room
}

// minWait tells calls that waited for the API from those that did not: an API call
// takes longer, and even on a busy machine a goroutine seldom loses that much time.
const minWait = 25 * time.Millisecond

func (c *counter) succeeded(room string, took time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts.Succeeded++
	c.counts.Latency.Add(took)
	if took >= minWait {
		if c.counts.Waits == nil {
			c.counts.Waits = make(map[string]int)
		}
		c.counts.Waits[room]++
	}
}

func (c *counter) failed(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts.Failed++
	c.counts.LastError = err
}

func (c *counter) pushed() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts.Pushed++
}

func (c *counter) checked(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts.Checked++
	switch {
	case errors.Is(err, telnyxtest.ErrRevoked):
		c.counts.Revoked++
	case err != nil:
		c.counts.Rejected++
		c.counts.LastError = err
	}
}

// joins reports whether a caller of the room joins it at now.
func (c *counter) joins(room string, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if last, ok := c.joined[room]; ok && now.Sub(last) < joinInterval {
		return false
	}
	if c.joined == nil {
		c.joined = make(map[string]time.Time)
	}
	c.joined[room] = now
	return true
}

func (c *counter) injected(fault string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.faults = append(c.faults, fault)
}

// read returns copies of the counts and of the injected faults.
func (c *counter) read() (Counts, []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	counts := c.counts
	counts.Waits = maps.Clone(counts.Waits)
	return counts, slices.Clone(c.faults)
}
