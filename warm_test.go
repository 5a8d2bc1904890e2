package roomtoken_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomtoken/roomtoken"
)

func TestWarm(t *testing.T) {
	within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
		if err := w.m.Warm(t.Context()); err != nil {
			t.Errorf("Warm of no room: %v", err)
		}
		var ids []string
		for i := range 300 {
			ids = append(ids, fmt.Sprint("r", i))
		}
		w.token("r7")
		if err := w.m.Warm(t.Context(), append(ids, ids...)...); err != nil {
			t.Fatal(err)
		}
		for _, id := range ids {
			if _, ok := w.m.Cached(id); !ok {
				t.Fatalf("%s has no token", id)
			}
		}
		if w.src.count() != 300 || w.src.overlaps != 0 {
			t.Errorf("%d calls for 300 rooms, %d overlaps", w.src.count(), w.src.overlaps)
		}
		if err := w.m.Warm(t.Context(), ids...); err != nil || w.src.count() != 300 {
			t.Errorf("again: %v, %d calls", err, w.src.count())
		}
	})
}

// A room that fails does not keep the others; the errors are joined, and each
// names its room.
func TestWarmJoinsErrors(t *testing.T) {
	within(t, roomtoken.Config{MaxRooms: 5}, func(t *testing.T, w *world) {
		other := errors.New("another failure")
		w.src.on(func(c *sourceCall) (roomtoken.Grant, error) {
			switch c.room {
			case "bad":
				return roomtoken.Grant{}, roomtoken.Permanent(errDown)
			case "worse":
				return roomtoken.Grant{}, roomtoken.Permanent(other)
			}
			return w.src.mint(c), nil
		})
		w.src.holdCalls(false) // until Warm has seen all of them
		p := w.warming(t.Context(), "bad", "a", "", "worse", "b", "c", "too many", strings.Repeat("long", 1000))
		w.src.releaseAll()
		if !p.returned() {
			t.Fatal("Warm has not returned")
		}
		err := p.err
		for _, want := range []error{errDown, other, roomtoken.ErrPermanent, roomtoken.ErrTooManyRooms} {
			if !errors.Is(err, want) {
				t.Errorf("the error is not %v: %v", want, err)
			}
		}
		joined, ok := err.(interface{ Unwrap() []error })
		if !ok || len(joined.Unwrap()) != 5 {
			t.Fatalf("not joined from 5: %v", err)
		}
		for _, name := range []string{`"bad"`, `"worse"`, `"too many"`, `"longlong`} {
			n := 0
			for _, e := range joined.Unwrap() {
				if strings.Contains(e.Error(), name) {
					n++
				}
			}
			if n != 1 {
				t.Errorf("%s is named by %d errors: %v", name, n, err)
			}
		}
		for _, id := range []string{"a", "b", "c"} {
			if _, ok := w.m.Cached(id); !ok {
				t.Errorf("%s has no token", id)
			}
		}
	})
}

// Bounded by ctx alone: MaxWait does not apply.
func TestWarmIsBoundedByItsContextAlone(t *testing.T) {
	within(t, roomtoken.Config{MaxWait: time.Second}, func(t *testing.T, w *world) {
		w.src.fail(errDown)
		ctx, cancel := context.WithCancelCause(t.Context())
		p := w.warming(ctx, "a", "b")
		q := w.warming(t.Context(), "a", "b")
		w.add(5 * time.Minute)
		if p.returned() || q.returned() || w.src.count() < 10 {
			t.Fatalf("after 5 min: %v, %v, %d calls", p.err, q.err, w.src.count())
		}
		cause := errors.New("enough")
		cancel(cause)
		if !p.returned() {
			t.Fatal("it has not returned")
		}
		for _, want := range []error{cause, context.Canceled, errDown} {
			if !errors.Is(p.err, want) {
				t.Errorf("not %v: %v", want, p.err)
			}
		}
		if text := p.err.Error(); !strings.Contains(text, `"a"`) || !strings.Contains(text, `"b"`) {
			t.Errorf("it does not name its rooms: %v", p.err)
		}
		if q.returned() {
			t.Error("the ctx of one has ended the other")
		}
		w.src.on(nil)
		w.add(31 * time.Second)
		if !q.returned() || q.err != nil {
			t.Errorf("after recovery: %v, %v", q.returned(), q.err)
		}
	})
}

// An ended ctx: what is there is no error.
func TestWarmWithAnEndedContext(t *testing.T) {
	within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
		w.token("warm")
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := w.m.Warm(ctx, "warm"); err != nil {
			t.Errorf("a warm room: %v", err)
		}
		err := w.m.Warm(ctx, "cold1", "warm", "cold2")
		if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), `"cold1"`) || !strings.Contains(err.Error(), `"cold2"`) ||
			strings.Contains(err.Error(), `"warm"`) {
			t.Errorf("cold rooms: %v", err)
		}
		if w.src.count() != 1 {
			t.Errorf("%d calls", w.src.count())
		}
	})
}

