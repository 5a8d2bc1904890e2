package roomtoken_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
)

// Promise 9: a panic or a runtime.Goexit in user code is contained.

// hostile is an error one of whose methods panics.
type hostile struct{ in string }

func (e *hostile) Error() string {
	if e.in == "Error" {
		panic("panic in Error")
	}
	return "hostile"
}

func (e *hostile) Is(error) bool {
	if e.in == "Is" {
		panic("panic in Is")
	}
	return false
}

// hostileAs is an error whose As calls Goexit.
type hostileAs struct{}

func (hostileAs) Error() string { return "hostile" }
func (hostileAs) As(any) bool   { runtime.Goexit(); return false }

func (e *hostile) RetryAfter() time.Duration {
	if e.in == "RetryAfter" {
		panic("panic in RetryAfter")
	}
	return 0
}

// throws lists the ways a source can panic or exit, and what the error must say.
var throws = map[string]struct {
	throw func() error
	say   string
}{
	"panic":               {func() error { panic("at the disco") }, "at the disco"},
	"panic with an error": {func() error { panic(errDown) }, errDown.Error()},
	"panic with nil":      {func() error { panic(nil) }, "nil"},
	"nil map":             {func() error { var m map[string]int; m["a"] = 1; return nil }, "nil map"},
	"Goexit":              {func() error { runtime.Goexit(); return nil }, "Goexit"},
	"error: Error":        {func() error { return &hostile{"Error"} }, "panic in Error"},
	"error: Is":           {func() error { return &hostile{"Is"} }, "panic in Is"},
	"error: As":           {func() error { return hostileAs{} }, "Goexit"},
	"error: RetryAfter":   {func() error { return &hostile{"RetryAfter"} }, "panic in RetryAfter"},
	"typed nil":           {func() error { var e *hostile; return e }, "nil pointer"},
	"panic with hostile":  {func() error { panic(&hostile{"Error"}) }, "panic in Error"},
}

func TestPromise9ThrownInASource(t *testing.T) {
	for name, c := range throws {
		t.Run("Create/"+name, func(t *testing.T) {
			within(t, roomtoken.Config{MaxWait: 100 * time.Millisecond}, func(t *testing.T, w *world) {
				w.src.on(func(*sourceCall) (roomtoken.Grant, error) { return roomtoken.Grant{}, c.throw() })
				p := w.ask(t.Context(), "r")
				if !p.returned() || p.err == nil || !p.tok.IsZero() {
					t.Fatalf("caller returned: %v (%v), want an error", p.returned(), p.err)
				}
				text := p.err.Error()
				if !strings.Contains(text, c.say) {
					t.Errorf("error = %v, want it to contain %q", p.err, c.say)
				}
				var thrown *roomtoken.PanicError
				if !errors.As(p.err, &thrown) || !strings.Contains(string(thrown.Stack), "promise09_panic_test.go") {
					t.Errorf("error = %v, want a PanicError whose stack has the source's file", p.err)
				}
				if all := fmt.Sprintf("%v %+v", p.err, p.err); strings.Contains(all, "goroutine ") || strings.Contains(all, ".go:") {
					t.Errorf("error = %s, want no stack in it", all)
				}
				if errors.Is(p.err, roomtoken.ErrPermanent) || errors.Is(p.err, context.DeadlineExceeded) {
					t.Errorf("error = %v, want neither ErrPermanent nor DeadlineExceeded", p.err)
				}
				s, _ := w.m.Room("r")
				if s.Failures != 1 || s.LastError == nil || s.InFlight != 0 {
					t.Errorf("Room() = %+v, want one failure and no call in flight", s)
				}
				if s := w.m.Stats(); s.CreateFailures != 1 || s.CallsInFlight != 0 {
					t.Errorf("Stats() = %+v, want one failed create and no call in flight", s)
				}
				// The Manager still works.
				w.src.on(nil)
				w.token("other")
				w.add(time.Second)
				w.token("r")
			})
		})
		t.Run("Refresh/"+name, func(t *testing.T) {
			within(t, roomtoken.Config{Jitter: -1}, func(t *testing.T, w *world) {
				tok := w.token("r")
				w.src.on(func(*sourceCall) (roomtoken.Grant, error) { return roomtoken.Grant{}, c.throw() })
				w.add(401 * time.Second)
				if got := w.token("r"); !got.Value.Equal(tok.Value) {
					t.Error("Token returned another token after a panic in a renewal, want the same")
				}
				s, _ := w.m.Room("r")
				if s.State != roomtoken.RoomRetrying || s.LastError == nil || !strings.Contains(s.LastError.Error(), c.say) {
					t.Errorf("Room() = %+v, want RoomRetrying and the panic as LastError", s)
				}
				if !s.HasRefreshToken {
					t.Error("HasRefreshToken = false after a panic in a renewal, want true")
				}
				w.src.on(nil)
				w.add(10 * time.Second)
				if got := w.token("r"); got.Value.Equal(tok.Value) {
					t.Error("Token returned the old token, want the renewal retried")
				}
			})
		})
	}
}

