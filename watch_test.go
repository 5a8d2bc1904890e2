package roomtoken_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomtoken/roomtoken"
)

func TestWatchYieldsTheCurrentTokenThenEachNewerOne(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1}, func(t *testing.T, w *world) {
		w.token("r")
		v := w.watch("r", nil)
		wantSeen(t, "at first", v, "token-r-1")
		w.add(399 * time.Second)
		wantSeen(t, "before the renewal", v, "token-r-1")
		w.add(2 * time.Second)
		wantSeen(t, "after the renewal", v, "token-r-1", "token-r-2")
		w.add(400 * time.Second)
		wantSeen(t, "after two renewals", v, "token-r-1", "token-r-2", "token-r-3")
		w.m.Invalidate("r", v.last().tok)
		wantSeen(t, "after Invalidate", v, "token-r-1", "token-r-2", "token-r-3", "token-r-4")
		v.cancel(nil)
	})
}

func TestWatchOfAColdRoomStartsItsCall(t *testing.T) {
	within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
		v := w.watch("r", nil)
		wantSeen(t, "at first", v, "token-r-1")
		v.cancel(nil)
	})
}

func TestWatchCarriesTheValuesOfItsContext(t *testing.T) {
	type key struct{}
	within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
		ctx := context.WithValue(t.Context(), key{}, "value")
		for range w.m.Watch(ctx, "r") {
			break
		}
		if got := w.src.all()[0].ctx.Value(key{}); got != "value" {
			t.Fatalf("value in the call's ctx = %v, want value", got)
		}
	})
}

// Each range is one watch: it begins with the current token and ends on its own.
func TestWatchEachRangeIsOneWatch(t *testing.T) {
	within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
		seq := w.m.Watch(t.Context(), "r")
		if w.src.count() != 0 {
			t.Fatal("Watch called the source before a range, want no call")
		}
		for range 3 {
			n := 0
			for tok, err := range seq {
				if err != nil || tok.Value.Reveal() != "token-r-1" {
					t.Fatalf("first pair = (%v, %v), want token-r-1", tok, err)
				}
				if s, _ := w.m.Room("r"); s.Watchers != 1 {
					t.Fatalf("Watchers = %d inside the loop, want 1", s.Watchers)
				}
				n++
				break
			}
			if s, _ := w.m.Room("r"); n != 1 || s.Watchers != 0 {
				t.Fatalf("%d pairs, and Watchers = %d after the loop, want 1 and 0", n, s.Watchers)
			}
		}
		next1, stop1 := iter.Pull2(seq)
		next2, stop2 := iter.Pull2(seq)
		for _, next := range []func() (roomtoken.Token, error, bool){next1, next2} {
			if tok, err, ok := next(); !ok || err != nil || tok.IsZero() {
				t.Fatalf("parallel watch begins with (%v, %v, %v), want a token", tok, err, ok)
			}
		}
		if s, _ := w.m.Room("r"); s.Watchers != 2 {
			t.Fatalf("Watchers = %d, want 2", s.Watchers)
		}
		stop1()
		stop2()
		if s, _ := w.m.Room("r"); s.Watchers != 0 {
			t.Fatalf("Watchers = %d after stop, want 0", s.Watchers)
		}
	})
}

func TestWatchYieldsOnlyTheLatestToASlowConsumer(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1}, func(t *testing.T, w *world) {
		gate := make(chan struct{})
		slow := w.watch("r", func(roomtoken.Token, error) { <-gate })
		quick := w.watch("r", nil)
		for range 3 { // three renewals while it does not read
			w.add(401 * time.Second)
		}
		wantSeen(t, "beside a slow one", quick, "token-r-1", "token-r-2", "token-r-3", "token-r-4")
		wantSeen(t, "while it does not read", slow, "token-r-1")
		close(gate)
		wantSeen(t, "when it reads again", slow, "token-r-1", "token-r-4")
		slow.cancel(nil)
		quick.cancel(nil)
	})
}

