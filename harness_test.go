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

// Most tests run in a synctest bubble and use a *clock.Mock for the lifetime of
// tokens. The bubble makes them deterministic: each step of the Mock waits until
// every goroutine is blocked.

// Short names for the two kinds of calls.
const (
	create  = roomtoken.CallCreate
	refresh = roomtoken.CallRefresh
)

var errDown = errors.New("the source is down")

// world is a Manager under test with its clock and its source.
type world struct {
	t   *testing.T // the bubble's own
	m   *roomtoken.Manager
	clk *skewed
	src *source

	well int // rooms for which the source always has a token

	mu     sync.Mutex
	events []roomtoken.Event
}

// within runs test in a bubble, on a Manager with the given Config. When test
// returns, it checks the invariants and that Close leaves nothing behind.
//
// test must use the *testing.T it receives: the one outside the bubble must not
// be used from within.
func within(t *testing.T, config roomtoken.Config, test func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, clk: &skewed{Mock: clock.NewMock()}}
		if config.Clock == nil {
			config.Clock = w.clk
		}
		w.src = &source{clk: config.Clock, lifetime: 10 * time.Minute, refreshLifetime: time.Hour}
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
		test(t, w)
	})
}

// rest waits until every goroutine is blocked and a call whose ctx has ended has
// used up its grace period.
func (w *world) rest() {
	time.Sleep(time.Second) // in the bubble's time
	synctest.Wait()
}

// add advances the Mock.
func (w *world) add(d time.Duration) {
	w.t.Helper()
	w.rest()
	w.clk.Add(d)
	w.rest()
}

// check verifies the Manager's invariants.
func (w *world) check() {
	w.t.Helper()
	for _, fault := range w.m.CheckInvariants() {
		w.t.Errorf("invariant broken: %s", fault)
	}
}

// token calls Token and fails the test if it returns an error.
func (w *world) token(room string) roomtoken.Token {
	w.t.Helper()
	tok, err := w.m.Token(context.Background(), room)
	if err != nil {
		w.t.Fatalf("Token(%q): %v", room, err)
	}
	return tok
}

// others adds n rooms in use that are well. Failures of all rooms in use are an outage:
// beside one other room a failure is the room's own, beside eight it takes eight rooms to
// make an outage.
func (w *world) others(n int) {
	w.t.Helper()
	for range n {
		w.well++
		w.watch(fmt.Sprint("well", w.well), nil)
	}
}

// works lets a call for another room succeed, which ends all rows of failures.
func (w *world) works() {
	w.t.Helper()
	w.well++
	w.token(fmt.Sprint("well", w.well))
}

// hit calls Token with a ctx that has ended. It returns what is in memory: a hit
// does not look at its ctx, and anything else fails at once.
func (w *world) hit(room string) (roomtoken.Token, error) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return w.m.Token(ctx, room)
}

// answer is what a call of the Manager returned.
type answer struct {
	tok roomtoken.Token
	err error
	at  time.Duration // on the Mock, since its epoch
}

// pending is a call of the Manager that may not have returned yet.
type pending struct {
	answer
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

// start runs call in the background, up to where it blocks.
func (w *world) start(call func() (roomtoken.Token, error)) *pending {
	p := &pending{done: make(chan struct{})}
	go func() {
		defer close(p.done)
		p.tok, p.err = call()
		p.at = w.clk.elapsed()
	}()
	synctest.Wait()
	return p
}

// ask calls Token in the background.
func (w *world) ask(ctx context.Context, room string) *pending {
	return w.start(func() (roomtoken.Token, error) { return w.m.Token(ctx, room) })
}

// askFor calls TokenValidFor in the background.
func (w *world) askFor(ctx context.Context, room string, atLeast time.Duration) *pending {
	return w.start(func() (roomtoken.Token, error) { return w.m.TokenValidFor(ctx, room, atLeast) })
}

// askWithin calls Token with a ctx that ends after d, and lets it end.
func (w *world) askWithin(d time.Duration, room string) *pending {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	p := w.ask(ctx, room)
	time.Sleep(d)
	synctest.Wait()
	return p
}

// warming calls Warm in the background.
func (w *world) warming(ctx context.Context, rooms ...string) *pending {
	return w.start(func() (roomtoken.Token, error) { return roomtoken.Token{}, w.m.Warm(ctx, rooms...) })
}

// closing calls Close in the background.
func (w *world) closing() *pending {
	return w.start(func() (roomtoken.Token, error) { return roomtoken.Token{}, w.m.Close() })
}

// waits checks that the call has not returned.
func (w *world) waits(p *pending) {
	w.t.Helper()
	if p.returned() {
		w.t.Fatalf("call returned (token: %v, error: %v), want it to wait", !p.tok.IsZero(), p.err)
	}
}

// served checks that the call has returned a token.
func (w *world) served(p *pending) roomtoken.Token {
	w.t.Helper()
	if !p.returned() {
		w.t.Fatal("call has not returned, want a token")
	}
	if p.err != nil || p.tok.IsZero() {
		w.t.Fatalf("call returned (token: %v, error: %v), want a token", !p.tok.IsZero(), p.err)
	}
	return p.tok
}

// closed checks that a call of Close has returned nil.
func (w *world) closed(p *pending) {
	w.t.Helper()
	if !p.returned() {
		w.t.Fatal("Close has not returned")
	}
	if p.err != nil {
		w.t.Fatalf("Close: %v", p.err)
	}
}

// refused checks that the call has returned an error that wraps all of wants.
func (w *world) refused(p *pending, wants ...error) error {
	w.t.Helper()
	if !p.returned() {
		w.t.Fatalf("call has not returned, want an error: %v", wants)
	}
	if p.err == nil || !p.tok.IsZero() {
		w.t.Fatalf("call returned (token: %v, error: %v), want an error only", !p.tok.IsZero(), p.err)
	}
	for _, want := range wants {
		if !errors.Is(p.err, want) {
			w.t.Fatalf("error = %v, want it to wrap %q", p.err, want)
		}
	}
	return p.err
}

// calls checks which calls the source has received for a room so far.
func (w *world) calls(room string, wants ...roomtoken.CallKind) {
	w.t.Helper()
	if got := kindsOf(w.src.of(room)); !slices.Equal(got, wants) {
		w.t.Fatalf("calls for room %q = %v, want %v", room, got, wants)
	}
}

// noOverlaps checks that no call began for a room that had one in flight.
func (w *world) noOverlaps() {
	w.t.Helper()
	if _, overlaps := w.src.peak(); overlaps > 0 {
		w.t.Errorf("%d calls began for a room that had one in flight, want none", overlaps)
	}
}

// eventCounts returns how many events of each kind the observer has received.
func (w *world) eventCounts() map[roomtoken.EventKind]int {
	n := map[roomtoken.EventKind]int{}
	for _, e := range w.eventsFrom(0) {
		n[e.Kind]++
	}
	return n
}

// eventsFrom returns the events received so far, without the first n.
func (w *world) eventsFrom(n int) []roomtoken.Event {
	w.rest()
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.events[min(n, len(w.events)):])
}