// A panic that comes late: after CallTimeout, after Forget, during Close.
func TestPromise9ThrownLate(t *testing.T) {
	for name, c := range throws {
		t.Run(name, func(t *testing.T) {
			within(t, roomtoken.Config{MaxConcurrentCalls: 2}, func(t *testing.T, w *world) {
				throwing := func(*sourceCall) (roomtoken.Grant, error) { return roomtoken.Grant{}, c.throw() }
				w.src.on(throwing)
				w.src.holdCalls(true)
				a := w.ask(t.Context(), "overdue")
				b := w.ask(t.Context(), "forgotten")
				w.m.Forget("forgotten")
				w.add(11 * time.Second)
				if !a.returned() || !b.returned() || a.err == nil || b.err == nil {
					t.Fatalf("callers got %v and %v after CallTimeout, want errors", a.err, b.err)
				}
				w.src.releaseAll()
				w.rest()
				if s := w.m.Stats(); s.CallsInFlight != 0 || s.CallsOverdue != 0 {
					t.Fatalf("Stats() = %+v, want no calls in flight", s)
				}
				w.src.on(nil)
				w.add(time.Minute)
				w.token("overdue")
				w.token("forgotten")

				w.src.on(throwing)
				w.src.holdCalls(false)
				w.ask(t.Context(), "closing")
				w.src.holdCalls(true)
				p := w.closing()
				w.src.releaseAll()
				w.closed(p)
			})
		})
	}
}

// An observer that panics at every event still receives all of them.
func TestPromise9ThrownInOnEvent(t *testing.T) {
	for name, throw := range map[string]func(){
		"panic":          func() { panic("at the disco") },
		"panic with nil": func() { panic(nil) },
		"Goexit":         runtime.Goexit,
	} {
		t.Run(name, func(t *testing.T) {
			var logged safeBuffer
			config := roomtoken.Config{
				Jitter:  -1,
				Logger:  slog.New(slog.NewTextHandler(&logged, nil)),
				OnEvent: func(roomtoken.Event) { throw() },
			}
			within(t, config, func(t *testing.T, w *world) {
				for i := range 5 {
					w.m.Invalidate("r", w.token("r"))
					w.m.Forget("r")
					w.token(fmt.Sprint("r", i))
				}
				w.add(401 * time.Second)
				kinds := w.eventCounts()
				want := map[roomtoken.EventKind]int{
					roomtoken.EventCallBegun: 15, roomtoken.EventCallEnded: 15, roomtoken.EventTokenPublished: 15,
					roomtoken.EventTokenInvalidated: 5, roomtoken.EventRoomForgotten: 5,
				}
				sum := 0
				for kind, n := range want {
					sum += n
					if kinds[kind] != n {
						t.Errorf("%d events %v, want %d", kinds[kind], kind, n)
					}
				}
				w.inOrder()
				if s := w.m.Stats(); s.ObserverPanics != uint64(sum) || s.EventsDropped != 0 {
					t.Errorf("%d panics counted and %d events dropped, want %d and 0", s.ObserverPanics, s.EventsDropped, sum)
				}
				if text := logged.String(); strings.Count(text, "panicked\"") != sum || !strings.Contains(text, "promise09_panic_test.go") {
					t.Errorf("%d panics logged, want %d, each with its stack", strings.Count(text, "panicked\""), sum)
				}
			})
		})
	}
}

