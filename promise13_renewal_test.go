package roomtoken_test

import (
	"context"
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

// F14: Forget may come while the token of a call is committed that has ended just after its
// time was up.
func TestPromise13ForgetDuringTheCommitOfALateCall(t *testing.T) {
	withFleet(t, 1, roomtoken.Config{CallTimeout: time.Second}, func(t *testing.T, f *fleet) {
		p := f.procs[0]
		p.store.Next(roomtokentest.StoreFault{On: roomtokentest.StoreCommit, Latency: 100 * time.Millisecond})
		f.src.on(func(c *sourceCall) (roomtoken.Grant, error) {
			<-c.ctx.Done()
			time.Sleep(10 * time.Millisecond)
			return f.src.mint(c), nil
		})
		p.token("a")
		p.m.Forget("a")
		f.rest()
		if c := p.eventCounts()[roomtoken.EventCallOverdue]; c > 0 {
			t.Errorf("%d calls are overdue, want none: it has returned", c)
		}
	})
}

// F5: an answer that comes when the call has begun without it may be a token, which is no
// lease.
func TestPromise13ALateRecordIsNoLease(t *testing.T) {
	withFleet(t, 2, roomtoken.Config{}, func(t *testing.T, f *fleet) {
		f.procs[0].token("a")
		f.rest()
		f.src.on(func(c *sourceCall) (roomtoken.Grant, error) {
			time.Sleep(200 * time.Millisecond)
			return f.src.mint(c), nil
		})
		p := f.procs[1]
		p.store.IgnoreContext = true
		ended := 0 // leases of the room
		p.store.Next(roomtokentest.StoreFault{On: roomtokentest.StoreCommit, Room: "a", Times: -1, Do: func(context.Context) error {
			ended++
			return nil
		}})
		p.store.Next(roomtokentest.StoreFault{On: roomtokentest.StoreAcquire, After: true, Latency: 350 * time.Millisecond})
		if _, err := p.m.Token(context.Background(), "a"); err != nil {
			t.Fatal(err)
		}
		f.rest()
		if all := p.store.Count(roomtokentest.StoreCommit); all != ended {
			t.Errorf("%d of %d leases that ended were of the room", ended, all)
		}
	})
}

// F5: a lease ends as soon as the store answers, also if the failure that it brought is over.
func TestPromise13ALeaseEndsThoughItsFailureIsOver(t *testing.T) {
	config := roomtoken.Config{BackoffMin: 100 * time.Millisecond, BackoffMax: 200 * time.Millisecond}
	withFleet(t, 1, config, func(t *testing.T, f *fleet) {
		p := f.procs[0]
		f.rest()
		f.src.fail(errDown)
		p.store.Fail(errDown, -1, roomtokentest.StoreCommit)
		p.ask(context.Background(), "a")
		time.Sleep(time.Second)
		p.store.Clear()
		time.Sleep(2 * time.Second)
		if n := f.src.count(); n < 5 {
			t.Errorf("%d attempts, want more: the room waits for its own lease", n)
		}
		f.src.on(nil)
	})
}
