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