// If one of several observers panics, the others still get the event.
func TestPromise9ThrownInOneOfSeveralObservers(t *testing.T) {
	for name, throw := range map[string]func(){"panic": func() { panic("at the disco") }, "Goexit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			var first, last int
			config := roomtoken.Config{OnEvent: roomtoken.Events(
				func(roomtoken.Event) { first++ }, nil,
				func(roomtoken.Event) { throw() }, func(roomtoken.Event) { throw() },
				func(roomtoken.Event) { last++ },
			)}
			within(t, config, func(t *testing.T, w *world) {
				w.token("r")
				w.rest()
				if first != 3 || last != 3 {
					t.Errorf("first observer got %d events, last %d, want 3 and 3", first, last)
				}
			})
		})
	}
}

// throwingHandler is a slog.Handler that panics or exits.
type throwingHandler struct {
	slog.Handler
	throw func()
}

func (h throwingHandler) Handle(context.Context, slog.Record) error { h.throw(); return nil }

func TestPromise9ThrownInTheLogger(t *testing.T) {
	for name, throw := range map[string]func(){"panic": func() { panic("at the disco") }, "Goexit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			base := slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelDebug})
			within(t, roomtoken.Config{Logger: slog.New(throwingHandler{base, throw})}, func(t *testing.T, w *world) {
				w.token("r")
				w.src.fail(errDown)
				w.ask(t.Context(), "other")
				w.rest()
				if kinds := w.eventCounts(); kinds[roomtoken.EventCallBegun] != 2 || kinds[roomtoken.EventCallEnded] != 2 {
					t.Errorf("OnEvent received %v, want 2 calls begun and 2 ended", kinds)
				}
				w.inOrder()
				w.src.on(nil)
				w.add(time.Minute)
			})
		})
	}
}

// An observer that calls Close and then panics.
func TestPromise9CloseThenThrownInOnEvent(t *testing.T) {
	for name, throw := range map[string]func(){"panic": func() { panic("at the disco") }, "Goexit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			var w *world
			within(t, roomtoken.Config{OnEvent: func(roomtoken.Event) {
				defer func() {
					if err := w.m.Close(); err != nil {
						w.t.Errorf("Close: %v", err)
					}
				}()
				throw()
			}}, func(t *testing.T, inner *world) {
				w = inner
				w.ask(t.Context(), "r")
				w.rest()
				if _, err := w.m.Token(t.Context(), "r"); !errors.Is(err, roomtoken.ErrClosed) {
					t.Errorf("Token() after Close = %v, want ErrClosed", err)
				}
			})
		})
	}
}

// inOrder checks that events were received in the order of their times, and for each
// room call begun before call ended before token published.
func (w *world) inOrder() {
	w.t.Helper()
	events := w.eventsFrom(0)
	before := map[roomtoken.EventKind][]roomtoken.EventKind{
		roomtoken.EventCallEnded:      {roomtoken.EventCallBegun, roomtoken.EventCallOverdue},
		roomtoken.EventTokenPublished: {roomtoken.EventCallEnded},
	}
	last := map[string]roomtoken.EventKind{}
	for i, e := range events {
		if i > 0 && e.Time.Before(events[i-1].Time) {
			w.t.Errorf("event %d (%v) is older than the previous one, want them in order", i, e)
		}
		if want, ok := before[e.Kind]; ok && !slices.Contains(want, last[e.RoomID]) {
			w.t.Errorf("event %d (%v) follows %v, want one of %v before it", i, e, last[e.RoomID], want)
		}
		if e.Kind == roomtoken.EventCallBegun || before[e.Kind] != nil || e.Kind == roomtoken.EventCallOverdue {
			last[e.RoomID] = e.Kind
		}
	}
}

// safeBuffer is a buffer for concurrent writers.
type safeBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
