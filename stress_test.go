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
	"time"

	"github.com/roomtoken/roomtoken"
)

// TestStress calls every method at once, on real goroutines and in real time, for
// the race detector, and checks the invariants.
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
	begun := time.Now()
	var served atomic.Int64
	enough := func() bool { // a slow machine takes longer
		return served.Load() >= 1000 && src.calls.Load() >= 100 && events.Load() >= 1000
	}
	// serve checks what a call that began at asked returned.
	serve := func(asked time.Time, tok roomtoken.Token, err error) {
		switch {
		case err != nil && !tok.IsZero():
			t.Errorf("got a token and the error %v, want one of them", err)
		case err == nil && tok.IsZero():
			t.Error("got neither a token nor an error, want one of them")
		case err == nil:
			served.Add(1)
			if tok.ExpiresAt.Before(asked) {
				t.Errorf("the token had expired %v before the call, want a valid one", asked.Sub(tok.ExpiresAt))
			}
		case errors.Is(err, roomtoken.ErrClosed):
			t.Error("got ErrClosed before Close")
		}
	}
	var workersDone sync.WaitGroup
	for n := range workers {
		workersDone.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(n), 42))
			for time.Since(begun) < 2*time.Second || !enough() && time.Since(begun) < time.Minute {
				asked := time.Now()
				id := fmt.Sprint("r", rng.IntN(rooms))
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(rng.IntN(30))*time.Millisecond)
				switch op := rng.IntN(100); {
				case op < 50:
					tok, err := m.Token(ctx, id)
					serve(asked, tok, err)
				case op < 60:
					tok, err := m.TokenValidFor(ctx, id, time.Duration(rng.IntN(400))*time.Millisecond)
					serve(asked, tok, err)
				case op < 68:
					if tok, ok := m.Cached(id); ok {
						serve(asked, tok, nil)
					}
				case op < 74:
					for tok, err := range m.Watch(ctx, id) {
						if err == nil {
							serve(asked, tok, err)
						}
						if rng.IntN(3) == 0 {
							break
						}
						asked = time.Now()
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
						t.Errorf("Stats() = %+v, want at most 50 rooms and 6 calls in flight", s)
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
			t.Errorf("room %s: %d waiters and %d watchers are left, want none", s.RoomID, s.Waiters, s.Watchers)
		}
	}
	// Close waits for CallTimeout, and a deaf call takes longer.
	for range 1000 {
		if err = m.Close(); err == nil {
			break
		}
	}
	if err != nil {
		t.Errorf("Close: %v", err)
	}
	for _, fault := range m.CheckInvariants() {
		t.Errorf("invariant broken after Close: %s", fault)
	}
	src.mu.Lock()
	defer src.mu.Unlock()
	if src.overlaps > 0 || src.most > 6 {
		t.Errorf("%d overlapping calls, %d at the same time, want 0 and at most 6", src.overlaps, src.most)
	}
	stats := m.Stats()
	if got, want := stats.Creates+stats.Refreshes, uint64(src.calls.Load()); got != want {
		t.Errorf("Stats counts %d calls, want %d", got, want)
	}
	if !enough() {
		t.Errorf("too little happened: %d served, %d calls, %d events", served.Load(), src.calls.Load(), events.Load())
	}
}

// stressSource mints tokens that live briefly, and now and then fails in every way.
type stressSource struct {
	calls atomic.Int64

	mu                               sync.Mutex
	inFlight, most, minted, overlaps int
	running                          map[string]int
}

func (s *stressSource) Create(ctx context.Context, room string) (roomtoken.Grant, error) {
	return s.call(ctx, room)
}

func (s *stressSource) Refresh(ctx context.Context, room string, _ roomtoken.Token) (roomtoken.Grant, error) {
	if rand.IntN(10) == 0 {
		s.calls.Add(1)
		return roomtoken.Grant{}, roomtoken.ErrRefreshRejected
	}
	return s.call(ctx, room)
}

func (s *stressSource) call(ctx context.Context, room string) (roomtoken.Grant, error) {
	s.calls.Add(1)
	s.mu.Lock()
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
		if rand.IntN(50) > 0 { // more would slow the Manager down to a call per second
			break
		}
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
