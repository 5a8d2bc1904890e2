package roomtoken_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomtoken/roomtoken"
)

// Promise 7: Invalidate and Forget.

// bare returns a token without an expiry, as a caller who kept only its value has it.
func bare(value string) roomtoken.Token {
	return roomtoken.Token{Value: roomtoken.NewSecret(value)}
}

func TestPromise7InvalidateDropsExactlyThatToken(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1}, func(t *testing.T, w *world) {
		w.token("r")
		for name, c := range map[string]struct{ room, value string }{
			"another token":    {"r", "token-r-2"},
			"a prefix":         {"r", "token-r-"},
			"no token":         {"r", ""},
			"an unknown room":  {"other", "token-r-1"},
			"the empty room":   {"", "token-r-1"},
			"a refresh token":  {"r", "refresh-r-1"},
			"a redacted token": {"r", "[redacted]"},
		} {
			if w.m.Invalidate(c.room, bare(c.value)) {
				t.Errorf("Invalidate(%q, %q) = true for %s, want false", c.room, c.value, name)
			}
		}
		if tok, ok := w.m.Cached("r"); !ok || tok.Value.Reveal() != "token-r-1" {
			t.Fatalf("Cached() = (%v, %v), want the token", tok, ok)
		}
		if s := w.m.Stats(); s.Rooms != 1 || s.Invalidations != 0 || w.src.count() != 1 {
			t.Fatalf("Stats() = %+v, want 1 room and no invalidations", s)
		}

		// Tokens are compared by value, whatever their expiry.
		if !w.m.Invalidate("r", bare("token-r-1")) {
			t.Fatal("Invalidate() = false, want true")
		}
		if _, ok := w.m.Cached("r"); ok {
			t.Fatal("Cached returned the invalidated token, want none")
		}
		if w.m.Invalidate("r", bare("token-r-1")) {
			t.Fatal("second Invalidate() = true, want false")
		}
		if s := w.m.Stats(); s.Invalidations != 1 {
			t.Fatalf("Invalidations = %d, want 1", s.Invalidations)
		}
	})
}

func TestPromise7InvalidateNeverDropsANewerToken(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1}, func(t *testing.T, w *world) {
		old := w.token("r")
		w.add(401 * time.Second)
		if w.m.Invalidate("r", old) {
			t.Fatal("Invalidate of an older token = true, want false")
		}
		if tok := w.token("r"); tok.Value.Reveal() != "token-r-2" || w.src.count() != 2 {
			t.Fatalf("Token() = %s after %d calls, want token-r-2 after 2", tok.Value.Reveal(), w.src.count())
		}
		// The refresh token is kept, too.
		w.add(401 * time.Second)
		w.calls("r", create, refresh, refresh)
	})
}

func TestPromise7TheNextCallIsACreate(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1}, func(t *testing.T, w *world) {
		w.m.Invalidate("r", w.token("r"))
		if s, _ := w.m.Room("r"); s.HasRefreshToken {
			t.Error("HasRefreshToken = true after Invalidate, want false")
		}
		w.token("r")
		w.calls("r", create, create)
		w.add(401 * time.Second)
		if got := w.src.all()[2]; got.kind != refresh || got.refresh != "refresh-r-2" {
			t.Fatalf("next renewal = %v with %q, want a refresh with refresh-r-2", got.kind, got.refresh)
		}
	})
}

func TestPromise7ACallInFlightIsKept(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1}, func(t *testing.T, w *world) {
		first := w.token("r")
		w.src.holdCalls(false)
		w.add(401 * time.Second)
		if !w.m.Invalidate("r", first) {
			t.Fatal("Invalidate() = false, want true")
		}
		p := w.ask(t.Context(), "r")
		w.rest()
		w.waits(p)
		w.calls("r", create, refresh)
		if err := w.src.all()[1].ctx.Err(); err != nil {
			t.Fatalf("the call's ctx has ended: %v, want it to go on", err)
		}
		w.src.releaseAll()
		if got := w.served(p).Value.Reveal(); got != "token-r-2" {
			t.Fatalf("the caller got %s, want token-r-2", got)
		}
		w.rest()
		w.calls("r", create, refresh)
		// The refresh token of the refused token is not used again.
		w.add(401 * time.Second)
		w.calls("r", create, refresh, create)
	})
}

