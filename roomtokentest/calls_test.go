package roomtokentest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestCounts(t *testing.T) {
	src := &Source{Clock: newMock()}
	grant, _ := src.Create(t.Context(), "lobby")
	_, _ = src.Refresh(t.Context(), "lobby", grant.RefreshToken)
	src.Fail(errDown, 1)
	_, _ = src.Create(t.Context(), "attic")

	hold := src.Hold()
	var done []<-chan result
	for _, room := range []string{"lobby", "lobby", "attic"} {
		done = append(done, background(t.Context(), src, room))
	}
	waitCalls(t, src, 3)
	if n := src.InFlight(); n != 3 {
		t.Errorf("%d in flight, want 3", n)
	}
	hold.Release()
	for _, d := range done {
		<-d
	}
	got := fmt.Sprint(src.Creates(), src.Refreshes(), src.InFlight(), src.MaxInFlight(), src.MaxInFlightPerRoom())
	if got != "5 1 0 3 2" {
		t.Errorf("Creates, Refreshes, InFlight, MaxInFlight, MaxInFlightPerRoom: %s, want 5 1 0 3 2", got)
	}
	if n := len(src.ledger.rooms); n != 0 {
		t.Errorf("%d rooms without a call in flight are kept", n)
	}

	calls := src.Calls()
	if len(calls) != 6 {
		t.Fatalf("%d calls in the log", len(calls))
	}
	if c := calls[0]; c.Kind != Create || c.Room != "lobby" || !c.At.Equal(epoch) || !c.RefreshToken.IsZero() {
		t.Errorf("%+v", c)
	}
	if c := calls[1]; c.Kind != Refresh || !c.RefreshToken.Value.Equal(grant.RefreshToken.Value) {
		t.Errorf("%+v", c)
	}
}

func TestLogIsBounded(t *testing.T) {
	src := &Source{}
	for i := range MaxCalls + 3 {
		_, _ = src.Create(t.Context(), fmt.Sprint(i))
	}
	calls := src.Calls()
	if len(calls) != MaxCalls || calls[0].Room != "3" || calls[MaxCalls-1].Room != fmt.Sprint(MaxCalls+2) {
		t.Errorf("%d calls, from %s to %s", len(calls), calls[0].Room, calls[len(calls)-1].Room)
	}
}

func TestWaitCallsEndsWithItsContext(t *testing.T) {
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	var src Source
	if err := src.WaitCalls(ctx, 1); !errors.Is(err, cause) {
		t.Errorf("got %v, want %v", err, cause)
	}
	if err := src.WaitCalls(ctx, 0); err != nil {
		t.Errorf("got %v, want nil: the condition holds already", err)
	}
}

func TestConcurrentCalls(t *testing.T) {
	src := &Source{Latency: time.Microsecond}
	var seen sync.Map
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			for range 10 {
				grant, err := src.Create(t.Context(), fmt.Sprint(i%7))
				if _, twice := seen.LoadOrStore(grant.Token.Value.Reveal(), true); err != nil || twice {
					t.Errorf("error %v, token minted twice: %v", err, twice)
				}
				src.Hold().Release()
				src.Next(Outcome{})
				src.Calls()
				_ = src.WaitCalls(t.Context(), 0)
			}
		})
	}
	wg.Wait()
	if src.Creates() != 640 || src.InFlight() != 0 {
		t.Error(src.Creates(), src.InFlight())
	}
}

// Calls print without their refresh tokens.
func TestCallsPrintNoSecret(t *testing.T) {
	src := &Source{}
	_, _ = src.Refresh(t.Context(), "lobby", src.Mint("lobby").RefreshToken)
	if text := fmt.Sprintf("%+v %#v", src.Calls(), src.Calls()); strings.Contains(text, "refresh token 1") {
		t.Error(text)
	}
}
