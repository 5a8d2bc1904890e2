package roomtoken_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
)

func TestRoomStatus(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1, MaxWait: -1, IdleAfter: 15 * time.Minute}, func(t *testing.T, w *world) {
		status := func() roomtoken.RoomStatus {
			t.Helper()
			s, ok := w.m.Room("r")
			if !ok {
				t.Fatal("Room found no room, want it")
			}
			if all := slices.Collect(w.m.Rooms()); len(all) != 1 || !reflect.DeepEqual(all[0], s) {
				t.Errorf("Rooms yielded %+v, want one equal to Room's %+v", all, s)
			}
			return s
		}
		want := func(what string, want roomtoken.RoomStatus) {
			t.Helper()
			want.RoomID = "r"
			got := status()
			if !errors.Is(got.LastError, want.LastError) || (got.LastError == nil) != (want.LastError == nil) {
				t.Errorf("%s: LastError = %v, want %v", what, got.LastError, want.LastError)
			}
			got.LastError, want.LastError = nil, nil
			got.LastUsed = got.LastUsed.Round(time.Second) // its resolution is half a second
			for _, at := range []*time.Time{&got.IssuedAt, &got.FailingSince, &want.IssuedAt, &want.FailingSince} {
				*at = at.UTC()
			}
			if want.NextCallAt.Equal(someTime) && got.NextCallAt.After(w.clk.Now()) {
				want.NextCallAt = got.NextCallAt
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
			}
		}
		if _, ok := w.m.Room("r"); ok {
			t.Error("Room found a room that was never asked for, want none")
		}
		w.src.holdCalls(false)
		w.ask(t.Context(), "r")
		w.ask(t.Context(), "r")
		want("during its first call", roomtoken.RoomStatus{State: roomtoken.RoomEmpty, InFlight: roomtoken.CallCreate, Waiters: 2, LastUsed: epoch(0)})
		w.src.releaseAll()
		valid := roomtoken.RoomStatus{
			State: roomtoken.RoomValid, Fingerprint: fingerprint("token-r-1"), IssuedAt: epoch(0), ExpiresAt: epoch(10 * time.Minute),
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
		retrying.Failures, retrying.NextCallAt, retrying.FailingSince = status().Failures, someTime, epoch(400*time.Second)
		if retrying.Failures < 1 || retrying.Failures > 2 {
			t.Errorf("Failures = %d a second after the renewal was due, want 1 or 2", retrying.Failures)
		}
		want("when its renewal fails", retrying)
		w.add(170 * time.Second)
		if s := status(); s.State != roomtoken.RoomFailing || s.Failures < 5 {
			t.Errorf("Room() with an expired token = %+v, want RoomFailing with at least 5 failures", s)
		}
		w.src.on(nil)
		w.add(30 * time.Second)
		if s := status(); s.State != roomtoken.RoomValid || s.Failures != 0 || s.LastError != nil || s.LastFailure != 0 || s.Generation != 2 {
			t.Errorf("Room() after recovery = %+v, want RoomValid of generation 2", s)
		}
		tok, _ := w.m.Cached("r")
		v.cancel(nil)
		w.rest()
		w.m.Invalidate("r", tok)
		if s := status(); s.State != roomtoken.RoomEmpty || s.Fingerprint != "" || !s.ExpiresAt.IsZero() || s.HasRefreshToken || !s.RefreshExpiresAt.IsZero() {
			t.Errorf("Room() after Invalidate = %+v, want RoomEmpty without a refresh token", s)
		}
		w.m.Forget("r")
		w.src.fail(roomtoken.Permanent(errDown))
		p := w.ask(t.Context(), "r")
		w.refused(p)
		if s := status(); s.State != roomtoken.RoomFailed || !errors.Is(s.LastError, errDown) || s.Failures != 1 {
			t.Errorf("Room() after a permanent error = %+v, want RoomFailed with 1 failure", s)
		}
		w.m.Forget("r")
		w.src.on(nil)
		w.src.holdCalls(true)
		w.ask(t.Context(), "r")
		w.add(11 * time.Second)
		if s := status(); s.State != roomtoken.RoomStuck || s.InFlight != roomtoken.CallCreate {
			t.Errorf("Room() with an overdue call = %+v, want RoomStuck with a create in flight", s)
		}
	})
}

