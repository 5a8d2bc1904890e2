package roomtoken_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing/synctest"
	"time"

	"github.com/benbjohnson/clock"

	"github.com/roomtoken/roomtoken"
)

// realClock is the real clock, which is the bubble's within one.
var realClock = clock.New()

// skewed is a Mock whose wall clock can be stepped independently of its monotonic
// clock.
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

// stepWall steps the wall clock and leaves the monotonic clock alone.
func (c *skewed) stepWall(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.step += d
}

// Since is monotonic: steps of the wall clock do not count. The Manager reads the
// base it passes before any step.
func (c *skewed) Since(t time.Time) time.Duration { return c.Mock.Now().Sub(t) }

// Sleep blocks for d.
func (c *skewed) Sleep(d time.Duration) { <-after(c.Mock, d) }

// after is like mock.After, but is safe for concurrent use: After, Sleep and Timer
// of a Mock run due timers themselves, and two goroutines that run the same one
// deadlock.
func after(mock *clock.Mock, d time.Duration) <-chan struct{} {
	fired := make(chan struct{}, 1)
	mock.AfterFunc(d, func() {
		select {
		case fired <- struct{}{}:
		default:
		}
	})
	return fired
}

// elapsed returns the monotonic time since the epoch.
func (c *skewed) elapsed() time.Duration { return c.Mock.Now().Sub(time.Unix(0, 0)) }

// source is a TokenSource whose answers the test decides.
type source struct {
	clk clock.Clock

	mu              sync.Mutex
	lifetime        time.Duration                                // of new tokens
	refreshLifetime time.Duration                                // of new refresh tokens; 0: the source has none
	script          func(c *sourceCall) (roomtoken.Grant, error) // nil: mint
	calls           []*sourceCall
	running         map[string]int // calls in flight, by room
	most            int            // calls in flight at the same time
	overlaps        int            // calls that began for a room that had one in flight
	gates           map[*sourceCall]chan struct{}
	hold            bool
	deaf            bool // held calls ignore their ctx
	minted          int
}

// sourceCall is one call of the source.
type sourceCall struct {
	kind    roomtoken.CallKind
	room    string
	refresh string        // the refresh token
	at      time.Duration // on the Mock, since its epoch
	ctx     context.Context
	n       int // 1 for the first call
}

func (s *source) Create(ctx context.Context, room string) (roomtoken.Grant, error) {
	return s.call(&sourceCall{kind: create, room: room, ctx: ctx})
}

func (s *source) Refresh(ctx context.Context, room string, token roomtoken.Token) (roomtoken.Grant, error) {
	return s.call(&sourceCall{kind: refresh, room: room, refresh: token.Value.Reveal(), ctx: ctx})
}

func (s *source) call(c *sourceCall) (roomtoken.Grant, error) {
	if isWell(c.room) {
		return roomtoken.Grant{Token: roomtoken.Token{
			Value: roomtoken.NewSecret("token-" + c.room), ExpiresAt: s.clk.Now().Add(50 * 365 * 24 * time.Hour),
		}}, nil
	}
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

// isWell reports whether the source always has a token for the room, whatever the test
// has decided. The calls for such rooms are not recorded.
func isWell(room string) bool { return strings.HasPrefix(room, "well") }

// mint returns a grant as Telnyx would: a create brings a refresh token, a refresh
// does not.
func (s *source) mint(c *sourceCall) roomtoken.Grant {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.minted++
	now := s.clk.Now()
	g := roomtoken.Grant{Token: roomtoken.Token{
		Value:     roomtoken.NewSecret(fmt.Sprintf("token-%s-%d", c.room, s.minted)),
		ExpiresAt: now.Add(s.lifetime),
	}}
	if c.kind == create && s.refreshLifetime > 0 {
		g.RefreshToken = roomtoken.Token{
			Value:     roomtoken.NewSecret(fmt.Sprintf("refresh-%s-%d", c.room, s.minted)),
			ExpiresAt: now.Add(s.refreshLifetime),
		}
	}
	return g
}

// on sets the script of calls that begin from now on; nil: mint. A call that is
// held keeps the script it began with.
func (s *source) on(script func(c *sourceCall) (roomtoken.Grant, error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.script = script
}

// fail makes calls fail with err, until the next on.
func (s *source) fail(err error) {
	s.on(func(*sourceCall) (roomtoken.Grant, error) { return roomtoken.Grant{}, err })
}

// live sets the lifetimes of the tokens and refresh tokens minted from now on.
func (s *source) live(lifetime, refreshLifetime time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lifetime, s.refreshLifetime = lifetime, refreshLifetime
}

// holdCalls makes calls that begin from now on wait for release; deaf ones ignore
// their ctx.
func (s *source) holdCalls(deaf bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hold, s.deaf = true, deaf
}

// stopHolding lets calls that begin from now on through. Held ones stay held.
func (s *source) stopHolding() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hold = false
}

// releaseAll releases all held calls, and lets further ones through.
func (s *source) releaseAll() {
	s.stopHolding()
	s.releaseIf(func(*sourceCall) bool { return true })
}

// release releases the held calls of one room. Further ones are held as before.
func (s *source) release(room string) {
	s.releaseIf(func(c *sourceCall) bool { return c.room == room })
}

func (s *source) releaseIf(matches func(*sourceCall) bool) {
	s.mu.Lock()
	for c, gate := range s.gates {
		if matches(c) {
			close(gate)
			delete(s.gates, c)
		}
	}
	s.mu.Unlock()
	synctest.Wait()
}

// all returns the calls so far.
func (s *source) all() []*sourceCall {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
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

// count returns the number of calls so far.
func (s *source) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.calls)
}

// peak returns how many calls were in flight at the same time, at most, and how
// many began for a room that had one in flight.
func (s *source) peak() (most, overlaps int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.most, s.overlaps
}

// kinds returns the kinds of the calls so far.
func (s *source) kinds() []roomtoken.CallKind { return kindsOf(s.all()) }

// kindsOf returns the kinds of calls.
func kindsOf(calls []*sourceCall) []roomtoken.CallKind {
	var kinds []roomtoken.CallKind
	for _, c := range calls {
		kinds = append(kinds, c.kind)
	}
	return kinds
}
