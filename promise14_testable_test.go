package roomtoken_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/benbjohnson/clock"

	"github.com/roomtoken/roomtoken"
)

// Promise 14: users can test with synctest and with clock.Mock.

// A user's test in a bubble with the real clock, which is the bubble's.
func TestPromise14InABubbleWithTheRealClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &source{clk: clock.New(), lifetime: 10 * time.Minute, refreshLifetime: time.Hour}
		m, err := roomtoken.NewManager(src, roomtoken.Config{Jitter: -1})
		if err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		first, err := m.Token(t.Context(), "r")
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(399 * time.Second)
		synctest.Wait()
		if n := src.count(); n != 1 {
			t.Errorf("%d calls before the renewal, want 1", n)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if n := src.count(); n != 2 {
			t.Errorf("%d calls after the renewal, want 2", n)
		}
		second, err := m.Token(t.Context(), "r")
		if err != nil || second.Value.Equal(first.Value) {
			t.Errorf("Token() = %v, want the renewed token", err)
		}
		src.fail(errDown)
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		before := time.Now()
		if _, err := m.Token(ctx, "other"); !errors.Is(err, errDown) {
			t.Errorf("Token() of a failing room = %v, want errDown", err)
		}
		if took := time.Since(before); took > 3*time.Second {
			t.Errorf("Token took %v, want at most 3 s", took)
		}
		if deadline, ok := src.all()[2].ctx.Deadline(); !ok || deadline.Sub(before) != 10*time.Second {
			t.Errorf("deadline of the call's ctx = (%v, %v), want in 10 s", deadline, ok)
		}
		src.on(nil)
		src.holdCalls(true)
		go func() {
			time.Sleep(time.Minute)
			src.releaseAll()
		}()
		before = time.Now()
		if _, err := m.Token(t.Context(), "hangs"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Token() while a call ignores its ctx = %v, want DeadlineExceeded", err)
		}
		if took := time.Since(before); took < 10*time.Second || took > 11*time.Second {
			t.Errorf("Token took %v while a call ignores its ctx, want 10 s to 11 s", took)
		}
		time.Sleep(10 * time.Minute)
		if err := m.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if took := time.Since(begun); took > time.Hour {
			t.Errorf("%v have passed, want at most an hour", took)
		}
	})
}

// A user's test with a plain Mock, whose times begin in 1970 and carry no monotonic
// reading.
func TestPromise14WithAPlainMock(t *testing.T) {
	for name, run := range map[string]func(*testing.T, func(*testing.T)){
		"in a bubble":      synctest.Test,
		"without a bubble": func(t *testing.T, f func(*testing.T)) { f(t) },
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(t *testing.T) {
				mock := clock.NewMock()
				src := &source{clk: mock, lifetime: 10 * time.Minute, refreshLifetime: time.Hour}
				renewed := make(chan struct{}, 10)
				m, err := roomtoken.NewManager(src, roomtoken.Config{Jitter: -1, Clock: mock, OnEvent: func(e roomtoken.Event) {
					if e.Kind == roomtoken.EventTokenPublished {
						renewed <- struct{}{}
					}
				}})
				if err != nil {
					t.Fatal(err)
				}
				first, err := m.Token(context.Background(), "r")
				if err != nil || !first.ExpiresAt.Equal(time.Unix(600, 0)) {
					t.Fatalf("Token() = (expires %v, %v), want 600 s after the epoch", first.ExpiresAt, err)
				}
				<-renewed
				s, _ := m.Room("r")
				if !s.NextCallAt.Equal(time.Unix(400, 0)) || !s.LastUsed.Equal(time.Unix(0, 0)) || !s.RefreshExpiresAt.Equal(time.Unix(3600, 0)) {
					t.Errorf("Room() = %+v, want the next call at 400 s, last used at 0 s, the refresh token until 3600 s", s)
				}
				for range 401 {
					mock.Add(time.Second)
				}
				<-renewed
				if tok, ok := m.Cached("r"); !ok || !tok.ExpiresAt.After(time.Unix(999, 0)) {
					t.Errorf("Cached() after the renewal = (expires %v, %v), want after 999 s", tok.ExpiresAt, ok)
				}
				if err := m.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			})
		})
	}
}

