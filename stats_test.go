package roomtoken_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
)

// epoch returns the moment so long after the mock's beginning.
func epoch(d time.Duration) time.Time { return time.Unix(0, 0).Add(d).UTC() }

// fingerprint returns the one of a value.
func fingerprint(value string) string { return roomtoken.NewSecret(value).Fingerprint() }

// told returns the events since the nth, without those that do not matter here.
func (w *world) told(n int) []roomtoken.Event {
	w.rest()
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.events[min(n, len(w.events)):])
}

// wantEvents compares events with what is wanted: in number, order and fields. An
// Until and an Err that are wanted as anything are checked for being there.
func wantEvents(t *testing.T, what string, got []roomtoken.Event, want ...roomtoken.Event) {
	t.Helper()
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(want):
			t.Errorf("%s: event %d: %v, want no more", what, i, got[i])
		case i >= len(got):
			t.Errorf("%s: event %d is missing, want %v", what, i, want[i])
		default:
			g, w := got[i], want[i]
			if !errors.Is(g.Err, w.Err) || (g.Err == nil) != (w.Err == nil) {
				t.Errorf("%s: event %d has the error %v, want %v", what, i, g.Err, w.Err)
			}
			g.Err, w.Err = nil, nil
			if w.Until.Equal(someTime) && !g.Until.IsZero() {
				w.Until = g.Until
			}
			g.Time, w.Time = g.Time.UTC(), w.Time.UTC()
			g.ExpiresAt, w.ExpiresAt = g.ExpiresAt.UTC(), w.ExpiresAt.UTC()
			if w.Time.IsZero() || w.Time.Unix() == 0 {
				w.Time = g.Time
			}
			if !reflect.DeepEqual(g, w) {
				t.Errorf("%s: event %d:\n got %+v\nwant %+v", what, i, g, w)
			}
		}
	}
}

// someTime stands for any time that is set.
var someTime = time.Unix(42, 42)

func TestEventsOfACallAndARenewal(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1}, func(w *world) {
		w.src.on(func(c *sourceCall) (roomtoken.Grant, error) {
			g := w.src.mint(c)
			w.clk.Sleep(250 * time.Millisecond)
			return g, nil
		})
		w.ask(w.t.Context(), "r")
		w.add(time.Second)
		wantEvents(t, "a create", w.told(0),
			roomtoken.Event{Kind: roomtoken.EventCallBegun, RoomID: "r", Call: roomtoken.CallCreate},
			roomtoken.Event{Kind: roomtoken.EventCallEnded, RoomID: "r", Call: roomtoken.CallCreate, Time: epoch(250 * time.Millisecond), Duration: 250 * time.Millisecond},
			roomtoken.Event{
				Kind: roomtoken.EventTokenPublished, RoomID: "r", Call: roomtoken.CallCreate, Time: epoch(250 * time.Millisecond),
				Fingerprint: fingerprint("token-r-1"), ExpiresAt: epoch(10 * time.Minute), Generation: 1,
			})
		w.add(401 * time.Second)
		wantEvents(t, "a refresh", w.told(3),
			roomtoken.Event{Kind: roomtoken.EventCallBegun, RoomID: "r", Call: roomtoken.CallRefresh, Time: epoch(400 * time.Second)},
			roomtoken.Event{Kind: roomtoken.EventCallEnded, RoomID: "r", Call: roomtoken.CallRefresh, Time: epoch(400250 * time.Millisecond), Duration: 250 * time.Millisecond},
			roomtoken.Event{
				Kind: roomtoken.EventTokenPublished, RoomID: "r", Call: roomtoken.CallRefresh, Time: epoch(400250 * time.Millisecond),
				Fingerprint: fingerprint("token-r-2"), ExpiresAt: epoch(1000 * time.Second), Generation: 2,
			})
		w.src.on(nil)
	})
}

