package reliability_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/telnyx"
	"github.com/roomtoken/roomtoken/telnyx/telnyxtest"
)

// kind is the effect of a fault on calls.
type kind uint8

const (
	total   kind = iota // all calls fail
	partial             // some calls fail
	mild                // all calls succeed, but slowly
)

// scenario is a way to break connections.
type scenario struct {
	name  string
	kind  kind
	fault fault
	tls   bool           // over TLS and HTTP/2
	begin func(s *stage) // if not nil, called when the outage begins
	end   func(s *stage) // if not nil, called when the outage ends
}

var scenarios = []scenario{
	{name: "latency", kind: mild, fault: fault{latency: 300 * time.Millisecond}},
	{name: "bandwidth", kind: mild, fault: fault{rate: 4000}},
	{name: "resets of connections", fault: fault{reset: true}},
	{name: "resets within responses", fault: fault{cutAfter: 300}},
	{name: "black hole", fault: fault{hole: up | down}},
	{name: "lost responses", fault: fault{hole: down}},
	{name: "stale connections", kind: partial, fault: fault{stale: true}},
	{name: "half-closed connections", fault: fault{halfClose: true}},
	{name: "slow bodies", fault: fault{bodyRate: 20}},
	{name: "connection limit", kind: partial, fault: fault{maxConns: 2}},
	{
		name: "server restart", fault: fault{reset: true},
		end: func(s *stage) { s.restart() }, // with other signing keys: it refuses all earlier refresh tokens
	},
	{name: "TLS black hole", tls: true, fault: fault{hole: up | down}},
	{name: "TLS stale connections", tls: true, kind: partial, fault: fault{stale: true}},
	{name: "TLS handshake cut", tls: true, fault: fault{cutAfter: 100}, begin: func(s *stage) { s.proxy.retarget(s.front.addr()) }},
	{
		name: "TLS untrusted certificate", tls: true,
		begin: func(s *stage) { s.proxy.retarget(s.front.impostor()) },
		end:   func(s *stage) { s.proxy.retarget(s.front.addr()) },
	},
}

func config() roomtoken.Config {
	return roomtoken.Config{
		MaxConcurrentCalls: 16,
		CallTimeout:        2 * time.Second,
		MaxWait:            3 * time.Second,
		BackoffMin:         100 * time.Millisecond,
		BackoffMax:         time.Second,
	}
}

// stages limits how many scenarios run at once. With the race detector, eight of them use
// half a core.
var stages = make(chan struct{}, 8)

// TestSockets keeps 100 rooms fresh for 200 callers through two outages of each kind: one
// shorter than the tokens' remaining time, one longer than their lifetime.
func TestSockets(t *testing.T) {
	for _, sc := range scenarios {
		t.Run(sc.name, func(t *testing.T) {
			t.Parallel()
			stages <- struct{}{}
			defer func() { <-stages }()
			if sc.tls && certificateFile == "" {
				t.Skip("cannot install a root certificate on this system")
			}
			s := newStage(t, sc)
			s.start()
			time.Sleep(4 * time.Second) // tokens of 10 s are renewed after 6 s
			s.outage("short", 2*time.Second)
			if soak == 0 {
				s.outage("long", lifetime)
			}
			for begun := time.Now(); time.Since(begun) < soak; {
				d := time.Duration(rand.Int64N(int64(25 * time.Second)))
				s.outage("soak", d)
				time.Sleep(time.Duration(rand.Int64N(int64(5 * time.Second))))
			}
			s.finish()
		})
	}
}

// stage is a test of a scenario: callers, a Manager, a source, a proxy, a server.
type stage struct {
	*testing.T
	scenario
	rooms   []string
	proxy   *proxy
	front   *tlsFront // nil: plain HTTP
	meter   *meter
	source  *telnyx.Source
	manager *roomtoken.Manager
	callers *callers

	mu      sync.Mutex
	servers []*telnyxtest.Server // the last one is the current one
}

