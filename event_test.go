package roomtoken_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
)

// epoch returns the time d after the Mock's epoch.
func epoch(d time.Duration) time.Time { return time.Unix(0, 0).Add(d).UTC() }

// fingerprint returns the fingerprint of a value.
func fingerprint(value string) string { return roomtoken.NewSecret(value).Fingerprint() }

// wantEvents compares the number, order and fields of events. A zero Time is not
// compared, someTime as Until matches any time that is set, and errors are compared
// with errors.Is.
func wantEvents(t *testing.T, what string, got []roomtoken.Event, want ...roomtoken.Event) {
	t.Helper()
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(want):
			t.Errorf("%s: event %d = %v, want no more", what, i, got[i])
		case i >= len(got):
			t.Errorf("%s: event %d is missing, want %v", what, i, want[i])
		default:
			g, w := got[i], want[i]
			if !errors.Is(g.Err, w.Err) || (g.Err == nil) != (w.Err == nil) {
				t.Errorf("%s: Err of event %d = %v, want %v", what, i, g.Err, w.Err)
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

// someTime matches any time that is set.
var someTime = time.Unix(42, 42)

func TestEventsOfACallAndARenewal(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1}, func(t *testing.T, w *world) {
		w.src.on(func(c *sourceCall) (roomtoken.Grant, error) {
			g := w.src.mint(c)
			w.clk.Sleep(250 * time.Millisecond)
			return g, nil
		})
		w.ask(t.Context(), "r")
		w.add(time.Second)
		wantEvents(t, "a create", w.eventsFrom(0),
			roomtoken.Event{Kind: roomtoken.EventCallBegun, RoomID: "r", Call: roomtoken.CallCreate},
			roomtoken.Event{Kind: roomtoken.EventCallEnded, RoomID: "r", Call: roomtoken.CallCreate, Time: epoch(250 * time.Millisecond), Duration: 250 * time.Millisecond},
			roomtoken.Event{
				Kind: roomtoken.EventTokenPublished, RoomID: "r", Call: roomtoken.CallCreate, Time: epoch(250 * time.Millisecond),
				Fingerprint: fingerprint("token-r-1"), ExpiresAt: epoch(10 * time.Minute), Generation: 1,
			})
		w.add(401 * time.Second)
		wantEvents(t, "a refresh", w.eventsFrom(3),
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
	within(t, roomtoken.Config{Jitter: -1, BackoffMin: 10 * time.Second, BackoffMax: 10 * time.Second}, func(t *testing.T, w *world) {
		begun := roomtoken.Event{Kind: roomtoken.EventCallBegun, RoomID: "r", Call: roomtoken.CallCreate}
		w.others(1)
		n := len(w.eventsFrom(0))
		w.src.fail(errDown)
		w.ask(t.Context(), "r")
		wantEvents(t, "a transient failure", w.eventsFrom(n), begun,
			roomtoken.Event{Kind: roomtoken.EventCallEnded, RoomID: "r", Call: roomtoken.CallCreate, Err: errDown, Failures: 1, Until: epoch(10 * time.Second)})
		w.m.Forget("r")

		w.src.fail(roomtoken.Permanent(errDown))
		n = len(w.eventsFrom(0))
		w.ask(t.Context(), "s")
		begun.RoomID = "s"
		permanent := w.eventsFrom(n)
		wantEvents(t, "a permanent failure", permanent, begun,
			roomtoken.Event{Kind: roomtoken.EventCallEnded, RoomID: "s", Call: roomtoken.CallCreate, Err: roomtoken.ErrPermanent, Failures: 1, Until: someTime})
		if until := permanent[1].Until; until.Before(epoch(time.Second)) || until.After(epoch(1500*time.Millisecond)) {
			t.Errorf("Until of a permanent failure = %v, want 1 s to 1.5 s", until)
		}
		w.works()

		w.src.on(func(*sourceCall) (roomtoken.Grant, error) { return roomtoken.Grant{}, nil })
		n = len(w.eventsFrom(0))
		w.ask(t.Context(), "t")
		begun.RoomID = "t"
		wantEvents(t, "an unusable grant", w.eventsFrom(n), begun, roomtoken.Event{
			Kind: roomtoken.EventCallEnded, RoomID: "t", Call: roomtoken.CallCreate, Err: roomtoken.ErrInvalidGrant, Failures: 1, Until: epoch(10 * time.Second),
		})

		// A hold follows the call that led to it.
		w.src.fail(roomtoken.RetryAfter(fmt.Errorf("%w: %w", errDown, roomtoken.ErrRateLimited), time.Minute))
		n = len(w.eventsFrom(0))
		w.ask(t.Context(), "u")
		begun.RoomID = "u"
		wantEvents(t, "a rate limit", w.eventsFrom(n), begun,
			roomtoken.Event{Kind: roomtoken.EventCallEnded, RoomID: "u", Call: roomtoken.CallCreate, Err: roomtoken.ErrRateLimited, Until: epoch(time.Minute)},
			roomtoken.Event{Kind: roomtoken.EventHeldBack, RoomID: "u", Err: errDown, Until: epoch(time.Minute)})
		w.src.on(nil)
		w.add(2 * time.Minute)
	})
}

func TestEventsOfAnOverdueCall(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1}, func(t *testing.T, w *world) {
		w.others(1)
		n := len(w.eventsFrom(0))
		w.src.holdCalls(true)
		w.ask(t.Context(), "r")
		w.add(10 * time.Second)
		w.src.clk.(*skewed).Add(5 * time.Second)
		w.src.releaseAll()
		wantEvents(t, "an overdue call", w.eventsFrom(n),
			roomtoken.Event{Kind: roomtoken.EventCallBegun, RoomID: "r", Call: roomtoken.CallCreate},
			roomtoken.Event{Kind: roomtoken.EventCallOverdue, RoomID: "r", Call: roomtoken.CallCreate, Time: epoch(10 * time.Second), Duration: 10 * time.Second, Err: context.DeadlineExceeded},
			roomtoken.Event{Kind: roomtoken.EventCallEnded, RoomID: "r", Call: roomtoken.CallCreate, Time: epoch(15 * time.Second), Duration: 15 * time.Second},
			roomtoken.Event{
				Kind: roomtoken.EventTokenPublished, RoomID: "r", Call: roomtoken.CallCreate, Time: epoch(15 * time.Second),
				Fingerprint: fingerprint("token-r-1"), ExpiresAt: epoch(615 * time.Second), Generation: 1, Failures: 1,
			})
		if s := w.m.Stats(); s.CreateFailures != 0 || s.Creates != 2 {
			t.Errorf("Stats() = %+v, want 2 creates and no failure", s)
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
				if c.kind == refresh {
					return roomtoken.Grant{}, roomtoken.ErrRefreshRejected
				}
				return w.src.mint(c), nil
			})
		}},
		"lapsed": {roomtoken.ReasonRefreshLapsed, 5 * time.Minute, func(*world) {}},
	} {
		t.Run(name, func(t *testing.T) {
			within(t, roomtoken.Config{Jitter: -1}, func(t *testing.T, w *world) {
				w.src.live(10*time.Minute, c.until)
				if c.until == 0 {
					w.src.live(10*time.Minute, time.Hour)
				}
				w.token("r")
				c.set(w)
				w.rest()
				n := len(w.eventsFrom(0))
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
				wantEvents(t, "a fallback", w.eventsFrom(n), want...)
				if s := w.m.Stats(); s.Fallbacks != 1 {
					t.Errorf("Fallbacks = %d, want 1", s.Fallbacks)
				}
			})
		})
	}
	t.Run("failing", func(t *testing.T) {
		within(t, roomtoken.Config{Jitter: -1}, func(t *testing.T, w *world) {
			w.token("r")
			w.src.fail(errDown)
			w.add(500 * time.Second)
			n := 0
			for i, e := range w.eventsFrom(0) {
				if e.Kind == roomtoken.EventFellBack {
					n++
					if next := w.eventsFrom(0)[i+1]; e.Reason != roomtoken.ReasonRefreshFailing || next.Kind != roomtoken.EventCallBegun || next.Call != roomtoken.CallCreate {
						t.Errorf("event %v is followed by %v, want the reason refresh-failing, then a create", e, next)
					}
				}
			}
			if s := w.m.Stats(); n == 0 || s.Fallbacks != uint64(n) || s.CreateFailures != uint64(n) {
				t.Errorf("%d events of fallbacks, Stats() = %+v, want the same number of Fallbacks and CreateFailures", n, s)
			}
			w.src.on(nil)
		})
	})
}

