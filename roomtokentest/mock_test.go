package roomtokentest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
)

// TestLatencyOnAMockClock starts delayed calls while another goroutine moves the
// clock. With [clock.Mock.Timer] this deadlocks, and go test times out.
func TestLatencyOnAMockClock(t *testing.T) {
	mock := newMock()
	src := &Source{Clock: mock, Latency: time.Millisecond}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	done := make(chan struct{})
	var callers sync.WaitGroup
	for range 4 {
		callers.Go(func() { // creates and stops timers all the time
			for {
				select {
				case <-done:
					return
				default:
					_, _ = src.Create(canceled, "lobby")
				}
			}
		})
	}
	for range 40 {
		call := background(t.Context(), src, "attic")
		for waiting := true; waiting; {
			select {
			case r := <-call:
				if r.err != nil {
					t.Error(r.err)
				}
				waiting = false
			default:
				mock.Add(time.Millisecond)
			}
		}
	}
	close(done)
	callers.Wait()
}

// TestHeartbeatsOnAMockClock moves the clock as soon as it hears a heartbeat. If that is
// before the timer of the next one, there is none, and go test times out.
func TestHeartbeatsOnAMockClock(t *testing.T) {
	mock := newMock()
	ctx, cancel := context.WithCancelCause(t.Context())
	beats := 0
	err := (&Store{Clock: mock}).Wake(ctx, func(string, roomtoken.Record) {
		if beats++; beats == 10 {
			cancel(errDown)
		}
		mock.Add(heartbeat)
	})
	if !errors.Is(err, errDown) {
		t.Errorf("Wake: %v, want the cause %v", err, errDown)
	}
}