func newStage(t *testing.T, sc scenario) *stage {
	s := &stage{T: t, scenario: sc}
	for range 100 {
		s.rooms = append(s.rooms, newRoomID())
	}
	server := s.newServer()
	scheme, target := "http", hostOf(t, server.URL)
	if sc.tls {
		s.front = newTLSFront(t, target)
		scheme, target = "https", s.front.addr()
	}
	s.proxy = startProxy(t, target)
	var err error
	s.source, err = telnyx.NewSource(telnyx.Config{
		APIKey: server.APIKey, BaseURL: scheme + "://" + s.proxy.addr + "/v2", TokenTTL: lifetime,
	})
	if err != nil {
		t.Fatal(err)
	}
	c := config()
	s.meter = newMeter(s.source, c)
	s.callers = newCallers(s.rooms, s.verify)
	c.OnEvent = s.callers.event
	s.manager, err = roomtoken.NewManager(s.meter, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.manager.Close(); err != nil {
			t.Error(err)
		}
		s.source.CloseIdleConnections()
	})
	return s
}

// newServer starts a server that takes 10 ms per call.
func (s *stage) newServer() *telnyxtest.Server {
	server := telnyxtest.Start(s, telnyxtest.Config{APIKey: "KEY-canary-of-" + strings.ReplaceAll(s.name, " ", "-")})
	server.Inject(telnyxtest.Fault{Latency: 10 * time.Millisecond})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.servers = append(s.servers, server)
	return server
}

// restart replaces the server.
func (s *stage) restart() { s.proxy.retarget(hostOf(s.T, s.newServer().URL)) }

// verify verifies a token with the server that minted it.
func (s *stage) verify(room, token string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	for _, server := range s.servers {
		if err = server.Verify(room, token); !errors.Is(err, telnyxtest.ErrInvalid) {
			return err
		}
	}
	return err
}

// start warms all rooms and starts the callers.
func (s *stage) start() {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), time.Minute)
	defer cancel()
	for err := s.manager.Warm(ctx, s.rooms...); err != nil; err = s.manager.Warm(ctx, s.rooms...) {
		if ctx.Err() != nil {
			s.Fatal(err)
		}
	}
	if n := s.meter.count().begun; n < len(s.rooms) {
		s.Fatalf("%d calls for %d rooms", n, len(s.rooms))
	}
	s.callers.start(s.manager)
}

// outage applies the fault for d and waits for the recovery.
func (s *stage) outage(name string, d time.Duration) {
	s.Helper()
	before, failures, misses := s.meter.count(), s.callers.failures.Load(), s.callers.misses.Load()
	s.proxy.set(s.fault)
	if s.begin != nil {
		s.begin(s)
	}
	begun := time.Now()
	time.Sleep(d)
	during, faulty := s.meter.count(), time.Since(begun)
	if s.end != nil {
		s.end(s)
	}
	s.proxy.set(fault{})
	recovery := s.recover()

	calls, failed := during.begun-before.begun, during.failed-before.failed
	s.Logf("%s, %s outage of %.1f s: %d calls, %d failed; %d waiting callers failed, %d cache misses; recovery took %.2f s",
		s.name, name, faulty.Seconds(), calls, failed, s.callers.failures.Load()-failures, s.callers.misses.Load()-misses, recovery.Seconds())

	limit := config().MaxConcurrentCalls
	switch {
	case s.kind == total:
		// Rooms whose call was in flight at the last success are no witnesses: each tries
		// again with its own backoff until other rooms are due and the Manager detects the
		// outage. Then the calls in flight at that time end, and probes and the lane of
		// innocent rooms follow.
		probes := mostProbes(config(), faulty)
		if most := limit*probes + 2*limit + probes + int(faulty/time.Second); calls > most {
			s.Errorf("%d calls in an outage of %v, want at most %d", calls, faulty, most)
		}
		if faulty >= lifetime && failed == 0 {
			s.Error("no call failed: the fault had no effect")
		}
	case s.kind == mild && failed > during.timeouts-before.timeouts:
		s.Errorf("%d slow calls failed; the last error of a caller: %s", failed, s.callers.newestError())
	}
}