// A consumer that stops reading affects neither other watches, nor callers, nor
// Close.
func TestWatchWhoseConsumerStopsReading(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1}, func(t *testing.T, w *world) {
		gate := make(chan struct{})
		stuck := w.watch("r", func(roomtoken.Token, error) { <-gate })
		other := w.watch("r", nil)
		w.add(401 * time.Second)
		wantSeen(t, "beside a stuck one", other, "token-r-1", "token-r-2")
		if got := w.token("r").Value.Reveal(); got != "token-r-2" {
			t.Fatalf("Token() = %s, want token-r-2", got)
		}
		if s, _ := w.m.Room("r"); s.Watchers != 2 {
			t.Fatalf("Watchers = %d, want 2", s.Watchers)
		}
		if err := w.m.Close(); err != nil {
			t.Fatalf("Close: %v", err)
		}
		if stuck.ended() || !other.ended() {
			t.Fatalf("after Close the stuck watch ended: %v, the other: %v, want false and true", stuck.ended(), other.ended())
		}
		close(gate)
		wantSeen(t, "when it reads again", stuck, "token-r-1", "error")
		if err := stuck.last().err; !stuck.ended() || !errors.Is(err, roomtoken.ErrClosed) {
			t.Fatalf("watch ended with %v, want ErrClosed", err)
		}
	})
}

func TestWatchFanOut(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1}, func(t *testing.T, w *world) {
		const n = 500
		all := make([]*watched, n)
		for i := range all {
			all[i] = w.watch("r", nil)
		}
		w.add(401 * time.Second)
		if got := w.src.count(); got != 2 {
			t.Fatalf("%d calls for %d watches and one renewal, want 2", got, n)
		}
		for _, v := range all {
			wantSeen(t, "after a renewal", v, "token-r-1", "token-r-2")
			v.cancel(nil)
		}
		w.rest()
		if s, _ := w.m.Room("r"); s.Watchers != 0 {
			t.Fatalf("Watchers = %d at the end, want 0", s.Watchers)
		}
	})
}

// While there is a valid token, the consumer does not see failures of its renewal.
// When the token has expired, it sees each failure once.
func TestWatchErrorComesOncePerFailure(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1}, func(t *testing.T, w *world) {
		v := w.watch("r", nil)
		w.src.fail(errDown)
		w.add(569 * time.Second)
		if w.src.count() < 5 {
			t.Fatalf("%d calls, want at least 5: the renewal is retried", w.src.count())
		}
		wantSeen(t, "while the token is valid", v, "token-r-1")
		w.add(2 * time.Second)
		wantSeen(t, "when the token is unusable", v, "token-r-1", "error")
		first := v.last()
		if first.at < 570*time.Second || first.at > 571*time.Second {
			t.Errorf("error came after %v, want 570 s to 571 s", first.at)
		}
		if !errors.Is(first.err, errDown) || !strings.Contains(first.err.Error(), `"r"`) {
			t.Errorf("error = %v, want it to wrap errDown and name the room", first.err)
		}
		before := w.src.count()
		w.add(10 * time.Minute)
		if w.src.count() < before+10 {
			t.Fatalf("%d further calls, want at least 10: a watched room is retried", w.src.count()-before)
		}
		wantSeen(t, "while the same failure lasts", v, "token-r-1", "error")

		other := errors.New("another failure")
		w.src.fail(other)
		w.add(time.Minute)
		wantSeen(t, "after a different failure", v, "token-r-1", "error", "error")
		if !errors.Is(v.last().err, other) {
			t.Errorf("second error = %v, want the other failure", v.last().err)
		}

		w.src.on(nil)
		w.add(time.Minute)
		wantSeen(t, "after recovery", v, "token-r-1", "error", "error", "token-r-2")
		w.src.fail(other)
		w.add(10 * time.Minute)
		wantSeen(t, "when the same failure comes after a token", v, "token-r-1", "error", "error", "token-r-2", "error")
		if v.ended() {
			t.Fatal("an error ended the watch, want it to go on")
		}
		v.cancel(nil)
	})
}

