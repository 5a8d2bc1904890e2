package roomtoken_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/benbjohnson/clock"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/roomtokentest"
)

// F2: a process with nothing to do makes few calls of the store.
func TestPromise13AnIdleProcess(t *testing.T) {
	withFleet(t, 1, roomtoken.Config{}, func(t *testing.T, f *fleet) {
		before := f.procs[0].store.Count(0)
		time.Sleep(100 * time.Second)
		if n := f.procs[0].store.Count(0) - before; n > 300 {
			t.Errorf("%d calls in 100 s, want at most 3 a second", n)
		}
	})
}

// F14: at most 32 calls of the store run or hang, however many rooms are asked for.
func TestPromise13FewCallsOfTheStore(t *testing.T) {
	withDeafFleet(t, true, 1, roomtoken.Config{}, func(t *testing.T, f *fleet) {
		f.rest()
		p := f.procs[0]
		for _, latency := range []time.Duration{20 * time.Millisecond, 10 * time.Second} {
			p.store.Next(roomtokentest.StoreFault{Latency: latency, Times: -1})
			var all sync.WaitGroup
			for i := range 500 {
				all.Go(func() { p.token(fmt.Sprint(latency, i)) })
			}
			all.Wait()
			p.store.Clear()
			time.Sleep(time.Minute)
		}
		if most := p.store.MaxInFlight(); most > 32 || most < 16 {
			t.Errorf("%d calls of the store at a time, want at most 32", most)
		}
		if s := p.m.Stats(); s.StoreDown {
			t.Error("StoreDown")
		}
	})
}

// F14: a wait for a place is not the store's failure.
func TestPromise13AWaitForAPlaceIsNoFailure(t *testing.T) {
	withFleet(t, 1, roomtoken.Config{}, func(t *testing.T, f *fleet) {
		f.rest()
		p := f.procs[0]
		p.store.Next(roomtokentest.StoreFault{Latency: 200 * time.Millisecond, Times: -1})
		var all sync.WaitGroup
		for i := range 500 {
			all.Go(func() { p.token(fmt.Sprint("room", i)) })
		}
		all.Wait()
		p.store.Clear()
		if s := p.m.Stats(); s.StoreFailures != 0 {
			t.Errorf("%d failures", s.StoreFailures)
		}
	})
}

// F16: a process renews what it is asked for. What is idle here and used elsewhere is kept
// fresh there, and adopted when it is asked for here again.
func TestPromise13IdleIsLocal(t *testing.T) {
	withFleet(t, 1, roomtoken.Config{IdleAfter: time.Minute}, func(t *testing.T, f *fleet) {
		idle := f.procs[0]
		f.same("a")
		busy := f.start(roomtoken.Config{IdleAfter: -1})
		busy.token("a")
		for range 6 {
			time.Sleep(6 * time.Minute)
			busy.token("a")
		}
		if s := idle.m.Stats(); s.Refreshes != 0 || s.Rooms != 0 {
			t.Errorf("the idle process made %d refreshes and has %d rooms", s.Refreshes, s.Rooms)
		}
		before := f.src.count()
		if f.same("a"); f.src.count() != before {
			t.Error("it was not adopted")
		}
	})
}

// F16: the store holds nothing for ever.
func TestPromise13TheStoreEmptiesItself(t *testing.T) {
	withFleet(t, 2, roomtoken.Config{}, func(t *testing.T, f *fleet) {
		tok := f.procs[0].token("a")
		f.procs[1].token("a")
		f.procs[1].m.Invalidate("a", tok)
		f.src.fail(errDown)
		f.procs[0].askWithin(time.Second, "b")
		f.src.fail(roomtoken.ErrRoomNotFound)
		f.procs[0].askWithin(time.Second, "c")
		time.Sleep(2 * time.Hour)
		if rooms := f.store.Rooms(); len(rooms) > 0 {
			t.Errorf("two hours later the store holds %v", rooms)
		}
	})
}

