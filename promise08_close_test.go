package roomtoken_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/benbjohnson/clock"

	"github.com/roomtoken/roomtoken"
)

// Promise 8: Close ends everything.

// timers returns how many timers are registered with the Mock.
func (w *world) timers() int {
	synctest.Wait()
	return reflect.ValueOf(w.clk.Mock).Elem().FieldByName("timers").Len()
}

// wantClosed checks that every method of a closed Manager reports ErrClosed.
func wantClosed(t *testing.T, m *roomtoken.Manager) {
	t.Helper()
	ctx := context.Background()
	is := func(call string, err error) {
		t.Helper()
		if !errors.Is(err, roomtoken.ErrClosed) {
			t.Errorf("%s after Close: %v, want ErrClosed", call, err)
		}
	}
	for _, room := range []string{"r", "never asked for", "", strings.Repeat("x", 2000)} {
		tok, err := m.Token(ctx, room)
		is(fmt.Sprintf("Token of a room ID of %d bytes", len(room)), err)
		if !tok.IsZero() {
			t.Error("Token after Close returned a token, want none")
		}
		_, err = m.TokenValidFor(ctx, room, time.Minute)
		is("TokenValidFor", err)
		is("Warm", m.Warm(ctx, room))
		pairs := 0
		for tok, err := range m.Watch(ctx, room) {
			pairs++
			is("Watch", err)
			if !tok.IsZero() {
				t.Error("Watch after Close yielded a token, want none")
			}
		}
		if pairs != 1 {
			t.Errorf("Watch after Close yielded %d pairs, want 1", pairs)
		}
		if _, ok := m.Cached(room); ok {
			t.Error("Cached after Close returned a token, want none")
		}
		if _, ok := m.Room(room); ok {
			t.Error("Room after Close found a room, want none")
		}
		if m.Invalidate(room, bare("token-r-1")) {
			t.Error("Invalidate() after Close = true, want false")
		}
		m.Forget(room)
	}
	is("Warm of no room", m.Warm(ctx))
	ended, cancel := context.WithCancel(ctx)
	cancel()
	_, err := m.Token(ended, "r")
	is("Token with an ended ctx", err)
	for range m.Rooms() {
		t.Error("Rooms after Close yielded a room, want none")
	}
	if s := m.Stats(); s.Rooms != 0 || s.CallsInFlight != 0 || s.CallsQueued != 0 {
		t.Errorf("Stats() after Close = %+v, want no rooms and no calls", s)
	}
	if s := fmt.Sprint(m); !strings.Contains(s, "rooms: 0") {
		t.Errorf("a closed Manager prints %q, want rooms: 0", s)
	}
}

func TestPromise8AfterCloseEveryCallIsErrClosed(t *testing.T) {
	within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
		w.token("r")
		if err := w.m.Close(); err != nil {
			t.Fatalf("Close: %v", err)
		}
		wantClosed(t, w.m)
		if w.src.count() != 1 {
			t.Errorf("%d calls, want 1 and none after Close", w.src.count())
		}
		if n := w.timers(); n != 0 {
			t.Errorf("%d timers are left, want none", n)
		}
	})
}

func TestPromise8CloseOfAnUnusedManager(t *testing.T) {
	within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
		for range 3 {
			if err := w.m.Close(); err != nil {
				t.Fatalf("Close: %v", err)
			}
		}
		if n := w.timers(); n != 0 {
			t.Errorf("%d timers are left, want none", n)
		}
	})
}

// Close cancels the calls in flight and waits until they have returned.
func TestPromise8CloseCancelsCallsAndWaitsForThem(t *testing.T) {
	within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
		gate := make(chan struct{})
		w.src.on(func(c *sourceCall) (roomtoken.Grant, error) {
			<-c.ctx.Done()
			<-gate // it cleans up first
			return roomtoken.Grant{}, c.ctx.Err()
		})
		var all []*pending
		for i := range 5 {
			all = append(all, w.ask(t.Context(), fmt.Sprint("r", i)))
		}
		p := w.closing()
		for _, c := range w.src.all() {
			if !errors.Is(context.Cause(c.ctx), roomtoken.ErrClosed) {
				t.Errorf("cause of a call's ctx = %v, want ErrClosed", context.Cause(c.ctx))
			}
		}
		for _, a := range all { // callers do not wait for the calls
			w.refused(a, roomtoken.ErrClosed)
		}
		w.add(9 * time.Second)
		w.waits(p)
		close(gate)
		w.closed(p)
		if n := w.timers(); n != 0 {
			t.Errorf("%d timers are left, want none", n)
		}
	})
}

