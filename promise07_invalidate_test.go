package roomtoken_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
)

// bare is a token as somebody has it who only kept its value.
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
				t.Errorf("%s was dropped", name)
			}
		}
		if tok, ok := w.m.Cached("r"); !ok || tok.Value.Reveal() != "token-r-1" {
			t.Fatalf("the token is gone: %v %v", tok, ok)
		}
		if s := w.m.Stats(); s.Rooms != 1 || s.Invalidations != 0 || w.src.count() != 1 {
			t.Fatalf("Invalidate of strangers: %+v", s)
		}

		// By value, whatever the copy's expiry.
		if !w.m.Invalidate("r", bare("token-r-1")) {
			t.Fatal("the token was not dropped")
		}
		if _, ok := w.m.Cached("r"); ok {
			t.Fatal("the dropped token is still handed out")
		}
		if w.m.Invalidate("r", bare("token-r-1")) {
			t.Fatal("it was dropped twice")
		}
		if s := w.m.Stats(); s.Invalidations != 1 {
			t.Fatalf("%d invalidations counted, want 1", s.Invalidations)
		}
	})
}

func TestPromise7InvalidateNeverDropsANewerToken(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1}, func(t *testing.T, w *world) {
		old := w.token("r")
		w.add(401 * time.Second)
		if w.m.Invalidate("r", old) {
			t.Fatal("Invalidate of an older token reports a drop")
		}
		if tok := w.token("r"); tok.Value.Reveal() != "token-r-2" || w.src.count() != 2 {
			t.Fatalf("the newer token is gone: %d calls", w.src.count())
		}
		// It has not cost the refresh token either.
		w.add(401 * time.Second)
		if got := w.src.kinds(); !slices.Equal(got, []roomtoken.CallKind{create, refresh, refresh}) {
			t.Fatalf("calls: %v", got)
		}
	})
}

func TestPromise7TheNextCallIsACreate(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1}, func(t *testing.T, w *world) {
		w.m.Invalidate("r", w.token("r"))
		if s, _ := w.m.Room("r"); s.HasRefreshToken {
			t.Error("the room still has its refresh token")
		}
		w.token("r")
		if got := w.src.kinds(); !slices.Equal(got, []roomtoken.CallKind{create, create}) {
			t.Fatalf("calls after Invalidate: %v", got)
		}
		w.add(401 * time.Second)
		if got := w.src.all()[2]; got.kind != refresh || got.refresh != "refresh-r-2" {
			t.Fatalf("the renewal after that: %s with %q", got.kind, got.refresh)
		}
	})
}

func TestPromise7ACallInFlightIsKept(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1}, func(t *testing.T, w *world) {
		first := w.token("r")
		w.src.holdCalls(false)
		w.add(401 * time.Second)
		if !w.m.Invalidate("r", first) {
			t.Fatal("not dropped")
		}
		p := w.ask(t.Context(), "r")
		w.rest()
		if p.returned() || w.src.count() != 2 {
			t.Fatalf("returned %v, %d calls", p.returned(), w.src.count())
		}
		if err := w.src.all()[1].ctx.Err(); err != nil {
			t.Fatalf("the call was cancelled: %v", err)
		}
		w.src.releaseAll()
		if !p.returned() || p.err != nil || p.tok.Value.Reveal() != "token-r-2" {
			t.Fatalf("the caller got %v", p.err)
		}
		w.rest()
		if got := w.src.kinds(); !slices.Equal(got, []roomtoken.CallKind{create, refresh}) {
			t.Fatalf("calls: %v", got)
		}
		// The refresh token of the refused token is not used again.
		w.add(401 * time.Second)
		if got := w.src.kinds(); !slices.Equal(got, []roomtoken.CallKind{create, refresh, create}) {
			t.Fatalf("calls: %v", got)
		}
	})
}

// A call in flight that returns the very token that was refused has failed, for
// everybody who waits for it.
func TestPromise7ACallInFlightReturnsTheVeryToken(t *testing.T) {
	same := func(w *world) func(c *sourceCall) (roomtoken.Grant, error) {
		return func(c *sourceCall) (roomtoken.Grant, error) {
			g := w.src.mint(c)
			g.Token.Value = roomtoken.NewSecret("same")
			return g, nil
		}
	}
	wantFailed := func(t *testing.T, w *world, p *pending) {
		t.Helper()
		if p.returned() {
			t.Fatalf("the caller got %q, %v", p.tok.Value.Reveal(), p.err)
		}
		s, _ := w.m.Room("r")
		if !errors.Is(s.LastError, roomtoken.ErrInvalidGrant) || s.Failures != 1 {
			t.Fatalf("the call has not failed: %d failures, %v", s.Failures, s.LastError)
		}
		w.src.on(nil)
		w.add(time.Second)
		if !p.returned() || p.err != nil || p.tok.Value.Reveal() == "same" {
			t.Fatalf("after the backoff the caller got %q, %v", p.tok.Value.Reveal(), p.err)
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
				t.Errorf("%d failures of refreshes counted", s.RefreshFailures)
			}
			if ops := w.src.kinds(); ops[2] != create {
				t.Errorf("calls: %v", ops)
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
					t.Fatal("there was nothing to drop")
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
			w.src.on(nil) // for the next; the script of a held call is chosen already
			w.src.releaseAll()
			if !p.returned() || p.err != nil || p.tok.Value.Reveal() == "same" {
				t.Fatalf("the caller got %q, %v", p.tok.Value.Reveal(), p.err)
			}
		})
	})
}