// A room without a token whose first call fails.
func TestWatchOfARoomThatNeverHadAToken(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		wait time.Duration // until the next attempt, at most
	}{
		"transient":    {errDown, time.Second},
		"permanent":    {roomtoken.Permanent(errDown), 10 * time.Second},
		"rate limited": {roomtoken.RetryAfter(fmt.Errorf("%w: %w", errDown, roomtoken.ErrRateLimited), 20*time.Second), 20 * time.Second},
		"panic":        {nil, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
				w.src.on(func(*sourceCall) (roomtoken.Grant, error) {
					if c.err == nil {
						panic("of the source")
					}
					return roomtoken.Grant{}, c.err
				})
				v := w.watch("r", nil)
				wantSeen(t, "after a failure", v, "error")
				if c.err != nil && !errors.Is(v.last().err, errDown) {
					t.Errorf("error = %v, want errDown", v.last().err)
				}
				w.src.on(nil)
				w.add(c.wait + 500*time.Millisecond)
				wantSeen(t, "after recovery", v, "error", "token-r-1")
				v.cancel(nil)
			})
		})
	}
}

// The renewal cannot begin during a hold. The consumer gets the error when its token
// is unusable.
func TestWatchDuringAHold(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1, MaxRetryAfter: time.Hour}, func(t *testing.T, w *world) {
		v := w.watch("r", nil)
		w.add(300 * time.Second)
		w.src.fail(roomtoken.RetryAfter(fmt.Errorf("slow down: %w", roomtoken.ErrRateLimited), time.Hour))
		w.refused(w.ask(t.Context(), "other"), roomtoken.ErrRateLimited)
		w.src.on(nil)
		w.add(269 * time.Second)
		wantSeen(t, "while the token is valid", v, "token-r-1")
		w.add(2 * time.Second)
		wantSeen(t, "when the token is unusable", v, "token-r-1", "error")
		if err := v.last().err; !errors.Is(err, roomtoken.ErrRateLimited) {
			t.Errorf("error = %v, want ErrRateLimited", err)
		}
		w.add(20 * time.Minute)
		wantSeen(t, "while the hold lasts", v, "token-r-1", "error")
		w.add(40 * time.Minute)
		wantSeen(t, "after the hold", v, "token-r-1", "error", "token-r-2")
		v.cancel(nil)
	})
}

// A watch whose room stands in line without a token learns once that no call can begin.
func TestWatchInLineWhenAHoldBegins(t *testing.T) {
	within(t, roomtoken.Config{MaxConcurrentCalls: 1}, func(t *testing.T, w *world) {
		w.src.holdCalls(false)
		w.src.fail(roomtoken.RetryAfter(fmt.Errorf("%w: %w", roomtoken.ErrRateLimited, errDown), time.Minute))
		w.ask(t.Context(), "other")
		v := w.watch("r", nil)
		wantSeen(t, "in line", v)
		w.src.on(nil)
		w.src.releaseAll()
		wantSeen(t, "when the hold begins", v, "error")
		if err := v.last().err; !errors.Is(err, errDown) {
			t.Errorf("error = %v, want errDown", err)
		}
		w.add(time.Minute - 1)
		wantSeen(t, "during the hold", v, "error")
		w.add(3 * time.Second) // one call in 2 s
		wantSeen(t, "after the hold", v, "error", "token-r-1")
		v.cancel(nil)
	})
}

// A call that hangs beyond the token's expiry and CallTimeout.
func TestWatchOfARoomWhoseCallHangs(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1, CallTimeout: time.Minute}, func(t *testing.T, w *world) {
		w.src.live(time.Minute, time.Hour)
		v := w.watch("r", nil)
		w.src.holdCalls(true)
		w.add(41 * time.Second) // the renewal hangs
		w.add(20 * time.Second) // the token is unusable
		wantSeen(t, "while nothing has failed yet", v, "token-r-1")
		w.add(40 * time.Second)
		wantSeen(t, "after CallTimeout", v, "token-r-1", "error")
		if err := v.last().err; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error = %v, want DeadlineExceeded", err)
		}
		w.add(10 * time.Minute)
		wantSeen(t, "while the call hangs", v, "token-r-1", "error")
		w.src.releaseAll()
		wantSeen(t, "after the late grant", v, "token-r-1", "error", "token-r-2")
		v.cancel(nil)
	})
}