func TestEventsOfFailures(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1, BackoffMin: 10 * time.Second, BackoffMax: 10 * time.Second}, func(w *world) {
		begun := roomtoken.Event{Kind: roomtoken.EventCallBegun, RoomID: "r", Call: roomtoken.CallCreate}
		w.src.fail(errDown)
		w.ask(w.t.Context(), "r")
		wantEvents(t, "a passing failure", w.told(0), begun,
			roomtoken.Event{Kind: roomtoken.EventCallEnded, RoomID: "r", Call: roomtoken.CallCreate, Err: errDown, Failures: 1, Until: epoch(10 * time.Second)})
		w.m.Forget("r")

		w.src.fail(roomtoken.Permanent(errDown))
		w.rest()
		n := len(w.told(0))
		w.ask(w.t.Context(), "s")
		begun.RoomID = "s"
		wantEvents(t, "a permanent failure", w.told(n), begun,
			roomtoken.Event{Kind: roomtoken.EventCallEnded, RoomID: "s", Call: roomtoken.CallCreate, Err: roomtoken.ErrPermanent, Failures: 1, Until: epoch(10 * time.Second)})

		w.src.on(func(*sourceCall) (roomtoken.Grant, error) { return roomtoken.Grant{}, nil })
		n = len(w.told(0))
		w.ask(w.t.Context(), "t")
		begun.RoomID = "t"
		wantEvents(t, "a grant that cannot be used", w.told(n), begun, roomtoken.Event{
			Kind: roomtoken.EventCallEnded, RoomID: "t", Call: roomtoken.CallCreate, Err: roomtoken.ErrInvalidGrant, Failures: 1, Until: epoch(10 * time.Second),
		})

		// A hold is told after the call that led to it.
		w.src.fail(roomtoken.RetryAfter(fmt.Errorf("%w: %w", errDown, roomtoken.ErrRateLimited), time.Minute))
		n = len(w.told(0))
		w.ask(w.t.Context(), "u")
		begun.RoomID = "u"
		wantEvents(t, "a rate limit", w.told(n), begun,
			roomtoken.Event{Kind: roomtoken.EventCallEnded, RoomID: "u", Call: roomtoken.CallCreate, Err: roomtoken.ErrRateLimited, Until: epoch(time.Minute)},
			roomtoken.Event{Kind: roomtoken.EventHeldBack, RoomID: "u", Err: errDown, Until: epoch(time.Minute)})
		w.src.on(nil)
		w.add(2 * time.Minute)
	})
}

func TestEventsOfAnOverdueCall(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1}, func(w *world) {
		w.src.holdCalls(true)
		w.ask(w.t.Context(), "r")
		w.add(10 * time.Second)
		w.src.clk.(*skewed).Add(5 * time.Second)
		w.src.releaseAll()
		wantEvents(t, "an overdue call", w.told(0),
			roomtoken.Event{Kind: roomtoken.EventCallBegun, RoomID: "r", Call: roomtoken.CallCreate},
			roomtoken.Event{Kind: roomtoken.EventCallOverdue, RoomID: "r", Call: roomtoken.CallCreate, Time: epoch(10 * time.Second), Duration: 10 * time.Second, Err: context.DeadlineExceeded},
			roomtoken.Event{Kind: roomtoken.EventCallEnded, RoomID: "r", Call: roomtoken.CallCreate, Time: epoch(15 * time.Second), Duration: 15 * time.Second},
			roomtoken.Event{
				Kind: roomtoken.EventTokenPublished, RoomID: "r", Call: roomtoken.CallCreate, Time: epoch(15 * time.Second),
				Fingerprint: fingerprint("token-r-1"), ExpiresAt: epoch(615 * time.Second), Generation: 1, Failures: 1,
			})
		if s := w.m.Stats(); s.CreateFailures != 0 || s.Creates != 1 {
			t.Errorf("Stats: %+v", s)
		}
	})
}

