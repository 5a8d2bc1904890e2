package roomtoken_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
)

func TestPromise7ForgetDuringACall(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1}, func(t *testing.T, w *world) {
		w.src.holdCalls(false)
		before := w.ask(t.Context(), "r")
		w.m.Forget("r")
		if _, ok := w.m.Room("r"); ok {
			t.Error("Room finds the room after Forget, want none")
		}
		if s := w.m.Stats(); s.Rooms != 0 || s.CallsInFlight != 1 {
			t.Errorf("after Forget: %d rooms, %d calls in flight, want 0 and 1", s.Rooms, s.CallsInFlight)
		}
		w.m.Forget("r") // without effect
		after := w.ask(t.Context(), "r")
		w.rest()
		w.waits(before)
		w.waits(after)
		w.calls("r", create)
		if err := w.src.all()[0].ctx.Err(); err != nil {
			t.Fatalf("the call's ctx has ended: %v, want it to go on", err)
		}
		w.src.release("r") // the next call is held again
		w.rest()
		if got := w.served(before).Value.Reveal(); got != "token-r-1" {
			t.Fatalf("the caller from before Forget got %s, want token-r-1", got)
		}
		if _, ok := w.m.Cached("r"); ok || after.returned() {
			t.Fatal("the forgotten call's token was kept, want it dropped")
		}
		w.calls("r", create, create)
		w.noOverlaps()
		w.src.releaseAll()
		if got := w.served(after).Value.Reveal(); got != "token-r-2" {
			t.Fatalf("the caller from after Forget got %s, want token-r-2", got)
		}
		if s, _ := w.m.Room("r"); s.Generation != 1 {
			t.Errorf("Generation = %d, want 1: the room is new", s.Generation)
		}
	})
}

func TestPromise7ForgetDuringARenewalKeepsNothing(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1}, func(t *testing.T, w *world) {
		w.token("r")
		w.src.holdCalls(false)
		w.add(401 * time.Second)
		w.m.Forget("r")
		if _, ok := w.m.Cached("r"); ok {
			t.Fatal("Cached returned a token after Forget, want none")
		}
		w.src.releaseAll()
		w.rest()
		if s := w.m.Stats(); s.Rooms != 0 || s.CallsInFlight != 0 {
			t.Fatalf("after the call: %d rooms, %d calls in flight, want 0 and 0", s.Rooms, s.CallsInFlight)
		}
		w.token("r")
		w.calls("r", create, refresh, create)
	})
}

// Callers who wait for the call get its result, even if it is a failure.
func TestPromise7ForgetDuringACallThatFails(t *testing.T) {
	t.Run("permanently", func(t *testing.T) {
		within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
			w.src.fail(roomtoken.Permanent(errDown))
			w.src.holdCalls(false)
			p := w.ask(t.Context(), "r")
			w.m.Forget("r")
			w.src.releaseAll()
			w.rest()
			w.refused(p, errDown, roomtoken.ErrPermanent)
			w.calls("r", create)
		})
	})
	t.Run("transiently", func(t *testing.T) {
		within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
			w.src.fail(errDown)
			w.src.holdCalls(false)
			p := w.ask(t.Context(), "r")
			w.m.Forget("r")
			w.src.on(func(c *sourceCall) (roomtoken.Grant, error) { return w.src.mint(c), nil })
			w.src.releaseAll()
			w.rest()
			w.served(p) // at once: a forgotten room has no backoff
			w.calls("r", create, create)
			w.noOverlaps()
		})
	})
	t.Run("overdue", func(t *testing.T) {
		within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
			w.src.holdCalls(true)
			p := w.ask(t.Context(), "r")
			w.m.Forget("r")
			w.add(11 * time.Second)
			w.refused(p) // at CallTimeout
			w.refused(w.ask(t.Context(), "r"))
			w.calls("r", create)
			w.src.releaseAll()
			w.rest()
			if _, ok := w.m.Cached("r"); ok {
				t.Fatal("the late grant of the forgotten call was kept, want it dropped")
			}
			w.token("r")
		})
	})
}

// Repeated Forgets during one call, with callers in between.
func TestPromise7ForgetManyTimesDuringOneCall(t *testing.T) {
	within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
		w.src.holdCalls(false)
		var all []*pending
		for range 5 {
			for range 3 {
				all = append(all, w.ask(t.Context(), "r"))
			}
			w.m.Forget("r")
			w.check()
		}
		w.calls("r", create)
		w.src.release("r") // the next call is held again
		for i, p := range all {
			if p.returned() != (i < 3) {
				t.Errorf("caller %d returned after the first call: %v, want %v", i, p.returned(), i < 3)
			}
		}
		w.src.releaseAll()
		for i, p := range all {
			want := "token-r-2"
			if i < 3 {
				want = "token-r-1"
			}
			if !p.returned() || p.err != nil || p.tok.Value.Reveal() != want {
				t.Errorf("caller %d got (%q, %v), want %s", i, p.tok.Value.Reveal(), p.err, want)
			}
		}
		w.calls("r", create, create)
		w.noOverlaps()
	})
}

