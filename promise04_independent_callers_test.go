package roomtoken_test

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/benbjohnson/clock"

	"github.com/roomtoken/roomtoken"
)

// Promise 4: callers are independent of one another.

var errHungUp = errors.New("the caller hung up")

// A caller whose ctx ends leaves at once, whatever it waits for, with an error that
// wraps the cause, ctx.Err() and the last error of the source. The others stay and
// are served.
func TestPromise4CallersLeaveAtEachStage(t *testing.T) {
	background := context.Background()
	for name, c := range map[string]struct {
		config  roomtoken.Config
		prepare func(w *world)
		recover func(w *world) // lets the others be served
		last    error          // the source's last error before the caller leaves
	}{
		"call in flight": {
			prepare: func(w *world) { w.src.holdCalls(false) },
			recover: func(w *world) { w.src.releaseAll() },
		},
		"call in flight, after a failure": {
			prepare: func(w *world) {
				w.src.fail(errDown)
				w.ask(background, "r")
				w.src.holdCalls(false)
				w.add(time.Second)
			},
			recover: func(w *world) { w.src.on(nil); w.src.releaseAll(); w.add(2 * time.Second) },
			last:    errDown,
		},
		"queued for a slot": {
			config: roomtoken.Config{MaxConcurrentCalls: 1},
			prepare: func(w *world) {
				w.src.holdCalls(false)
				w.ask(background, "other")
			},
			recover: func(w *world) { w.src.releaseAll() },
		},
		"in backoff": {
			prepare: func(w *world) { w.src.fail(errDown) },
			recover: func(w *world) { w.src.on(nil); w.add(time.Second) },
			last:    errDown,
		},
		"during a hold": {
			prepare: func(w *world) {
				limited := roomtoken.RetryAfter(errors.Join(roomtoken.ErrRateLimited, errDown), 5*time.Second)
				w.src.fail(limited)
				w.ask(background, "other")
			},
			recover: func(w *world) { w.src.on(nil); w.add(7 * time.Second) }, // the other room is the probe, and the pace is one call in 2 s
			last:    errDown,
		},
		"early renewal in flight": {
			prepare: func(w *world) {
				w.token("r")
				w.add(time.Minute)
				w.src.holdCalls(false)
			},
			recover: func(w *world) { w.src.releaseAll() },
		},
		"forgotten during the call": {
			prepare: func(w *world) { w.src.holdCalls(false) },
			recover: func(w *world) { w.src.releaseAll() },
		},
	} {
		t.Run(name, func(t *testing.T) {
			within(t, c.config, func(t *testing.T, w *world) {
				c.prepare(w)
				ctx, hangUp := context.WithCancelCause(background)
				other, otherCancel := context.WithCancel(background)
				early, stays, leaves := w.askFor(other, "r", 595*time.Second), w.askFor(background, "r", 595*time.Second), w.askFor(ctx, "r", 595*time.Second)
				for _, p := range []*pending{early, stays, leaves} {
					w.waits(p)
				}
				if name == "forgotten during the call" {
					w.m.Forget("r")
				}
				calls := w.src.count()
				otherCancel() // the first caller: the call began with its ctx
				w.refused(early, context.Canceled)
				hangUp(errHungUp)
				w.refused(leaves, errHungUp, context.Canceled) // at once: no time has passed
				if c.last != nil {
					w.refused(leaves, c.last)
				}
				if n := w.src.count(); n != calls {
					t.Errorf("%d calls began when a caller left, want none", n-calls)
				}
				w.waits(stays)
				if s, _ := w.m.Room("r"); s.InFlight != 0 {
					shared := w.src.of("r")
					if err := shared[len(shared)-1].ctx.Err(); err != nil {
						t.Errorf("the ctx of the shared call has ended: %v, want it to go on", err)
					}
				}
				c.recover(w)
				w.served(stays)
			})
		})
	}
}

