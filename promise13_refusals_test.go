package roomtoken_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/roomtokentest"
)

// F6: a second after Invalidate no process hands the token out, also one that was cut off
// when it was told, once it is back.
func TestPromise13ARefusalReachesAll(t *testing.T) {
	withFleet(t, 4, roomtoken.Config{}, func(t *testing.T, f *fleet) {
		refused := f.same("a")
		cut := f.procs[3]
		cut.store.Fail(errors.New("cut off"), -1, 0)
		time.Sleep(20 * time.Second)
		f.src.holdCalls(false)
		if !f.procs[0].m.Invalidate("a", roomtoken.Token{Value: roomtoken.NewSecret(refused)}) {
			t.Fatal("Invalidate = false")
		}
		time.Sleep(time.Second)
		for i, p := range f.procs[:3] {
			if tok, ok := p.m.Cached("a"); ok {
				t.Errorf("process %d has %s", i, tok.Value.Reveal())
			}
			if n := p.m.Stats().Invalidations; n != map[bool]uint64{true: 1}[i == 0] {
				t.Errorf("process %d: %d invalidations", i, n)
			}
		}
		cut.store.Clear()
		time.Sleep(6 * time.Second) // the store is tried every 5 s
		if _, ok := cut.m.Cached("a"); ok {
			t.Error("the process that was cut off still has it")
		}
		f.src.releaseAll()
		f.rest()
		if now := f.same("a"); now == refused {
			t.Error("the token is handed out again")
		}
		f.calls("a", create, create)
	})
}

// F6: a refused token is not adopted again: not from the store, not through a late commit,
// not from a wake.
func TestPromise13ARefusedTokenDoesNotComeBack(t *testing.T) {
	withFleet(t, 2, roomtoken.Config{}, func(t *testing.T, f *fleet) {
		f.rest()
		f.procs[0].store.Next(roomtokentest.StoreFault{On: roomtokentest.StoreCommit, Err: errors.New("down")})
		tok, err := f.procs[0].m.Token(context.Background(), "a")
		if err != nil {
			t.Fatal(err)
		}
		f.procs[0].m.Invalidate("a", tok)
		f.rest() // the commit is told again
		if got := f.store.Record("a"); got.Token.Equal(tok.Value) {
			t.Error("a late commit has brought it back")
		}
		late := f.start(roomtoken.Config{})
		if got, err := late.m.Token(context.Background(), "a"); err != nil || got.Value.Equal(tok.Value) {
			t.Errorf("Token = %v, %v", got.Value.Reveal(), err)
		}
	})
}

// F6: a Reject that the store did not take is told again, and every ask carries it.
func TestPromise13ARefusalIsToldAgain(t *testing.T) {
	withFleet(t, 2, roomtoken.Config{}, func(t *testing.T, f *fleet) {
		refused := f.same("a")
		f.procs[0].store.Fail(errors.New("down"), 1, roomtokentest.StoreReject)
		f.src.fail(errDown) // nobody gets another
		f.procs[0].m.Invalidate("a", roomtoken.Token{Value: roomtoken.NewSecret(refused)})
		time.Sleep(1200 * time.Millisecond)
		if _, ok := f.procs[1].m.Cached("a"); ok {
			t.Error("the other process still has it")
		}
		f.procs[0].store.Fail(errors.New("down"), -1, roomtokentest.StoreReject)
		f.src.on(nil)
		f.rest()
		again := f.same("a")
		f.procs[0].m.Invalidate("a", roomtoken.Token{Value: roomtoken.NewSecret(again)})
		got, err := f.procs[0].m.Token(context.Background(), "a")
		if err != nil || got.Value.Reveal() == again {
			t.Errorf("Token = %v, %v: the ask did not carry the refusal", got.Value.Reveal(), err)
		}
		f.procs[0].store.Clear()
	})
}

// F6: a hundred refusals of one token on eight processes cost one create.
func TestPromise13ManyRefusalsCostOneCreate(t *testing.T) {
	withFleet(t, 8, roomtoken.Config{}, func(t *testing.T, f *fleet) {
		f.rest()
		refused := roomtoken.Token{Value: roomtoken.NewSecret(f.same("a"))}
		var all sync.WaitGroup
		for i := range 100 {
			all.Go(func() {
				p := f.procs[i%8]
				p.m.Invalidate("a", refused)
				if tok, err := p.m.Token(context.Background(), "a"); err != nil || tok.Value.Equal(refused.Value) {
					t.Errorf("Token = %v, %v", tok.Value.Reveal(), err)
				}
			})
		}
		all.Wait()
		f.calls("a", create, create)
		f.same("a")
		f.calls("a", create, create)
	})
}

