package roomtoken_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomtoken/roomtoken"
)

// A Subscription promises the same as Watch.
func TestSubscriptionIsLikeWatch(t *testing.T) {
	watchBySubscription = true
	defer func() { watchBySubscription = false }()
	for name, test := range map[string]func(*testing.T){
		"YieldsTheCurrentTokenThenEachNewerOne": TestWatchYieldsTheCurrentTokenThenEachNewerOne,
		"OfAColdRoomStartsItsCall":              TestWatchOfAColdRoomStartsItsCall,
		"YieldsOnlyTheLatestToASlowConsumer":    TestWatchYieldsOnlyTheLatestToASlowConsumer,
		"WhoseConsumerStopsReading":             TestWatchWhoseConsumerStopsReading,
		"FanOut":                                TestWatchFanOut,
		"ErrorComesOncePerFailure":              TestWatchErrorComesOncePerFailure,
		"OfARoomThatNeverHadAToken":             TestWatchOfARoomThatNeverHadAToken,
		"DuringAHold":                           TestWatchDuringAHold,
		"OfARoomWhoseCallHangs":                 TestWatchOfARoomWhoseCallHangs,
		"WhenMaxRoomsIsReached":                 TestWatchWhenMaxRoomsIsReached,
		"OfABadRoomID":                          TestWatchOfABadRoomID,
		"SurvivesForget":                        TestWatchSurvivesForget,
		"RoomIsInUse":                           TestWatchedRoomIsInUse,
	} {
		t.Run(name, test)
	}
}

// changed reports whether Changed has returned a closed channel.
func changed(sub *roomtoken.Subscription) bool {
	synctest.Wait()
	select {
	case <-sub.Changed():
		return true
	default:
		return false
	}
}

// wantNext checks what Next returns: a token's value, an error, or nothing ("").
func wantNext(t *testing.T, when string, sub *roomtoken.Subscription, value string, want error) {
	t.Helper()
	tok, err, ok := sub.Next()
	if tok.Value.Reveal() != value || !errors.Is(err, want) || (err != nil) != (want != nil) || ok != (value != "" || want != nil) {
		t.Fatalf("%s: Next() = (%q, %v, %v), want %q and %v", when, tok.Value.Reveal(), err, ok, value, want)
	}
}

// watches checks how many watches there are.
func (w *world) watches(n int) {
	w.t.Helper()
	synctest.Wait()
	for _, fault := range w.m.CheckWatches(n) {
		w.t.Error(fault)
	}
}

func TestSubscriptionNextNeverWaits(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1}, func(t *testing.T, w *world) {
		w.src.holdCalls(false)
		sub := w.m.Subscribe(t.Context(), "r")
		if !changed(sub) || sub.Ended() || w.src.count() != 0 {
			t.Fatalf("at first changed: %v, ended: %v, %d calls, want true, false, 0", changed(sub), sub.Ended(), w.src.count())
		}
		wantNext(t, "while the call runs", sub, "", nil)
		if changed(sub) || w.src.count() != 1 {
			t.Fatalf("while the call runs changed: %v, %d calls, want false and 1", changed(sub), w.src.count())
		}
		wantNext(t, "again", sub, "", nil)
		w.src.releaseAll()
		if !changed(sub) {
			t.Fatal("Changed is not closed although there is a token")
		}
		wantNext(t, "with a token", sub, "token-r-1", nil)
		wantNext(t, "after it", sub, "", nil)
		if changed(sub) {
			t.Fatal("Changed is closed although there is nothing to take")
		}
		w.add(401 * time.Second)
		wantNext(t, "unasked after a renewal", sub, "token-r-2", nil)
		w.watches(1)
		sub.Close()
		sub.Close()
		if !changed(sub) || !sub.Ended() {
			t.Errorf("after Close changed: %v, ended: %v, want true and true", changed(sub), sub.Ended())
		}
		wantNext(t, "after Close", sub, "", nil)
		if s, _ := w.m.Room("r"); s.Watchers != 0 {
			t.Errorf("Watchers = %d after Close, want 0", s.Watchers)
		}
		w.watches(0)
	})
}

