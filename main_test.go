package roomtoken_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/benbjohnson/clock"

	"github.com/roomtoken/roomtoken"
)

// The tests run in a synctest bubble, with a *clock.Mock for the tokens' time:
// the bubble makes them deterministic, as every step of the Mock waits until all
// goroutines have come to rest.

// world is a Manager under test, its clock and its source.
type world struct {
	t   *testing.T
	m   *roomtoken.Manager
	clk *skewed
	src *source

	mu     sync.Mutex
	events []roomtoken.Event
}

// within runs the test in a bubble, on a Manager with the given Config, and
// checks the invariants and that Close leaves nothing behind when it ends.
func within(t *testing.T, config roomtoken.Config, test func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, clk: &skewed{Mock: clock.NewMock()}}
		w.src = &source{clk: w.clk, lifetime: 10 * time.Minute, refreshLifetime: time.Hour}
		if config.Clock == nil {
			config.Clock = w.clk
		}
		w.src.clk = config.Clock
		observer := config.OnEvent
		config.OnEvent = func(e roomtoken.Event) {
			w.mu.Lock()
			w.events = append(w.events, e)
			w.mu.Unlock()
			if observer != nil {
				observer(e)
			}
		}
		var err error
		if w.m, err = roomtoken.NewManager(w.src, config); err != nil {
			t.Fatal(err)
		}
		defer func() {
			w.rest()
			w.check()
			w.src.releaseAll()
			if err := w.m.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
			w.check()
		}()
		test(w)
	})
}

// rest waits until every goroutine has done what there is to do now.
func (w *world) rest() {
	time.Sleep(time.Second) // of the bubble: the grace of a call that is overdue passes
	synctest.Wait()
}

// add moves the clocks.
func (w *world) add(d time.Duration) {
	w.t.Helper()
	w.rest()
	w.clk.Add(d)
	w.rest()
}

// check walks all rooms.
func (w *world) check() {
	w.t.Helper()
	for _, fault := range w.m.CheckInvariants() {
		w.t.Errorf("invariant broken: %s", fault)
	}
}

// token asks for a token and fails the test if there is none.
func (w *world) token(room string) roomtoken.Token {
	w.t.Helper()
	tok, err := w.m.Token(context.Background(), room)
	if err != nil {
		w.t.Fatalf("Token(%q): %v", room, err)
	}
	return tok
}

// answer is what a call of the Manager returned.
type answer struct {
	tok roomtoken.Token
	err error
	at  time.Duration // since the epoch of the mock, when it returned
}

// ask calls Token in the background.
func (w *world) ask(ctx context.Context, room string) *pending {
	return w.askFor(ctx, room, 0)
}

func (w *world) askFor(ctx context.Context, room string, atLeast time.Duration) *pending {
	p := &pending{clk: w.clk, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		if atLeast > 0 {
			p.tok, p.err = w.m.TokenValidFor(ctx, room, atLeast)
		} else {
			p.tok, p.err = w.m.Token(ctx, room)
		}
		p.at = w.clk.elapsed()
	}()
	synctest.Wait()
	return p
}

// pending is a call that has not returned yet, perhaps.
type pending struct {
	answer
	clk  *skewed
	done chan struct{}
}

func (p *pending) returned() bool {
	synctest.Wait()
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// hit asks for what is in memory: a hit does not look at its ctx, and everything
// else ends with this one at once.
func (w *world) hit(room string) (roomtoken.Token, error) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return w.m.Token(ctx, room)
}

// waits checks that the call has not returned.
func (w *world) waits(p *pending) {
	w.t.Helper()
	if p.returned() {
		w.t.Fatalf("it has returned, want it to wait: token %v, error %v", !p.tok.IsZero(), p.err)
	}
}

// served checks that the call has returned a token.
func (w *world) served(p *pending) roomtoken.Token {
	w.t.Helper()
	if !p.returned() {
		w.t.Fatal("it has not returned, want a token")
	}
	if p.err != nil || p.tok.IsZero() {
		w.t.Fatalf("it has returned a token: %v, and the error %v; want a token", !p.tok.IsZero(), p.err)
	}
	return p.tok
}

// refused checks that the call has returned an error that wraps all of wants.
func (w *world) refused(p *pending, wants ...error) error {
	w.t.Helper()
	if !p.returned() {
		w.t.Fatalf("it has not returned, want an error: %v", wants)
	}
	if p.err == nil || !p.tok.IsZero() {
		w.t.Fatalf("it has returned a token: %v, and the error %v; want only an error", !p.tok.IsZero(), p.err)
	}
	for _, want := range wants {
		if !errors.Is(p.err, want) {
			w.t.Fatalf("the error does not wrap %q: %v", want, p.err)
		}
	}
	return p.err
}

// calls checks which calls the source has had for a room: "create", "refresh".
func (w *world) calls(room string, wants ...string) {
	w.t.Helper()
	var ops []string
	for _, c := range w.src.of(room) {
		ops = append(ops, c.op)
	}
	if !slices.Equal(ops, wants) {
		w.t.Fatalf("calls for room %q: %v, want %v", room, ops, wants)
	}
}

// kinds counts the events of each kind so far.
func (w *world) kinds() map[roomtoken.EventKind]int {
	w.rest()
	w.mu.Lock()
	defer w.mu.Unlock()
	n := map[roomtoken.EventKind]int{}
	for _, e := range w.events {
		n[e.Kind]++
	}
	return n
}

// skewed is a mock clock whose wall can be stepped without the monotonic clock,
// and the reverse.
type skewed struct {
	*clock.Mock
	mu   sync.Mutex
	step time.Duration
}