// A user's test: one goroutine advances a plain Mock while many callers wait for
// cold rooms, some of them longer than MaxWait. Nothing but that goroutine may run
// the Mock's timers: two that run the same one deadlock with the Mock's lock held.
func TestPromise14WithAMockThatAdvancesWhileCallersWait(t *testing.T) {
	const rounds = 10
	// A deadlock takes a goroutine that is preempted between two locks: more of them
	// are with more processors than the machine has.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(8))
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		for range rounds {
			advanceWhileCallersWait(t)
		}
	}()
	select {
	case <-finished:
	case <-time.After(30 * time.Second): // of real time, a last resort
		stacks := make([]byte, 1<<20)
		t.Fatalf("deadlock; all goroutines:\n%s", stacks[:runtime.Stack(stacks, true)])
	}
}

// advanceWhileCallersWait runs one round: every caller asks for a few cold rooms,
// one after the other, and retries when MaxWait has passed.
func advanceWhileCallersWait(t *testing.T) {
	const callers, rooms = 48, 8
	mock := clock.NewMock()
	m, err := roomtoken.NewManager(mockSource{mock}, roomtoken.Config{Clock: mock, MaxWait: time.Second})
	if err != nil {
		t.Error(err)
		return
	}
	var asking sync.WaitGroup
	for c := range callers {
		asking.Go(func() {
			group, rooms := "quick", rooms
			if c%3 == 0 {
				group, rooms = "slow", 1
			}
			for room := 0; room < rooms; {
				switch _, err := m.Token(context.Background(), fmt.Sprint(group, room)); {
				case err == nil:
					room++
				case !errors.Is(err, context.DeadlineExceeded):
					t.Errorf("Token() = %v, want a token or DeadlineExceeded", err)
					return
				}
			}
		})
	}
	served := make(chan struct{})
	go func() {
		asking.Wait()
		close(served)
	}()
	for {
		select {
		case <-served:
			if err := m.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
			return
		default:
			mock.Add(500 * time.Millisecond)
		}
	}
}

// mockSource is a source whose calls take one second on a Mock, and longer than
// MaxWait for slow rooms.
type mockSource struct{ mock *clock.Mock }

func (s mockSource) Create(ctx context.Context, room string) (roomtoken.Grant, error) {
	latency := time.Second
	if strings.HasPrefix(room, "slow") {
		latency = 8 * time.Second
	}
	select {
	case <-after(s.mock, latency):
	case <-ctx.Done():
		return roomtoken.Grant{}, ctx.Err()
	}
	return roomtoken.Grant{Token: roomtoken.Token{Value: roomtoken.NewSecret(room), ExpiresAt: s.mock.Now().Add(time.Hour)}}, nil
}

func (s mockSource) Refresh(ctx context.Context, room string, _ roomtoken.Token) (roomtoken.Grant, error) {
	return s.Create(ctx, room)
}

// spy records where the lock was held during a call into user code.
type spy struct {
	m    atomic.Pointer[roomtoken.Manager]
	mu   sync.Mutex
	held map[string]int
	seen map[string]int
}

func (s *spy) look(where string) {
	m := s.m.Load()
	if m == nil {
		return
	}
	locked := m.Locked()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen == nil {
		s.seen, s.held = map[string]int{}, map[string]int{}
	}
	s.seen[where]++
	if locked {
		s.held[where]++
	}
}

// spyError, spyContext and spyHandler are user code.
type spyError struct{ *spy }

