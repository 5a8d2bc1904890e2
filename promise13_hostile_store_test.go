package roomtoken_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/roomtokentest"
)

// Stores that hang, lie or throw.

// Close with many leases and a store that hangs.
func TestPromise13FaultCloseHangingStore(t *testing.T) {
	withDeafFleet(t, true, 1, roomtoken.Config{}, func(t *testing.T, f *fleet) {
		p := f.procs[0]
		f.src.holdCalls(false)
		for _, r := range names(40) {
			go p.m.Token(context.Background(), r)
		}
		time.Sleep(200 * time.Millisecond)
		p.store.Next(roomtokentest.StoreFault{Latency: 50 * time.Second, Times: -1})
		at := time.Now()
		err := p.m.Close()
		t.Logf("Close after %v: %v", time.Since(at), err)
		if time.Since(at) > 2*time.Second || err != nil {
			t.Error("Close took too long")
		}
	})
}

// liar lets a test change answers.
type liar struct {
	roomtoken.Store
	entry    func(roomtoken.Ask, roomtoken.Entry) roomtoken.Entry
	acquires atomic.Int64
}

func (h *liar) Acquire(ctx context.Context, ask roomtoken.Ask) (roomtoken.Entry, error) {
	h.acquires.Add(1)
	e, err := h.Store.Acquire(ctx, ask)
	return h.entry(ask, e), err
}

// A store that returns a record that is not newer.
func TestPromise13FaultRecordNotNewer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &source{clk: realClock, lifetime: 10 * time.Minute}
		h := &liar{Store: &roomtokentest.Store{Latency: time.Millisecond}, entry: func(_ roomtoken.Ask, e roomtoken.Entry) roomtoken.Entry {
			return roomtoken.Entry{Now: e.Now, Record: roomtoken.Record{Token: roomtoken.NewSecret("x"), Began: e.Now, Lifetime: time.Hour}}
		}}
		m, err := roomtoken.NewManager(src, roomtoken.Config{Store: h})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		at := time.Now()
		_, err = m.Token(context.Background(), "a")
		t.Logf("after %v: %v; %d acquires", time.Since(at), err, h.acquires.Load())
		if err != nil || h.acquires.Load() > 100 {
			t.Error("a store costs a token")
		}
	})
}

// A ctx of the caller's own is asked with the lock held.
type nosyCtx struct {
	context.Context
	m *roomtoken.Manager
}

func (c nosyCtx) Err() error { c.m.Stats(); return c.Context.Err() }

func TestPromise13FaultWarmCtx(t *testing.T) {
	store := &roomtokentest.Store{}
	src := &source{clk: realClock, lifetime: 10 * time.Minute}
	m, err := roomtoken.NewManager(src, roomtoken.Config{Store: store})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { m.Warm(nosyCtx{context.Background(), m}, "a", "b", "c"); close(done) }()
	select {
	case <-done:
	case <-time.After(3 * time.Second):
		t.Fatal("deadlock")
	}
}

// A CallTimeout of "none".
func TestPromise13FaultHugeCallTimeout(t *testing.T) {
	withFleet(t, 2, roomtoken.Config{CallTimeout: math.MaxInt64}, func(t *testing.T, f *fleet) {
		f.rest()
		f.src.on(func(c *sourceCall) (roomtoken.Grant, error) { time.Sleep(5 * time.Second); return f.src.mint(c), nil })
		f.tokens("a")
		for _, p := range f.procs {
			if n := p.store.Count(roomtokentest.StoreAcquire); n > 30 {
				t.Errorf("%d acquires in 5 s", n)
			}
		}
		f.src.on(func(c *sourceCall) (roomtoken.Grant, error) { return f.slowly(c) })
	})
}

// A Wake that ends its goroutine.
func TestPromise13FaultWakeGoexit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &roomtokentest.Store{}
		var n atomic.Int64
		store.Next(roomtokentest.StoreFault{On: roomtokentest.StoreWake, Times: -1, Do: func(context.Context) error {
			if n.Add(1) > 100_000 {
				return errors.New("enough")
			}
			runtime.Goexit()
			return nil
		}})
		m, err := roomtoken.NewManager(&source{clk: realClock}, roomtoken.Config{Store: store})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		if n.Load() > 30 {
			t.Errorf("%d calls of Wake in 10 s", n.Load())
		}
		m.Close()
	})
}