// A call in flight that returns the refused token has failed, for all who wait for
// it.
func TestPromise7ACallInFlightReturnsTheRefusedToken(t *testing.T) {
	same := func(w *world) func(c *sourceCall) (roomtoken.Grant, error) {
		return func(c *sourceCall) (roomtoken.Grant, error) {
			g := w.src.mint(c)
			g.Token.Value = roomtoken.NewSecret("same")
			return g, nil
		}
	}
	wantFailed := func(t *testing.T, w *world, p *pending) {
		t.Helper()
		w.waits(p)
		s, _ := w.m.Room("r")
		if !errors.Is(s.LastError, roomtoken.ErrInvalidGrant) || s.Failures != 1 {
			t.Fatalf("room has %d failures and the last error %v, want 1 and ErrInvalidGrant", s.Failures, s.LastError)
		}
		w.src.on(nil)
		w.add(time.Second)
		if w.served(p).Value.Reveal() == "same" {
			t.Fatal("the caller got the refused token after the backoff, want another")
		}
	}
	t.Run("the room's token", func(t *testing.T) {
		within(t, roomtoken.Config{Jitter: -1}, func(t *testing.T, w *world) {
			w.src.on(same(w))
			first := w.token("r")
			w.src.holdCalls(false)
			w.add(401 * time.Second)
			w.m.Invalidate("r", first)
			p := w.ask(t.Context(), "r")
			w.src.releaseAll()
			wantFailed(t, w, p)
			if s := w.m.Stats(); s.RefreshFailures != 1 {
				t.Errorf("RefreshFailures = %d, want 1", s.RefreshFailures)
			}
			if ops := w.src.kinds(); ops[2] != create {
				t.Errorf("calls = %v, want a create after the refresh", ops)
			}
		})
	})
	t.Run("refused before it was published", func(t *testing.T) {
		within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
			w.src.on(same(w))
			w.src.holdCalls(false)
			p := w.ask(t.Context(), "r")
			for _, value := range []string{"other", "same", "third"} {
				if w.m.Invalidate("r", bare(value)) {
					t.Fatal("Invalidate() = true, want false: no token is published")
				}
			}
			w.src.releaseAll()
			wantFailed(t, w, p)
		})
	})
	t.Run("one of many", func(t *testing.T) {
		within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
			w.src.on(same(w))
			w.src.holdCalls(false)
			p := w.ask(t.Context(), "r")
			for i := range 100 {
				w.m.Invalidate("r", bare(string(rune('A'+i))))
			}
			w.m.Invalidate("r", bare("same"))
			w.src.releaseAll()
			wantFailed(t, w, p)
		})
	})
	t.Run("after Forget", func(t *testing.T) {
		within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
			w.src.on(same(w))
			w.src.holdCalls(false)
			p := w.ask(t.Context(), "r")
			w.m.Forget("r")
			w.m.Invalidate("r", bare("same"))
			w.src.on(nil) // the held call keeps its script
			w.src.releaseAll()
			if w.served(p).Value.Reveal() == "same" {
				t.Fatal("the caller got the refused token, want another")
			}
		})
	})
}

// A source that returns the refused token again, in a call that began after the
// refusal.
func TestPromise7ARefusedTokenDoesNotComeBack(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1, MaxWait: -1}, func(t *testing.T, w *world) {
		first := w.token("r")
		w.src.on(func(c *sourceCall) (roomtoken.Grant, error) {
			g := w.src.mint(c)
			g.Token.Value = first.Value
			return g, nil
		})
		w.m.Invalidate("r", first)
		p := w.ask(t.Context(), "r")
		w.add(20 * time.Second)
		if n := w.src.count(); p.returned() || n < 4 || n > 8 {
			t.Fatalf("caller returned: %v (%v), %d calls in 20 s, want it to wait and 4 to 8 calls", p.returned(), p.err, n)
		}
		if _, ok := w.m.Cached("r"); ok {
			t.Fatal("Cached returned the refused token, want none")
		}
		w.src.on(nil)
		w.add(31 * time.Second)
		w.served(p)
	})
}

func TestPromise7AHundredParallelRefusalsCostOneCall(t *testing.T) {
	within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
		w.token("r")
		var callers sync.WaitGroup
		var mu sync.Mutex
		drops := 0
		for range 100 {
			callers.Go(func() {
				tok, err := w.m.Token(t.Context(), "r")
				if err != nil || tok.Value.Reveal() != "token-r-1" {
					t.Errorf("Token() = %v before the refusal, want token-r-1", err)
				}
				time.Sleep(time.Second) // all use it and are refused at the same time
				if w.m.Invalidate("r", tok) {
					mu.Lock()
					drops++
					mu.Unlock()
				}
				tok, err = w.m.Token(t.Context(), "r")
				if err != nil || tok.Value.Reveal() != "token-r-2" {
					t.Errorf("Token() = %v after the refusal, want token-r-2", err)
				}
			})
		}
		callers.Wait()
		if drops != 1 || w.src.count() != 2 {
			t.Fatalf("%d successful Invalidates and %d calls, want 1 and 2", drops, w.src.count())
		}
	})
}