func TestWatchEndsWithTheCauseOfItsContext(t *testing.T) {
	cause := errors.New("the connection is gone")
	within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
		for name, c := range map[string]struct {
			end  func(context.Context) (context.Context, func())
			want error
		}{
			"cause": {func(ctx context.Context) (context.Context, func()) {
				ctx, cancel := context.WithCancelCause(ctx)
				return ctx, func() { cancel(cause) }
			}, cause},
			"cancel": {func(ctx context.Context) (context.Context, func()) {
				return context.WithCancel(ctx)
			}, context.Canceled},
			"deadline": {func(ctx context.Context) (context.Context, func()) {
				ctx, cancel := context.WithTimeout(ctx, time.Minute)
				return ctx, func() { time.Sleep(2 * time.Minute); cancel() }
			}, context.DeadlineExceeded},
		} {
			ctx, end := c.end(context.Background())
			var last answer
			n := 0
			for tok, err := range w.m.Watch(ctx, "r") {
				n++
				last = answer{tok: tok, err: err}
				if err == nil {
					end()
				}
			}
			if n != 2 || !last.tok.IsZero() || !errors.Is(last.err, c.want) {
				t.Errorf("%s: after %d pairs the watch ends with (%v, %v), want 2 pairs and %v", name, n, last.tok, last.err, c.want)
			}
			// A ctx that ended before the watch.
			n = 0
			for tok, err := range w.m.Watch(ctx, "r") {
				n++
				last = answer{tok: tok, err: err}
			}
			if n != 1 || !last.tok.IsZero() || !errors.Is(last.err, c.want) {
				t.Errorf("%s: with an ended ctx %d pairs, the last (%v, %v), want 1 and %v", name, n, last.tok, last.err, c.want)
			}
		}
		if s, _ := w.m.Room("r"); s.Watchers != 0 {
			t.Errorf("Watchers = %d at the end, want 0", s.Watchers)
		}
	})
}

func TestWatchWhenMaxRoomsIsReached(t *testing.T) {
	within(t, roomtoken.Config{MaxRooms: 1}, func(t *testing.T, w *world) {
		first := w.watch("a", nil)
		second := w.watch("b", nil)
		if !second.ended() || !errors.Is(second.last().err, roomtoken.ErrTooManyRooms) || !second.last().tok.IsZero() {
			t.Fatalf("second watch ended: %v, yielded %v, want true and ErrTooManyRooms", second.ended(), second.seen())
		}
		wantSeen(t, "beside it", first, "token-a-1")
		first.cancel(nil)
		w.rest()
		third := w.watch("b", nil)
		wantSeen(t, "when a room can be evicted", third, "token-b-2")
		third.cancel(nil)
	})
}

func TestWatchOfABadRoomID(t *testing.T) {
	within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
		for _, id := range []string{"", strings.Repeat("x", 1025)} {
			v := w.watch(id, nil)
			wantSeen(t, "of a bad room ID", v, "error")
			if !v.ended() || !errors.Is(v.last().err, roomtoken.ErrPermanent) {
				t.Fatalf("watch ended: %v, with %v, want true with ErrPermanent", v.ended(), v.last().err)
			}
		}
		if w.src.count() != 0 || w.m.Stats().Rooms != 0 {
			t.Fatalf("%d calls and %d rooms, want none", w.src.count(), w.m.Stats().Rooms)
		}
	})
}

