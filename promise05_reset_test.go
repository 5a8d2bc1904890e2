package roomtoken_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
)

// ResetBackoff of rooms clears their waits and permanent errors, and tries them now. A hold
// of all calls stays.
func TestPromise5ResetBackoffOfRooms(t *testing.T) {
	for name, err := range map[string]error{
		"transient":              errDown,
		"transient with a wait":  roomtoken.RetryAfter(errDown, 5*time.Minute),
		"permanent":              roomtoken.Permanent(errDown),
		"permanent with a wait":  roomtoken.RetryAfter(roomtoken.Permanent(errDown), 5*time.Minute),
		"unauthorized, one room": errors.Join(errDown, roomtoken.ErrUnauthorized),
	} {
		t.Run(name, func(t *testing.T) {
			within(t, roomtoken.Config{BackoffMin: 20 * time.Second, MaxWait: -1}, func(t *testing.T, w *world) {
				w.others(1)
				w.src.fail(err)
				v := w.watch("r", nil)
				w.works() // each failure is the room's own
				w.watch("s", nil)
				w.src.on(nil)
				w.m.ResetBackoff("r", "unknown")
				w.rest()
				if _, ok := w.m.Cached("r"); !ok {
					t.Fatal("the room has no token after ResetBackoff, want its call at once")
				}
				w.calls("r", create, create)
				w.calls("s", create)
				w.token("r")
				v.cancel(nil)
			})
		})
	}
	t.Run("not the account", func(t *testing.T) {
		within(t, roomtoken.Config{MaxWait: -1}, func(t *testing.T, w *world) {
			w.src.fail(roomtoken.RetryAfter(roomtoken.ErrRateLimited, time.Minute))
			p := w.ask(t.Context(), "r")
			w.src.on(nil)
			w.m.ResetBackoff("r")
			w.add(time.Minute - 1)
			w.waits(p)
			w.calls("r", create)
			w.add(1)
			w.served(p)
		})
	})
	t.Run("the steps restart", func(t *testing.T) {
		within(t, roomtoken.Config{MaxWait: -1}, func(t *testing.T, w *world) {
			w.others(1)
			w.src.fail(errDown)
			w.ask(t.Context(), "r")
			w.add(10 * time.Second)
			n := len(w.src.of("r"))
			w.m.ResetBackoff("r")
			w.add(750 * time.Millisecond)
			if got := len(w.src.of("r")) - n; got != 2 {
				t.Fatalf("%d calls in the 750 ms after ResetBackoff, want one at once and one after the first step", got)
			}
		})
	})
	t.Run("an evicted room", func(t *testing.T) {
		within(t, roomtoken.Config{MaxRooms: 1}, func(t *testing.T, w *world) {
			w.src.fail(roomtoken.RetryAfter(roomtoken.Permanent(errDown), time.Minute))
			w.refused(w.ask(t.Context(), "r"), errDown)
			w.src.on(nil)
			w.token("other")
			w.m.ResetBackoff("r")
			w.token("r")
		})
	})
}

// ResetBackoff without a room does so for all rooms and for the source as a whole.
func TestPromise5ResetBackoffOfAll(t *testing.T) {
	const rooms = 20
	for name, c := range map[string]struct {
		err     error
		probing bool
	}{
		"an outage":                {errDown, true},
		"a refused credential":     {errors.Join(errDown, roomtoken.ErrUnauthorized), true},
		"a suspect credential":     {roomtoken.Permanent(errDown), true},
		"a rate limit":             {errors.Join(errDown, roomtoken.RetryAfter(roomtoken.ErrRateLimited, 10*time.Minute)), true},
		"a rate limit, no time":    {errors.Join(errDown, roomtoken.ErrRateLimited), true},
		"rooms that do not exist":  {errors.Join(errDown, roomtoken.ErrRoomNotFound), false},
		"an outage, with a wait":   {roomtoken.RetryAfter(errDown, 10*time.Minute), true},
		"a suspicion, with a wait": {roomtoken.RetryAfter(roomtoken.Permanent(errDown), 10*time.Minute), true},
	} {
		t.Run(name, func(t *testing.T) {
			within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
				w.others(8)
				w.src.fail(c.err)
				for i := range rooms {
					w.watch(fmt.Sprint("r", i), nil)
				}
				w.add(time.Minute) // the steps are long by now
				if got := w.m.Stats().Probing; got != c.probing {
					t.Fatalf("Probing = %v, want %v", got, c.probing)
				}
				w.src.on(nil)
				w.m.ResetBackoff()
				w.rest()
				if s := w.m.Stats(); s.Probing || s.RateLimited || !s.HeldUntil.IsZero() {
					t.Errorf("Stats() after ResetBackoff = %+v, want no hold and no probes", s)
				}
				for i := range rooms {
					if _, ok := w.m.Cached(fmt.Sprint("r", i)); !ok {
						t.Errorf("room r%d has no token after ResetBackoff, want its call at once", i)
					}
				}
				w.served(w.ask(t.Context(), "new"))
			})
		})
	}
}

// A call in flight at ResetBackoff that fails is tried again at once: it may have begun
// before what the caller knows of.
func TestPromise5ResetBackoffDuringACall(t *testing.T) {
	for name, c := range map[string]struct {
		err   error
		rooms []string
	}{
		"transient, of the room":   {errDown, []string{"r"}},
		"transient, of all":        {errDown, nil},
		"permanent, of the room":   {roomtoken.Permanent(errDown), []string{"r"}},
		"permanent, of all":        {roomtoken.Permanent(errDown), nil},
		"with a wait, of the room": {roomtoken.RetryAfter(errDown, time.Minute), []string{"r"}},
	} {
		t.Run(name, func(t *testing.T) {
			within(t, roomtoken.Config{BackoffMin: 20 * time.Second}, func(t *testing.T, w *world) {
				w.others(1)
				w.src.holdCalls(false)
				w.src.fail(c.err)
				v := w.watch("r", nil)
				w.calls("r", create)
				w.m.ResetBackoff(c.rooms...)
				w.rest()
				w.src.on(nil)
				w.src.releaseAll()
				w.rest()
				w.calls("r", create, create)
				if _, ok := w.m.Cached("r"); !ok {
					t.Fatal("the room has no token, want another call at once")
				}
				w.noOverlaps()
				v.cancel(nil)
			})
		})
	}
}