// Forget of a room whose call is overdue leaves nobody behind, however it meets with the
// callers who leave at that moment: no call can begin for them.
func TestPromise7ForgetOfARoomWhoseCallIsOverdue(t *testing.T) {
	const callers = 200
	background := context.Background()
	gone := func(w *world, all []*pending) {
		w.t.Helper()
		for i, p := range all {
			if !p.returned() {
				w.t.Fatalf("caller %d has not returned, want the timeout", i)
			}
			if !errors.Is(p.err, context.DeadlineExceeded) {
				w.t.Errorf("caller %d: error = %v, want the timeout", i, p.err)
			}
		}
	}
	crowd := func(w *world) (all []*pending) {
		for range callers {
			all = append(all, w.ask(background, "r"))
		}
		return append(all, w.warming(background, "r", "r"))
	}
	run := func(t *testing.T, onEvent func(w *world, e roomtoken.Event), test func(t *testing.T, w *world)) {
		t.Helper()
		var in *world
		within(t, roomtoken.Config{MaxWait: -1, OnEvent: func(e roomtoken.Event) {
			if onEvent != nil {
				onEvent(in, e)
			}
		}}, func(t *testing.T, w *world) {
			in = w
			w.others(1)
			w.src.holdCalls(true)
			test(t, w)
		})
	}

	t.Run("before it is overdue", func(t *testing.T) {
		run(t, nil, func(t *testing.T, w *world) {
			before := crowd(w)
			w.m.Forget("r")
			after := crowd(w)
			w.add(10 * time.Second)
			gone(w, before)
			gone(w, after)
		})
	})
	t.Run("when it becomes overdue", func(t *testing.T) {
		forget := func(w *world, e roomtoken.Event) {
			if e.Kind == roomtoken.EventCallOverdue {
				w.m.Forget(e.RoomID)
			}
		}
		run(t, forget, func(t *testing.T, w *world) {
			all := crowd(w)
			w.add(10 * time.Second)
			gone(w, all)
		})
	})
	t.Run("afterwards", func(t *testing.T) {
		run(t, nil, func(t *testing.T, w *world) {
			w.ask(background, "r")
			w.add(11 * time.Second)
			w.m.Forget("r")
			gone(w, crowd(w))
			w.m.Forget("r")
			gone(w, crowd(w))
			w.calls("r", create)
			w.src.releaseAll()
			w.token("r")
		})
	})
	t.Run("during an overdue renewal", func(t *testing.T) {
		run(t, nil, func(t *testing.T, w *world) {
			w.src.stopHolding()
			w.token("r")
			w.src.holdCalls(true)
			w.add(411 * time.Second)
			forced := w.askFor(background, "r", 9*time.Minute)
			gone(w, []*pending{forced})
			w.m.Forget("r")
			gone(w, crowd(w))
		})
	})
}

// A watch of such a room yields the error, as Token does.
func TestPromise7WatchOfAForgottenRoomWhoseCallIsOverdue(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1}, func(t *testing.T, w *world) {
		w.others(1)
		before := w.watch("r", nil)
		w.src.holdCalls(true)
		w.add(411 * time.Second) // the renewal is overdue
		wantSeen(t, "while the token is valid", before, "token-r-1")
		w.m.Forget("r")
		wantSeen(t, "after Forget", before, "token-r-1", "error")
		during := w.watch("r", nil)
		wantSeen(t, "a watch that begins then", during, "error")
		for _, v := range []*watched{before, during} {
			if err := v.last().err; !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("error = %v, want the timeout", err)
			}
		}
		w.add(time.Minute)
		wantSeen(t, "a minute later", before, "token-r-1", "error")
		w.src.releaseAll()
		wantSeen(t, "after the call", before, "token-r-1", "error", "token-r-3") // the second was of the forgotten room
		wantSeen(t, "after the call", during, "error", "token-r-3")
	})
}

// The failure of a forgotten room's call is not that of all rooms in use, be they as few as
// one: others do not wait for a probe.
func TestPromise7AForgottenRoomsFailureHoldsNobody(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1}, func(t *testing.T, w *world) {
		w.token("used")
		w.src.holdCalls(false)
		w.src.fail(errDown)
		w.ask(t.Context(), "gone")
		w.m.Forget("gone")
		w.src.release("gone")
		w.rest()
		w.ask(t.Context(), "new1")
		w.ask(t.Context(), "new2")
		w.rest()
		w.calls("new1", create)
		w.calls("new2", create)
	})
}
