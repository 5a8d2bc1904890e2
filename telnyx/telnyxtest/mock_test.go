package telnyxtest

import (
	"context"
	"sync"
	"testing"
	"time"
)

// TestLatencyOnAMockClock delays answers while another goroutine moves the clock.
// With [clock.Mock.Timer] this deadlocks, and go test times out.
func TestLatencyOnAMockClock(t *testing.T) {
	srv, mock := startMock(t, Config{})
	delay := plan{latency: time.Millisecond}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	done := make(chan struct{})
	var handlers sync.WaitGroup
	for range 4 {
		handlers.Go(func() { // creates and stops timers all the time
			for {
				select {
				case <-done:
					return
				default:
					srv.hold(canceled, delay)
				}
			}
		})
	}
	for range 20 {
		answered := make(chan bool, 1)
		go func() { answered <- srv.hold(t.Context(), delay) }()
		for waiting := true; waiting; {
			select {
			case ok := <-answered:
				if !ok {
					t.Error("the answer was dropped")
				}
				waiting = false
			default:
				mock.Add(time.Millisecond)
			}
		}
	}
	close(done)
	handlers.Wait()
}
