package roomtokentest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/benbjohnson/clock"

	"github.com/roomtoken/roomtoken"
)

var errDown = errors.New("down")

// epoch differs from the initial time of a clock.Mock.
var epoch = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

func newMock() *clock.Mock {
	mock := clock.NewMock()
	mock.Set(epoch)
	return mock
}

func waitCalls(t *testing.T, src *Source, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := src.WaitCalls(ctx, n); err != nil {
		t.Fatalf("waiting for %d calls in flight: %v", n, err)
	}
}

// result is the result of a call.
type result struct {
	grant roomtoken.Grant
	err   error
}

// background calls Create in a goroutine.
func background(ctx context.Context, src *Source, room string) <-chan result {
	done := make(chan result, 1)
	go func() {
		grant, err := src.Create(ctx, room)
		done <- result{grant, err}
	}()
	return done
}

func wantBlocked(t *testing.T, done <-chan result) {
	t.Helper()
	select {
	case r := <-done:
		t.Fatalf("the call returned: %+v", r)
	default:
	}
}