// Forget does not end a watch: the room starts over.
func TestWatchSurvivesForget(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1}, func(t *testing.T, w *world) {
		v := w.watch("r", nil)
		w.m.Forget("r")
		wantSeen(t, "after Forget", v, "token-r-1", "token-r-2")
		s, ok := w.m.Room("r")
		if !ok || s.Watchers != 1 {
			t.Fatalf("after Forget Watchers = %d (room found: %v), want 1", s.Watchers, ok)
		}
		w.src.holdCalls(false)
		w.m.Forget("r")
		w.rest() // its next call is in flight now
		w.m.Forget("r")
		w.m.Forget("r")
		w.rest()
		if n := w.src.count(); n != 3 {
			t.Fatalf("%d calls, want 3", n)
		}
		w.src.releaseAll()
		wantSeen(t, "after the forgotten call", v, "token-r-1", "token-r-2", "token-r-4")
		w.add(401 * time.Second)
		wantSeen(t, "after a renewal", v, "token-r-1", "token-r-2", "token-r-4", "token-r-5")
		v.cancel(nil)
		w.rest()
		if s, _ := w.m.Room("r"); s.Watchers != 0 {
			t.Fatalf("Watchers = %d at the end, want 0", s.Watchers)
		}
	})
}

// The consumer may panic or exit in the body of the loop.
func TestWatchBodyMayThrow(t *testing.T) {
	within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
		for _, throw := range []func(){func() { panic("of the consumer") }, runtime.Goexit} {
			done := make(chan struct{})
			go func() {
				defer close(done)
				defer func() { _ = recover() }()
				for range w.m.Watch(context.Background(), "r") {
					throw()
				}
			}()
			<-done
			if s, _ := w.m.Room("r"); s.Watchers != 0 {
				t.Fatalf("Watchers = %d at the end, want 0", s.Watchers)
			}
		}
		w.token("r")
	})
}

// A watched room is in use: it is renewed even if it is not asked for.
func TestWatchedRoomIsInUse(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1, IdleAfter: time.Minute}, func(t *testing.T, w *world) {
		v := w.watch("r", nil)
		w.add(time.Hour)
		if got := len(v.all()); got != 10 {
			t.Fatalf("watch yielded %d tokens in an hour, want 10", got)
		}
		v.cancel(nil)
		w.add(401 * time.Second) // idle and due
		if got := w.src.count(); got != 10 {
			t.Fatalf("%d calls, want 10: none after the watch", got)
		}
	})
}

// lookCounter is a ctx that counts how often it is asked whether it has ended: a watch asks
// each time it looks at its room.
type lookCounter struct {
	context.Context
	looks *atomic.Int64
}

func (c lookCounter) Err() error {
	c.looks.Add(1)
	return c.Context.Err()
}

// A failed probe wakes the watch of its room, and not all watches.
func TestWatchIsNotWokenByProbesOfOtherRooms(t *testing.T) {
	const rooms = 300
	for name, failure := range map[string]error{
		"outage":     errDown,
		"credential": fmt.Errorf("%w: %w", roomtoken.ErrUnauthorized, errDown),
		"rate limit": fmt.Errorf("%w: %w", roomtoken.ErrRateLimited, errDown),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				src := &source{clk: realClock, lifetime: 10 * time.Minute}
				m, err := roomtoken.NewManager(src, roomtoken.Config{})
				if err != nil {
					t.Fatal(err)
				}
				defer m.Close()
				var looks, failures atomic.Int64
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				for i := range rooms {
					go func() {
						for _, err := range m.Watch(lookCounter{ctx, &looks}, fmt.Sprint("r", i)) {
							if errors.Is(err, errDown) {
								failures.Add(1)
							}
						}
					}()
				}
				synctest.Wait()
				src.fail(failure)
				time.Sleep(20 * time.Minute)
				if n := failures.Load(); n != rooms {
					t.Errorf("watches yielded %d errors, want each to yield one", n)
				}
				before, probes := looks.Load(), src.count()
				time.Sleep(30 * time.Minute)
				probes = src.count() - probes
				if n := looks.Load() - before; probes < 30 || n > int64(4*probes) {
					t.Errorf("watches looked %d times in 30 min with %d failed probes, want 4 times a probe at most", n, probes)
				}
				if n := failures.Load(); n != rooms {
					t.Errorf("watches yielded %d errors, want one per room for one outage", n)
				}
			})
		})
	}
}