// F10: wall clocks that are minutes apart change nothing, and a token is never taken for
// younger than it is.
func TestPromise13ClocksApart(t *testing.T) {
	for _, apart := range []time.Duration{-10 * time.Minute, 10 * time.Minute} {
		t.Run(apart.String(), func(t *testing.T) {
			withFleet(t, 1, roomtoken.Config{}, func(t *testing.T, f *fleet) {
				other := f.start(roomtoken.Config{Clock: apartClock{clock.New(), apart}})
				f.procs[0].token("a")
				time.Sleep(3 * time.Minute)
				got := other.token("a")
				if len(f.src.of("a")) != 1 {
					t.Fatal("it was not adopted")
				}
				if left := got.ExpiresAt.Sub(time.Now().Add(apart)); left > 7*time.Minute || left < 7*time.Minute-100*time.Millisecond {
					t.Errorf("by its own clock the token has %v left, want 7 minutes and not more", left)
				}
				for range 10 {
					time.Sleep(time.Minute)
					a, b := f.procs[0].token("a"), other.token("a")
					if d := a.ExpiresAt.Add(apart).Sub(b.ExpiresAt); a.Value.Equal(b.Value) && (d < 0 || d > 100*time.Millisecond) {
						t.Errorf("they differ by %v", d)
					}
				}
			})
		})
	}
}

// apartClock is a clock whose wall time is apart.
type apartClock struct {
	clock.Clock
	apart time.Duration
}

func (c apartClock) Now() time.Time { return c.Clock.Now().Add(c.apart) }

func (c apartClock) Since(t time.Time) time.Duration { return c.Now().Sub(t) }

// A store is refused that is a nil pointer, and so is a negative StoreTimeout.
func TestStoreConfig(t *testing.T) {
	_, err := roomtoken.NewManager(&roomtokentest.Source{}, roomtoken.Config{Store: (*roomtokentest.Store)(nil), StoreTimeout: -1})
	if err == nil || !strings.Contains(err.Error(), "Config.Store is a nil *roomtokentest.Store") || !strings.Contains(err.Error(), "Config.StoreTimeout is -1ns") {
		t.Errorf("error = %v, want it to name both fields", err)
	}
}

// Without a store a Manager has one goroutine, and no call is counted.
func TestPromise13NothingWithoutAStore(t *testing.T) {
	within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
		_, _ = w.m.Token(context.Background(), "a")
		if s := w.m.Stats(); s.StoreCalls != 0 || s.StoreDown {
			t.Errorf("%d calls of a store", s.StoreCalls)
		}
	})
}

// F14: no call of a store is made with the lock held, nor is a wake awaited with it.
func TestPromise13NoLockOverTheStore(t *testing.T) {
	withFleet(t, 2, roomtoken.Config{}, func(t *testing.T, f *fleet) {
		p, calls := f.procs[0], 0
		var mu sync.Mutex
		p.store.Next(roomtokentest.StoreFault{Times: -1, Do: func(context.Context) error {
			mu.Lock()
			defer mu.Unlock()
			calls++
			if p.m.Locked() {
				t.Error("a call of the store was made with the lock held")
			}
			return nil
		}})
		tok := p.token("a")
		p.m.Invalidate("a", tok)
		p.token("a")
		if err := p.m.Warm(context.Background(), "b", "c"); err != nil {
			t.Fatal(err)
		}
		f.src.fail(roomtoken.RetryAfter(roomtoken.ErrRateLimited, time.Minute))
		p.askWithin(time.Second, "d")
		f.src.on(nil)
		f.rest()
		all := []roomtokentest.StoreMethods{
			roomtokentest.StoreLoad, roomtokentest.StoreAcquire, roomtokentest.StoreCommit,
			roomtokentest.StoreReject, roomtokentest.StoreHold, roomtokentest.StoreNews,
		}
		for _, method := range all {
			if p.store.Count(method) == 0 {
				t.Errorf("method %b was not called", method)
			}
		}
	})
}
