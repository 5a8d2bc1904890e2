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
	"unicode/utf8"

	"github.com/roomtoken/roomtoken"
)

func TestWarm(t *testing.T) {
	within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
		if err := w.m.Warm(t.Context()); err != nil {
			t.Errorf("Warm() of no room = %v, want nil", err)
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
				t.Fatalf("%s has no token, want one", id)
			}
		}
		if n := w.src.count(); n != 300 {
			t.Errorf("%d calls, want 300", n)
		}
		w.noOverlaps()
		if err := w.m.Warm(t.Context(), ids...); err != nil || w.src.count() != 300 {
			t.Errorf("second Warm() = %v after %d calls, want nil after 300", err, w.src.count())
		}
	})
}

// A room that fails does not affect the others. The errors are joined, and each
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
		w.src.holdCalls(false) // until Warm has asked for all of them
		p := w.warming(t.Context(), "bad", "a", "", "worse", "b", "c", "too many", strings.Repeat("long", 1000))
		w.src.releaseAll()
		if !p.returned() {
			t.Fatal("Warm has not returned")
		}
		err := p.err
		for _, want := range []error{errDown, other, roomtoken.ErrPermanent, roomtoken.ErrTooManyRooms} {
			if !errors.Is(err, want) {
				t.Errorf("error = %v, want it to wrap %v", err, want)
			}
		}
		joined, ok := err.(interface{ Unwrap() []error })
		if !ok || len(joined.Unwrap()) != 5 {
			t.Fatalf("error = %v, want 5 joined errors", err)
		}
		for _, name := range []string{`"bad"`, `"worse"`, `"too many"`, `"longlong`} {
			n := 0
			for _, e := range joined.Unwrap() {
				if strings.Contains(e.Error(), name) {
					n++
				}
			}
			if n != 1 {
				t.Errorf("%d errors name %s, want 1: %v", n, name, err)
			}
		}
		for _, id := range []string{"a", "b", "c"} {
			if _, ok := w.m.Cached(id); !ok {
				t.Errorf("%s has no token, want one", id)
			}
		}
	})
}

// Only the ctx bounds Warm: MaxWait does not apply.
func TestWarmIsBoundedByItsContextAlone(t *testing.T) {
	within(t, roomtoken.Config{MaxWait: time.Second}, func(t *testing.T, w *world) {
		w.src.fail(errDown)
		ctx, cancel := context.WithCancelCause(t.Context())
		p := w.warming(ctx, "a", "b")
		q := w.warming(t.Context(), "a", "b")
		w.add(5 * time.Minute)
		if p.returned() || q.returned() || w.src.count() < 10 {
			t.Fatalf("after 5 min: returned %v and %v, %d calls, want none returned and at least 10", p.err, q.err, w.src.count())
		}
		cause := errors.New("enough")
		cancel(cause)
		w.refused(p, cause, context.Canceled, errDown)
		if text := p.err.Error(); !strings.Contains(text, `"a"`) || !strings.Contains(text, `"b"`) {
			t.Errorf("error = %v, want it to name its rooms", p.err)
		}
		if q.returned() {
			t.Error("the ctx of one Warm ended the other, want it to go on")
		}
		w.src.on(nil)
		w.add(31 * time.Second)
		if !q.returned() || q.err != nil {
			t.Errorf("after recovery Warm returned: %v (%v), want nil", q.returned(), q.err)
		}
	})
}

