package storetest_test

import (
	"testing"
	"time"

	"github.com/benbjohnson/clock"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/roomtokentest"
	"github.com/roomtoken/roomtoken/storetest"
)

func TestRun(t *testing.T) {
	storetest.Run(t, func(*testing.T) storetest.Harness {
		mock := clock.NewMock()
		store := &roomtokentest.Store{Clock: mock}
		return storetest.Harness{
			Stores:  []roomtoken.Store{store, store.Process()},
			Advance: mock.Add,
			Damage:  store.Damage,
			Flush:   store.Flush,
		}
	})
}

// Stores that have neither hooks nor a Waker, whose clock nobody moves, and whose answers
// take their time.
func TestRunWithoutHooks(t *testing.T) {
	storetest.RunInBubbles(t, func(*testing.T) storetest.Harness {
		store := &roomtokentest.Store{Latency: time.Millisecond}
		type onlyStore struct{ roomtoken.Store }
		return storetest.Harness{
			Stores:    []roomtoken.Store{onlyStore{store}, onlyStore{store.Process()}, onlyStore{store.Process()}},
			Tolerance: 20 * time.Millisecond,
		}
	})
}