func TestEventsOfFallbacks(t *testing.T) {
	for name, c := range map[string]struct {
		reason string
		until  time.Duration
		set    func(w *world)
	}{
		"rejected": {roomtoken.ReasonRefreshRejected, 0, func(w *world) {
			w.src.on(func(c *sourceCall) (roomtoken.Grant, error) {
				if c.op == "refresh" {
					return roomtoken.Grant{}, roomtoken.ErrRefreshRejected
				}
				return w.src.mint(c), nil
			})
		}},
		"lapsed": {roomtoken.ReasonRefreshLapsed, 5 * time.Minute, func(*world) {}},
	} {
		t.Run(name, func(t *testing.T) {
			within(t, roomtoken.Config{Jitter: -1}, func(w *world) {
				w.src.live(10*time.Minute, c.until)
				if c.until == 0 {
					w.src.live(10*time.Minute, time.Hour)
				}
				w.token("r")
				c.set(w)
				w.rest()
				n := len(w.told(0))
				w.add(401 * time.Second)
				var want []roomtoken.Event
				fell := roomtoken.Event{Kind: roomtoken.EventFellBack, RoomID: "r", Reason: c.reason}
				if name == "rejected" {
					want = append(want,
						roomtoken.Event{Kind: roomtoken.EventCallBegun, RoomID: "r", Call: roomtoken.CallRefresh},
						roomtoken.Event{Kind: roomtoken.EventCallEnded, RoomID: "r", Call: roomtoken.CallRefresh, Err: roomtoken.ErrRefreshRejected})
				}
				want = append(want, fell,
					roomtoken.Event{Kind: roomtoken.EventCallBegun, RoomID: "r", Call: roomtoken.CallCreate},
					roomtoken.Event{Kind: roomtoken.EventCallEnded, RoomID: "r", Call: roomtoken.CallCreate},
					roomtoken.Event{
						Kind: roomtoken.EventTokenPublished, RoomID: "r", Call: roomtoken.CallCreate, Generation: 2,
						Fingerprint: fingerprint("token-r-2"), ExpiresAt: epoch(1000 * time.Second),
					})
				wantEvents(t, "a fallback", w.told(n), want...)
				if s := w.m.Stats(); s.Fallbacks != 1 {
					t.Errorf("%d fallbacks counted", s.Fallbacks)
				}
			})
		})
	}
	t.Run("failing", func(t *testing.T) {
		within(t, roomtoken.Config{Jitter: -1}, func(w *world) {
			w.token("r")
			w.src.fail(errDown)
			w.add(500 * time.Second)
			n := 0
			for i, e := range w.told(0) {
				if e.Kind == roomtoken.EventFellBack {
					n++
					if next := w.told(0)[i+1]; e.Reason != roomtoken.ReasonRefreshFailing || next.Kind != roomtoken.EventCallBegun || next.Call != roomtoken.CallCreate {
						t.Errorf("%v, then %v", e, next)
					}
				}
			}
			if s := w.m.Stats(); n == 0 || s.Fallbacks != uint64(n) || s.CreateFailures != uint64(n) {
				t.Errorf("%d fallbacks told: %+v", n, s)
			}
			w.src.on(nil)
		})
	})
}

func TestEventsOfRooms(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1, MaxRooms: 1, IdleAfter: time.Minute}, func(w *world) {
		tok := w.token("r")
		w.rest()
		n := len(w.told(0))
		w.m.Invalidate("r", tok)
		w.m.Forget("r")
		w.m.Forget("r")
		w.m.Forget("unknown")
		wantEvents(t, "Invalidate and Forget", w.told(n),
			roomtoken.Event{Kind: roomtoken.EventTokenInvalidated, RoomID: "r", Fingerprint: fingerprint("token-r-1")},
			roomtoken.Event{Kind: roomtoken.EventRoomForgotten, RoomID: "r"})
		w.token("a")
		w.rest()
		n = len(w.told(0))
		w.token("b")
		if got := w.told(n)[0]; got.Kind != roomtoken.EventRoomEvicted || got.RoomID != "a" || got.Reason != roomtoken.ReasonMaxRooms {
			t.Errorf("an eviction: %v", got)
		}
		n = len(w.told(0))
		w.add(571 * time.Second)
		wantEvents(t, "an idle room", w.told(n), roomtoken.Event{Kind: roomtoken.EventRoomEvicted, RoomID: "b", Reason: roomtoken.ReasonIdle})
	})
}

