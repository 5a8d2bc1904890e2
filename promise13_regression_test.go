package roomtoken_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/roomtokentest"
)

// Faults of the fleet's half that were found and mended.

// Invalidate while the room is asked for.
func TestPromise13FaultInvalidateDuringAsk(t *testing.T) {
	withFleet(t, 2, roomtoken.Config{}, func(t *testing.T, f *fleet) {
		f.rest()
		tok, err := f.procs[0].m.Token(context.Background(), "a")
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		p := f.procs[1]
		p.store.Next(roomtokentest.StoreFault{On: roomtokentest.StoreAcquire, Latency: 100 * time.Millisecond, After: true})
		go func() {
			time.Sleep(50 * time.Millisecond)
			t.Log("invalidate", p.m.Invalidate("a", tok))
		}()
		got, err := p.m.Token(context.Background(), "a")
		if err != nil || got.Value.Equal(tok.Value) {
			t.Errorf("handed out the token invalidated during the call: %v", err)
		}
	})
}

// Invalidate, Forget, Token.
func TestPromise13FaultInvalidateForget(t *testing.T) {
	withFleet(t, 1, roomtoken.Config{}, func(t *testing.T, f *fleet) {
		f.rest()
		p := f.procs[0]
		tok, err := p.m.Token(context.Background(), "a")
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		p.store.Next(roomtokentest.StoreFault{On: roomtokentest.StoreReject, Latency: 20 * time.Millisecond})
		t.Log("invalidate", p.m.Invalidate("a", tok))
		p.m.Forget("a")
		got, err := p.m.Token(context.Background(), "a")
		if err != nil || got.Value.Equal(tok.Value) {
			t.Errorf("handed out a token for which Invalidate returned true: %v", err)
		}
	})
}

// A hold that is told again is longer than the source asked for.
func TestPromise13FaultHoldToldAgain(t *testing.T) {
	withFleet(t, 2, roomtoken.Config{}, func(t *testing.T, f *fleet) {
		f.rest()
		at := time.Now()
		f.src.on(func(c *sourceCall) (roomtoken.Grant, error) {
			return roomtoken.Grant{}, roomtoken.RetryAfter(roomtoken.ErrRateLimited, time.Minute)
		})
		f.procs[0].store.Fail(errors.New("down"), -1, 0)
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		f.procs[0].m.Token(ctx, "a")
		cancel()
		t.Log("held until", f.procs[0].m.Stats().HeldUntil.Sub(at))
		time.Sleep(50*time.Second - time.Since(at))
		f.procs[0].store.Clear()
		time.Sleep(8 * time.Second)
		for i, p := range f.procs {
			until := p.m.Stats().HeldUntil.Sub(at)
			t.Logf("process %d: held until %v", i, until)
			if until > 70*time.Second {
				t.Errorf("process %d is held for longer than the source asked for", i)
			}
		}
		f.src.on(func(c *sourceCall) (roomtoken.Grant, error) { return f.slowly(c) })
	})
}

// A failure that is told again.
func TestPromise13FaultFailureToldAgain(t *testing.T) {
	withFleet(t, 2, roomtoken.Config{}, func(t *testing.T, f *fleet) {
		f.rest()
		at := time.Now()
		f.src.on(func(c *sourceCall) (roomtoken.Grant, error) {
			return roomtoken.Grant{}, roomtoken.RetryAfter(errDown, time.Minute)
		})
		f.procs[0].store.Fail(errors.New("down"), -1, roomtokentest.StoreCommit)
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		f.procs[0].m.Token(ctx, "a")
		cancel()
		time.Sleep(50*time.Second - time.Since(at))
		f.procs[0].store.Clear()
		time.Sleep(time.Second)
		ctx, cancel = context.WithTimeout(context.Background(), 5*time.Second)
		_, err := f.procs[1].m.Token(ctx, "a")
		cancel()
		var e *roomtoken.Error
		if errors.As(err, &e) {
			t.Log(err, e.NotBefore.Sub(at))
			if e.NotBefore.Sub(at) > 65*time.Second {
				t.Error("the failure lasts for longer than the source asked for")
			}
		}
		f.src.on(func(c *sourceCall) (roomtoken.Grant, error) { return f.slowly(c) })
	})
}

