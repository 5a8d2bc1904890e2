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

// stack is all of it: a Manager on a Source on an API, with one clock.
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
		Clock: s.clk, Jitter: -1, CallTimeout: time.Hour, // the mock may run ahead of the sockets
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
			t.Errorf("the API key reached %d calls that need none", leaks)
		}
	})
	return s
}

// token asks for a token, and for the API's opinion of it.
func (s *stack) token() roomtoken.Token {
	s.t.Helper()
	tok, err := s.manager.Token(context.Background(), lobby)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.api.Verify(lobby, tok.Value.Reveal()); err != nil {
		s.t.Fatalf("the room refuses the token: %v", err)
	}
	return tok
}

// await waits for an event of the kind, and returns it.
func (s *stack) await(kind roomtoken.EventKind) roomtoken.Event {
	s.t.Helper()
	for e := range s.events {
		if e.Kind == kind {
			return e
		}
	}
	return roomtoken.Event{}
}

// TestLifeOfARoom follows one room through a day: created, renewed until the
// refresh token lapses, created anew.
func TestLifeOfARoom(t *testing.T) {
	s := newStack(t, telnyx.Config{})
	first := s.token()
	s.await(roomtoken.EventTokenPublished)
	created := s.clk.Now()
	const refreshTokens = time.Hour - time.Second // the second that the source takes off
	creates := 1
	for renewal := range 20 {
		s.clk.Add(405 * time.Second)
		begun := s.await(roomtoken.EventCallBegun)
		want := roomtoken.CallRefresh
		if begun.Time.Sub(created) >= refreshTokens {
			want = roomtoken.CallCreate
			created = begun.Time
			creates++
		}
		if begun.Call != want {
			t.Fatalf("renewal %d is a %v, want a %v", renewal+1, begun.Call, want)
		}
		s.await(roomtoken.EventTokenPublished)
		if tok := s.token(); tok.Value.Equal(first.Value) {
			t.Fatal("the token was not renewed")
		}
	}
	if creates < 3 {
		t.Fatalf("in two and a quarter hours only %d creates", creates)
	}
	if calls := s.api.Calls(); calls.Creates != creates || calls.Refreshes != 21-creates {
		t.Fatalf("the API counts %d creates and %d refreshes", calls.Creates, calls.Refreshes)
	}
}

func TestRevokedRefreshTokenMeansCreate(t *testing.T) {
	s := newStack(t, telnyx.Config{})
	s.token()
	s.await(roomtoken.EventTokenPublished)
	s.api.RevokeRefreshTokens()
	s.clk.Add(405 * time.Second)
	if e := s.await(roomtoken.EventFellBack); e.Reason != roomtoken.ReasonRefreshRejected {
		t.Fatalf("fell back because of %q", e.Reason)
	}
	if e := s.await(roomtoken.EventTokenPublished); e.Call != roomtoken.CallCreate {
		t.Fatalf("the token comes from a %v", e.Call)
	}
	s.token()
}

func TestRateLimitHoldsAllRooms(t *testing.T) {
	s := newStack(t, telnyx.Config{})
	s.api.Inject(telnyxtest.RateLimited(time.Hour))
	_, err := s.manager.Token(context.Background(), lobby)
	if !errors.Is(err, roomtoken.ErrRateLimited) {
		t.Fatalf("the caller gets %v", err)
	}
	const other = "9e2a0cbe-ce66-411e-a1ac-468f0b103c9a"
	_, err = s.manager.Token(context.Background(), other)
	if !errors.Is(err, roomtoken.ErrRateLimited) {
		t.Fatalf("the caller for another room gets %v", err)
	}
	var api *telnyx.APIError
	if !errors.As(err, &api) || api.StatusCode != 429 {
		t.Fatalf("the error hides the answer: %v", err)
	}
	if calls := s.api.Calls(); calls.Creates != 1 {
		t.Fatalf("%d creates were made under a rate limit", calls.Creates)
	}
	if held := s.manager.Stats().HeldUntil; held.Sub(s.clk.Now()) != time.Hour {
		t.Fatalf("calls are held until %v, it is %v", held, s.clk.Now())
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
		t.Fatalf("%d creates for 200 callers", calls.Creates)
	}
}

// TestWrongServerClock: an hour off in either direction changes nothing.
func TestWrongServerClock(t *testing.T) {
	for name, skew := range map[string]time.Duration{"right": 0, "ahead": time.Hour, "behind": -time.Hour} {
		t.Run(name, func(t *testing.T) {
			s := newStack(t, telnyx.Config{TokenTTL: 10 * time.Minute})
			s.api.SetSkew(skew)
			tok := s.token()
			if left := tok.ExpiresAt.Sub(s.clk.Now()); left > 10*time.Minute || left < 10*time.Minute-2*time.Second {
				t.Fatalf("a token of 10 min has %v left", left)
			}
			s.await(roomtoken.EventTokenPublished)
			s.clk.Add(405 * time.Second)
			if e := s.await(roomtoken.EventTokenPublished); e.Call != roomtoken.CallRefresh {
				t.Fatalf("renewed by a %v", e.Call)
			}
			s.token()
		})
	}
}

func TestBadRoomIDMakesNoCall(t *testing.T) {
	s := newStack(t, telnyx.Config{})
	_, err := s.manager.Token(context.Background(), "../../evil?x=1#f")
	if !errors.Is(err, roomtoken.ErrPermanent) {
		t.Fatal(err)
	}
	if calls := s.api.Calls(); calls.Creates+calls.Other != 0 {
		t.Fatalf("a bad room ID reached the API: %+v", calls)
	}
}

func TestOutageIsInvisible(t *testing.T) {
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