// A ctx that has ended before the call.
func TestPromise4EndedBeforeTheCall(t *testing.T) {
	within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
		ctx, hangUp := context.WithCancelCause(context.Background())
		hangUp(errHungUp)
		w.refused(w.ask(ctx, "r"), errHungUp, context.Canceled)
		if w.src.count() != 0 {
			t.Fatal("a call began for a caller whose ctx had ended, want none")
		}
		w.src.fail(errDown)
		brief, cancel := context.WithCancel(context.Background())
		p := w.ask(brief, "r")
		cancel()
		w.refused(p, errDown, context.Canceled)
		w.refused(w.ask(ctx, "r"), errHungUp, context.Canceled, errDown) // and wraps the last failure
		w.add(time.Minute)
		w.calls("r", create) // no caller is left
		w.src.on(nil)
		want := w.token("r")
		if tok := w.served(w.ask(ctx, "r")); !tok.Value.Equal(want.Value) { // a hit does not look at ctx
			t.Fatal("Token returned another token, want the cached one")
		}
	})
}

// A queued call whose last caller has left before it could begin is not made.
func TestPromise4QueuedCallWithoutCallersIsNotMade(t *testing.T) {
	within(t, roomtoken.Config{MaxConcurrentCalls: 1}, func(t *testing.T, w *world) {
		w.src.holdCalls(false)
		other := w.ask(context.Background(), "other")
		ctx, cancel := context.WithCancel(context.Background())
		p := w.ask(ctx, "r")
		cancel()
		w.refused(p, context.Canceled)
		w.src.releaseAll()
		w.served(other)
		w.calls("r")
	})
}

// A ctx's deadline counts real time. Its error and its cause are wrapped like any
// other's.
func TestPromise4Deadline(t *testing.T) {
	within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
		w.src.holdCalls(false)
		ctx, cancel := context.WithTimeoutCause(context.Background(), 3*time.Second, errHungUp)
		defer cancel()
		p := w.ask(ctx, "r")
		time.Sleep(3*time.Second - 1)
		w.waits(p)
		time.Sleep(1)
		w.refused(p, errHungUp, context.DeadlineExceeded)
		w.src.releaseAll()
		w.token("r")
		w.calls("r", create) // the call that went on
	})
}

// When the last caller leaves, the call goes on and its token is kept.
func TestPromise4TheLastToLeaveCancelsNothing(t *testing.T) {
	within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
		w.src.holdCalls(false)
		ctx, cancel := context.WithCancel(context.Background())
		asked := make([]*pending, 20)
		for i := range asked {
			asked[i] = w.ask(ctx, "r")
		}
		cancel()
		for _, p := range asked {
			w.refused(p, context.Canceled)
		}
		if err := w.src.all()[0].ctx.Err(); err != nil {
			t.Fatalf("the call's ctx has ended: %v, want it to go on", err)
		}
		w.src.releaseAll()
		if _, ok := w.m.Cached("r"); !ok {
			t.Fatal("Cached returned no token, want that of the call")
		}
		w.token("r")
		w.calls("r", create)
	})
}

// The ctx ends just as the grant arrives. A token and an error are both right, but
// no caller and no token may be lost.
func TestPromise4AtTheMomentOfPublication(t *testing.T) {
	for range 50 {
		within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
			ctx, hangUp := context.WithCancelCause(context.Background())
			w.src.on(func(c *sourceCall) (roomtoken.Grant, error) {
				g := w.src.mint(c)
				go hangUp(errHungUp)
				return g, nil
			})
			asked := make([]*pending, 8)
			for i := range asked {
				p := &pending{done: make(chan struct{})} // start would wait until it blocks
				asked[i] = p
				go func() {
					defer close(p.done)
					p.tok, p.err = w.m.Token(ctx, "r")
				}()
			}
			stays := w.ask(context.Background(), "r")
			w.served(stays)
			for _, p := range asked {
				if !p.returned() {
					t.Fatal("a caller has not returned")
				}
				switch {
				case p.err == nil && !p.tok.Value.Equal(stays.tok.Value):
					t.Fatal("got another token, want the shared one")
				case p.err != nil && !(errors.Is(p.err, errHungUp) && errors.Is(p.err, context.Canceled)):
					t.Fatalf("error = %v, want it to wrap the ctx's error and its cause", p.err)
				}
			}
			w.calls("r", create)
			if s, _ := w.m.Room("r"); s.Waiters != 0 {
				t.Fatalf("Waiters = %d after all returned, want 0", s.Waiters)
			}
		})
	}
}