// The planned call is a create if the refresh token will have lapsed by then.
func TestRoomStatusNextCall(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1}, func(t *testing.T, w *world) {
		for name, c := range map[string]struct {
			refresh time.Duration
			next    roomtoken.CallKind
		}{
			"lives longer": {time.Hour, roomtoken.CallRefresh}, "lapses before": {5 * time.Minute, roomtoken.CallCreate}, "none": {0, roomtoken.CallCreate},
		} {
			w.src.live(10*time.Minute, c.refresh)
			w.token(name)
			if s, _ := w.m.Room(name); s.NextCall != c.next || !s.NextCallAt.Equal(epoch(400*time.Second)) || s.HasRefreshToken != (c.refresh > 0) {
				t.Errorf("%s: Room() = %+v, want %v at 400 s", name, s, c.next)
			}
		}
	})
}

// A far expiry is reported as it is.
func TestRoomStatusOfTheYear9999(t *testing.T) {
	far := time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
	within(t, roomtoken.Config{Jitter: -1}, func(t *testing.T, w *world) {
		w.src.on(func(c *sourceCall) (roomtoken.Grant, error) {
			g := w.src.mint(c)
			g.Token.ExpiresAt, g.RefreshToken.ExpiresAt = far, far
			return g, nil
		})
		if tok := w.token("r"); !tok.ExpiresAt.Equal(far) {
			t.Errorf("ExpiresAt = %v, want %v", tok.ExpiresAt, far)
		}
		s, _ := w.m.Room("r")
		if !s.ExpiresAt.Equal(far) || !s.RefreshExpiresAt.Equal(far) {
			t.Errorf("Room() expires at %v, its refresh token at %v, want %v", s.ExpiresAt, s.RefreshExpiresAt, far)
		}
		w.add(24 * time.Hour)
		if n := w.src.count(); n != 1 {
			t.Errorf("%d calls, want 1", n)
		}
	})
}

func TestRooms(t *testing.T) {
	within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
		want := map[string]bool{}
		for i := range 500 {
			id := fmt.Sprint("r", i)
			w.token(id)
			want[id] = true
		}
		n := 0
		for s := range w.m.Rooms() {
			if !want[s.RoomID] {
				t.Fatalf("Rooms yielded %q, which is unknown or a duplicate", s.RoomID)
			}
			delete(want, s.RoomID)
			n++
			if n%50 == 0 { // the body may use the Manager
				w.m.Forget(fmt.Sprint("new", n))
				w.token(fmt.Sprint("new", n))
				want[fmt.Sprint("new", n)] = true
			}
		}
		for id := range want {
			if !strings.HasPrefix(id, "new") {
				t.Errorf("Rooms did not yield %s, want it", id)
			}
		}
		n = 0
		for range w.m.Rooms() {
			if n++; n == 3 {
				break
			}
		}
		if n != 3 {
			t.Errorf("%d rooms before break, want 3", n)
		}
	})
}

