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

// harness returns two processes of a Store in memory, with all hooks but Advance.
func harness(c clock.Clock) storetest.Harness {
	store := &roomtokentest.Store{Clock: c, NewsLimit: 100}
	return storetest.Harness{
		Stores:    []roomtoken.Store{store, store.Process()},
		Damage:    store.Damage,
		Flush:     store.Flush,
		NewsLimit: store.NewsLimit,
		ReadOnly: func(on bool) {
			if on {
				store.Degrade(errors.New("read-only"))
			} else {
				store.Degrade(nil)
			}
		},
	}
}

func TestStoreOnAMockClock(t *testing.T) {
	storetest.Run(t, func(*testing.T) storetest.Harness {
		mock := clock.NewMock()
		mock.Set(time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC))
		h := harness(mock)
		h.Advance = mock.Add
		return h
	})
}

func TestStoreInBubbles(t *testing.T) {
	storetest.RunInBubbles(t, func(*testing.T) storetest.Harness {
		h := harness(nil)
		h.Advance = time.Sleep
		return h
	})
}