// Two leases on a version that is ahead of the store's clock.
func TestPromise13FaultSameVersion(t *testing.T) {
	withFleet(t, 2, roomtoken.Config{CallTimeout: 2 * time.Second}, func(t *testing.T, f *fleet) {
		f.rest()
		f.same("a")
		time.Sleep(20 * time.Second)
		f.store.Step(-time.Minute)
		f.src.on(nil)
		f.src.holdCalls(true)
		a, b := f.procs[0], f.procs[1]
		// a forces a renewal and is stopped beyond its lease.
		go a.m.TokenValidFor(context.Background(), "a", 595*time.Second)
		time.Sleep(5 * time.Second)
		go b.m.TokenValidFor(context.Background(), "a", 595*time.Second)
		time.Sleep(1 * time.Second)
		t.Log(f.store.Leases(), len(f.src.of("a")))
		f.src.releaseAll()
		time.Sleep(time.Second)
		ta, _ := a.m.Cached("a")
		tb, _ := b.m.Cached("a")
		t.Log(ta.Value.Reveal(), tb.Value.Reveal(), f.store.Record("a").Token.Reveal(), a.m.Stats().LeasesLost, b.m.Stats().LeasesLost)
		if !ta.Value.Equal(tb.Value) {
			t.Error("two tokens")
		}
	})
}

// A store that takes no writes, and many refusals.
func TestPromise13FaultReadOnlyFlaps(t *testing.T) {
	withFleet(t, 1, roomtoken.Config{}, func(t *testing.T, f *fleet) {
		p := f.procs[0]
		for _, r := range names(150) {
			p.m.Token(context.Background(), r)
		}
		f.rest()
		f.store.Degrade(errors.New("READONLY"))
		for _, r := range names(150) {
			tok, _ := p.m.Cached(r)
			p.m.Invalidate(r, tok)
		}
		time.Sleep(time.Second)
		before := p.m.Stats()
		n := len(p.events)
		time.Sleep(20 * time.Second)
		after := p.m.Stats()
		ups, downs := 0, 0
		p.mu.Lock()
		for _, e := range p.events[n:] {
			switch e.Kind {
			case roomtoken.EventStoreUp:
				ups++
			case roomtoken.EventStoreDown:
				downs++
			}
		}
		p.mu.Unlock()
		t.Logf("in 20 s: %d calls of the store, %d StoreDown, %d StoreUp", after.StoreCalls-before.StoreCalls, downs, ups)
		if downs > 1 || after.StoreCalls-before.StoreCalls > 200 {
			t.Error("flaps")
		}
		f.store.Degrade(nil)
	})
}

// Rooms in line are looked up as soon as the store is back.
func TestPromise13FaultLookAfterOutage(t *testing.T) {
	withFleet(t, 2, roomtoken.Config{MaxConcurrentCalls: 1}, func(t *testing.T, f *fleet) {
		a, b := f.procs[0], f.procs[1]
		f.rest()
		f.src.on(func(c *sourceCall) (roomtoken.Grant, error) {
			if c.room == "slow" {
				select {
				case <-time.After(9 * time.Second):
				case <-c.ctx.Done():
				}
			}
			return f.src.mint(c), nil
		})
		b.store.Fail(errors.New("down"), -1, 0)
		time.Sleep(8 * time.Second)
		if _, err := a.m.Token(context.Background(), "a"); err != nil {
			t.Fatal(err)
		}
		go b.m.Token(context.Background(), "slow")
		time.Sleep(10 * time.Millisecond)
		got := make(chan time.Time, 1)
		go func() { b.m.Token(context.Background(), "a"); got <- time.Now() }()
		time.Sleep(10 * time.Millisecond)
		b.store.Clear()
		for b.m.Stats().StoreDown {
			time.Sleep(10 * time.Millisecond)
		}
		up := time.Now()
		if late := (<-got).Sub(up); late > 500*time.Millisecond {
			t.Errorf("served %v after the store was up, calls %d", late, b.m.Stats().Creates)
		}
	})
}

