package storetest_test

import (
	"errors"
	"testing"
	"time"

	"github.com/benbjohnson/clock"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/roomtokentest"
	"github.com/roomtoken/roomtoken/storetest"
)

// harness returns a Harness for a Store in memory, with all hooks but Advance.
func harness(store *roomtokentest.Store) storetest.Harness {
	store.NewsLimit = 100
	return storetest.Harness{
		Stores:    []roomtoken.Store{store, store.Process()},
		Damage:    store.Damage,
		Flush:     store.Flush,
		NewsLimit: store.NewsLimit,
		ReadOnly: func(on bool) {
			var err error
			if on {
				err = errors.New("read-only")
			}
			store.Degrade(err)
		},
	}
}

func TestStoreOnAMockClock(t *testing.T) {
	storetest.Run(t, func(*testing.T) storetest.Harness {
		mock := clock.NewMock()
		h := harness(&roomtokentest.Store{Clock: mock})
		h.Advance = mock.Add
		return h
	})
}

func TestStoreInBubbles(t *testing.T) {
	storetest.RunInBubbles(t, func(*testing.T) storetest.Harness {
		h := harness(&roomtokentest.Store{})
		h.Advance = time.Sleep
		return h
	})
}

// Stores that have neither hooks nor a Waker, whose clock nobody moves, and whose answers
// take their time.
func TestStoreWithoutHooks(t *testing.T) {
	storetest.RunInBubbles(t, func(*testing.T) storetest.Harness {
		store := &roomtokentest.Store{Latency: time.Millisecond}
		type onlyStore struct{ roomtoken.Store }
		return storetest.Harness{
			Stores:    []roomtoken.Store{onlyStore{store}, onlyStore{store.Process()}, onlyStore{store.Process()}},
			Tolerance: 20 * time.Millisecond,
		}
	})
}