// ResetBackoff with many rooms.
func TestPromise13FaultResetBackoffMany(t *testing.T) {
	for _, n := range []int{1000, 5000} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			withFleet(t, 1, roomtoken.Config{}, func(t *testing.T, f *fleet) {
				f.rest()
				p := f.procs[0]
				notFound := func(c *sourceCall) (roomtoken.Grant, error) {
					return roomtoken.Grant{}, roomtoken.RetryAfter(roomtoken.ErrRoomNotFound, 10*time.Minute)
				}
				f.src.on(notFound)
				var all sync.WaitGroup
				for _, r := range names(n) {
					all.Go(func() { p.m.Token(context.Background(), r) })
				}
				all.Wait()
				t.Log("creates", p.m.Stats().Creates)
				f.rest()
				f.src.on(func(c *sourceCall) (roomtoken.Grant, error) { return f.slowly(c) })
				p.m.ResetBackoff()
				time.Sleep(100 * time.Millisecond)
				var failed atomic.Int64
				for _, r := range names(n) {
					all.Go(func() {
						if _, err := p.m.Token(context.Background(), r); err != nil {
							failed.Add(1)
						}
					})
				}
				all.Wait()
				if failed.Load() > 0 {
					t.Errorf("%d of %d rooms are still refused after ResetBackoff", failed.Load(), n)
				}
			})
		})
	}
}

