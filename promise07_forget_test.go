package roomtoken_test

import (
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