// A call's ctx has the values of the ctx that started it, but neither its
// cancellation nor its deadline. It ends at CallTimeout.
func TestPromise4TheCallsContext(t *testing.T) {
	type key struct{}
	for name, clk := range map[string]clock.Clock{"mock": nil, "real": clock.New()} {
		t.Run(name, func(t *testing.T) {
			within(t, roomtoken.Config{Clock: clk, CallTimeout: 7 * time.Second}, func(t *testing.T, w *world) {
				pass := w.add
				if clk != nil {
					pass = func(d time.Duration) { time.Sleep(d); synctest.Wait() }
				}
				w.src.holdCalls(false)
				ctx, cancel := context.WithTimeout(context.WithValue(context.Background(), key{}, "first"), time.Second)
				defer cancel()
				p := w.ask(ctx, "r")
				second := w.ask(context.WithValue(context.Background(), key{}, "second"), "r")
				call := w.src.all()[0]
				if got := call.ctx.Value(key{}); got != "first" {
					t.Errorf("value in the call's ctx = %v, want that of the first caller", got)
				}
				if deadline, ok := call.ctx.Deadline(); ok && time.Until(deadline) < 6*time.Second {
					t.Error("the call's ctx has the caller's deadline, want CallTimeout")
				}
				pass(5 * time.Second)
				w.refused(p, context.DeadlineExceeded)
				if err := call.ctx.Err(); err != nil {
					t.Errorf("the call's ctx ended with its first caller: %v, want it to go on", err)
				}
				w.waits(second)
				w.calls("r", create)
				pass(2 * time.Second)
				if call.ctx.Err() == nil || !errors.Is(context.Cause(call.ctx), context.DeadlineExceeded) {
					t.Errorf("at CallTimeout the call's ctx has the error %v and the cause %v, want DeadlineExceeded", call.ctx.Err(), context.Cause(call.ctx))
				}
				w.waits(second) // one attempt has failed, another follows
				w.src.releaseAll()
				pass(time.Second)
				w.served(second)
				w.calls("r", create, create)
			})
		})
	}
}

// The values also reach a renewal that a caller makes early. A renewal that nobody
// waits for has none.
func TestPromise4ValuesReachARefresh(t *testing.T) {
	type key struct{}
	within(t, roomtoken.Config{Jitter: -1}, func(t *testing.T, w *world) {
		ctx := context.WithValue(context.Background(), key{}, "v")
		w.served(w.ask(ctx, "r"))
		w.add(time.Minute)
		w.served(w.askFor(ctx, "r", 595*time.Second))
		w.add(401 * time.Second)
		w.calls("r", create, refresh, refresh)
		for i, want := range []any{"v", "v", nil} {
			if got := w.src.all()[i].ctx.Value(key{}); got != want {
				t.Errorf("value in the ctx of call %d = %v, want %v", i+1, got, want)
			}
		}
	})
}

// pooledCtx counts how often it is read after its owner has put it back into a pool.
type pooledCtx struct {
	context.Context
	back atomic.Bool
	read atomic.Int64
}

func (c *pooledCtx) note() {
	if c.back.Load() {
		c.read.Add(1)
	}
}

func (c *pooledCtx) Deadline() (time.Time, bool) { c.note(); return c.Context.Deadline() }
func (c *pooledCtx) Done() <-chan struct{}       { c.note(); return c.Context.Done() }
func (c *pooledCtx) Err() error                  { c.note(); return c.Context.Err() }
func (c *pooledCtx) Value(key any) any           { c.note(); return c.Context.Value(key) }

