package roomtoken_test

import (
	"errors"
	"fmt"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomtoken/roomtoken"
)

// Promise 5: a failure belongs to a room, to the credential, or to the source.

// errUnauthorized is what a source returns whose credential is refused.
var errUnauthorized = fmt.Errorf("%w: 401", roomtoken.ErrUnauthorized)

// credentialSteps are the least waits before the probes of a bad credential. The longest
// is drawn up to 1 min.
var credentialSteps = []time.Duration{
	time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second,
	32 * time.Second, 40 * time.Second,
}

// wantSteps checks the gaps between the calls from the first one on.
func wantSteps(t *testing.T, what string, calls []*sourceCall, steps []time.Duration) {
	t.Helper()
	if len(calls) <= len(steps) {
		t.Fatalf("%s: %d calls, want %d", what, len(calls), len(steps)+1)
	}
	for i, step := range steps {
		if gap := calls[i+1].at - calls[i].at; gap < step || gap > step*3/2 {
			t.Errorf("%s: call %d came %v after the one before, want %v to %v", what, i+2, gap, step, step*3/2)
		}
	}
}

// ErrUnauthorized of one room alone holds this room, by the steps of a credential.
func TestPromise5UnauthorizedOfOneRoom(t *testing.T) {
	within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
		w.others(1)
		w.src.on(func(c *sourceCall) (roomtoken.Grant, error) {
			if c.room == "bad" {
				return roomtoken.Grant{}, errUnauthorized
			}
			return w.src.mint(c), nil
		})
		v := w.watch("bad", nil)
		w.refused(w.ask(t.Context(), "bad"), roomtoken.ErrUnauthorized, roomtoken.ErrPermanent)
		for i := range 240 {
			w.add(time.Second)
			w.token(fmt.Sprint("r", i)) // others are served at once
			if w.m.Stats().Probing {
				t.Fatal("Probing because of one room, want calls to go on")
			}
		}
		wantSteps(t, "one room", w.src.of("bad"), credentialSteps)
		v.cancel(nil)
	})
}

// ErrUnauthorized for two distinct rooms in a row is the credential's: there is one probe
// per step for all rooms, and everybody without a token gets the error at once. The first
// success clears it, and every permanent error that it caused.
func TestPromise5UnauthorizedOfTwoRooms(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1}, func(t *testing.T, w *world) {
		w.token("warm") // its renewal is due at 400 s
		w.add(390 * time.Second)
		bad := true
		w.src.on(func(c *sourceCall) (roomtoken.Grant, error) {
			if c.room == "junk" {
				return roomtoken.Grant{}, roomtoken.ErrRoomNotFound
			}
			if bad {
				return roomtoken.Grant{}, errUnauthorized
			}
			return w.src.mint(c), nil
		})
		w.refused(w.ask(t.Context(), "junk"), roomtoken.ErrRoomNotFound)
		for i := range 20 {
			w.watch(fmt.Sprint("watched", i), nil)
		}
		n := w.src.count()
		if n != 4 {
			t.Fatalf("%d calls, want the token, the junk room, and two that were refused", n)
		}
		w.add(999 * time.Millisecond)
		if w.src.count() != n {
			t.Fatal("a probe began within the first step, want none")
		}
		for i := 0; w.clk.elapsed() < 560*time.Second; i++ {
			w.refused(w.ask(t.Context(), fmt.Sprint("new", i%3)), roomtoken.ErrUnauthorized)
			w.refused(w.ask(t.Context(), "watched0"), roomtoken.ErrUnauthorized)
			if _, err := w.hit("warm"); err != nil {
				t.Fatalf("Token() of a room that has one = %v, want the token", err)
			}
			w.add(500 * time.Millisecond)
		}
		wantSteps(t, "the credential", w.src.all()[n-1:], credentialSteps)
		if !w.m.Stats().Probing {
			t.Fatal("Probing = false, want true")
		}

		// Within one step everything works again.
		bad = false
		w.src.live(24*time.Hour, 24*time.Hour) // so that renewals do not matter
		w.add(time.Minute)
		for i := range 20 {
			if _, err := w.hit(fmt.Sprint("watched", i)); err != nil {
				t.Errorf("room watched%d after the credential was mended: %v", i, err)
			}
		}
		for i := range 3 {
			w.served(w.ask(t.Context(), fmt.Sprint("new", i)))
		}
		if s, _ := w.m.Room("junk"); s.Failures != 1 {
			t.Errorf("Failures of a room that does not exist = %d, want 1 as before", s.Failures)
		}
	})
}