// A hold wakes those whose rooms have no token, because their wait may be long now.
func TestSubscriptionDuringAHold(t *testing.T) {
	within(t, roomtoken.Config{MaxConcurrentCalls: 1, Jitter: -1}, func(t *testing.T, w *world) {
		good := w.m.Subscribe(t.Context(), "good")
		defer good.Close()
		w.src.holdCalls(false)
		wantNext(t, "without a token", good, "", nil)
		w.src.releaseAll()
		wantNext(t, "at first", good, "token-good-1", nil)
		wantNext(t, "after it", good, "", nil)

		w.src.holdCalls(false)
		w.src.fail(roomtoken.RetryAfter(roomtoken.ErrRateLimited, time.Minute))
		w.ask(t.Context(), "limited") // takes the only slot
		waits := w.m.Subscribe(t.Context(), "waits")
		defer waits.Close()
		wantNext(t, "while its call stands in line", waits, "", nil)
		if changed(waits) {
			t.Fatal("Changed is closed although nothing has happened")
		}
		w.src.releaseAll()
		if !changed(waits) {
			t.Fatal("Changed is not closed after a hold")
		}
		wantNext(t, "with a token during a hold", good, "", nil)
		wantNext(t, "during a hold", waits, "", roomtoken.ErrRateLimited)
		w.src.on(nil)
	})
}

// The consumer is woken when the token expires while its renewal fails or hangs.
func TestSubscriptionWakesWhenTheTokenIsGone(t *testing.T) {
	for name, hinder := range map[string]func(w *world){
		"renewal fails": func(w *world) { w.src.fail(errDown) },
		"renewal hangs": func(w *world) { w.src.holdCalls(true) },
	} {
		t.Run(name, func(t *testing.T) {
			within(t, roomtoken.Config{Jitter: -1, BackoffMin: 80 * time.Second, BackoffMax: 80 * time.Second}, func(t *testing.T, w *world) {
				sub := w.m.Subscribe(t.Context(), "r")
				defer sub.Close()
				w.token("r")
				wantNext(t, "at first", sub, "token-r-1", nil)
				hinder(w)
				for range 569 {
					if w.add(time.Second); changed(sub) {
						wantNext(t, "while the token is valid", sub, "", nil)
					}
				}
				w.add(time.Second) // it has MinValidity left
				if changed(sub) {
					t.Fatal("Changed is closed a nanosecond before the token is unusable")
				}
				w.add(1)
				if !changed(sub) {
					t.Fatal("Changed is not closed although the token is unusable")
				}
				if _, err, ok := sub.Next(); !ok || err == nil {
					t.Fatalf("Next() = (%v, %v), want the failure", err, ok)
				}
				w.src.on(nil)
				w.src.releaseAll()
			})
		})
	}
}

func TestSubscriptionEndsWithItsContext(t *testing.T) {
	cause := errors.New("the client is gone")
	within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
		ctx, cancel := context.WithCancelCause(t.Context())
		w.token("r")
		sub := w.m.Subscribe(ctx, "r")
		wantNext(t, "at first", sub, "token-r-1", nil)
		wantNext(t, "after it", sub, "", nil)
		cancel(cause)
		w.watches(0) // although nobody has called Next or Close
		if !changed(sub) || sub.Ended() {
			t.Fatalf("after the end of the ctx changed: %v, ended: %v, want true and false", changed(sub), sub.Ended())
		}
		_, err, ok := sub.Next()
		if asError(t, err, "r"); !ok || !errors.Is(err, cause) || !errors.Is(err, context.Canceled) || !sub.Ended() {
			t.Errorf("Next() = (%v, %v), ended: %v, want the cause and true", err, ok, sub.Ended())
		}
		wantNext(t, "after the last pair", sub, "", nil)

		sub = w.m.Subscribe(ctx, "r") // which has ended
		wantNext(t, "with an ended ctx", sub, "", cause)
		w.watches(0)
	})
}

// interrupted is a ctx that does something the first time it is looked at.
type interrupted struct {
	context.Context
	once sync.Once
	by   func()
}