func TestEventsOfRooms(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1, MaxRooms: 1, IdleAfter: time.Minute}, func(t *testing.T, w *world) {
		tok := w.token("r")
		w.rest()
		n := len(w.eventsFrom(0))
		w.m.Invalidate("r", tok)
		w.m.Forget("r")
		w.m.Forget("r")
		w.m.Forget("unknown")
		wantEvents(t, "Invalidate and Forget", w.eventsFrom(n),
			roomtoken.Event{Kind: roomtoken.EventTokenInvalidated, RoomID: "r", Fingerprint: fingerprint("token-r-1")},
			roomtoken.Event{Kind: roomtoken.EventRoomForgotten, RoomID: "r"})
		w.token("a")
		w.rest()
		n = len(w.eventsFrom(0))
		w.token("b")
		if got := w.eventsFrom(n)[0]; got.Kind != roomtoken.EventRoomEvicted || got.RoomID != "a" || got.Reason != roomtoken.ReasonMaxRooms {
			t.Errorf("event = %v, want the eviction of a for MaxRooms", got)
		}
		n = len(w.eventsFrom(0))
		w.add(571 * time.Second)
		wantEvents(t, "an idle room", w.eventsFrom(n), roomtoken.Event{Kind: roomtoken.EventRoomEvicted, RoomID: "b", Reason: roomtoken.ReasonIdle})
	})
}