// Busy and a CallTimeout of "none".
func TestPromise13FaultBusyLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &liar{Store: &roomtokentest.Store{Latency: time.Millisecond}, entry: func(_ roomtoken.Ask, e roomtoken.Entry) roomtoken.Entry {
			return roomtoken.Entry{Now: e.Now, Busy: time.Hour}
		}}
		m, err := roomtoken.NewManager(&source{clk: realClock, lifetime: 10 * time.Minute}, roomtoken.Config{Store: h, CallTimeout: math.MaxInt64})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		m.Token(ctx, "a")
		if n := h.acquires.Load(); n > 30 {
			t.Errorf("%d acquires in 5 s", n)
		}
	})
}

func TestPromise13FaultTwoCreates(t *testing.T) {
	withFleet(t, 4, roomtoken.Config{CallTimeout: math.MaxInt64}, func(t *testing.T, f *fleet) {
		f.rest()
		f.tokens("a")
		f.calls("a", create)
	})
}

// Many cold rooms, a store that hangs.
func TestPromise13FaultHangManyRooms(t *testing.T) {
	for _, offset := range []time.Duration{0, 100, 200, 300, 400} {
		withFleet(t, 1, roomtoken.Config{MaxConcurrentCalls: 400}, func(t *testing.T, f *fleet) {
			p := f.procs[0]
			f.rest()
			time.Sleep(offset * time.Millisecond)
			p.store.Next(roomtokentest.StoreFault{Latency: time.Minute, Times: -1})
			var all sync.WaitGroup
			var mu sync.Mutex
			worst := time.Duration(0)
			for _, r := range names(200) {
				all.Go(func() {
					at := time.Now()
					if _, err := p.m.Token(context.Background(), r); err != nil {
						t.Error(err)
					}
					mu.Lock()
					worst = max(worst, time.Since(at))
					mu.Unlock()
				})
			}
			all.Wait()
			if worst > 560*time.Millisecond {
				t.Errorf("offset %v: worst wait %v, the source takes 50 ms, StoreTimeout is 250 ms", offset*time.Millisecond, worst)
			}
			p.store.Clear()
		})
	}
}

// Warm's ctx ends while the store hangs.
func TestPromise13FaultWarmHangs(t *testing.T) {
	withFleet(t, 1, roomtoken.Config{StoreTimeout: 5 * time.Second}, func(t *testing.T, f *fleet) {
		p := f.procs[0]
		p.store.Next(roomtokentest.StoreFault{On: roomtokentest.StoreLoad, Latency: time.Minute, Times: -1})
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		at := time.Now()
		p.m.Warm(ctx, "a", "b", "c")
		if d := time.Since(at); d > 200*time.Millisecond {
			t.Errorf("Warm returned after %v", d)
		}
		p.store.Clear()
	})
}

// A panic of the Store that shows a token.
type panicky struct{ *roomtokentest.Store }

func (p panicky) Commit(_ context.Context, _ roomtoken.Lease, r roomtoken.Result) (roomtoken.Committed, error) {
	if !r.Record.IsZero() {
		panic("cannot write " + r.Record.Token.Reveal())
	}
	panic("cannot decrypt token-from-the-store")
}

func (p panicky) Acquire(context.Context, roomtoken.Ask) (roomtoken.Entry, error) {
	panic("cannot decrypt token-from-the-store")
}

func (p panicky) News(context.Context, string) (roomtoken.News, error) {
	panic("cannot decrypt token-from-the-store")
}

func TestPromise13FaultPanicSecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var errs []error
		src := &source{clk: realClock, lifetime: 10 * time.Minute}
		m, err := roomtoken.NewManager(src, roomtoken.Config{Store: panicky{&roomtokentest.Store{Latency: time.Millisecond}}, OnEvent: func(e roomtoken.Event) {
			mu.Lock()
			defer mu.Unlock()
			if e.Kind == roomtoken.EventStoreDown {
				errs = append(errs, e.Err)
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 40 {
			m.Token(context.Background(), fmt.Sprint("r", i))
			time.Sleep(20 * time.Millisecond)
		}
		time.Sleep(3 * time.Second)
		st := m.Stats()
		t.Log(st.StoreCalls, st.StoreFailures, st.StoreDown, st.Creates, len(errs))
		mu.Lock()
		for _, e := range errs {
			var p *roomtoken.PanicError
			t.Logf("%T %v, PanicError %v", e, e, errors.As(e, &p))
			if strings.Contains(e.Error(), "token-") {
				t.Error("a secret in an event")
			}
		}
		mu.Unlock()
		m.Close()
	})
}
