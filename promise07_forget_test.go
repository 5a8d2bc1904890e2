package roomtoken_test

import (
	"errors"
	"slices"
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
			t.Error("the room is there after Forget")
		}
		if s := w.m.Stats(); s.Rooms != 0 || s.CallsInFlight != 1 {
			t.Errorf("after Forget: %d rooms, %d calls in flight", s.Rooms, s.CallsInFlight)
		}
		w.m.Forget("r") // there is nothing left to forget
		after := w.ask(t.Context(), "r")
		w.rest()
		if before.returned() || after.returned() || w.src.count() != 1 {
			t.Fatalf("while the call runs: %v, %v, %d calls", before.returned(), after.returned(), w.src.count())
		}
		if err := w.src.all()[0].ctx.Err(); err != nil {
			t.Fatalf("the call was cancelled: %v", err)
		}
		w.src.mu.Lock()
		for c, gate := range w.src.gates { // only the first; the next is held again
			close(gate)
			delete(w.src.gates, c)
		}
		w.src.mu.Unlock()
		w.rest()
		if !before.returned() || before.err != nil || before.tok.Value.Reveal() != "token-r-1" {
			t.Fatalf("who waited when the room was forgotten: %v, %v", before.returned(), before.err)
		}
		if _, ok := w.m.Cached("r"); ok || after.returned() {
			t.Fatal("the forgotten call's token was kept")
		}
		if w.src.count() != 2 || w.src.overlaps != 0 {
			t.Fatalf("%d calls, %d overlaps", w.src.count(), w.src.overlaps)
		}
		w.src.releaseAll()
		if !after.returned() || after.err != nil || after.tok.Value.Reveal() != "token-r-2" {
			t.Fatalf("who came later: %v, %v", after.returned(), after.err)
		}
		if s, _ := w.m.Room("r"); s.Generation != 1 {
			t.Errorf("the room's generation is %d, want 1: it is a new one", s.Generation)
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
			t.Fatal("the token is there after Forget")
		}
		w.src.releaseAll()
		w.rest()
		if s := w.m.Stats(); s.Rooms != 0 || s.CallsInFlight != 0 {
			t.Fatalf("after the call: %d rooms, %d calls", s.Rooms, s.CallsInFlight)
		}
		w.token("r")
		if got := w.src.kinds(); !slices.Equal(got, []roomtoken.CallKind{create, refresh, create}) {
			t.Fatalf("calls: %v", got)
		}
	})
}

// Those who wait get the call's result, be it a failure.
func TestPromise7ForgetDuringACallThatFails(t *testing.T) {
	t.Run("for good", func(t *testing.T) {
		within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
			w.src.fail(roomtoken.Permanent(errDown))
			w.src.holdCalls(false)
			p := w.ask(t.Context(), "r")
			w.m.Forget("r")
			w.src.releaseAll()
			w.rest()
			if !p.returned() || !errors.Is(p.err, errDown) || !errors.Is(p.err, roomtoken.ErrPermanent) {
				t.Fatalf("returned %v, %v", p.returned(), p.err)
			}
			if n := w.src.count(); n != 1 {
				t.Fatalf("%d calls, want 1: who waited gets the result of the call", n)
			}
		})
	})
	t.Run("in passing", func(t *testing.T) {
		within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
			w.src.fail(errDown)
			w.src.holdCalls(false)
			p := w.ask(t.Context(), "r")
			w.m.Forget("r")
			w.src.on(func(c *sourceCall) (roomtoken.Grant, error) { return w.src.mint(c), nil })
			w.src.releaseAll()
			w.rest()
			if !p.returned() || p.err != nil { // it stays, and a forgotten room has no backoff
				t.Fatalf("returned %v, %v", p.returned(), p.err)
			}
			if w.src.count() != 2 || w.src.overlaps != 0 {
				t.Fatalf("%d calls, %d overlaps", w.src.count(), w.src.overlaps)
			}
		})
	})
	t.Run("overdue", func(t *testing.T) {
		within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
			w.src.holdCalls(true)
			p := w.ask(t.Context(), "r")
			w.m.Forget("r")
			w.add(11 * time.Second)
			if !p.returned() || p.err == nil {
				t.Fatalf("returned %v, %v: who waits for a call leaves with it at CallTimeout", p.returned(), p.err)
			}
			later := w.ask(t.Context(), "r")
			if !later.returned() || later.err == nil || w.src.count() != 1 {
				t.Fatalf("a later caller: returned %v, %v, %d calls", later.returned(), later.err, w.src.count())
			}
			w.src.releaseAll()
			w.rest()
			if _, ok := w.m.Cached("r"); ok {
				t.Fatal("the late grant of the forgotten call was kept")
			}
			w.token("r")
		})
	})
}

// Forgotten again and again while one call runs, with callers in between.
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
		if n := w.src.count(); n != 1 {
			t.Fatalf("%d calls", n)
		}
		w.src.release("r") // the next is held again
		for i, p := range all {
			if p.returned() != (i < 3) {
				t.Errorf("after the first call caller %d has returned: %v", i, p.returned())
			}
		}
		w.src.releaseAll()
		for i, p := range all {
			want := "token-r-2"
			if i < 3 {
				want = "token-r-1"
			}
			if !p.returned() || p.err != nil || p.tok.Value.Reveal() != want {
				t.Errorf("caller %d: %q, %v; want %s", i, p.tok.Value.Reveal(), p.err, want)
			}
		}
		if w.src.count() != 2 || w.src.overlaps != 0 {
			t.Fatalf("%d calls, %d overlaps", w.src.count(), w.src.overlaps)
		}
	})
}