// Processes with different MinValidity.
func TestPromise13FaultMinValidity(t *testing.T) {
	withFleet(t, 1, roomtoken.Config{}, func(t *testing.T, f *fleet) {
		b := f.start(roomtoken.Config{MinValidity: 5 * time.Minute})
		f.rest()
		for range 600 {
			for _, p := range f.procs {
				if _, err := p.m.Token(context.Background(), "a"); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(5 * time.Second)
		}
		for _, p := range f.procs {
			s := p.m.Stats()
			t.Logf("misses %d, lapses %d, creates %d, refreshes %d, adopted %d", s.Misses, s.Lapses, s.Creates, s.Refreshes, s.Adopted)
		}
		if n := b.m.Stats().Lapses; n > 0 {
			t.Errorf("callers had to wait at %d renewals", n)
		}
	})
}

// A Load fails while missed news is caught up.
func TestPromise13FaultCatchUpLoadFails(t *testing.T) {
	for _, fail := range []int{0, 1} { // Loads that fail
		t.Run(fmt.Sprint(fail), func(t *testing.T) {
			withFleet(t, 2, roomtoken.Config{}, func(t *testing.T, f *fleet) {
				a, b := f.procs[0], f.procs[1]
				f.rest()
				f.src.lifetime = 10 * time.Hour
				old := f.same("a")
				time.Sleep(5 * time.Second)
				b.store.Fail(errors.New("down"), -1, 0)
				time.Sleep(5 * time.Second)
				a.m.Invalidate("a", roomtoken.Token{Value: roomtoken.NewSecret(old)})
				a.token("a")
				time.Sleep(12 * time.Minute) // the news has forgotten it
				b.store.Clear()
				b.store.Fail(errors.New("down"), fail, roomtokentest.StoreLoad)
				time.Sleep(30 * time.Second)
				if tok, ok := b.m.Cached("a"); ok && tok.Value.Reveal() == old {
					t.Error("the refused token is still handed out")
				}
			})
		})
	}
}

// A caller who comes while an overdue call that has returned is committed.
func TestPromise13FaultOverdueCommit(t *testing.T) {
	withFleet(t, 1, roomtoken.Config{CallTimeout: time.Second}, func(t *testing.T, f *fleet) {
		p := f.procs[0]
		f.rest()
		f.src.on(func(c *sourceCall) (roomtoken.Grant, error) {
			if c.n == 1 {
				time.Sleep(3 * time.Second)
				return roomtoken.Grant{}, errDown
			}
			return f.src.mint(c), nil
		})
		go p.m.Token(context.Background(), "a")
		time.Sleep(2 * time.Second)
		p.store.Next(roomtokentest.StoreFault{On: roomtokentest.StoreCommit, Latency: 200 * time.Millisecond})
		time.Sleep(1100 * time.Millisecond)
		s, _ := p.m.Room("a")
		_, err := p.m.Token(context.Background(), "a")
		if err != nil {
			t.Errorf("the call has returned, state %v, and a caller gets %v", s.State, err)
		}
	})
}

// Close with a rejection that is to be told again.
func TestPromise13FaultCloseRejection(t *testing.T) {
	withFleet(t, 2, roomtoken.Config{}, func(t *testing.T, f *fleet) {
		f.rest()
		old := f.same("a")
		time.Sleep(time.Second)
		a, b := f.procs[0], f.procs[1]
		a.store.Fail(errors.New("once"), 1, roomtokentest.StoreReject)
		f.src.on(func(c *sourceCall) (roomtoken.Grant, error) { return roomtoken.Grant{}, errDown })
		a.m.Invalidate("a", roomtoken.Token{Value: roomtoken.NewSecret(old)})
		time.Sleep(5 * time.Millisecond)
		a.m.Close()
		time.Sleep(5 * time.Second)
		if tok, ok := b.m.Cached("a"); ok && tok.Value.Reveal() == old {
			t.Error("the other process has never heard of it")
		}
		f.src.on(nil)
	})
}

// A late commit that is refused replaces a newer token of this process.
func TestPromise13FaultLateCommit(t *testing.T) {
	withFleet(t, 2, roomtoken.Config{CallTimeout: time.Second}, func(t *testing.T, f *fleet) {
		a, b := f.procs[0], f.procs[1]
		f.rest()
		// a's commit is lost; its lease ends; b creates v2.
		a.store.Next(roomtokentest.StoreFault{On: roomtokentest.StoreCommit, Err: errors.New("down"), Times: -1})
		ta, _ := a.m.Token(context.Background(), "a")
		time.Sleep(2 * time.Second)
		tb, _ := b.m.Token(context.Background(), "a")
		t.Log(ta.Value.Reveal(), tb.Value.Reveal())
		time.Sleep(20 * time.Second)
		// the store is away from a, which renews by itself
		a.store.Fail(errors.New("down"), -1, 0)
		time.Sleep(2 * time.Second)
		a.m.TokenValidFor(context.Background(), "a", 590*time.Second)
		own, _ := a.m.Cached("a")
		a.store.Clear()
		time.Sleep(8 * time.Second)
		now, _ := a.m.Cached("a")
		t.Log("own", own.Value.Reveal(), own.ExpiresAt, "now", now.Value.Reveal(), now.ExpiresAt, "lost", a.m.Stats().LeasesLost)
		if now.ExpiresAt.Before(own.ExpiresAt) {
			t.Error("a newer token was replaced by an older one")
		}
	})
}

// A token whose renewal was put off in an outage, and which is refused after it, is replaced at
// once.
func TestPromise13FaultPutOff(t *testing.T) {
	withFleet(t, 1, roomtoken.Config{IdleAfter: -1}, func(t *testing.T, f *fleet) {
		p := f.procs[0]
		f.src.live(10*time.Hour, 0)
		for _, room := range names(40) {
			p.token(room)
		}
		p.store.Fail(errors.New("down"), -1, 0)
		time.Sleep(6*time.Hour + 45*time.Minute) // all are due
		p.store.Clear()
		time.Sleep(10 * time.Second)
		late := 0
		for _, room := range names(40) {
			if len(f.src.of(room)) > 1 {
				continue // it was not put off for so long
			}
			late++
			tok, _ := p.m.Cached(room)
			p.m.Invalidate(room, tok)
			time.Sleep(time.Second)
			if n := len(f.src.of(room)); n != 2 {
				t.Errorf("%s: %d calls a second after its token was refused, want another create", room, n)
			}
		}
		if late == 0 {
			t.Error("no renewal was put off")
		}
	})
}

// A Load learns of a failure beyond the end of somebody's wait.
func TestPromise13FaultLoadNotBefore(t *testing.T) {
	withFleet(t, 2, roomtoken.Config{MaxConcurrentCalls: 1}, func(t *testing.T, f *fleet) {
		a, b := f.procs[0], f.procs[1]
		f.rest()
		f.src.on(func(c *sourceCall) (roomtoken.Grant, error) {
			if c.room == "slow" {
				select {
				case <-time.After(9 * time.Second):
				case <-c.ctx.Done():
				}
				return f.src.mint(c), nil
			}
			return roomtoken.Grant{}, roomtoken.RetryAfter(errDown, 5*time.Minute)
		})
		a.m.Token(context.Background(), "a")
		f.rest()
		go b.m.Token(context.Background(), "slow")
		time.Sleep(20 * time.Millisecond)
		got := make(chan time.Duration, 1)
		go func() {
			at := time.Now()
			b.m.Token(context.Background(), "a")
			got <- time.Since(at)
		}()
		time.Sleep(time.Millisecond)
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
			defer cancel()
			b.m.Warm(ctx, "a", "x")
		}()
		if d := <-got; d > 2*time.Second {
			t.Errorf("left after %v; the next attempt is minutes away", d)
		}
		f.src.on(nil)
	})
}

