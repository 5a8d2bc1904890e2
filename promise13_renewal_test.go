package roomtoken_test

import (
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/roomtokentest"
)

// F2: a process whose token has ended while another's call hangs asks once a second, if
// nobody waits for the room.
func TestPromise13AnEndedTokenIsAskedForOnceASecond(t *testing.T) {
	withFleet(t, 2, roomtoken.Config{IdleAfter: -1, CallTimeout: 20 * time.Second}, func(t *testing.T, f *fleet) {
		f.src.live(20*time.Second, time.Hour)
		f.same("a")
		f.src.holdCalls(false)
		time.Sleep(20 * time.Second) // one of them calls, and the token has ended
		asks := func() (n int) {
			for _, p := range f.procs {
				n += p.store.Count(roomtokentest.StoreAcquire)
			}
			return n
		}
		before := asks()
		time.Sleep(5 * time.Second)
		if n := asks() - before; n < 4 || n > 6 {
			t.Errorf("the store was asked %d times within 5 s, want once a second", n)
		}
	})
}