func (c *skewed) Now() time.Time { return c.Mock.Now().Add(c.skew()) }

func (c *skewed) skew() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.step
}

// stepWall steps the wall clock and leaves the monotonic one alone.
func (c *skewed) stepWall(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.step += d
}

// Since is monotonic: it knows nothing of steps. The base was read when the
// Manager was made, without a step.
func (c *skewed) Since(t time.Time) time.Duration { return c.Mock.Now().Sub(t) }

func (c *skewed) elapsed() time.Duration { return c.Mock.Now().Sub(time.Unix(0, 0)) }

// source is a TokenSource whose answers the test decides.
type source struct {
	clk             clock.Clock
	lifetime        time.Duration // of the next tokens; guarded by mu
	refreshLifetime time.Duration // 0: no refresh tokens

	mu       sync.Mutex
	script   func(c *sourceCall) (roomtoken.Grant, error) // nil: mint
	calls    []*sourceCall
	running  map[string]int
	most     int // in flight at the same time
	gates    map[*sourceCall]chan struct{}
	hold     bool
	deaf     bool // held calls ignore their ctx
	minted   int
	overlaps int // calls for a room that had one in flight
}

// sourceCall is one call of the source.
type sourceCall struct {
	op      string // "create" or "refresh"
	room    string
	refresh string
	at      time.Duration // on the mock
	ctx     context.Context
	n       int // 1 for the first call
}

func (s *source) Create(ctx context.Context, room string) (roomtoken.Grant, error) {
	return s.call(&sourceCall{op: "create", room: room, ctx: ctx})
}

func (s *source) Refresh(ctx context.Context, room string, refresh roomtoken.Token) (roomtoken.Grant, error) {
	return s.call(&sourceCall{op: "refresh", room: room, refresh: refresh.Value.Reveal(), ctx: ctx})
}

func (s *source) call(c *sourceCall) (roomtoken.Grant, error) {
	s.mu.Lock()
	c.at = s.clk.Since(time.Unix(0, 0))
	s.calls = append(s.calls, c)
	c.n = len(s.calls)
	if s.running == nil {
		s.running, s.gates = map[string]int{}, map[*sourceCall]chan struct{}{}
	}
	if s.running[c.room] > 0 {
		s.overlaps++
	}
	s.running[c.room]++
	inFlight := 0
	for _, n := range s.running {
		inFlight += n
	}
	s.most = max(s.most, inFlight)
	script := s.script
	var gate chan struct{}
	deaf := s.deaf
	if s.hold {
		gate = make(chan struct{})
		s.gates[c] = gate
	}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.running[c.room]--
		s.mu.Unlock()
	}()
	if gate != nil {
		done := c.ctx.Done()
		if deaf {
			done = nil
		}
		select {
		case <-gate:
		case <-done:
			return roomtoken.Grant{}, c.ctx.Err()
		}
	}
	if script != nil {
		return script(c)
	}
	return s.mint(c), nil
}

// mint returns a grant as Telnyx would: a create brings a refresh token, a
// refresh does not.
func (s *source) mint(c *sourceCall) roomtoken.Grant {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.minted++
	now := s.clk.Now()
	g := roomtoken.Grant{Token: roomtoken.Token{
		Value:     roomtoken.NewSecret(fmt.Sprintf("token-%s-%d", c.room, s.minted)),
		ExpiresAt: now.Add(s.lifetime),
	}}
	if c.op == "create" && s.refreshLifetime > 0 {
		g.RefreshToken = roomtoken.Token{
			Value:     roomtoken.NewSecret(fmt.Sprintf("refresh-%s-%d", c.room, s.minted)),
			ExpiresAt: now.Add(s.refreshLifetime),
		}
	}
	return g
}

// on sets the script: what calls do from now on, nil for minting.
func (s *source) on(script func(c *sourceCall) (roomtoken.Grant, error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.script = script
}

// fail makes every call fail with err, until on(nil).
func (s *source) fail(err error) {
	s.on(func(*sourceCall) (roomtoken.Grant, error) { return roomtoken.Grant{}, err })
}

// holdCalls makes further calls wait for release; deaf ones ignore their ctx.
func (s *source) holdCalls(deaf bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hold, s.deaf = true, deaf
}

// releaseAll lets the held calls go on, and further ones through.
func (s *source) releaseAll() {
	s.mu.Lock()
	s.hold = false
	for c, gate := range s.gates {
		close(gate)
		delete(s.gates, c)
	}
	s.mu.Unlock()
	synctest.Wait()
}

// release lets the held calls of one room go on; further ones are held as before.
func (s *source) release(room string) {
	s.mu.Lock()
	for c, gate := range s.gates {
		if c.room == room {
			close(gate)
			delete(s.gates, c)
		}
	}
	s.mu.Unlock()
	synctest.Wait()
}

// live sets how long the tokens live that are minted from now on, and their
// refresh tokens; 0: none come.
func (s *source) live(lifetime, refreshLifetime time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lifetime, s.refreshLifetime = lifetime, refreshLifetime
}

// of returns the calls for one room so far.
func (s *source) of(room string) (calls []*sourceCall) {
	for _, c := range s.all() {
		if c.room == room {
			calls = append(calls, c)
		}
	}
	return calls
}

// ops returns the calls so far: "create refresh ...".
func (s *source) ops() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	ops := make([]string, len(s.calls))
	for i, c := range s.calls {
		ops[i] = c.op
	}
	return ops
}

// count returns the number of calls so far.
func (s *source) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.calls)
}

// all returns the calls so far.
func (s *source) all() []*sourceCall {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*sourceCall(nil), s.calls...)
}

var errDown = errors.New("the source is down")