// Close waits for a source that ignores its ctx for CallTimeout, not longer.
func TestPromise8CloseWithADeafSource(t *testing.T) {
	within(t, roomtoken.Config{CallTimeout: 7 * time.Second}, func(t *testing.T, w *world) {
		w.src.holdCalls(true)
		a, b := w.ask(t.Context(), "a"), w.ask(t.Context(), "b")
		w.add(5 * time.Second)
		p := w.closing()
		w.add(6900 * time.Millisecond)
		w.waits(p)
		w.add(200 * time.Millisecond)
		if err := w.refused(p); !strings.Contains(err.Error(), "2 calls") {
			t.Fatalf("Close() = %v, want an error with the number of remaining calls", err)
		}
		if p.at != 12*time.Second {
			t.Errorf("Close returned at %v, want 12 s", p.at)
		}
		for _, caller := range []*pending{a, b} {
			w.refused(caller, roomtoken.ErrClosed)
		}
		if n := w.timers(); n != 0 {
			t.Errorf("%d timers are left, want none", n)
		}
		if _, err := w.m.Token(t.Context(), "a"); !errors.Is(err, roomtoken.ErrClosed) {
			t.Errorf("Token() after Close = %v, want ErrClosed", err)
		}
		if n := w.m.Stats().CallsInFlight; n != 2 {
			t.Errorf("CallsInFlight = %d, want 2", n)
		}

		// When the calls return, their results are dropped and Close succeeds.
		w.src.releaseAll()
		w.rest()
		if _, ok := w.m.Cached("a"); ok {
			t.Error("a late grant was kept after Close, want it dropped")
		}
		if err := w.m.Close(); err != nil {
			t.Errorf("Close after the calls have returned: %v", err)
		}
		wantClosed(t, w.m)
	})
}

// A call that is already overdue when the Manager is closed.
func TestPromise8CloseWithAnOverdueCall(t *testing.T) {
	within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
		w.src.holdCalls(true)
		w.ask(t.Context(), "a")
		w.add(11 * time.Second)
		p := w.closing()
		w.rest()
		w.waits(p)
		w.src.releaseAll()
		w.closed(p)
	})
}

func TestPromise8CloseConcurrently(t *testing.T) {
	within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
		w.src.holdCalls(true)
		w.ask(t.Context(), "r")
		var all []*pending
		for range 10 {
			all = append(all, w.closing())
		}
		for _, p := range all {
			w.waits(p)
		}
		w.src.releaseAll()
		for _, p := range all {
			w.closed(p)
		}
	})
}