// A caller whom the present token does not serve is answered at once, too: no call would
// bring a better one.
func TestPromise5UnauthorizedAndATokenThatIsTooShort(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1, MaxWait: -1}, func(t *testing.T, w *world) {
		w.token("valid") // for 10 min
		w.add(100 * time.Second)
		w.src.fail(errUnauthorized)
		w.refused(w.ask(t.Context(), "a"), roomtoken.ErrUnauthorized)
		w.refused(w.ask(t.Context(), "b"), roomtoken.ErrUnauthorized)
		w.refused(w.askFor(t.Context(), "valid", 550*time.Second), roomtoken.ErrUnauthorized)
		w.token("valid") // still good for everybody else
		w.calls("valid", create)
	})
}

// ErrUnauthorized of two rooms with a success between is no news of the credential, nor is
// that of the same room twice.
func TestPromise5UnauthorizedInARow(t *testing.T) {
	within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
		w.others(1)
		w.src.fail(errUnauthorized)
		w.refused(w.ask(t.Context(), "a"), roomtoken.ErrUnauthorized)
		w.add(1500 * time.Millisecond)
		w.refused(w.ask(t.Context(), "a"), roomtoken.ErrUnauthorized)
		w.calls("a", create, create)
		if w.m.Stats().Probing {
			t.Fatal("Probing after two failures of one room, want calls to go on")
		}
		w.works()
		w.refused(w.ask(t.Context(), "b"), roomtoken.ErrUnauthorized)
		if w.m.Stats().Probing {
			t.Fatal("Probing although a call succeeded between, want calls to go on")
		}
		w.refused(w.ask(t.Context(), "c"), roomtoken.ErrUnauthorized)
		if !w.m.Stats().Probing {
			t.Fatal("Probing = false after two rooms in a row, want true")
		}
	})
}

// In a refused credential's probe the room goes first that was answered so and has not
// failed itself.
func TestPromise5TheNextProbeOfARefusedCredential(t *testing.T) {
	within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
		w.others(1)
		w.src.fail(errUnauthorized)
		w.watch("a", nil)
		w.watch("b", nil)
		n := w.src.count()
		w.refused(w.ask(t.Context(), "new"), roomtoken.ErrUnauthorized)
		w.calls("new")
		w.add(1500 * time.Millisecond)
		if got := w.order(n); len(got) != 1 || got[0] != "new" {
			t.Fatalf("probes = %v, want [new]", got)
		}
	})
}

// Permanent failures of 8 distinct rooms in a row, other than those of the credential, make
// it suspect: a firewall may answer 403 to all. The rooms that failed share a probe per
// step, and their callers get the error at once; an innocent room gets an attempt of its
// own. The first success clears all permanent errors.
func TestPromise5ASuspectCredential(t *testing.T) {
	within(t, roomtoken.Config{MaxWait: -1}, func(t *testing.T, w *world) {
		w.others(8)
		denied := fmt.Errorf("%w: 403", roomtoken.ErrPermanent)
		w.src.fail(denied)
		for i := range 8 {
			if w.m.Stats().Probing {
				t.Fatalf("Probing after %d rooms, want 8", i)
			}
			w.watch(fmt.Sprint("bad", i), nil)
		}
		if !w.m.Stats().Probing || w.src.count() != 8 {
			t.Fatalf("Probing = %v after %d calls, want true after 8", w.m.Stats().Probing, w.src.count())
		}
		w.add(150 * time.Second)
		wantSteps(t, "probes", w.src.all()[7:], credentialSteps[:6])
		for i := range 8 {
			w.refused(w.ask(t.Context(), fmt.Sprint("bad", i)), denied)
		}

		// Innocent rooms stand in line, and go one at a time, at most one a second.
		mended := false
		w.src.on(func(c *sourceCall) (roomtoken.Grant, error) {
			if mended = mended || c.room == "late"; mended {
				return w.src.mint(c), nil
			}
			return roomtoken.Grant{}, denied
		})
		first := w.ask(t.Context(), "first")
		w.refused(first, denied) // it has had its attempt
		w.calls("first", create)
		p := w.ask(t.Context(), "late")
		w.waits(p)
		w.calls("late")
		w.add(time.Second)
		w.served(p)
		if w.m.Stats().Probing {
			t.Fatal("Probing = true after a success, want false")
		}
		for i := range 8 {
			w.served(w.ask(t.Context(), fmt.Sprint("bad", i)))
		}
		w.served(w.ask(t.Context(), "first"))
	})
}