func TestEventsAreDroppedWhenTheObserverIsSlow(t *testing.T) {
	within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
		gate, listening := make(chan struct{}), make(chan struct{}, 1)
		received := 0
		m, err := roomtoken.NewManager(w.src, roomtoken.Config{Clock: w.clk, OnEvent: func(roomtoken.Event) {
			select {
			case listening <- struct{}{}:
			default:
			}
			<-gate
			received++
		}})
		if err != nil {
			t.Fatal(err)
		}
		const rounds = roomtoken.MaxPendingEvents/4 + 100
		for round := range rounds {
			if _, err := m.Token(t.Context(), "r"); err != nil {
				t.Fatal(err)
			}
			if round == 0 {
				<-listening // the first event is delivered alone
			}
			m.Forget("r")
		}
		s := m.Stats()
		if s.EventsDropped < 300 || s.EventsDropped > 400 {
			t.Errorf("EventsDropped = %d, want 300 to 400", s.EventsDropped)
		}
		close(gate)
		w.rest()
		if received != 4*rounds-int(s.EventsDropped) {
			t.Errorf("%d events received and %d dropped, want %d in total", received, s.EventsDropped, 4*rounds)
		}
		if err := m.Close(); err != nil {
			t.Errorf("Close: %v", err)
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
			t.Errorf("String() = %s, want %q in it", e, want)
		}
	}
	if len(e.String()) > 350 {
		t.Errorf("String() = %s, want a long room ID shortened", e)
	}
	for _, text := range []string{
		roomtoken.EventKind(0).String(), roomtoken.EventKind(200).String(), roomtoken.CallKind(9).String(),
		roomtoken.RoomState(0).String(), roomtoken.RoomState(99).String(),
	} {
		if !strings.Contains(text, "(") {
			t.Errorf("an unknown value prints %q, want its number in parentheses", text)
		}
	}
	if roomtoken.CallKind(0).String() != "none" || roomtoken.RoomStuck.String() != "stuck" {
		t.Errorf("String() = %q and %q, want none and stuck", roomtoken.CallKind(0), roomtoken.RoomStuck)
	}
}