// Close called from OnEvent, for each kind of event, and from another goroutine at
// the same time.
func TestPromise8CloseFromOnEvent(t *testing.T) {
	for _, kind := range []roomtoken.EventKind{
		roomtoken.EventCallBegun, roomtoken.EventCallOverdue, roomtoken.EventCallEnded, roomtoken.EventTokenPublished, roomtoken.EventFellBack,
		roomtoken.EventTokenInvalidated, roomtoken.EventRoomForgotten, roomtoken.EventRoomEvicted, roomtoken.EventHeldBack,
	} {
		t.Run(kind.String(), func(t *testing.T) {
			var w *world
			closed := false
			config := roomtoken.Config{MaxRooms: 3, Jitter: -1, OnEvent: func(e roomtoken.Event) {
				if e.Kind == kind && !closed {
					closed = true
					other := make(chan error)
					go func() { other <- w.m.Close() }()
					defer func() {
						go func() {
							if err := <-other; err != nil {
								w.t.Errorf("Close from another goroutine: %v", err)
							}
						}()
					}()
					if err := w.m.Close(); err != nil {
						w.t.Errorf("Close from OnEvent: %v", err)
					}
					if _, err := w.m.Token(context.Background(), "r"); !errors.Is(err, roomtoken.ErrClosed) {
						w.t.Errorf("Token() from OnEvent after Close = %v, want ErrClosed", err)
					}
				}
			}}
			within(t, config, func(t *testing.T, inner *world) {
				w = inner
				w.ask(t.Context(), "r")
				v := w.watch("r", nil)
				tok, _ := w.m.Cached("r")
				w.m.Invalidate("r", tok)
				w.rest()
				w.m.Forget("r")
				for i := range 5 {
					w.ask(t.Context(), fmt.Sprint("r", i))
				}
				w.src.fail(roomtoken.ErrRefreshRejected)
				w.add(401 * time.Second)
				w.src.fail(roomtoken.ErrRateLimited)
				w.ask(t.Context(), "q")
				w.add(time.Minute)
				w.src.on(nil)
				w.add(5 * time.Minute)
				w.src.holdCalls(true)
				w.m.Forget("r")
				w.add(11 * time.Second)
				w.src.releaseAll()
				w.rest()
				if !closed {
					t.Fatalf("events = %v, want one of this kind", w.eventCounts())
				}
				if !v.ended() || !errors.Is(v.last().err, roomtoken.ErrClosed) {
					t.Errorf("watch ended: %v, with %v, want true with ErrClosed", v.ended(), v.last().err)
				}
				if n := w.timers(); n != 0 {
					t.Errorf("%d timers are left, want none", n)
				}
			})
		})
	}
}

// Close called from the observer of another Manager waits for this Manager's observer.
func TestPromise8CloseFromTheObserverOfAnotherManager(t *testing.T) {
	var inner *roomtoken.Manager
	var err error
	closed := make(chan struct{}, 1)
	within(t, roomtoken.Config{OnEvent: func(e roomtoken.Event) {
		if e.Kind == roomtoken.EventTokenPublished {
			err = inner.Close()
			closed <- struct{}{}
		}
	}}, func(t *testing.T, w *world) {
		closed = make(chan struct{}, 1)
		gate := make(chan struct{})
		var newErr error
		inner, newErr = roomtoken.NewManager(w.src, roomtoken.Config{Clock: w.clk, OnEvent: func(roomtoken.Event) { <-gate }})
		if newErr != nil {
			t.Fatal(newErr)
		}
		if _, err := inner.Token(t.Context(), "inner"); err != nil {
			t.Fatal(err)
		}
		w.token("outer")
		w.rest()
		if len(closed) != 0 {
			t.Error("Close returned while an observer of that Manager was running, want it to wait")
		}
		close(gate)
		w.rest()
		if len(closed) != 1 || err != nil {
			t.Errorf("Close returned: %v, with %v, want true without an error", len(closed) == 1, err)
		}
	})
}

// Close waits for an observer that does not return for CallTimeout.
func TestPromise8CloseWithADeafObserver(t *testing.T) {
	within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
		gate := make(chan struct{})
		m, err := roomtoken.NewManager(w.src, roomtoken.Config{Clock: w.clk, OnEvent: func(roomtoken.Event) { <-gate }})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.Token(t.Context(), "r"); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- m.Close() }()
		w.add(9 * time.Second)
		if len(done) != 0 {
			t.Fatal("Close returned early, want it to wait for the observer")
		}
		w.add(2 * time.Second)
		if len(done) != 1 {
			t.Fatal("Close has not returned after CallTimeout")
		}
		if err := <-done; err == nil {
			t.Error("Close() = nil, want an error that says the observer has not returned")
		}
		close(gate)
		w.rest()
		if err := m.Close(); err != nil {
			t.Errorf("second Close: %v", err)
		}
	})
}

func TestPromise8CloseFromTheBodyOfAWatch(t *testing.T) {
	within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
		v := w.watch("r", func(_ roomtoken.Token, err error) {
			if err == nil {
				if err := w.m.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			}
		})
		wantSeen(t, "after Close from its body", v, "token-r-1", "error")
		if !v.ended() || !errors.Is(v.last().err, roomtoken.ErrClosed) {
			t.Fatalf("watch ended: %v, with %v, want true with ErrClosed", v.ended(), v.last().err)
		}
	})
}