// A success between, or fewer rooms, make nothing suspect. ErrRoomNotFound never does: junk
// IDs from outside delay nobody.
func TestPromise5NoSuspicion(t *testing.T) {
	t.Run("a success between", func(t *testing.T) {
		within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
			w.src.fail(roomtoken.Permanent(errDown))
			for i := range 30 {
				if i%7 == 0 {
					w.works()
				}
				w.refused(w.ask(t.Context(), fmt.Sprint("bad", i)), errDown)
				if w.m.Stats().Probing {
					t.Fatalf("Probing after room %d, want calls to go on", i)
				}
			}
		})
	})
	t.Run("the same rooms again", func(t *testing.T) {
		within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
			w.others(8)
			w.src.fail(roomtoken.Permanent(errDown))
			for i := range 7 {
				w.watch(fmt.Sprint("bad", i), nil)
			}
			for range 60 {
				w.add(time.Second)
				if w.m.Stats().Probing {
					t.Fatal("Probing because of seven rooms, want calls to go on")
				}
			}
			if n := w.src.count(); n < 28 {
				t.Errorf("%d calls in a minute, want at least 28", n)
			}
		})
	})
	t.Run("rooms that were failing before a success", func(t *testing.T) {
		within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
			w.src.fail(roomtoken.Permanent(errDown))
			for i := range 20 {
				w.watch(fmt.Sprint("bad", i), nil)
				w.works()
			}
			for range 60 { // without a success between
				w.add(time.Second)
				if w.m.Stats().Probing {
					t.Fatal("Probing because rooms fail again, want calls to go on")
				}
			}
		})
	})
	t.Run("rooms that do not exist", func(t *testing.T) {
		within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
			w.src.on(func(c *sourceCall) (roomtoken.Grant, error) {
				if c.room == "good" {
					return w.src.mint(c), nil
				}
				return roomtoken.Grant{}, roomtoken.ErrRoomNotFound
			})
			for i := range 10 {
				w.refused(w.ask(t.Context(), fmt.Sprint("junk", i)), roomtoken.ErrRoomNotFound)
			}
			if w.m.Stats().Probing {
				t.Fatal("Probing because of junk IDs, want calls to go on")
			}
			w.served(w.ask(t.Context(), "good"))
		})
	})
}

// An error of this process itself counts for the source, never for a room.
func TestPromise5AnErrorOfThisProcess(t *testing.T) {
	within(t, roomtoken.Config{MaxWait: -1}, func(t *testing.T, w *world) {
		w.others(8)
		w.src.fail(fmt.Errorf("dial: %w", syscall.EMFILE))
		for i := range 8 {
			if w.m.Stats().Probing {
				t.Fatalf("Probing after %d rooms, want 8", i)
			}
			w.ask(t.Context(), fmt.Sprint("r", i))
		}
		if !w.m.Stats().Probing {
			t.Fatal("Probing = false after 8 rooms, want true")
		}
		for i := range 8 {
			if s, _ := w.m.Room(fmt.Sprint("r", i)); s.Failures != 0 {
				t.Errorf("Failures of room r%d = %d, want 0", i, s.Failures)
			}
		}
	})
}

// A room that has not failed is not refused for the failures of others: in an outage it
// gets its own attempt, at most one such room a second, and all rooms together make at most
// one attempt a second beyond each room's first.
func TestPromise5AttemptsInAnOutage(t *testing.T) {
	const patience, rate = 20 * time.Second, 3 // new rooms in a second
	synctest.Test(t, func(t *testing.T) {
		src := &source{clk: realClock, lifetime: 10 * time.Minute}
		m, err := roomtoken.NewManager(src, roomtoken.Config{MaxWait: patience})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		src.fail(errDown)
		for i := range 40 {
			go func() {
				for range m.Watch(t.Context(), fmt.Sprint("watched", i)) {
					_ = i
				}
			}()
		}
		var callers sync.WaitGroup
		began := time.Now()
		for i := 0; time.Since(began) < 5*time.Minute; i++ {
			time.Sleep(time.Second / rate)
			callers.Go(func() {
				asked := time.Now()
				_, err := m.Token(t.Context(), fmt.Sprint("new", i))
				if !errors.Is(err, errDown) {
					t.Errorf("Token() = %v, want errDown", err)
				}
				if n := len(src.of(fmt.Sprint("new", i))); n == 0 && time.Since(asked) < patience {
					t.Errorf("Token() = %v after %v, want an innocent room to stay for its attempt", err, time.Since(asked))
				}
			})
		}
		calls := src.all()
		callers.Wait()
		rooms, again := map[string]bool{}, 0
		var newest []time.Duration
		for _, c := range calls {
			if rooms[c.room] {
				again++
			} else if c.room[0] == 'n' {
				newest = append(newest, c.at)
			}
			rooms[c.room] = true
		}
		if again > 300 {
			t.Errorf("%d attempts in 300 s beyond each room's first, want 300 at most", again)
		}
		if len(newest) < 250 || len(newest) > 320 {
			t.Errorf("%d innocent rooms had an attempt in 300 s, want about one a second", len(newest))
		}
	})
}