func TestEventsAreDroppedWhenTheObserverIsSlow(t *testing.T) {
	within(t, roomtoken.Config{}, func(w *world) {
		gate, listening := make(chan struct{}), make(chan struct{}, 1)
		told := 0
		m, err := roomtoken.NewManager(w.src, roomtoken.Config{Clock: w.clk, OnEvent: func(roomtoken.Event) {
			select {
			case listening <- struct{}{}:
			default:
			}
			<-gate
			told++
		}})
		if err != nil {
			t.Fatal(err)
		}
		const rounds = roomtoken.MaxPendingEvents/4 + 100
		for round := range rounds {
			if _, err := m.Token(w.t.Context(), "r"); err != nil {
				t.Fatal(err)
			}
			if round == 0 {
				<-listening // or it would take with it all that came before it was there
			}
			m.Forget("r")
		}
		s := m.Stats()
		if s.EventsDropped < 300 || s.EventsDropped > 400 {
			t.Errorf("%d events dropped", s.EventsDropped)
		}
		close(gate)
		w.rest()
		if told != 4*rounds-int(s.EventsDropped) {
			t.Errorf("%d events told and %d dropped of %d", told, s.EventsDropped, 4*rounds)
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestEventString(t *testing.T) {
	e := roomtoken.Event{
		Kind: roomtoken.EventCallEnded, RoomID: strings.Repeat("r", 200), Call: roomtoken.CallRefresh, Duration: time.Second, Err: errDown,
		Until: epoch(time.Minute), Fingerprint: "f00", ExpiresAt: epoch(time.Hour), Reason: "why",
	}
	for _, want := range []string{"call ended", "refresh", "1s", errDown.Error(), "f00", "why", "00:01:00", "01:00:00"} {
		if !strings.Contains(e.String(), want) {
			t.Errorf("%q is not in %s", want, e)
		}
	}
	if len(e.String()) > 350 {
		t.Errorf("a long room ID is not cut: %s", e)
	}
	for _, text := range []string{
		roomtoken.EventKind(0).String(), roomtoken.EventKind(200).String(), roomtoken.CallKind(9).String(),
		roomtoken.RoomState(0).String(), roomtoken.RoomState(99).String(),
	} {
		if !strings.Contains(text, "(") {
			t.Errorf("a strange value prints %q", text)
		}
	}
	if roomtoken.CallKind(0).String() != "none" || roomtoken.RoomStuck.String() != "stuck" {
		t.Error("names")
	}
}

func TestRoomStatus(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1, MaxWait: -1, IdleAfter: 15 * time.Minute}, func(w *world) {
		status := func() roomtoken.RoomStatus {
			t.Helper()
			s, ok := w.m.Room("r")
			if !ok {
				t.Fatal("the room is not there")
			}
			if all := slices.Collect(w.m.Rooms()); len(all) != 1 || !reflect.DeepEqual(all[0], s) {
				t.Errorf("Rooms yields %+v, Room %+v", all, s)
			}
			return s
		}
		want := func(what string, want roomtoken.RoomStatus) {
			t.Helper()
			want.RoomID = "r"
			got := status()
			if !errors.Is(got.LastError, want.LastError) || (got.LastError == nil) != (want.LastError == nil) {
				t.Errorf("%s: the last error is %v, want %v", what, got.LastError, want.LastError)
			}
			got.LastError, want.LastError = nil, nil
			got.LastUsed = got.LastUsed.Round(time.Second) // it is kept to half a second
			if want.NextCallAt.Equal(someTime) && got.NextCallAt.After(w.clk.Now()) {
				want.NextCallAt = got.NextCallAt
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
			}
		}
		if _, ok := w.m.Room("r"); ok {
			t.Error("a room that was never asked for is there")
		}
		w.src.holdCalls(false)
		w.ask(w.t.Context(), "r")
		w.ask(w.t.Context(), "r")
		want("in its first call", roomtoken.RoomStatus{State: roomtoken.RoomEmpty, InFlight: roomtoken.CallCreate, Waiters: 2, LastUsed: epoch(0)})
		w.src.releaseAll()
		valid := roomtoken.RoomStatus{
			State: roomtoken.RoomValid, Fingerprint: fingerprint("token-r-1"), ExpiresAt: epoch(10 * time.Minute),
			RefreshExpiresAt: epoch(time.Hour), HasRefreshToken: true, Generation: 1, LastUsed: epoch(0),
			NextCall: roomtoken.CallRefresh, NextCallAt: epoch(400 * time.Second),
		}
		want("with its token", valid)
		w.add(90 * time.Second)
		w.token("r")
		v := w.watch("r", nil)
		valid.LastUsed, valid.Watchers = epoch(90*time.Second), 1
		want("watched", valid)

		w.src.fail(errDown)
		w.add(311 * time.Second)
		retrying := valid
		retrying.State, retrying.LastError, retrying.LastFailure = roomtoken.RoomRetrying, errDown, roomtoken.CallRefresh
		retrying.Failures, retrying.NextCallAt = status().Failures, someTime
		if retrying.Failures < 1 || retrying.Failures > 2 {
			t.Errorf("%d failures a second after the renewal was due", retrying.Failures)
		}
		want("when its renewal fails", retrying)
		w.add(170 * time.Second)
		if s := status(); s.State != roomtoken.RoomFailing || s.Failures < 5 {
			t.Errorf("when its token is gone: %+v", s)
		}
		w.src.on(nil)
		w.add(30 * time.Second)
		if s := status(); s.State != roomtoken.RoomValid || s.Failures != 0 || s.LastError != nil || s.LastFailure != 0 || s.Generation != 2 {
			t.Errorf("after recovery: %+v", s)
		}
		tok, _ := w.m.Cached("r")
		v.cancel(nil)
		w.rest()
		w.m.Invalidate("r", tok)
		if s := status(); s.State != roomtoken.RoomEmpty || s.Fingerprint != "" || !s.ExpiresAt.IsZero() || s.HasRefreshToken || !s.RefreshExpiresAt.IsZero() {
			t.Errorf("invalidated: %+v", s)
		}
		w.m.Forget("r")
		w.src.fail(roomtoken.Permanent(errDown))
		p := w.ask(w.t.Context(), "r")
		if s := status(); s.State != roomtoken.RoomFailed || !errors.Is(s.LastError, errDown) || s.Failures != 1 || !p.returned() {
			t.Errorf("failed for good: %+v", s)
		}
		w.m.Forget("r")
		w.src.on(nil)
		w.src.holdCalls(true)
		w.ask(w.t.Context(), "r")
		w.add(11 * time.Second)
		if s := status(); s.State != roomtoken.RoomStuck || s.InFlight != roomtoken.CallCreate {
			t.Errorf("stuck: %+v", s)
		}
	})
}

// What is planned: a create where the refresh token will have lapsed by then.
func TestRoomStatusNextCall(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1}, func(w *world) {
		for name, c := range map[string]struct {
			refresh time.Duration
			next    roomtoken.CallKind
		}{
			"lives longer": {time.Hour, roomtoken.CallRefresh}, "lapses before": {5 * time.Minute, roomtoken.CallCreate}, "none": {0, roomtoken.CallCreate},
		} {
			w.src.live(10*time.Minute, c.refresh)
			w.token(name)
			if s, _ := w.m.Room(name); s.NextCall != c.next || !s.NextCallAt.Equal(epoch(400*time.Second)) || s.HasRefreshToken != (c.refresh > 0) {
				t.Errorf("%s: %+v", name, s)
			}
		}
	})
}

