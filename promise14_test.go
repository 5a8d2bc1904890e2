package roomtoken_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/benbjohnson/clock"

	"github.com/roomtoken/roomtoken"
)

// A user's test: the real clock, which is the bubble's own.
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
			t.Errorf("%d calls before the renewal", n)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if n := src.count(); n != 2 {
			t.Errorf("%d calls after it", n)
		}
		second, err := m.Token(t.Context(), "r")
		if err != nil || second.Value.Equal(first.Value) {
			t.Errorf("the renewal is not there: %v", err)
		}
		src.fail(errDown)
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		before := time.Now()
		if _, err := m.Token(ctx, "other"); !errors.Is(err, errDown) {
			t.Errorf("a failing room: %v", err)
		}
		if took := time.Since(before); took > 3*time.Second {
			t.Errorf("it took %v", took)
		}
		if deadline, ok := src.all()[2].ctx.Deadline(); !ok || deadline.Sub(before) != 10*time.Second {
			t.Errorf("the call's ctx has the deadline %v, %v", deadline, ok)
		}
		src.on(nil)
		src.holdCalls(true)
		go func() {
			time.Sleep(time.Minute)
			src.releaseAll()
		}()
		before = time.Now()
		if _, err := m.Token(t.Context(), "hangs"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a deaf call: %v", err)
		}
		if took := time.Since(before); took < 10*time.Second || took > 11*time.Second {
			t.Errorf("who waits for a deaf call leaves after %v", took)
		}
		time.Sleep(10 * time.Minute)
		if err := m.Close(); err != nil {
			t.Error(err)
		}
		if took := time.Since(begun); took > time.Hour {
			t.Errorf("%v have passed", took)
		}
	})
}

// A user's test: a plain mock, which begins in 1970 and has no monotonic reading.
func TestPromise14WithAPlainMock(t *testing.T) {
	for name, run := range map[string]func(*testing.T, func(*testing.T)){
		"in a bubble":  synctest.Test,
		"in no bubble": func(t *testing.T, f func(*testing.T)) { f(t) },
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
					t.Fatalf("%v, %v", first.ExpiresAt, err)
				}
				<-renewed
				s, _ := m.Room("r")
				if !s.NextCallAt.Equal(time.Unix(400, 0)) || !s.LastUsed.Equal(time.Unix(0, 0)) || !s.RefreshExpiresAt.Equal(time.Unix(3600, 0)) {
					t.Errorf("the room: %+v", s)
				}
				for range 401 {
					mock.Add(time.Second)
				}
				<-renewed
				if tok, ok := m.Cached("r"); !ok || !tok.ExpiresAt.After(time.Unix(999, 0)) {
					t.Errorf("after the renewal: %v, %v", tok.ExpiresAt, ok)
				}
				if err := m.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// spy notes where the lock was held over a call into other people's code.
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

// spyError, spyContext and spyHandler are other people's code.
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

func TestPromise14NoLockIsHeldOverOtherPeoplesCode(t *testing.T) {
	s := &spy{}
	config := roomtoken.Config{
		Jitter: -1, MaxRooms: 10, MaxWait: 5 * time.Second,
		Logger:  slog.New(spyHandler{slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelDebug}), s}),
		OnEvent: func(roomtoken.Event) { s.look("OnEvent") },
	}
	within(t, config, func(w *world) {
		s.m.Store(w.m)
		w.src.on(func(c *sourceCall) (roomtoken.Grant, error) {
			s.look("source." + c.op)
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
		if !p.returned() || p.err == nil {
			t.Errorf("%v, %v", p.returned(), p.err)
		}
		w.src.fail(fmt.Errorf("%w: %w", spyError{s}, roomtoken.ErrRateLimited))
		w.add(time.Minute)
		w.add(3 * time.Minute)
		q := w.ask(ctx, "waiting")
		cancel(spyError{s})
		<-watching
		if !q.returned() {
			t.Error("it has not returned")
		}
		w.src.on(nil)
		w.add(time.Minute)
	})
	for _, where := range []string{
		"source.create", "OnEvent", "Logger.Enabled", "Logger.Handle", "the body of a Watch", "the body of Rooms",
		"error.Error", "error.Is", "error.RetryAfter", "ctx.Err", "ctx.Deadline", "ctx.Done", "ctx.Value",
	} {
		if s.seen[where] == 0 {
			t.Errorf("%s was never called: the test is blind there", where)
		}
	}
	for where, n := range s.held {
		t.Errorf("the lock was held over %s, %d times of %d", where, n, s.seen[where])
	}
}

// Managers in many bubbles, one after the other and side by side: nothing of one
// is left for another.
func TestPromise14NoPackageLevelTimersOrChannels(t *testing.T) {
	for i := range 3 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			for range 20 {
				within(t, roomtoken.Config{}, func(w *world) {
					w.src.fail(errDown)
					w.ask(w.t.Context(), "r")
					w.add(time.Second)
					w.src.on(nil)
					w.add(2 * time.Second)
					w.token("r")
				})
			}
		})
	}
}

