package roomtoken_test

import (
	"context"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
)

// Promise 5: permanent errors.

// Every caller gets a permanent error at once until its step has passed: 10 s,
// doubling up to 5 min.
func TestPromise5PermanentErrors(t *testing.T) {
	background := context.Background()
	within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
		w.src.holdCalls(false)
		w.src.fail(roomtoken.Permanent(errDown))
		waiting := make([]*pending, 100)
		for i := range waiting {
			waiting[i] = w.ask(background, "r")
		}
		w.src.releaseAll()
		for _, p := range waiting {
			w.refused(p, errDown, roomtoken.ErrPermanent)
		}
		calls := 1
		for _, step := range []time.Duration{10, 20, 40, 80, 160, 300, 300, 300} {
			step *= time.Second
			w.refused(w.ask(background, "r"), errDown, roomtoken.ErrPermanent)
			w.refused(w.askFor(background, "r", time.Hour), errDown, roomtoken.ErrPermanent)
			w.add(step - 1)
			if s, _ := w.m.Room("r"); s.State != roomtoken.RoomFailed || s.Failures != calls {
				t.Fatalf("Room() = %+v, want RoomFailed with %d failures", s, calls)
			}
			w.refused(w.ask(background, "r"), errDown, roomtoken.ErrPermanent)
			if n := w.src.count(); n != calls {
				t.Fatalf("%d calls within the step of %v, want %d", n, step, calls)
			}
			w.add(1)
			if n := w.src.count(); n != calls {
				t.Fatal("a call began without a caller, want none")
			}
			w.refused(w.ask(background, "r"), errDown, roomtoken.ErrPermanent)
			calls++
			if n := w.src.count(); n != calls {
				t.Fatalf("%d calls after the step of %v, want %d", n, step, calls)
			}
		}
		w.src.on(nil)
		w.refused(w.ask(background, "r"), errDown)
		w.add(300 * time.Second)
		w.token("r")
		if s, _ := w.m.Room("r"); s.Failures != 0 || s.LastError != nil {
			t.Errorf("Room() = %+v, want no failures", s)
		}
	})
}

// Callers who waited for a forgotten room's call get its permanent error: for them,
// too, the same call cannot help.
func TestPromise5PermanentErrorOfAForgottenCall(t *testing.T) {
	within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
		w.src.holdCalls(false)
		w.src.fail(roomtoken.Permanent(errDown))
		before := w.ask(context.Background(), "r")
		w.m.Forget("r")
		w.src.releaseAll()
		w.refused(before, errDown, roomtoken.ErrPermanent)
		w.calls("r", create)
		w.src.on(nil)
		w.token("r") // the room has no memory of it
	})
}

// A permanent error with a wait: the longer of the two counts.
func TestPromise5PermanentErrorWithAWait(t *testing.T) {
	for _, wait := range []time.Duration{time.Second, time.Hour} {
		within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
			w.src.fail(roomtoken.RetryAfter(roomtoken.Permanent(errDown), wait))
			w.refused(w.ask(context.Background(), "r"), errDown, roomtoken.ErrPermanent)
			w.add(max(wait, 10*time.Second) - 1)
			w.refused(w.ask(context.Background(), "r"), errDown, roomtoken.ErrPermanent)
			w.calls("r", create)
			w.src.on(nil)
			w.add(1)
			w.token("r")
		})
	}
}
