package roomtoken_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomtoken/roomtoken"
)

// Promise 5: permanent errors.

// Every caller gets a permanent error at once until its step has passed: 1 s, doubling
// up to 5 min, each drawn between its step and 1.5 times that.
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
		for _, step := range []time.Duration{1, 2, 4, 8, 16, 32, 64, 128, 200, 200} {
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
			w.add(step/2 + 1)
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
	for wait, slop := range map[time.Duration]time.Duration{time.Millisecond: 500 * time.Millisecond, time.Hour: 0} {
		within(t, roomtoken.Config{MaxRetryAfter: time.Hour}, func(t *testing.T, w *world) {
			w.src.fail(roomtoken.RetryAfter(roomtoken.Permanent(errDown), wait))
			w.refused(w.ask(context.Background(), "r"), errDown, roomtoken.ErrPermanent)
			w.add(max(wait, time.Second) - 1)
			w.refused(w.ask(context.Background(), "r"), errDown, roomtoken.ErrPermanent)
			w.calls("r", create)
			w.src.on(nil)
			w.add(1 + slop)
			w.token("r")
		})
	}
}

// A thousand rooms that fail at the same time do not come back at the same time.
func TestPromise5PermanentErrorsAreNotInLockstep(t *testing.T) {
	const rooms = 1000
	synctest.Test(t, func(t *testing.T) {
		src := &source{clk: realClock}
		m, err := roomtoken.NewManager(src, roomtoken.Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		src.fail(roomtoken.ErrRoomNotFound)
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		for i := range rooms {
			go func() {
				for range m.Watch(ctx, fmt.Sprint("r", i)) {
					_ = i
				}
			}()
		}
		synctest.Wait()
		first := src.all()
		if len(first) != rooms {
			t.Fatalf("%d calls, want %d", len(first), rooms)
		}
		time.Sleep(1500 * time.Millisecond)
		synctest.Wait()
		began, at := first[0].at, map[time.Duration]int{}
		again := src.all()[rooms:]
		if len(again) != rooms {
			t.Fatalf("%d further calls within the first step, want %d", len(again), rooms)
		}
		for _, c := range again {
			at[(c.at-began).Truncate(50*time.Millisecond)]++
		}
		for when, n := range at {
			if when < time.Second || when > 1500*time.Millisecond {
				t.Errorf("%d calls came after %v, want 1 s to 1.5 s", n, when)
			}
			if n > rooms/5 { // a tenth are to be expected
				t.Errorf("%d of %d calls came in the 50 ms after %v, want them spread", n, rooms, when)
			}
		}
	})
}