// A server that refuses every token at once.
func TestPromise7NoMintLoop(t *testing.T) {
	const mins, maxs = 500 * time.Millisecond, 30 * time.Second
	within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
		refusing := true
		v := w.watch("r", func(tok roomtoken.Token, err error) {
			if err == nil && refusing && !w.m.Invalidate("r", tok) {
				t.Error("Invalidate() = false, want true")
			}
		})
		w.add(10 * time.Minute)
		calls := w.src.all()
		if len(calls) < 10 || len(calls) > 45 {
			t.Fatalf("%d calls in 10 minutes, want 10 to 45", len(calls))
		}
		// From the second refusal on the replacement is created at once, and handed out
		// after a step: the next one is refused, and created, that much later.
		for i := range 2 {
			if gap := calls[i+1].at - calls[i].at; gap != 0 {
				t.Errorf("refused token %d replaced after %v, want at once", i+1, gap)
			}
		}
		step := mins
		for i := 3; i < len(calls); i++ {
			gap := calls[i].at - calls[i-1].at
			if least := min(step, 20*time.Second); gap < least || gap > min(step*3/2, maxs)+20*time.Millisecond {
				t.Errorf("refused token %d replaced after %v, want %v to %v", i, gap, least, min(step*3/2, maxs))
			}
			if calls[i].kind != create {
				t.Errorf("call %d = %v, want create", i, calls[i].kind)
			}
			step = min(step*2, maxs)
		}

		// A token that is used until its renewal resets the count.
		refusing = false
		w.add(11 * time.Minute)
		before := w.src.count()
		for range 2 {
			if !w.m.Invalidate("r", w.token("r")) {
				t.Fatal("Invalidate() = false, want true")
			}
			w.rest()
		}
		if got := w.src.count() - before; got != 2 {
			t.Fatalf("%d calls at once for two consecutive refusals, want 2", got)
		}
		w.add(500*time.Millisecond - 1)
		if _, ok := w.m.Cached("r"); ok {
			t.Fatal("the second replacement was handed out at once, want it after a step")
		}
		w.add(250*time.Millisecond + 1)
		if _, ok := w.m.Cached("r"); !ok {
			t.Fatal("the second replacement was not handed out after a step")
		}
		if got := w.src.count() - before; got != 2 {
			t.Fatalf("%d calls after one more step, want 2", got)
		}
		v.cancel(nil)
	})
}

// The same for callers who retry as soon as they are refused.
func TestPromise7NoMintLoopForCallers(t *testing.T) {
	within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
		var stop atomic.Bool
		var refused sync.WaitGroup
		for range 10 {
			refused.Go(func() {
				for !stop.Load() {
					if tok, err := w.m.Token(t.Context(), "r"); err == nil {
						w.m.Invalidate("r", tok)
					} else {
						time.Sleep(time.Millisecond)
					}
				}
			})
		}
		w.add(25 * time.Second)
		if n := w.src.count(); n < 5 || n > 9 {
			t.Errorf("%d calls in 25 s, want 5 to 9", n)
		}
		stop.Store(true)
		if err := w.m.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		refused.Wait()
	})
}

// A token that is refused after its renewal was due does not count as a failure: the
// server may accept new ones.
func TestPromise7LateRefusalsAreNoFailures(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1, IdleAfter: time.Minute}, func(t *testing.T, w *world) {
		for i := range 4 {
			tok := w.token("r")
			w.add(450 * time.Second) // the room is idle: its renewal is skipped
			if !w.m.Invalidate("r", tok) {
				t.Fatal("Invalidate() = false, want true")
			}
			w.served(w.ask(t.Context(), "r")) // at once
			if s, _ := w.m.Room("r"); s.Failures != 0 {
				t.Fatalf("Failures = %d after late refusal %d, want 0", s.Failures, i)
			}
		}
	})
}