// Ends far away are shown as they are.
func TestRoomStatusOfTheYear9999(t *testing.T) {
	far := time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
	within(t, roomtoken.Config{Jitter: -1}, func(w *world) {
		w.src.on(func(c *sourceCall) (roomtoken.Grant, error) {
			g := w.src.mint(c)
			g.Token.ExpiresAt, g.RefreshToken.ExpiresAt = far, far
			return g, nil
		})
		if tok := w.token("r"); !tok.ExpiresAt.Equal(far) {
			t.Errorf("the token expires at %v", tok.ExpiresAt)
		}
		s, _ := w.m.Room("r")
		if !s.ExpiresAt.Equal(far) || !s.RefreshExpiresAt.Equal(far) {
			t.Errorf("the room: expires %v, refresh token %v", s.ExpiresAt, s.RefreshExpiresAt)
		}
		w.add(24 * time.Hour)
		if n := w.src.count(); n != 1 {
			t.Errorf("%d calls", n)
		}
	})
}

func TestRooms(t *testing.T) {
	within(t, roomtoken.Config{}, func(w *world) {
		want := map[string]bool{}
		for i := range 500 {
			id := fmt.Sprint("r", i)
			w.token(id)
			want[id] = true
		}
		n := 0
		for s := range w.m.Rooms() {
			if !want[s.RoomID] {
				t.Fatalf("%q is a stranger or came before", s.RoomID)
			}
			delete(want, s.RoomID)
			n++
			if n%50 == 0 { // the body may do as it likes
				w.m.Forget(fmt.Sprint("new", n))
				w.token(fmt.Sprint("new", n))
				want[fmt.Sprint("new", n)] = true
			}
		}
		for id := range want {
			if !strings.HasPrefix(id, "new") {
				t.Errorf("%s is missing", id)
			}
		}
		n = 0
		for range w.m.Rooms() {
			if n++; n == 3 {
				break
			}
		}
		if n != 3 {
			t.Errorf("%d rooms after break", n)
		}
	})
}