// F6: refusals in a row are counted across the fleet: a server that refuses everything
// meets the backoff of one process.
func TestPromise13AServerThatRefusesEverything(t *testing.T) {
	creates := func(processes int) (n int) {
		withFleet(t, processes, roomtoken.Config{}, func(t *testing.T, f *fleet) {
			f.src.live(time.Hour, 0)
			f.rest()
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
			defer cancel()
			var all sync.WaitGroup
			for _, p := range f.procs {
				all.Go(func() {
					for ctx.Err() == nil {
						tok, err := p.m.Token(ctx, "a")
						time.Sleep(20 * time.Millisecond) // until the server has refused it
						if err == nil {
							p.m.Invalidate("a", tok)
						}
					}
				})
			}
			all.Wait()
			n = len(f.src.of("a"))
		})
		return n
	}
	one := creates(1)
	if eight := creates(8); eight > one*3/2 {
		t.Errorf("%d creates of eight processes in ten minutes, %d of one", eight, one)
	}
}

// F7: a failing room gets one attempt per step from the whole fleet, and a permanent error
// is everybody's at once.
func TestPromise13FailuresTravel(t *testing.T) {
	attempts := func(processes int) (n int) {
		withFleet(t, processes, roomtoken.Config{BackoffMax: 10 * time.Second}, func(t *testing.T, f *fleet) {
			for _, p := range f.procs {
				p.src = f.src
				p.others(9)
			}
			f.src.fail(errDown)
			f.rest()
			var all sync.WaitGroup
			for _, p := range f.procs {
				all.Go(func() {
					for range 20 {
						if _, err := p.m.Token(context.Background(), "a"); err == nil {
							t.Error("a token, want an error")
						}
					}
				})
			}
			all.Wait()
			n = len(f.src.of("a"))
		})
		return n
	}
	one := attempts(1)
	if six := attempts(6); six > one*5/4+2 {
		t.Errorf("%d attempts of six processes in ten minutes, %d of one", six, one)
	}
	for _, sentinel := range []error{roomtoken.ErrPermanent, roomtoken.ErrRoomNotFound, roomtoken.ErrUnauthorized} {
		t.Run(fmt.Sprint(sentinel), func(t *testing.T) {
			withFleet(t, 6, roomtoken.Config{}, func(t *testing.T, f *fleet) {
				f.rest()
				f.src.on(func(*sourceCall) (roomtoken.Grant, error) {
					return roomtoken.Grant{}, fmt.Errorf("no such thing: %w", sentinel)
				})
				for i, p := range f.procs {
					began := time.Now()
					_, err := p.m.Token(context.Background(), "a")
					if !errors.Is(err, sentinel) || !errors.Is(err, roomtoken.ErrPermanent) {
						t.Fatalf("process %d: %v", i, err)
					}
					if took := time.Since(began); took > 20*time.Millisecond {
						t.Errorf("process %d: the error came after %v", i, took)
					}
					if i > 0 {
						for _, want := range []string{"another process", "no such thing"} {
							if !strings.Contains(err.Error(), want) {
								t.Errorf("error %q does not say %q", err, want)
							}
						}
					}
				}
				f.calls("a", create)
			})
		})
	}
}

// F7: Forget lets its own process try once, and touches neither the record nor others.
func TestPromise13Forget(t *testing.T) {
	withFleet(t, 2, roomtoken.Config{}, func(t *testing.T, f *fleet) {
		f.rest()
		f.src.fail(roomtoken.ErrRoomNotFound)
		ask := func(p *process) {
			t.Helper()
			if _, err := p.m.Token(context.Background(), "a"); !errors.Is(err, roomtoken.ErrRoomNotFound) {
				t.Fatal(err)
			}
		}
		ask(f.procs[0])
		ask(f.procs[1])
		f.calls("a", create)
		f.procs[1].m.Forget("a")
		ask(f.procs[1])
		f.calls("a", create, create)
		ask(f.procs[0])
		ask(f.procs[1])
		f.calls("a", create, create)
		f.src.on(nil)
		token := f.same("b")
		f.procs[1].m.Forget("b")
		if got := f.same("b"); got != token {
			t.Errorf("the record is gone")
		}
		f.calls("b", create)
	})
}

