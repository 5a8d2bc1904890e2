package telnyx_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/benbjohnson/clock"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/telnyx"
	"github.com/roomtoken/roomtoken/telnyx/telnyxtest"
)

const lobby = "0ccc7b54-4df3-4bca-a65a-3da1ecc777f0"

// stack is a Manager with a Source and an API server, all on one clock.
type stack struct {
	t       *testing.T
	clk     *clock.Mock
	api     *telnyxtest.Server
	manager *roomtoken.Manager
	events  chan roomtoken.Event
}

func newStack(t *testing.T, source telnyx.Config) *stack {
	t.Helper()
	s := &stack{t: t, clk: clock.NewMock(), events: make(chan roomtoken.Event, 10_000)}
	s.clk.Set(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	s.api = telnyxtest.Start(t, telnyxtest.Config{Clock: s.clk})
	source.BaseURL, source.APIKey, source.Clock = s.api.URL, s.api.APIKey, s.clk
	src, err := telnyx.NewSource(source)
	if err != nil {
		t.Fatal(err)
	}
	s.manager, err = roomtoken.NewManager(src, roomtoken.Config{
		Clock: s.clk, Jitter: -1, CallTimeout: time.Hour, // the mock clock may run ahead of the sockets
		OnEvent: func(e roomtoken.Event) { s.events <- e },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.manager.Close(); err != nil {
			t.Error(err)
		}
		src.CloseIdleConnections()
		if leaks := s.api.Calls().KeyLeaks; leaks > 0 {
			t.Errorf("%d calls carried the API key where none is allowed", leaks)
		}
	})
	return s
}

// token gets a token and verifies it with the API.
func (s *stack) token() roomtoken.Token {
	s.t.Helper()
	tok, err := s.manager.Token(context.Background(), lobby)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.api.Verify(lobby, tok.Value.Reveal()); err != nil {
		s.t.Fatalf("the API refuses the token: %v", err)
	}
	return tok
}

// await waits for an event of the kind and returns it.
func (s *stack) await(kind roomtoken.EventKind) roomtoken.Event {
	s.t.Helper()
	for e := range s.events {
		if e.Kind == kind {
			return e
		}
	}
	return roomtoken.Event{}
}

// A room's token is created, refreshed until the refresh token lapses, and created again.
func TestRenewalsOfARoom(t *testing.T) {
	s := newStack(t, telnyx.Config{})
	first := s.token()
	s.await(roomtoken.EventTokenPublished)
	created := s.clk.Now()
	const step = 405 * time.Second
	const refreshTokens = time.Hour - time.Second // the Source subtracts a second
	creates := 1
	for renewal := range 20 {
		s.clk.Add(step)
		got := s.await(roomtoken.EventTokenPublished)
		// The clock may have moved on by a step since the call was chosen. A refresh token
		// that has lapsed in between is refused, and a create follows.
		switch age := got.Time.Sub(created); {
		case got.Call == roomtoken.CallCreate && age < refreshTokens,
			got.Call == roomtoken.CallRefresh && age >= refreshTokens+step:
			t.Fatalf("renewal %d is a %v, %v after the create", renewal+1, got.Call, age)
		case got.Call == roomtoken.CallCreate:
			created = got.Time
			creates++
		}
		if tok := s.token(); tok.Value.Equal(first.Value) {
			t.Fatal("the token was not renewed")
		}
	}
	if creates < 3 {
		t.Fatalf("%d creates in 20 renewals, want at least 3", creates)
	}
	if calls := s.api.Calls(); calls.Creates != creates || calls.Refreshes < 21-creates || calls.Refreshes > 20 {
		t.Fatalf("the API counted %d creates and %d refreshes, want %d and %d", calls.Creates, calls.Refreshes, creates, 21-creates)
	}
}

func TestRevokedRefreshTokenLeadsToCreate(t *testing.T) {
	s := newStack(t, telnyx.Config{})
	s.token()
	s.await(roomtoken.EventTokenPublished)
	s.api.RevokeRefreshTokens()
	s.clk.Add(405 * time.Second)
	if e := s.await(roomtoken.EventFellBack); e.Reason != roomtoken.ReasonRefreshRejected {
		t.Fatalf("the reason for the create is %q", e.Reason)
	}
	if e := s.await(roomtoken.EventTokenPublished); e.Call != roomtoken.CallCreate {
		t.Fatalf("the token is from a %v, want a create", e.Call)
	}
	s.token()
}

func TestRateLimitHoldsAllRooms(t *testing.T) {
	s := newStack(t, telnyx.Config{})
	s.api.Inject(telnyxtest.RateLimited(5 * time.Minute))
	_, err := s.manager.Token(context.Background(), lobby)
	if !errors.Is(err, roomtoken.ErrRateLimited) {
		t.Fatalf("got %v, want ErrRateLimited", err)
	}
	const other = "9e2a0cbe-ce66-411e-a1ac-468f0b103c9a"
	_, err = s.manager.Token(context.Background(), other)
	if !errors.Is(err, roomtoken.ErrRateLimited) {
		t.Fatalf("another room: got %v, want ErrRateLimited", err)
	}
	var api *telnyx.APIError
	if !errors.As(err, &api) || api.StatusCode != 429 {
		t.Fatalf("%v does not wrap the APIError of the 429", err)
	}
	if calls := s.api.Calls(); calls.Creates != 1 {
		t.Fatalf("%d creates under a rate limit, want 1", calls.Creates)
	}
	if held := s.manager.Stats().HeldUntil; held.Sub(s.clk.Now()) != 5*time.Minute {
		t.Fatalf("calls are held until %v, want 5 min after %v", held, s.clk.Now())
	}
}

func TestOneCreateForManyCallers(t *testing.T) {
	s := newStack(t, telnyx.Config{Endpoints: telnyx.AccessTokens})
	var callers sync.WaitGroup
	for range 200 {
		callers.Go(func() {
			if _, err := s.manager.Token(context.Background(), lobby); err != nil {
				t.Error(err)
			}
		})
	}
	callers.Wait()
	if calls := s.api.Calls(); calls.Creates != 1 {
		t.Fatalf("%d creates for 200 callers, want 1", calls.Creates)
	}
}

// A server clock that is an hour off, in either direction, changes nothing.
func TestWrongServerClock(t *testing.T) {
	for name, skew := range map[string]time.Duration{"right": 0, "ahead": time.Hour, "behind": -time.Hour} {
		t.Run(name, func(t *testing.T) {
			s := newStack(t, telnyx.Config{TokenTTL: 10 * time.Minute})
			s.api.SetSkew(skew)
			tok := s.token()
			if left := tok.ExpiresAt.Sub(s.clk.Now()); left > 10*time.Minute || left < 10*time.Minute-2*time.Second {
				t.Fatalf("a new token of 10 min has %v left", left)
			}
			s.await(roomtoken.EventTokenPublished)
			s.clk.Add(405 * time.Second)
			if e := s.await(roomtoken.EventTokenPublished); e.Call != roomtoken.CallRefresh {
				t.Fatalf("renewed by a %v, want a refresh", e.Call)
			}
			s.token()
		})
	}
}

func TestBadRoomIDMakesNoCall(t *testing.T) {
	s := newStack(t, telnyx.Config{})
	_, err := s.manager.Token(context.Background(), "../../evil?x=1#f")
	if !errors.Is(err, roomtoken.ErrRoomNotFound) {
		t.Fatal(err)
	}
	if calls := s.api.Calls(); calls.Creates+calls.Other != 0 {
		t.Fatalf("a bad room ID led to a call: %+v", calls)
	}
}

func TestOutageDoesNotAffectCallers(t *testing.T) {
	s := newStack(t, telnyx.Config{})
	s.token()
	s.await(roomtoken.EventTokenPublished)
	end := s.api.Inject(telnyxtest.Fault{Status: 503})
	for range 50 {
		s.clk.Add(10 * time.Second)
		s.token()
	}
	end()
	for range 10 {
		s.clk.Add(5 * time.Second)
		s.token()
	}
	s.await(roomtoken.EventTokenPublished)
}
