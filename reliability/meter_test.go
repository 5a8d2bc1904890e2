package reliability_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/roomtoken/roomtoken"
)

// meter is a source that wraps another one, counts its calls, and checks that the Manager
// makes at most one call per room and MaxConcurrentCalls in total at once, and none before
// its room's backoff ends. The checks have no false positives on a slow machine: the meter
// sees a call begin later than the Manager does, and end earlier.
type meter struct {
	source roomtoken.TokenSource
	config roomtoken.Config

	mu       sync.Mutex
	rooms    map[string]*roomMeter
	begun    int
	failed   int
	timeouts int // calls whose ctx ended before they returned
	inFlight int
	max      int // the largest inFlight
	faults   []string
}

type roomMeter struct {
	inFlight  int
	begun     time.Time // the newest call
	failures  int       // consecutive
	notBefore time.Time
}

func newMeter(source roomtoken.TokenSource, config roomtoken.Config) *meter {
	return &meter{source: source, config: config, rooms: map[string]*roomMeter{}}
}

func (m *meter) Create(ctx context.Context, roomID string) (roomtoken.Grant, error) {
	m.begin(roomID)
	grant, err := m.source.Create(ctx, roomID)
	m.end(ctx, roomID, err)
	return grant, err
}

func (m *meter) Refresh(ctx context.Context, roomID string, refreshToken roomtoken.Token) (roomtoken.Grant, error) {
	m.begin(roomID)
	grant, err := m.source.Refresh(ctx, roomID, refreshToken)
	m.end(ctx, roomID, err)
	return grant, err
}

func (m *meter) begin(roomID string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	r := m.rooms[roomID]
	if r == nil {
		r = &roomMeter{}
		m.rooms[roomID] = r
	}
	m.begun++
	m.inFlight++
	m.max = max(m.max, m.inFlight)
	r.inFlight++
	r.begun = now
	switch {
	case m.inFlight > m.config.MaxConcurrentCalls:
		m.fault("%d calls in flight, want at most %d", m.inFlight, m.config.MaxConcurrentCalls)
	case r.inFlight > 1:
		m.fault("%d calls in flight for a room, want at most 1", r.inFlight)
	case now.Before(r.notBefore):
		m.fault("call %v before the end of its room's backoff, after %d consecutive failures", r.notBefore.Sub(now), r.failures)
	}
}

func (m *meter) end(ctx context.Context, roomID string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	r := m.rooms[roomID]
	m.inFlight--
	r.inFlight--
	if ctx.Err() != nil {
		m.timeouts++
	}
	switch {
	case err == nil:
		r.failures = 0
	case errors.Is(err, roomtoken.ErrRefreshRejected): // a create may follow at once
	default:
		m.failed++
		r.failures++
		failed := now
		if deadline, ok := ctx.Deadline(); ok && deadline.Before(now) {
			failed = deadline // the Manager does not wait for overdue calls
		}
		r.notBefore = failed.Add(leastWait(m.config, r.failures))
	}
}

// fault records a fault. The caller must hold mu.
func (m *meter) fault(format string, args ...any) {
	if len(m.faults) < 20 {
		m.faults = append(m.faults, fmt.Sprintf(format, args...))
	}
}

// meterCount is a copy of a meter's counters.
type meterCount struct {
	begun, failed, timeouts, max int
	faults                       []string
}

func (m *meter) count() meterCount {
	m.mu.Lock()
	defer m.mu.Unlock()
	return meterCount{m.begun, m.failed, m.timeouts, m.max, m.faults}
}

// waitsFor reports whether a call is in flight that began before t.
func (m *meter) waitsFor(t time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range m.rooms {
		if r.inFlight > 0 && r.begun.Before(t) {
			return true
		}
	}
	return false
}

// leastWait returns the shortest backoff that the Manager may draw after that many
// consecutive failures.
func leastWait(config roomtoken.Config, failures int) time.Duration {
	wait, last := config.BackoffMin, config.BackoffMax/3*2
	for i := 1; i < failures && wait < last; i++ {
		wait *= 2
	}
	return min(wait, last)
}

// mostProbes returns how many consecutive calls with backoff fit into an outage.
func mostProbes(config roomtoken.Config, outage time.Duration) int {
	n := 1
	for passed := time.Duration(0); passed < outage; n++ {
		passed += leastWait(config, n)
	}
	return n
}