func TestPromise8CloseFromTheBodyOfRooms(t *testing.T) {
	within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
		for i := range 10 {
			w.token(fmt.Sprint("r", i))
		}
		n := 0
		for range w.m.Rooms() {
			n++
			if err := w.m.Close(); err != nil {
				t.Fatalf("Close: %v", err)
			}
		}
		if n != 1 {
			t.Errorf("Rooms yielded %d rooms, want 1: Close forgets the others", n)
		}
	})
}

// Close while calls, waits, watches and renewals of every kind are going on.
func TestPromise8CloseDuringEverything(t *testing.T) {
	for _, deaf := range []bool{false, true} {
		t.Run(fmt.Sprintf("deaf=%v", deaf), func(t *testing.T) {
			config := roomtoken.Config{
				Jitter: -1, MaxConcurrentCalls: 4, MaxWait: -1, Logger: slog.New(slog.DiscardHandler),
			}
			within(t, config, func(t *testing.T, w *world) {
				for i := range 20 {
					w.token(fmt.Sprint("warm", i))
				}
				w.add(399 * time.Second)
				w.src.fail(errDown)
				failing := w.ask(t.Context(), "failing")
				w.src.on(nil)
				w.src.holdCalls(deaf)
				w.add(2 * time.Second) // renewals in flight and queued
				all := []*pending{failing, w.askFor(t.Context(), "warm0", 9*time.Minute)}
				for i := range 10 {
					all = append(all, w.ask(t.Context(), fmt.Sprint("cold", i)))
				}
				all = append(all, w.ask(t.Context(), "forgotten"))
				w.m.Forget("forgotten")
				w.m.Forget("warm1")
				watches := []*watched{w.watch("warm2", nil), w.watch("cold", nil), w.watch("cold0", nil)}
				all = append(all, w.warming(context.Background(), "warm3", "warming1", "warming2"))
				if tok, ok := w.m.Cached("warm4"); ok {
					w.m.Invalidate("warm4", tok)
				}
				w.rest()
				if s := w.m.Stats(); s.CallsInFlight != 4 || s.CallsQueued < 20 {
					t.Fatalf("Stats() = %+v, want 4 calls in flight and at least 20 queued", s)
				}
				w.check()

				p := w.closing()
				w.rest()
				for _, a := range all {
					w.refused(a, roomtoken.ErrClosed)
				}
				for i, v := range watches {
					if !v.ended() || !errors.Is(v.last().err, roomtoken.ErrClosed) {
						t.Errorf("watch %d ended: %v, with %v, want true with ErrClosed", i, v.ended(), v.last().err)
					}
				}
				if deaf {
					w.add(11 * time.Second)
					if err := w.refused(p); !strings.Contains(err.Error(), "4 calls") {
						t.Errorf("Close() = %v, want an error with the number of remaining calls", err)
					}
				} else {
					w.closed(p)
				}
				if n := w.timers(); n != 0 {
					t.Errorf("%d timers are left, want none", n)
				}
				calls := w.src.count()
				w.src.releaseAll()
				w.add(time.Hour)
				if got := w.src.count(); got != calls {
					t.Errorf("%d calls began after Close, want none", got-calls)
				}
			})
		})
	}
}

// Nothing is left with the real clock either: the bubble would not end.
func TestPromise8CloseLeavesNothingWithTheRealClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &source{clk: clock.New(), lifetime: time.Minute, refreshLifetime: time.Hour}
		m, err := roomtoken.NewManager(src, roomtoken.Config{OnEvent: func(roomtoken.Event) {}})
		if err != nil {
			t.Fatal(err)
		}
		var callers sync.WaitGroup
		for i := range 50 {
			callers.Go(func() {
				for _, err := range m.Watch(context.Background(), fmt.Sprint("r", i)) {
					if err != nil && !errors.Is(err, roomtoken.ErrClosed) {
						t.Error(err)
					}
				}
			})
		}
		time.Sleep(10 * time.Minute)
		src.holdCalls(false)
		for m.Stats().CallsInFlight == 0 { // until the first renewal, less than a minute
			time.Sleep(time.Second)
		}
		begun := time.Now()
		if err := m.Close(); err != nil {
			t.Error(err)
		}
		callers.Wait()
		synctest.Wait()
		if took := time.Since(begun); took != 0 {
			t.Errorf("Close and the end of all watches took %v, want no time", took)
		}
	})
}