func (c *interrupted) Err() error {
	err := c.Context.Err()
	c.once.Do(func() {
		c.by()
		time.Sleep(time.Second) // what that has started runs, in the bubble
	})
	return err
}

func TestSubscriptionEndsDuringNext(t *testing.T) {
	within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
		w.src.holdCalls(false)
		inner, cancel := context.WithCancel(t.Context())
		sub := w.m.Subscribe(&interrupted{Context: inner, by: cancel}, "r")
		wantNext(t, "whose ctx ends meanwhile", sub, "", context.Canceled)
		w.watches(0)

		ctx := &interrupted{Context: t.Context()}
		sub = w.m.Subscribe(ctx, "r")
		ctx.by = sub.Close
		wantNext(t, "that is closed meanwhile", sub, "", nil)
		w.watches(0)
	})
}

func TestSubscriptionEndsWithTheManager(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1}, func(t *testing.T, w *world) {
		var subs []*roomtoken.Subscription
		for _, room := range []string{"r", "r", "s"} {
			w.token(room)
			sub := w.m.Subscribe(t.Context(), room)
			if _, _, ok := sub.Next(); !ok {
				t.Fatal("Next() returned nothing, want a token")
			}
			wantNext(t, "after the token", sub, "", nil)
			subs = append(subs, sub)
		}
		subs = append(subs, w.m.Subscribe(t.Context(), "t"))
		w.src.fail(errDown)
		w.add(401 * time.Second) // timers for the end of the tokens run
		for _, sub := range subs[:3] {
			wantNext(t, "while the renewal fails", sub, "", nil)
			if !sub.HasTimer() {
				t.Error("no timer for the end of the token, want one")
			}
		}
		if err := w.m.Close(); err != nil {
			t.Fatal(err)
		}
		for _, sub := range subs {
			if !changed(sub) || sub.HasTimer() {
				t.Errorf("after Close of the Manager changed: %v, timer: %v, want true and false", changed(sub), sub.HasTimer())
			}
			wantNext(t, "after Close of the Manager", sub, "", roomtoken.ErrClosed)
			wantNext(t, "after the last pair", sub, "", nil)
			sub.Close()
		}
		w.watches(0)
	})
}

// A Subscription costs no goroutine, and closing many of a room does not disturb the
// others.
func TestSubscriptionNeedsNoGoroutine(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1}, func(t *testing.T, w *world) {
		w.token("r")
		w.rest()
		before := runtime.NumGoroutine()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		subs := make([]*roomtoken.Subscription, 1000)
		for i := range subs {
			subs[i] = w.m.Subscribe(ctx, "r")
			wantNext(t, "at first", subs[i], "token-r-1", nil)
			wantNext(t, "after it", subs[i], "", nil)
		}
		if n := runtime.NumGoroutine(); n > before {
			t.Errorf("%d goroutines for %d subscriptions, want none", n-before, len(subs))
		}
		for i := 0; i < len(subs); i += 2 {
			subs[i].Close()
		}
		w.watches(len(subs) / 2)
		w.add(401 * time.Second)
		for i := 1; i < len(subs); i += 2 {
			if !changed(subs[i]) {
				t.Fatalf("subscription %d is not woken", i)
			}
			wantNext(t, "after a renewal", subs[i], "token-r-2", nil)
		}
		cancel()
		w.watches(0)
	})
}

// Close may be called while the consumer waits or takes a pair.
func TestSubscriptionConcurrently(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1}, func(t *testing.T, w *world) {
		var all sync.WaitGroup
		for i := range 100 {
			ctx, cancel := context.WithCancel(t.Context())
			sub := w.m.Subscribe(ctx, fmt.Sprint("r", i%7))
			all.Go(func() {
				for !sub.Ended() {
					<-sub.Changed()
					if _, err, ok := sub.Next(); ok && err != nil && !strings.Contains(err.Error(), "canceled") {
						t.Errorf("Next() = %v, want a token or the end of the ctx", err)
					}
				}
			})
			all.Go(func() {
				w.m.Forget(fmt.Sprint("r", i%5))
				if i%2 == 0 {
					sub.Close()
				}
				cancel()
			})
		}
		all.Wait()
		w.watches(0)
	})
}