// TestStress mixes everything with real goroutines and real time, for the race
// detector. At the end it walks the invariants.
func TestStress(t *testing.T) {
	const rooms, workers = 60, 8
	src := &stressSource{running: map[string]int{}}
	var events atomic.Int64
	m, err := roomtoken.NewManager(src, roomtoken.Config{
		MinValidity: time.Millisecond, MaxRooms: 50, MaxConcurrentCalls: 6, CallTimeout: 20 * time.Millisecond,
		MaxWait: 50 * time.Millisecond, BackoffMin: time.Millisecond, BackoffMax: 5 * time.Millisecond,
		IdleAfter: 100 * time.Millisecond, OnEvent: func(roomtoken.Event) { events.Add(1) },
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	time.AfterFunc(2*time.Second, func() { close(stop) })
	var workersDone sync.WaitGroup
	var served atomic.Int64
	serve := func(tok roomtoken.Token, err error) {
		switch {
		case err != nil && !tok.IsZero():
			t.Errorf("a token with an error: %v", err)
		case err == nil && tok.IsZero():
			t.Error("no token and no error")
		case err == nil:
			served.Add(1)
			if left := time.Until(tok.ExpiresAt); left < -100*time.Millisecond {
				t.Errorf("a token that expired %v ago", -left)
			}
		case errors.Is(err, roomtoken.ErrClosed):
			t.Error("closed already")
		}
	}
	for n := range workers {
		workersDone.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(n), 42))
			for {
				select {
				case <-stop:
					return
				default:
				}
				id := fmt.Sprint("r", rng.IntN(rooms))
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(rng.IntN(30))*time.Millisecond)
				switch op := rng.IntN(100); {
				case op < 50:
					serve(m.Token(ctx, id))
				case op < 60:
					serve(m.TokenValidFor(ctx, id, time.Duration(rng.IntN(400))*time.Millisecond))
				case op < 68:
					if tok, ok := m.Cached(id); ok {
						serve(tok, nil)
					}
				case op < 74:
					for tok, err := range m.Watch(ctx, id) {
						if err == nil {
							serve(tok, err)
						}
						if rng.IntN(3) == 0 {
							break
						}
					}
				case op < 78:
					_ = m.Warm(ctx, id, fmt.Sprint("r", rng.IntN(rooms)), fmt.Sprint("r", rng.IntN(rooms)))
				case op < 86:
					tok, _ := m.Cached(id)
					m.Invalidate(id, tok)
				case op < 92:
					m.Forget(id)
				case op < 95:
					for range m.Rooms() {
						if rng.IntN(20) == 0 {
							break
						}
					}
				case op < 98:
					if s := m.Stats(); s.Rooms > 50 || s.CallsInFlight > 6 {
						t.Errorf("Stats: %+v", s)
					}
					_ = fmt.Sprint(m)
				default:
					for _, fault := range m.CheckInvariants() {
						t.Errorf("invariant broken: %s", fault)
					}
				}
				cancel()
			}
		})
	}
	workersDone.Wait()
	for _, fault := range m.CheckInvariants() {
		t.Errorf("invariant broken: %s", fault)
	}
	for s := range m.Rooms() {
		if s.Waiters != 0 || s.Watchers != 0 {
			t.Errorf("room %s: %d waiters, %d watchers are left", s.RoomID, s.Waiters, s.Watchers)
		}
	}
	if err := m.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	for _, fault := range m.CheckInvariants() {
		t.Errorf("invariant broken after Close: %s", fault)
	}
	src.mu.Lock()
	defer src.mu.Unlock()
	if src.overlaps > 0 || src.most > 6 {
		t.Errorf("%d overlapping calls, %d at a time", src.overlaps, src.most)
	}
	stats := m.Stats()
	if calls := stats.Creates + stats.Refreshes; calls != uint64(src.calls) {
		t.Errorf("%d calls counted, %d made", calls, src.calls)
	}
	if served.Load() < 1000 || src.calls < 100 || events.Load() < 1000 {
		t.Errorf("too little has happened: %d served, %d calls, %d events", served.Load(), src.calls, events.Load())
	}
}

// stressSource fails in all ways now and then, and mints short lives.
type stressSource struct {
	mu                            sync.Mutex
	calls, inFlight, most, minted int
	overlaps                      int
	running                       map[string]int
}

func (s *stressSource) Create(ctx context.Context, room string) (roomtoken.Grant, error) {
	return s.call(ctx, room)
}

func (s *stressSource) Refresh(ctx context.Context, room string, _ roomtoken.Token) (roomtoken.Grant, error) {
	if rand.IntN(10) == 0 {
		s.mu.Lock()
		s.calls++
		s.mu.Unlock()
		return roomtoken.Grant{}, roomtoken.ErrRefreshRejected
	}
	return s.call(ctx, room)
}

func (s *stressSource) call(ctx context.Context, room string) (roomtoken.Grant, error) {
	s.mu.Lock()
	s.calls++
	s.minted++
	n := s.minted
	s.inFlight++
	s.most = max(s.most, s.inFlight)
	if s.running[room]++; s.running[room] > 1 {
		s.overlaps++
	}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.inFlight--
		s.running[room]--
		s.mu.Unlock()
	}()
	time.Sleep(time.Duration(rand.IntN(1500)) * time.Microsecond)
	switch rand.IntN(60) {
	case 0, 1, 2, 3, 4, 5:
		return roomtoken.Grant{}, errDown
	case 6:
		return roomtoken.Grant{}, roomtoken.RetryAfter(roomtoken.ErrRateLimited, 3*time.Millisecond)
	case 7:
		panic("at the disco")
	case 8:
		time.Sleep(30 * time.Millisecond) // deaf
	case 9:
		<-ctx.Done()
		return roomtoken.Grant{}, ctx.Err()
	case 10:
		return roomtoken.Grant{}, nil
	}
	now := time.Now()
	return roomtoken.Grant{
		Token:        roomtoken.Token{Value: roomtoken.NewSecret(fmt.Sprint("token-", n)), ExpiresAt: now.Add(300 * time.Millisecond)},
		RefreshToken: roomtoken.Token{Value: roomtoken.NewSecret(fmt.Sprint("refresh-", n)), ExpiresAt: now.Add(time.Second)},
	}, nil
}