// With an ended ctx, rooms that have a token are no error.
func TestWarmWithAnEndedContext(t *testing.T) {
	within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
		w.token("warm")
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := w.m.Warm(ctx, "warm"); err != nil {
			t.Errorf("Warm() of a warm room = %v, want nil", err)
		}
		err := w.m.Warm(ctx, "cold1", "warm", "cold2")
		if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), `"cold1"`) || !strings.Contains(err.Error(), `"cold2"`) ||
			strings.Contains(err.Error(), `"warm"`) {
			t.Errorf("Warm() = %v, want Canceled for the two cold rooms", err)
		}
		if w.src.count() != 1 {
			t.Errorf("%d calls, want 1", w.src.count())
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
			t.Fatalf("Stats() = %+v, Warm returned: %v, want 3 calls in flight and 17 queued", s, p.returned())
		}
		w.src.releaseAll()
		if !p.returned() || p.err != nil {
			t.Fatalf("Warm returned: %v (%v), want nil", p.returned(), p.err)
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
		w.refused(p, roomtoken.ErrClosed)
		if text := p.err.Error(); !strings.Contains(text, `"a"`) || !strings.Contains(text, `"b"`) {
			t.Errorf("error = %v, want it to name its rooms", p.err)
		}
	})
}

// Callers go before rooms that are being warmed, whether for other rooms or for one
// of them, and so do renewals of valid tokens.
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
		leave() // and the room goes behind again
		w.add(time.Second)
		w.watch("w5", nil)
		w.src.releaseAll()
		if !warm.returned() || warm.err != nil {
			t.Fatalf("Warm returned: %v (%v), want nil", warm.returned(), warm.err)
		}
		if got, want := w.order(n), []string{"caller", "w3", "w5", "due", "w2", "w4"}; !slices.Equal(got, want) {
			t.Fatalf("order of calls = %v, want %v", got, want)
		}
	})
}

// Warm does not move back a room whose token has expired while its renewal waited.
func TestWarmMovesNothingBack(t *testing.T) {
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
			t.Fatalf("order of calls = %v, want %v", got, want)
		}
	})
}

// Rooms of a Warm that was canceled or served are no longer counted as being warmed.
func TestWarmStopsCounting(t *testing.T) {
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
			t.Fatal("Warm has not returned although its ctx has ended")
		}
		w.check()
		w.warming(t.Context(), "a") // a watch remains when the waiters are served
		w.watch("a", nil)
		w.src.releaseAll()
		w.check()
	})
}

// The text of the error is bounded however many rooms fail; all errors are in it.
func TestWarmErrorOfManyRooms(t *testing.T) {
	within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
		ids := make([]string, 5000)
		for i := range ids {
			ids[i] = fmt.Sprintf("%04d%s", i, strings.Repeat("€", 50))
		}
		w.src.fail(fmt.Errorf("%w: %s", roomtoken.ErrRoomNotFound, strings.Repeat("no such room ", 100)))
		err := w.m.Warm(t.Context(), ids...)
		var joined interface{ Unwrap() []error }
		if !errors.As(err, &joined) || len(joined.Unwrap()) != len(ids) || !errors.Is(err, roomtoken.ErrPermanent) {
			t.Fatalf("Warm() = %T, want 5000 errors in it that wrap ErrPermanent", err)
		}
		seen := map[string]bool{}
		for _, err := range joined.Unwrap() {
			var e *roomtoken.Error
			if !errors.As(err, &e) || seen[e.RoomID] {
				t.Fatalf("error = %v, want an *Error for each room once", err)
			}
			seen[e.RoomID] = true
		}
		text := err.Error()
		if len(text) > 4096 || !strings.HasSuffix(text, "\n... and 4,990 more rooms, 5,000 in all") || !utf8.ValidString(text) {
			t.Errorf("text has %d bytes and ends with %q, want at most 4096, and the number of rooms", len(text), text[max(0, len(text)-100):])
		}
		for i, id := range ids {
			if got, want := strings.Contains(text, id[:4]), i < 10; got != want {
				t.Fatalf("room %d is named: %v, want %v", i, got, want)
			}
		}
		if text := w.m.Warm(t.Context(), ids[:10]...).Error(); strings.Count(text, "\n") != 9 || strings.Contains(text, "more rooms") {
			t.Errorf("text of ten errors = %s, want ten lines", text)
		}
	})
}
