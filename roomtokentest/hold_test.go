package roomtokentest

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestLatency(t *testing.T) {
	mock := newMock()
	src := &Source{Clock: mock, Latency: 2 * time.Second}
	src.Next(Outcome{Latency: time.Second})
	done := background(t.Context(), src, "lobby")
	waitCalls(t, src, 1)
	mock.Add(3*time.Second - 1)
	wantBlocked(t, done)
	mock.Add(1)
	if r := <-done; r.err != nil || !r.grant.IssuedAt.Equal(epoch.Add(3*time.Second)) {
		t.Errorf("got %+v, want a grant issued when the latency ended", r)
	}
	if at := src.Calls()[0].At; !at.Equal(epoch) {
		t.Errorf("the call began at %v, want %v", at, epoch)
	}
}

// A delayed or held call ends with its ctx, unless IgnoreContext is set.
func TestContext(t *testing.T) {
	cause := errors.New("enough")
	for _, tt := range []struct {
		name   string
		src    *Source
		ignore bool
	}{
		{"latency", &Source{Latency: time.Hour}, false},
		{"hold", &Source{}, false},
		{"latency ignored", &Source{Latency: time.Hour, IgnoreContext: true}, true},
		{"hold ignored", &Source{IgnoreContext: true}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			mock := newMock()
			tt.src.Clock = mock
			hold := tt.src.Hold()
			ctx, cancel := context.WithCancelCause(t.Context())
			done := background(ctx, tt.src, "lobby")
			waitCalls(t, tt.src, 1)
			cancel(cause)
			if !tt.ignore {
				if r := <-done; !errors.Is(r.err, cause) {
					t.Errorf("got %v, want %v", r.err, cause)
				}
				return
			}
			hold.Release()
			if tt.src.Latency > 0 {
				wantBlocked(t, done)
				mock.Add(time.Hour)
			}
			if r := <-done; r.err != nil {
				t.Error(r.err)
			}
		})
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	if _, err := new(Source).Create(ctx, "lobby"); !errors.Is(err, cause) {
		t.Errorf("canceled ctx: got %v, want %v", err, cause)
	}
}

func TestHold(t *testing.T) {
	src := &Source{}
	all, lobby := src.Hold(), src.Hold("lobby", "cellar")
	inLobby, inAttic := background(t.Context(), src, "lobby"), background(t.Context(), src, "attic")
	waitCalls(t, src, 2)

	all.Release()
	all.Release()
	if r := <-inAttic; r.err != nil {
		t.Error(r.err)
	}
	wantBlocked(t, inLobby) // by the other hold
	if _, err := src.Create(t.Context(), "attic"); err != nil {
		t.Error(err)
	}
	lobby.Release()
	if r := <-inLobby; r.err != nil {
		t.Error(r.err)
	}
	if _, err := src.Create(t.Context(), "lobby"); err != nil {
		t.Error(err)
	}
}