// A source that hands out the refused token again, in a call that began after it
// was refused.
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
			t.Fatalf("returned %v (%v); %d calls in 20 s, want the backoff's 4 to 8", p.returned(), p.err, n)
		}
		if _, ok := w.m.Cached("r"); ok {
			t.Fatal("the refused token is handed out again")
		}
		w.src.on(nil)
		w.add(31 * time.Second)
		if !p.returned() {
			t.Fatal("no recovery")
		}
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
					t.Errorf("before: %v", err)
				}
				time.Sleep(time.Second) // all use it, and all are refused at once
				if w.m.Invalidate("r", tok) {
					mu.Lock()
					drops++
					mu.Unlock()
				}
				tok, err = w.m.Token(t.Context(), "r")
				if err != nil || tok.Value.Reveal() != "token-r-2" {
					t.Errorf("after: %v", err)
				}
			})
		}
		callers.Wait()
		if drops != 1 || w.src.count() != 2 {
			t.Fatalf("%d drops and %d calls, want 1 and 2", drops, w.src.count())
		}
	})
}

// A server that refuses every token as soon as it sees it.
func TestPromise7NoMintLoop(t *testing.T) {
	const mins, maxs = 500 * time.Millisecond, 30 * time.Second
	within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
		refusing := true
		v := w.watch("r", func(tok roomtoken.Token, err error) {
			if err == nil && refusing && !w.m.Invalidate("r", tok) {
				t.Error("not dropped")
			}
		})
		w.add(10 * time.Minute)
		calls := w.src.all()
		if len(calls) < 10 || len(calls) > 45 {
			t.Fatalf("%d calls in 10 minutes", len(calls))
		}
		if gap := calls[1].at - calls[0].at; gap != 0 {
			t.Errorf("the first refused token is replaced after %v, want at once", gap)
		}
		step := mins
		for i := 2; i < len(calls); i++ {
			gap := calls[i].at - calls[i-1].at
			if least := min(step, 20*time.Second); gap < least || gap > min(step*3/2, maxs)+20*time.Millisecond {
				t.Errorf("refused token %d is replaced after %v, want %v to %v", i, gap, least, min(step*3/2, maxs))
			}
			if calls[i].kind != create {
				t.Errorf("call %d is a %s", i, calls[i].kind)
			}
			step = min(step*2, maxs)
		}

		// One that is used for its time ends the row.
		refusing = false
		w.add(11 * time.Minute)
		before := w.src.count()
		for range 2 {
			if !w.m.Invalidate("r", w.token("r")) {
				t.Fatal("not dropped")
			}
			w.rest()
		}
		if got := w.src.count() - before; got != 1 {
			t.Fatalf("%d calls at once for two refusals in a row, want 1", got)
		}
		w.add(time.Second)
		if got := w.src.count() - before; got != 2 {
			t.Fatalf("%d calls a step later, want 2", got)
		}
		v.cancel(nil)
	})
}

// The same for callers who come again as soon as they are refused.
func TestPromise7NoMintLoopForCallers(t *testing.T) {
	within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
		stop := false
		var refused sync.WaitGroup
		for range 10 {
			refused.Go(func() {
				for !stop {
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
		stop = true
		if err := w.m.Close(); err != nil {
			t.Error(err)
		}
		refused.Wait()
	})
}

// A token that is refused after its renewal was due is no sign of a server that
// refuses everything.
func TestPromise7LateRefusalsAreNoFailures(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1, IdleAfter: time.Minute}, func(t *testing.T, w *world) {
		for i := range 4 {
			tok := w.token("r")
			w.add(450 * time.Second) // nobody asks: its renewal is skipped
			if !w.m.Invalidate("r", tok) {
				t.Fatal("not dropped")
			}
			p := w.ask(t.Context(), "r")
			if !p.returned() || p.err != nil {
				t.Fatalf("late refusal %d: not replaced at once: %v", i, p.err)
			}
			if s, _ := w.m.Room("r"); s.Failures != 0 {
				t.Fatalf("late refusal %d counts as a failure", i)
			}
		}
	})
}

// Refusals do not shorten what the source has asked for.
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
			t.Fatalf("returned %v, %d calls: Retry-After was broken", p.returned(), w.src.count())
		}
		w.add(3 * time.Second)
		if !p.returned() || p.err != nil || w.src.kinds()[2] != create {
			t.Fatalf("after Retry-After: %v, %v", p.err, w.src.kinds())
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