func (e spyError) Error() string             { e.look("error.Error"); return "spied" }
func (e spyError) Is(error) bool             { e.look("error.Is"); return false }
func (e spyError) Unwrap() error             { e.look("error.Unwrap"); return nil }
func (e spyError) RetryAfter() time.Duration { e.look("error.RetryAfter"); return 0 }

type spyContext struct {
	context.Context //nolint:containedctx // the embedded one does the work
	*spy
}

func (c spyContext) Err() error { c.look("ctx.Err"); return c.Context.Err() }
func (c spyContext) Deadline() (time.Time, bool) {
	c.look("ctx.Deadline")
	return c.Context.Deadline()
}
func (c spyContext) Done() <-chan struct{} { c.look("ctx.Done"); return c.Context.Done() }
func (c spyContext) Value(key any) any     { c.look("ctx.Value"); return c.Context.Value(key) }

type spyHandler struct {
	slog.Handler
	*spy
}

func (h spyHandler) Enabled(ctx context.Context, l slog.Level) bool {
	h.look("Logger.Enabled")
	return h.Handler.Enabled(ctx, l)
}

func (h spyHandler) Handle(ctx context.Context, r slog.Record) error {
	h.look("Logger.Handle")
	return h.Handler.Handle(ctx, r)
}

func TestPromise14NoLockIsHeldOverUserCode(t *testing.T) {
	s := &spy{}
	config := roomtoken.Config{
		Jitter: -1, MaxRooms: 10, MaxWait: 5 * time.Second,
		Logger:  slog.New(spyHandler{slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelDebug}), s}),
		OnEvent: func(roomtoken.Event) { s.look("OnEvent") },
	}
	within(t, config, func(t *testing.T, w *world) {
		s.m.Store(w.m)
		w.src.on(func(c *sourceCall) (roomtoken.Grant, error) {
			s.look("source." + c.kind.String())
			c.ctx.Value("k")
			return w.src.mint(c), nil
		})
		base, cancel := context.WithCancelCause(context.Background())
		ctx := spyContext{base, s}
		for i := range 15 {
			w.ask(ctx, fmt.Sprint("r", i))
		}
		w.askFor(ctx, "r14", 9*time.Minute)
		watching := make(chan struct{})
		go func() {
			defer close(watching)
			for range w.m.Watch(ctx, "r") {
				s.look("the body of a Watch")
			}
		}()
		for range w.m.Rooms() {
			s.look("the body of Rooms")
		}
		w.src.fail(spyError{s})
		w.add(401 * time.Second)
		p := w.ask(ctx, "failing")
		w.add(6 * time.Second)
		w.refused(p)
		w.src.fail(fmt.Errorf("%w: %w", spyError{s}, roomtoken.ErrRateLimited))
		w.add(time.Minute)
		w.add(3 * time.Minute)
		q := w.ask(ctx, "waiting")
		cancel(spyError{s})
		<-watching
		w.refused(q)
		w.src.on(nil)
		w.add(time.Minute)
	})
	for _, where := range []string{
		"source.create", "OnEvent", "Logger.Enabled", "Logger.Handle", "the body of a Watch", "the body of Rooms",
		"error.Error", "error.Is", "error.RetryAfter", "ctx.Err", "ctx.Deadline", "ctx.Done", "ctx.Value",
	} {
		if s.seen[where] == 0 {
			t.Errorf("%s was not called, want it: the test proves nothing there", where)
		}
	}
	for where, n := range s.held {
		t.Errorf("the lock was held over %d of %d calls of %s, want none", n, s.seen[where], where)
	}
}

// Managers in many bubbles, one after another and in parallel, share nothing.
func TestPromise14NoPackageLevelTimersOrChannels(t *testing.T) {
	for i := range 3 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			for range 20 {
				within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
					w.src.fail(errDown)
					w.ask(t.Context(), "r")
					w.add(time.Second)
					w.src.on(nil)
					w.add(2 * time.Second)
					w.token("r")
				})
			}
		})
	}
}