// A store that stands still takes an ask after the end of its lease was told.
func TestPromise13FaultLateAskOfAStoreThatStoodStill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := &roomtokentest.Store{Latency: time.Millisecond}
		src := &source{clk: realClock, lifetime: 10 * time.Minute}
		start := func(store roomtoken.Store) *roomtoken.Manager {
			m, err := roomtoken.NewManager(src, roomtoken.Config{Store: store})
			if err != nil {
				t.Fatal(err)
			}
			return m
		}
		first, second := start(&standing{Store: inner.Process()}), start(inner.Process())
		defer first.Close()
		defer second.Close()
		time.Sleep(time.Second)
		if _, err := first.Token(context.Background(), "a"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		began := time.Now()
		if _, err := second.Token(context.Background(), "a"); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("the other process waited for %v", took)
		}
	})
}

// standing is a store that takes its first ask when its caller has given it up.
type standing struct {
	*roomtokentest.Store
	asked bool
}

func (s *standing) Acquire(ctx context.Context, ask roomtoken.Ask) (roomtoken.Entry, error) {
	if s.asked {
		return s.Store.Acquire(ctx, ask)
	}
	s.asked = true
	go func() {
		time.Sleep(400 * time.Millisecond)
		_, _ = s.Store.Acquire(context.Background(), ask)
	}()
	<-ctx.Done()
	return roomtoken.Entry{}, context.Cause(ctx)
}

// A lease that comes while the call runs that did without it serves the call.
func TestPromise13FaultLateLease(t *testing.T) {
	withDeafFleet(t, true, 2, roomtoken.Config{}, func(t *testing.T, f *fleet) {
		f.rest()
		f.src.on(func(c *sourceCall) (roomtoken.Grant, error) { time.Sleep(3 * time.Second); return f.src.mint(c), nil })
		f.procs[0].store.Next(roomtokentest.StoreFault{On: roomtokentest.StoreAcquire, Latency: 300 * time.Millisecond})
		first := f.procs[0].ask(context.Background(), "a")
		time.Sleep(time.Second)
		f.procs[1].token("a")
		f.procs[0].served(first)
		f.same("a")
		f.calls("a", create)
	})
}

// Rooms that stand in line for long are looked up seldom where they are many.
func TestPromise13FaultLooksOfManyRooms(t *testing.T) {
	const rooms = 5_000
	withFleet(t, 1, roomtoken.Config{IdleAfter: -1, MaxWait: time.Hour}, func(t *testing.T, f *fleet) {
		p := f.procs[0]
		f.src.fail(roomtoken.RetryAfter(roomtoken.ErrRateLimited, 9*time.Minute))
		p.askWithin(time.Second, "limited")
		for _, room := range names(rooms) {
			p.ask(context.Background(), room)
		}
		time.Sleep(30 * time.Second)
		before := p.store.Count(roomtokentest.StoreAcquire)
		time.Sleep(100 * time.Second)
		if n := p.store.Count(roomtokentest.StoreAcquire) - before; n > 100*250 {
			t.Errorf("%d asks in 100 s for %d rooms in line", n, rooms)
		}
		f.src.on(nil)
		time.Sleep(10 * time.Minute)
	})
}
