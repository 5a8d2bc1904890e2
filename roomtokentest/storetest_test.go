package roomtokentest_test

import (
	"errors"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/roomtokentest"
	"github.com/roomtoken/roomtoken/storetest"
)

func TestStoreDoesWhatIsDocumented(t *testing.T) {
	storetest.RunInBubbles(t, func(*testing.T) storetest.Harness {
		store := &roomtokentest.Store{NewsLimit: 100}
		return storetest.Harness{
			Stores:    []roomtoken.Store{store, store.Process()},
			Advance:   time.Sleep,
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
	})
}