// F7: a rate limit stops all processes within a second; after its end they probe one after
// the other, and the first answer opens all.
func TestPromise13ARateLimitHoldsAll(t *testing.T) {
	withFleet(t, 8, roomtoken.Config{}, func(t *testing.T, f *fleet) {
		f.rest()
		const wait = time.Minute
		f.src.fail(roomtoken.RetryAfter(roomtoken.ErrRateLimited, wait))
		began := time.Now()
		f.procs[0].askWithin(100*time.Millisecond, "a")
		time.Sleep(time.Second - 100*time.Millisecond)
		before := f.src.count()
		for i, p := range f.procs {
			if !p.m.Stats().RateLimited {
				t.Errorf("process %d is not held a second later", i)
			}
			_, err := p.m.Token(context.Background(), fmt.Sprint("room", i))
			if !errors.Is(err, roomtoken.ErrRateLimited) {
				t.Errorf("process %d: %v", i, err)
			}
		}
		if n := f.src.count() - before; n != 0 {
			t.Errorf("%d calls in the hold", n)
		}
		f.src.on(nil)
		var all sync.WaitGroup
		for i, p := range f.procs {
			all.Go(func() {
				time.Sleep(wait - time.Since(began) - 10*time.Second)
				if _, err := p.m.Token(context.Background(), fmt.Sprint("later", i)); err != nil {
					t.Errorf("process %d: %v", i, err)
				}
			})
		}
		all.Wait()
		var probes []time.Duration
		for _, c := range f.src.all()[before:] {
			probes = append(probes, time.Unix(0, 0).Add(c.at).Sub(began))
		}
		if probes[0] < wait || probes[0] > wait+wait/10 {
			t.Errorf("the first probe came after %v", probes[0])
		}
		if last := probes[len(probes)-1]; last-probes[0] > time.Second {
			t.Errorf("the last process was opened %v after the first answer", last-probes[0])
		}
		for i, p := range f.procs {
			if s := p.m.Stats(); s.Probing || s.RateLimited {
				t.Errorf("process %d still probes", i)
			}
		}
	})
}

// F6: a process that has missed so much news that the store has forgotten some looks its
// rooms up again.
func TestPromise13MissedNews(t *testing.T) {
	withFleet(t, 1, roomtoken.Config{}, func(t *testing.T, f *fleet) {
		cut := f.start(roomtoken.Config{})
		rooms := names(1200)
		f.src.on(nil)
		for _, p := range f.procs {
			if err := p.m.Warm(context.Background(), rooms...); err != nil {
				t.Fatal(err)
			}
			f.rest()
		}
		cut.store.Fail(errors.New("cut off"), -1, 0)
		time.Sleep(20 * time.Second)
		for _, room := range rooms[:1000] {
			f.procs[0].m.Invalidate(room, f.procs[0].token(room))
		}
		f.rest()
		f.store.Flush() // and with it what it knows of refused tokens
		for _, room := range rooms[:1000] {
			f.procs[0].token(room)
		}
		f.rest()
		cut.store.Clear()
		time.Sleep(10 * time.Second)
		for _, room := range rooms {
			f.same(room)
		}
	})
}

// F6: an ask carries the refusal that the store has not been told of.
func TestPromise13AnAskCarriesTheRefusal(t *testing.T) {
	withFleet(t, 1, roomtoken.Config{}, func(t *testing.T, f *fleet) {
		p := f.procs[0]
		refused := p.token("a")
		f.rest()
		p.store.Fail(errors.New("down"), -1, roomtokentest.StoreReject)
		f.src.fail(errDown)
		p.m.Invalidate("a", refused)
		p.askWithin(100*time.Millisecond, "a")
		late := f.start(roomtoken.Config{})
		if tok, err := late.m.Token(context.Background(), "a"); err == nil {
			t.Errorf("another process has adopted %s", tok.Value.Reveal())
		}
		p.store.Clear()
	})
}

// F6: nor is a refused token adopted from an answer that was under way when it was refused.
func TestPromise13ALateAnswerBringsNoRefusedToken(t *testing.T) {
	withFleet(t, 1, roomtoken.Config{}, func(t *testing.T, f *fleet) {
		refused := f.procs[0].token("a")
		f.rest()
		late := f.start(roomtoken.Config{StoreTimeout: 5 * time.Second})
		f.rest()
		late.store.Next(roomtokentest.StoreFault{On: roomtokentest.StoreAcquire, After: true, Latency: 3 * time.Second})
		waiting := late.ask(context.Background(), "a")
		time.Sleep(100 * time.Millisecond)
		f.procs[0].m.Invalidate("a", refused)
		time.Sleep(4 * time.Second)
		if got := late.served(waiting); got.Value.Equal(refused.Value) {
			t.Error("it was adopted")
		}
	})
}

// F6: refusals in a row count also where the next create is made by a process that still has
// an older token.
func TestPromise13RefusalsAreCountedByWhoeverCreates(t *testing.T) {
	withFleet(t, 2, roomtoken.Config{IdleAfter: -1}, func(t *testing.T, f *fleet) {
		f.rest()
		old, other := f.procs[0], f.procs[1]
		old.token("a")
		first := other.token("a")
		f.rest()
		old.store.Fail(errors.New("cut off"), -1, roomtokentest.StoreNews)
		other.m.Invalidate("a", first)
		other.m.Invalidate("a", other.token("a")) // the second in a row
		other.m.Forget("a")
		time.Sleep(100 * time.Millisecond) // less than until the store counts as down
		if _, err := old.m.TokenValidFor(context.Background(), "a", 9*time.Minute+59*time.Second); err != nil {
			t.Fatal(err)
		}
		f.rest()
		if got := f.store.Record("a"); got.Refusals != 2 {
			t.Errorf("the record says that %d tokens in a row were refused, want 2", got.Refusals)
		}
	})
}