// The ctx of a caller or a watch that has left is not read any more by a call that begins
// later, which has the values of one that is still there. It may be in a pool by then.
func TestPromise4TheCtxOfOneWhoHasLeftIsNotRead(t *testing.T) {
	type key struct{}
	pooled := func(ctx context.Context, name string) (*pooledCtx, context.CancelFunc) {
		ctx, cancel := context.WithCancel(context.WithValue(ctx, key{}, name))
		return &pooledCtx{Context: ctx}, cancel
	}
	oneOfTwoLeaves := func(t *testing.T, w *world, ctx context.Context, cancel func()) {
		t.Helper()
		v := w.watchWith(ctx, "r", nil)
		other, _ := pooled(t.Context(), "stays")
		w.watchWith(other, "r", nil)
		cancel()
		if !v.ended() {
			t.Fatal("the watch has not ended with its ctx")
		}
	}
	for name, c := range map[string]struct {
		wants any // the value that calls after the first have
		// leave lets somebody use ctx and leave; afterwards a call must begin within 10 min.
		leave func(t *testing.T, w *world, ctx context.Context, cancel func())
	}{
		"a caller in backoff, another stays": {"stays", func(t *testing.T, w *world, ctx context.Context, cancel func()) {
			w.src.fail(errDown)
			p := w.ask(ctx, "r")
			other, _ := pooled(t.Context(), "stays")
			w.ask(other, "r")
			w.waits(p)
			cancel()
			w.refused(p, context.Canceled)
			w.src.on(nil)
		}},
		"a caller in backoff, another comes": {"stays", func(t *testing.T, w *world, ctx context.Context, cancel func()) {
			w.src.fail(errDown)
			p := w.ask(ctx, "r")
			w.waits(p)
			cancel()
			w.refused(p, context.Canceled)
			w.src.on(nil)
			other, _ := pooled(t.Context(), "stays")
			w.ask(other, "r")
		}},
		"a caller who was served": {nil, func(_ *testing.T, w *world, ctx context.Context, _ func()) {
			w.served(w.ask(ctx, "r"))
		}},
		"a caller who was served, and a watch": {"stays", func(t *testing.T, w *world, ctx context.Context, _ func()) {
			w.served(w.ask(ctx, "r"))
			other, _ := pooled(t.Context(), "stays")
			w.watchWith(other, "r", nil)
			w.m.Invalidate("r", w.token("r"))
		}},
		"one of two watches": {"stays", func(t *testing.T, w *world, ctx context.Context, cancel func()) {
			oneOfTwoLeaves(t, w, ctx, cancel)
			w.m.Invalidate("r", w.token("r"))
		}},
		"a watch of a forgotten room": {"stays", func(t *testing.T, w *world, ctx context.Context, cancel func()) {
			oneOfTwoLeaves(t, w, ctx, cancel)
			w.m.Forget("r")
		}},
		"Warm": {nil, func(t *testing.T, w *world, ctx context.Context, _ func()) {
			if p := w.warming(ctx, "r"); !p.returned() || p.err != nil {
				t.Fatalf("Warm returned: %v (%v), want nil", p.returned(), p.err)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			within(t, roomtoken.Config{Jitter: -1}, func(t *testing.T, w *world) {
				w.others(1)
				ctx, cancel := pooled(t.Context(), "left")
				defer cancel()
				c.leave(t, w, ctx, cancel)
				ctx.back.Store(true)
				w.add(10 * time.Minute)
				calls := w.src.of("r")
				if len(calls) < 2 {
					t.Fatalf("%d calls, want another after the first", len(calls))
				}
				for _, call := range calls[1:2] {
					call.ctx.Deadline()
					if got := call.ctx.Value(key{}); got != c.wants {
						t.Errorf("value of a later call's ctx = %v, want %v", got, c.wants)
					}
				}
				if n := ctx.read.Load(); n > 0 {
					t.Errorf("the ctx was read %d times after its owner had left, want none", n)
				}
			})
		})
	}
}

// Nor is it kept in memory.
func TestPromise4TheCtxOfOneWhoHasLeftIsNotKept(t *testing.T) {
	for name, leave := range map[string]func(w *world, ctx context.Context, cancel func()){
		"a caller": func(w *world, ctx context.Context, cancel func()) {
			p := w.ask(ctx, "r")
			w.waits(p)
			cancel()
			w.refused(p, context.Canceled)
		},
		"a caller who needs more": func(w *world, ctx context.Context, cancel func()) {
			p := w.askFor(ctx, "r", time.Hour)
			w.waits(p)
			cancel()
			w.refused(p, context.Canceled)
		},
		"a watch": func(w *world, ctx context.Context, cancel func()) {
			v := w.watchWith(ctx, "r", nil)
			cancel()
			if !v.ended() {
				w.t.Fatal("the watch has not ended with its ctx")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			within(t, roomtoken.Config{MaxWait: -1}, func(t *testing.T, w *world) {
				w.others(1)
				w.src.fail(errDown)
				w.ask(t.Context(), "r") // keeps the room in demand
				w.src.holdCalls(false)
				used := func() weak.Pointer[pooledCtx] {
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					pooled := &pooledCtx{Context: ctx}
					leave(w, pooled, cancel)
					return weak.Make(pooled)
				}()
				for range 10 {
					if runtime.GC(); used.Value() == nil {
						return
					}
				}
				t.Error("the ctx is still in memory after its owner has left, want it gone")
			})
		})
	}
}
