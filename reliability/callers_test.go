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

// The server's least lifetime is 10 s. The source takes a second off, and the
// Manager counts the rest from the moment at which it began the call. It hands a
// token out until a tenth of that is left. margin is a little less, for what must
// not be handed out; usable a little less than what remains, for what must be.
const (
	lifetime = 10 * time.Second
	margin   = 700 * time.Millisecond
	usable   = lifetime - 2500*time.Millisecond
)

// callers are those who ask for tokens all the time, and check what they get.
//
// None of the checks depends on how fast the machine is. A token that had less
// than margin left before the call was made had less when it was handed out. And
// a call that has failed while the newest token known before it was usable failed
// although there was one to be had.
type callers struct {
	manager *roomtoken.Manager
	verify  func(room, token string) error
	rooms   []string
	index   map[string]int
	usable  []atomic.Int64 // until when a room's newest token is usable, in Unix nanoseconds

	begun map[string]time.Time // belongs to event

	stop    chan struct{}
	running sync.WaitGroup

	calls, failures, impatient atomic.Int64 // failures: of those who wait; impatient: of those who do not
	slowest                    atomic.Int64

	mu     sync.Mutex
	faults []string
	sample string
}

// newCallers returns callers who do not call yet. Their method event is for
// Config.OnEvent.
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

// event learns from the Manager until when tokens are usable.
func (c *callers) event(e roomtoken.Event) {
	switch e.Kind {
	case roomtoken.EventCallBegun:
		c.begun[e.RoomID] = e.Time
	case roomtoken.EventTokenPublished:
		c.usable[c.index[e.RoomID]].Store(c.begun[e.RoomID].Add(usable).UnixNano())
	}
}

// start starts two callers per room, one of whom does not wait.
func (c *callers) start(m *roomtoken.Manager) {
	c.manager = m
	for i := range c.rooms {
		c.running.Go(func() { c.run(context.Background(), i) })
	}
	// A hit does not look at its ctx, and everything else ends at once: so that one
	// goroutine can be all who do not wait.
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	everybody := make([]int, len(c.rooms))
	for i := range everybody {
		everybody[i] = i
	}
	c.running.Go(func() { c.run(ended, everybody...) })
}

// end stops the callers and reports what was wrong.
func (c *callers) end(t *testing.T) {
	t.Helper()
	close(c.stop)
	c.running.Wait()
	for _, fault := range c.faults {
		t.Error(fault)
	}
}

// run asks for rooms in turn, about ten times a second.
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

// ask makes a call and checks what comes of it.
func (c *callers) ask(ctx context.Context, i int, last roomtoken.Secret) roomtoken.Secret {
	room := c.rooms[i]
	known := time.Unix(0, c.usable[i].Load())
	before := time.Now()
	tok, err := c.manager.Token(ctx, room)
	after := time.Now()
	c.calls.Add(1)
	if err != nil {
		if after.Before(known) {
			c.fault("no token for %s, though there is one that is usable for %v: %v", room, known.Sub(after), err)
		}
		if ctx.Err() != nil {
			c.impatient.Add(1)
			return last
		}
		c.failures.Add(1)
		c.mu.Lock()
		c.sample = err.Error()
		c.mu.Unlock()
		if strings.Contains(err.Error(), "eyJ") {
			c.fault("a token in an error")
		}
		return last
	}
	took := int64(after.Sub(before))
	for slowest := c.slowest.Load(); took > slowest && !c.slowest.CompareAndSwap(slowest, took); {
		slowest = c.slowest.Load()
	}
	if left := tok.ExpiresAt.Sub(before); left < margin {
		c.fault("a token for %s that has %v left", room, left)
	}
	// That of each token by each caller would keep the machine busy.
	if !tok.Value.Equal(last) && rand.IntN(4) == 0 || rand.IntN(500) == 0 {
		if err := c.verify(room, tok.Value.Reveal()); err != nil && time.Now().Before(tok.ExpiresAt) {
			c.fault("the server refuses a token for %s that has %v left: %v", room, time.Until(tok.ExpiresAt), err)
		}
	}
	return tok.Value
}

// newestError returns the error with which a caller left who had waited.
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
