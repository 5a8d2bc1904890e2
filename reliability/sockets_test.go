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

// kind says what a fault does to calls.
type kind uint8

const (
	total   kind = iota // no call succeeds
	partial             // some do
	mild                // all do, later
)

// scenario is a way to break connections.
type scenario struct {
	name  string
	kind  kind
	fault fault
	tls   bool // over TLS and HTTP/2
	// What begins and ends the outage beside the proxy; nil: nothing more.
	sabotage, repair func(s *stage)
}

var scenarios = []scenario{
	{name: "latency", kind: mild, fault: fault{latency: 300 * time.Millisecond}},
	{name: "bandwidth", kind: mild, fault: fault{rate: 4000}},
	{name: "resets of connections", fault: fault{reset: true}},
	{name: "resets within answers", fault: fault{cutAfter: 300}},
	{name: "black hole", fault: fault{hole: up | down}},
	{name: "answers lost", fault: fault{hole: down}},
	{name: "stale connections", kind: partial, fault: fault{stale: true}},
	{name: "half-closed connections", fault: fault{halfClose: true}},
	{name: "slow bodies", fault: fault{bodyRate: 20}},
	{name: "connection limit", kind: partial, fault: fault{maxConns: 2}},
	{
		name: "server restart", fault: fault{reset: true},
		repair: func(s *stage) { s.restart() }, // with other keys: it knows none of the tokens
	},
	{name: "TLS black hole", tls: true, fault: fault{hole: up | down}},
	{name: "TLS stale connections", tls: true, kind: partial, fault: fault{stale: true}},
	{name: "TLS handshake cut", tls: true, fault: fault{cutAfter: 100}, sabotage: func(s *stage) { s.proxy.retarget(s.front.addr()) }},
	{
		name: "TLS certificate of somebody else", tls: true,
		sabotage: func(s *stage) { s.proxy.retarget(s.front.impostor()) },
		repair:   func(s *stage) { s.proxy.retarget(s.front.addr()) },
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

// stages bounds how many faults are at work at a time. Eight of them, with all that
// plays in them and the race detector, take half a core.
var stages = make(chan struct{}, 8)

// TestSockets keeps 100 rooms fresh for 200 callers through each kind of fault:
// one for less than the tokens have left, one for longer than they live.
func TestSockets(t *testing.T) {
	for _, sc := range scenarios {
		t.Run(sc.name, func(t *testing.T) {
			t.Parallel()
			stages <- struct{}{}
			defer func() { <-stages }()
			if sc.tls && certificateFile == "" {
				t.Skip("certificates cannot be put into the system's pool here")
			}
			s := newStage(t, sc)
			s.begin()
			time.Sleep(4 * time.Second) // tokens of 10 s are renewed from the sixth second on
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

// stage is all of it: callers, a Manager, a source, a proxy, a server.
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
	servers []*telnyxtest.Server // the last one is in use
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

// newServer starts a server that takes 10 ms for a call.
func (s *stage) newServer() *telnyxtest.Server {
	server := telnyxtest.Start(s, telnyxtest.Config{APIKey: "KEY-canary-of-" + strings.ReplaceAll(s.name, " ", "-")})
	server.Inject(telnyxtest.Fault{Latency: 10 * time.Millisecond})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.servers = append(s.servers, server)
	return server
}

// restart puts another server in place of the one before.
func (s *stage) restart() { s.proxy.retarget(hostOf(s.T, s.newServer().URL)) }

// verify asks the servers whether a token is good; who minted it decides.
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

// begin warms all rooms and starts the callers.
func (s *stage) begin() {
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

// outage is the fault, for so long, and the recovery from it.
func (s *stage) outage(name string, d time.Duration) {
	s.Helper()
	before, failures, impatient := s.meter.count(), s.callers.failures.Load(), s.callers.impatient.Load()
	s.proxy.set(s.fault)
	if s.sabotage != nil {
		s.sabotage(s)
	}
	begun := time.Now()
	time.Sleep(d)
	during, faulty := s.meter.count(), time.Since(begun)
	if s.repair != nil {
		s.repair(s)
	}
	s.proxy.set(fault{})
	recovery := s.recover()

	calls, failed := during.begun-before.begun, during.failed-before.failed
	s.Logf("%s, %s outage of %.1f s: %d calls, %d failed; %d callers' waits and %d hits failed until all rooms were right again, after %.2f s",
		s.name, name, faulty.Seconds(), calls, failed, s.callers.failures.Load()-failures, s.callers.impatient.Load()-impatient, recovery.Seconds())

	limit := config().MaxConcurrentCalls
	switch {
	case s.kind == total:
		// Those that were in flight, those that failed until it was known to be an
		// outage, those in flight then, and one at a time from then on.
		if most := 3*limit + mostProbes(config(), faulty); calls > most {
			s.Errorf("%d calls in an outage of %v, want %d at most", calls, faulty, most)
		}
		if faulty >= lifetime && failed == 0 {
			s.Error("no call failed: it was no outage")
		}
	case s.kind == mild && failed > during.timeouts-before.timeouts:
		s.Errorf("%d calls failed, though they were only slow; a caller was told: %s", failed, s.callers.newestError())
	}
}

// recover waits until every room is right, and returns how long that took: it has
// a valid token and no failure since, and no call that has met the outage.
func (s *stage) recover() time.Duration {
	s.Helper()
	// A backoff step of 1 s, a call that hangs for 2 s and all rooms' calls are
	// four seconds; with a dead HTTP/2 connection nine. The rest is for the machine.
	const patience = 40 * time.Second
	healed := time.Now()
	for {
		wrong := 0
		var example roomtoken.RoomStatus
		for _, room := range s.rooms {
			if status, _ := s.manager.Room(room); status.State != roomtoken.RoomValid {
				wrong++
				example = status
			}
		}
		if wrong == 0 && !s.meter.waitsFor(healed) {
			return time.Since(healed)
		}
		if time.Since(healed) > patience {
			s.Fatalf("%v after the outage %d rooms are not right: %+v\n%+v", patience, wrong, example, s.manager.Stats())
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// finish ends the callers, and looks at what the server and the wire have seen.
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
	// A call whose client has left is in flight at the server until it notices.
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
			s.Errorf("%d calls with a key that need none, %d calls to other paths", calls.KeyLeaks, calls.Other)
		}
		if calls.MaxInFlight > total {
			s.Errorf("the server saw %d calls at a time, want %d at most", calls.MaxInFlight, total)
		}
		for id, r := range calls.Rooms {
			if r.MaxInFlight > room {
				s.Errorf("the server saw %d calls for room %s at a time", r.MaxInFlight, id)
			}
		}
	}
	if creates+refreshes > count.begun {
		s.Errorf("the server saw %d calls, the source %d", creates+refreshes, count.begun)
	}
	s.Logf("%s: %d callers' calls, the longest %.2f s; %d calls to the source, %d failed, %d timed out, %d at a time; the server saw %d creates and %d refreshes",
		s.name, s.callers.calls.Load(), time.Duration(s.callers.slowest.Load()).Seconds(),
		count.begun, count.failed, count.timeouts, count.most, creates, refreshes)
	if s.front != nil {
		s.checkEncrypted()
		return
	}
	tally := checkWire(s.T, s.proxy, s.servers[0].APIKey)
	if tally.creates < creates || tally.refreshes < refreshes || creates < len(s.rooms) {
		s.Errorf("on the wire were %+v: not all that the server saw", tally)
	}
	s.Logf("%s, on the wire: %+v", s.name, tally)
}

func hostOf(t *testing.T, raw string) string {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}

// newRoomID draws a UUID.
func newRoomID() string {
	return fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x",
		rand.Uint32(), rand.IntN(1<<16), rand.IntN(1<<12), rand.IntN(1<<12), rand.Int64N(1<<48))
}