// A refusal does not shorten the wait that the source asked for.
func TestPromise7InvalidateKeepsRetryAfter(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1, MaxWait: -1}, func(t *testing.T, w *world) {
		tok := w.token("r")
		w.src.fail(roomtoken.RetryAfter(errDown, 2*time.Minute))
		w.add(401 * time.Second)
		w.m.Invalidate("r", tok)
		w.src.on(nil)
		p := w.ask(t.Context(), "r")
		w.add(118 * time.Second)
		if p.returned() || w.src.count() != 2 {
			t.Fatalf("caller returned: %v, %d calls, want it to wait out Retry-After and 2 calls", p.returned(), w.src.count())
		}
		w.add(3 * time.Second)
		if !p.returned() || p.err != nil || w.src.kinds()[2] != create {
			t.Fatalf("after Retry-After the caller got the error %v after %v, want a token from a create", p.err, w.src.kinds())
		}
	})
}

// lateContext blocks in Done until it may go on. A caller of Token calls Done when
// it begins to wait.
type lateContext struct {
	context.Context //nolint:containedctx // the embedded one does the work
	waits           chan<- struct{}
	goOn            <-chan struct{}
}

func (c lateContext) Done() <-chan struct{} {
	select {
	case c.waits <- struct{}{}:
	default:
	}
	<-c.goOn
	return c.Context.Done()
}

// A caller who wakes late does not get a token that was published, invalidated and
// forgotten in the meantime.
func TestPromise7InvalidatedTokenIsNotHandedToALateWaiter(t *testing.T) {
	within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
		w.src.holdCalls(false)
		waits, goOn := make(chan struct{}, 1), make(chan struct{})
		p := w.ask(lateContext{t.Context(), waits, goOn}, "r")
		<-waits
		w.src.releaseAll()
		tok, ok := w.m.Cached("r")
		if !ok || p.returned() {
			t.Fatalf("token published: %v, caller returned: %v, want true and false", ok, p.returned())
		}
		if !w.m.Invalidate("r", tok) {
			t.Fatal("Invalidate = false, want true")
		}
		w.m.Forget("r")
		close(goOn)
		if got := w.served(p); got.Value.Equal(tok.Value) {
			t.Error("the late caller got the invalidated token, want a new one")
		}
		w.calls("r", create, create)
	})
}

// A server that accepts a token only some time after its issue, because of replication or a
// clock that is behind: the token gets in, and it costs no more creates than one a step.
func TestPromise7ATokenThatIsAcceptedLate(t *testing.T) {
	for lag, most := range map[time.Duration]int{
		300 * time.Millisecond:  4,
		500 * time.Millisecond:  4,
		time.Second:             5,
		2 * time.Second:         6,
		3500 * time.Millisecond: 6,
		5 * time.Second:         7,
	} {
		t.Run(lag.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				src := &source{clk: realClock, lifetime: 10 * time.Minute, refreshLifetime: time.Hour}
				m, err := roomtoken.NewManager(src, roomtoken.Config{})
				if err != nil {
					t.Fatal(err)
				}
				defer m.Close()
				began := time.Now()
				for {
					tok, err := m.Token(t.Context(), "r")
					if err != nil {
						t.Fatalf("Token() = %v after %v", err, time.Since(began))
					}
					time.Sleep(20 * time.Millisecond) // on the way to the server
					if issued := tok.ExpiresAt.Add(-10 * time.Minute); time.Since(issued) >= lag {
						break
					}
					if !m.Invalidate("r", tok) {
						t.Fatal("Invalidate() = false, want true")
					}
					if time.Since(began) > time.Minute {
						t.Fatal("no token got in within a minute")
					}
				}
				if took := time.Since(began); took > 25*time.Second {
					t.Errorf("a token got in after %v, want 25 s at most", took)
				}
				if n := src.count(); n > most {
					t.Errorf("%d creates, want %d at most", n, most)
				}
			})
		})
	}
}

// The wait before a replacement is handed out is at most a third of its lifetime.
func TestPromise7ReplacementsAreHandedOutWithinAThirdOfTheirLifetime(t *testing.T) {
	const lifetime = 9 * time.Second
	within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
		w.src.live(lifetime, time.Hour)
		v := w.watch("r", nil)
		defer v.cancel(nil)
		tok := w.token("r")
		for range 8 {
			if !w.m.Invalidate("r", tok) {
				t.Fatal("Invalidate() = false, want true")
			}
			w.add(lifetime / 3)
			var ok bool
			if tok, ok = w.m.Cached("r"); !ok {
				t.Fatal("the replacement was not handed out within a third of its lifetime")
			}
			if left := tok.ExpiresAt.Sub(w.clk.Now()); left < lifetime*2/3 {
				t.Errorf("the replacement has %v left, want at least %v", left, lifetime*2/3)
			}
		}
	})
}