func TestWarmKeepsToMaxConcurrentCalls(t *testing.T) {
	within(t, roomtoken.Config{MaxConcurrentCalls: 4}, func(t *testing.T, w *world) {
		w.src.holdCalls(false)
		var ids []string
		for i := range 20 {
			ids = append(ids, fmt.Sprint("r", i))
		}
		p := w.warming(t.Context(), ids...)
		if s := w.m.Stats(); s.CallsInFlight != 3 || s.CallsQueued != 17 || p.returned() {
			t.Fatalf("%+v, returned %v", s, p.returned())
		}
		w.src.releaseAll()
		if !p.returned() || p.err != nil {
			t.Fatalf("%v, %v", p.returned(), p.err)
		}
	})
}

func TestWarmEndsWithClose(t *testing.T) {
	within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
		w.src.holdCalls(false)
		p := w.warming(t.Context(), "a", "b")
		if err := w.m.Close(); err != nil {
			t.Fatal(err)
		}
		if !p.returned() || !errors.Is(p.err, roomtoken.ErrClosed) {
			t.Fatalf("%v, %v", p.returned(), p.err)
		}
		if text := p.err.Error(); !strings.Contains(text, `"a"`) || !strings.Contains(text, `"b"`) {
			t.Errorf("it does not name its rooms: %v", p.err)
		}
	})
}

// What is warmed lets callers go first, whether for other rooms or for one of its
// own; beside renewals it is a caller.
func TestWarmLetsOthersGoFirst(t *testing.T) {
	within(t, roomtoken.Config{MaxConcurrentCalls: 1, Jitter: -1, MaxWait: -1, CallTimeout: time.Hour}, func(t *testing.T, w *world) {
		w.token("due") // at 400 s
		w.add(399 * time.Second)
		w.src.holdCalls(true)
		warm := w.warming(t.Context(), "w1", "w2", "w3", "w4", "w5") // w1 takes the only slot
		n := w.src.count()
		w.add(2 * time.Second)
		w.ask(t.Context(), "caller")
		w.add(time.Second)
		w.ask(t.Context(), "w3")
		w.add(time.Second)
		leaves, leave := context.WithCancel(t.Context())
		w.ask(leaves, "w4")
		leave() // and keeps its place
		w.add(time.Second)
		w.watch("w5", nil)
		w.src.releaseAll()
		if !warm.returned() || warm.err != nil {
			t.Fatalf("Warm has returned: %v, with %v", warm.returned(), warm.err)
		}
		if got, want := w.order(n), []string{"caller", "w3", "w4", "w5", "w2", "due"}; !slices.Equal(got, want) {
			t.Fatalf("order of calls %v, want %v", got, want)
		}
	})
}

// A room whose token has run out while its renewal waited is not put off because
// somebody warms it.
func TestWarmPutsNothingOff(t *testing.T) {
	within(t, roomtoken.Config{MaxConcurrentCalls: 1, Jitter: -1, MaxWait: -1, CallTimeout: time.Hour}, func(t *testing.T, w *world) {
		w.token("due")
		w.add(399 * time.Second)
		w.src.holdCalls(true)
		w.ask(t.Context(), "first") // takes the only slot
		n := w.src.count()
		w.add(300 * time.Second)
		w.warming(t.Context(), "new", "due")
		w.ask(t.Context(), "caller")
		w.src.releaseAll()
		if got, want := w.order(n), []string{"due", "caller", "new"}; !slices.Equal(got, want) {
			t.Fatalf("order of calls %v, want %v", got, want)
		}
	})
}

// Those of Warm who leave, and those who have been served, count no longer.
func TestWarmSignsOff(t *testing.T) {
	within(t, roomtoken.Config{MaxConcurrentCalls: 1, MaxWait: -1, CallTimeout: time.Hour}, func(t *testing.T, w *world) {
		w.src.holdCalls(true)
		w.ask(t.Context(), "first")
		ctx, cancel := context.WithCancel(t.Context())
		warm := w.warming(ctx, "a", "b")
		w.warming(ctx, "a", "b")
		w.ask(t.Context(), "a")
		w.ask(t.Context(), "b")
		cancel()
		synctest.Wait()
		if !warm.returned() {
			t.Fatal("Warm goes on though its ctx has ended")
		}
		w.check()
		w.warming(t.Context(), "a") // a watch keeps the crowd when its waiters are served
		w.watch("a", nil)
		w.src.releaseAll()
		w.check()
	})
}