func TestStats(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1, MaxConcurrentCalls: 2, MaxWait: -1}, func(t *testing.T, w *world) {
		want := func(what string, want roomtoken.Stats) {
			t.Helper()
			got := w.m.Stats()
			if !errors.Is(got.LastError, want.LastError) || (got.LastError == nil) != (want.LastError == nil) {
				t.Errorf("%s: LastError = %v, want %v", what, got.LastError, want.LastError)
			}
			got.LastError, want.LastError = nil, nil
			got.LastErrorAt, got.LastSuccessAt = got.LastErrorAt.UTC(), got.LastSuccessAt.UTC()
			if got != want {
				t.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
			}
		}
		instant := func(n uint64) roomtoken.Histogram { return roomtoken.Histogram{Count: n, Buckets: [18]uint64{n}} }
		s := roomtoken.Stats{Window: 2}
		want("at first", s)
		tok := w.token("r")
		w.token("r") // a hit
		s.Rooms, s.Misses, s.Creates, s.States[roomtoken.RoomValid] = 1, 1, 1, 1
		s.CreateTimes, s.Waits, s.LastSuccessAt = instant(1), instant(1), epoch(0)
		want("after a miss and a hit", s)
		w.m.Cached("unknown")
		w.add(401 * time.Second)
		s.Refreshes, s.RefreshTimes, s.LastSuccessAt = 1, instant(1), epoch(400*time.Second)
		s.Slack.Count, s.Slack.Sum, s.Slack.Buckets[16] = 1, 170*time.Second+1, 1 // it is handed out with exactly 30 s left
		want("after a renewal", s)
		w.m.Invalidate("r", tok)
		want("after Invalidate of an old one", s)
		tok, _ = w.m.Cached("r")
		w.m.Invalidate("r", tok)
		s.Invalidations, s.States[roomtoken.RoomValid], s.States[roomtoken.RoomEmpty] = 1, 0, 1
		want("after Invalidate", s)
		w.token("r")
		s.Misses, s.Creates, s.States[roomtoken.RoomValid], s.States[roomtoken.RoomEmpty] = 2, 2, 1, 0
		s.CreateTimes, s.Waits, s.LastSuccessAt = instant(2), instant(2), epoch(401*time.Second)
		want("after the create", s)

		w.src.holdCalls(true)
		for i := range 4 {
			w.ask(t.Context(), fmt.Sprint("c", i))
		}
		s.Rooms, s.Misses, s.Creates, s.CallsInFlight, s.CallsQueued, s.Waiters = 5, 6, 4, 2, 2, 4
		s.States[roomtoken.RoomEmpty] = 4
		want("with calls in flight and queued", s)
		w.add(10 * time.Second)
		w.add(time.Second)
		s.CallsOverdue, s.Waiters, s.States[roomtoken.RoomEmpty], s.States[roomtoken.RoomStuck] = 2, 2, 2, 2
		s.Waits.Count, s.Waits.Sum, s.Waits.Buckets[12], s.WaitFailures = 4, 20*time.Second, 2, 2
		s.LastError, s.LastErrorAt = context.DeadlineExceeded, epoch(411*time.Second)
		want("when they are overdue", s)
		w.src.fail(roomtoken.RetryAfter(roomtoken.ErrRateLimited, time.Minute))
		w.src.releaseAll() // calls in flight keep their script: they mint
		w.add(time.Second)
		got := w.m.Stats()
		if !got.RateLimited || got.HeldUntil.IsZero() || got.CallsInFlight != 0 || got.CallsQueued != 2 || got.CallsOverdue != 0 {
			t.Errorf("Stats() during a hold = %+v, want RateLimited with 2 calls queued and none in flight", got)
		}
		if left := got.HeldUntil.Sub(w.clk.Now()); left < 58*time.Second || left > time.Minute {
			t.Errorf("hold ends in %v, want 58 s to 1 min", left)
		}
		if got.CreateFailures == 0 {
			t.Errorf("Stats() = %+v, want the rate limit counted as a failed create", got)
		}
		w.src.on(nil)
		w.add(2 * time.Minute)
		got = w.m.Stats()
		if got.RateLimited || !got.HeldUntil.IsZero() || got.Probing || got.CallsQueued != 0 || got.Rooms != 5 {
			t.Errorf("Stats() after the hold = %+v, want no hold and no calls queued", got)
		}
	})
}

// Scan yields what Rooms does, without fingerprints, and holds no lock meanwhile.
func TestScan(t *testing.T) {
	within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
		for i := range 200 {
			w.token(fmt.Sprint("r", i))
		}
		w.src.fail(errDown)
		w.ask(t.Context(), "failing")
		want := map[string]roomtoken.RoomStatus{}
		for s := range w.m.Rooms() {
			s.Fingerprint = ""
			want[s.RoomID] = s
		}
		got := map[string]roomtoken.RoomStatus{}
		for s := range w.m.Scan() {
			if w.m.Locked() {
				t.Fatal("Scan yields under the lock")
			}
			got[s.RoomID] = *s
		}
		if len(got) != 201 || !maps.Equal(got, want) {
			t.Errorf("Scan yields %d rooms, Rooms %d; want the same", len(got), len(want))
		}
		n := 0
		for range w.m.Scan() {
			if n++; n == 3 {
				break
			}
		}
		if n != 3 {
			t.Errorf("the loop ran %d times after break, want 3", n)
		}
		w.src.on(nil)
	})
}
