package reliability_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
)

// The server's shortest lifetime is 10 s. The source subtracts a second, and the Manager
// counts the rest from the beginning of the call. It returns the token until a tenth of
// that is left. A token with less than margin left must not be returned, and one younger
// than usable must be; both allow for some tolerance.
const (
	lifetime = 10 * time.Second
	margin   = 700 * time.Millisecond
	usable   = lifetime - 2500*time.Millisecond
)

// callers call Token all the time and check the results.
//
// The checks do not depend on the speed of the machine. They look at how much a token had
// left before the call, which is more than it had when the call returned. A failed call
// is wrong if it ended while the newest token known before it was still usable.
type callers struct {
	manager *roomtoken.Manager
	verify  func(room, token string) error
	rooms   []string
	index   map[string]int
	usable  []atomic.Int64 // by room: the end of the newest token's usability, in Unix nanoseconds

	begun map[string]time.Time // by room: the beginning of the newest call; used by event only

	stop    chan struct{}
	running sync.WaitGroup

	calls    atomic.Int64
	failures atomic.Int64 // failed calls of callers that wait
	misses   atomic.Int64 // failed calls of the caller that does not wait
	slowest  atomic.Int64 // the longest successful call, in nanoseconds

	mu     sync.Mutex
	faults []string
	sample string
}

// newCallers returns callers for the rooms. Their event method must be Config.OnEvent.
func newCallers(rooms []string, verify func(room, token string) error) *callers {
	c := &callers{
		verify: verify, rooms: rooms, index: map[string]int{},
		usable: make([]atomic.Int64, len(rooms)), begun: map[string]time.Time{}, stop: make(chan struct{}),
	}
	for i, room := range rooms {
		c.index[room] = i
	}
	return c
}

// event records until when tokens are usable.
func (c *callers) event(e roomtoken.Event) {
	switch e.Kind {
	case roomtoken.EventCallBegun:
		c.begun[e.RoomID] = e.Time
	case roomtoken.EventTokenPublished:
		c.usable[c.index[e.RoomID]].Store(c.begun[e.RoomID].Add(usable).UnixNano())
	}
}

// start starts two callers per room, one of which does not wait.
func (c *callers) start(m *roomtoken.Manager) {
	c.manager = m
	for i := range c.rooms {
		c.running.Go(func() { c.run(context.Background(), i) })
	}
	// With a canceled ctx, Token returns at once, and a cache hit succeeds all the same.
	// So one goroutine can be the second caller of all rooms.
	canceled, cancel := context.WithCancel(context.Background())
	cancel()
	all := make([]int, len(c.rooms))
	for i := range all {
		all[i] = i
	}
	c.running.Go(func() { c.run(canceled, all...) })
}

// end stops the callers and reports the faults they found.
func (c *callers) end(t *testing.T) {
	t.Helper()
	close(c.stop)
	c.running.Wait()
	for _, fault := range c.faults {
		t.Error(fault)
	}
}

// run calls Token for the rooms in turn, about ten times a second.
func (c *callers) run(ctx context.Context, rooms ...int) {
	last := map[int]roomtoken.Secret{}
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-c.stop:
			return
		case <-pause.C:
		}
		for _, i := range rooms {
			last[i] = c.ask(ctx, i, last[i])
		}
		pause.Reset(time.Duration(50+rand.IntN(100)) * time.Millisecond)
	}
}

// ask calls Token and checks the result.
func (c *callers) ask(ctx context.Context, i int, last roomtoken.Secret) roomtoken.Secret {
	room := c.rooms[i]
	known := time.Unix(0, c.usable[i].Load())
	before := time.Now()
	tok, err := c.manager.Token(ctx, room)
	after := time.Now()
	c.calls.Add(1)
	if err != nil {
		if after.Before(known) {
			c.fault("no token for %s, although there is one usable for another %v: %v", room, known.Sub(after), err)
		}
		if ctx.Err() != nil {
			c.misses.Add(1)
			return last
		}
		c.failures.Add(1)
		c.mu.Lock()
		c.sample = err.Error()
		c.mu.Unlock()
		if strings.Contains(err.Error(), "eyJ") {
			c.fault("an error contains a token")
		}
		return last
	}
	took := int64(after.Sub(before))
	for slowest := c.slowest.Load(); took > slowest && !c.slowest.CompareAndSwap(slowest, took); {
		slowest = c.slowest.Load()
	}
	if left := tok.ExpiresAt.Sub(before); left < margin {
		c.fault("got a token for %s with %v left", room, left)
	}
	// Verifying every token for every caller would be too expensive.
	if !tok.Value.Equal(last) && rand.IntN(4) == 0 || rand.IntN(500) == 0 {
		if err := c.verify(room, tok.Value.Reveal()); err != nil && time.Now().Before(tok.ExpiresAt) {
			c.fault("the server refuses a token for %s that has %v left: %v", room, time.Until(tok.ExpiresAt), err)
		}
	}
	return tok.Value
}

// newestError returns the last error of a caller that waits.
func (c *callers) newestError() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sample
}

func (c *callers) fault(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.faults) < 20 {
		c.faults = append(c.faults, fmt.Sprintf(format, args...))
	}
}