func TestStats(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1, MaxConcurrentCalls: 2, MaxWait: -1}, func(w *world) {
		want := func(what string, want roomtoken.Stats) {
			t.Helper()
			if got := w.m.Stats(); got != want {
				t.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
			}
		}
		s := roomtoken.Stats{}
		want("at first", s)
		tok := w.token("r")
		w.token("r") // a hit
		s.Rooms, s.Misses, s.Creates = 1, 1, 1
		want("after a miss and a hit", s)
		w.m.Cached("unknown")
		w.add(401 * time.Second)
		s.Refreshes = 1
		want("after a renewal", s)
		w.m.Invalidate("r", tok)
		want("after Invalidate of an old one", s)
		tok, _ = w.m.Cached("r")
		w.m.Invalidate("r", tok)
		s.Invalidations = 1
		want("after Invalidate", s)
		w.token("r")
		s.Misses, s.Creates = 2, 2
		want("after the create", s)

		w.src.holdCalls(true)
		for i := range 4 {
			w.ask(w.t.Context(), fmt.Sprint("c", i))
		}
		s.Rooms, s.Misses, s.Creates, s.CallsInFlight, s.CallsQueued = 5, 6, 4, 2, 2
		want("with calls in flight and queued", s)
		w.add(11 * time.Second)
		// Two passing failures in a row are as many as MaxConcurrentCalls.
		s.CallsOverdue, s.Probing = 2, true
		want("when they are overdue", s)
		w.src.fail(roomtoken.RetryAfter(roomtoken.ErrRateLimited, time.Minute))
		w.src.releaseAll() // the scripts of those in flight are chosen: they mint
		w.add(time.Second)
		got := w.m.Stats()
		if !got.RateLimited || got.HeldUntil.IsZero() || got.CallsInFlight != 0 || got.CallsQueued != 2 || got.CallsOverdue != 0 {
			t.Errorf("during a hold: %+v", got)
		}
		if left := got.HeldUntil.Sub(w.clk.Now()); left < 58*time.Second || left > time.Minute {
			t.Errorf("held for another %v", left)
		}
		if got.CreateFailures == 0 {
			t.Errorf("a rate limit is no failure: %+v", got)
		}
		w.src.on(nil)
		w.add(2 * time.Minute)
		got = w.m.Stats()
		if got.RateLimited || !got.HeldUntil.IsZero() || got.Probing || got.CallsQueued != 0 || got.Rooms != 5 {
			t.Errorf("after the hold: %+v", got)
		}
	})
}