// recover waits until every room has a valid token and no failure since, and no call that
// began during the outage is in flight. It returns how long that took.
func (s *stage) recover() time.Duration {
	s.Helper()
	// A backoff of 1 s, a call that hangs for 2 s and the calls of all rooms take 4 s,
	// and 9 s with a dead HTTP/2 connection. The rest allows for a slow machine.
	const patience = 40 * time.Second
	healed := time.Now()
	for {
		failing := 0
		var example roomtoken.RoomStatus
		for _, room := range s.rooms {
			if status, _ := s.manager.Room(room); status.State != roomtoken.RoomValid {
				failing++
				example = status
			}
		}
		if failing == 0 && !s.meter.waitsFor(healed) {
			return time.Since(healed)
		}
		if time.Since(healed) > patience {
			s.Fatalf("%v after the outage %d rooms have not recovered: %+v\n%+v", patience, failing, example, s.manager.Stats())
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// finish stops the callers and checks the counts of the server and the recorded traffic.
func (s *stage) finish() {
	s.Helper()
	time.Sleep(time.Second)
	s.callers.end(s.T)
	if err := s.manager.Close(); err != nil {
		s.Error(err)
	}
	s.source.CloseIdleConnections()

	count := s.meter.count()
	for _, fault := range count.faults {
		s.Error(fault)
	}
	// After a client disconnects, its call is in flight until the server notices.
	total, room := config().MaxConcurrentCalls, 1
	if count.timeouts > 0 {
		total, room = 2*total, 2*room
	}
	creates, refreshes := 0, 0
	for _, server := range s.servers {
		calls := server.Calls()
		creates += calls.Creates
		refreshes += calls.Refreshes
		if calls.KeyLeaks > 0 || calls.Other > 0 {
			s.Errorf("%d calls carried the API key where none is allowed, %d calls to other paths", calls.KeyLeaks, calls.Other)
		}
		if calls.MaxInFlight > total {
			s.Errorf("the server had %d calls in flight, want at most %d", calls.MaxInFlight, total)
		}
		for id, r := range calls.Rooms {
			if r.MaxInFlight > room {
				s.Errorf("the server had %d calls in flight for room %s, want at most %d", r.MaxInFlight, id, room)
			}
		}
	}
	// net/http sends a request again if a connection that was used before breaks without an
	// answer: once per connection at most.
	if most := count.begun + len(s.proxy.connections()); creates+refreshes > most {
		s.Errorf("the server counted %d calls, the source %d; want at most %d", creates+refreshes, count.begun, most)
	}
	s.Logf("%s: %d calls of Token, the longest %.2f s; %d source calls, %d failed, %d timed out, at most %d at once; the server counted %d creates and %d refreshes",
		s.name, s.callers.calls.Load(), time.Duration(s.callers.slowest.Load()).Seconds(),
		count.begun, count.failed, count.timeouts, count.max, creates, refreshes)
	if s.front != nil {
		s.checkEncrypted()
		return
	}
	tally := checkWire(s.T, s.proxy, s.servers[0].APIKey)
	if tally.creates < creates || tally.refreshes < refreshes || creates < len(s.rooms) {
		s.Errorf("recorded %+v, want at least the %d creates and %d refreshes of the server", tally, creates, refreshes)
	}
	s.Logf("%s: recorded %+v", s.name, tally)
}

func hostOf(t *testing.T, raw string) string {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}

// newRoomID returns a random UUID.
func newRoomID() string {
	return fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x",
		rand.Uint32(), rand.IntN(1<<16), rand.IntN(1<<12), rand.IntN(1<<12), rand.Int64N(1<<48))
}
