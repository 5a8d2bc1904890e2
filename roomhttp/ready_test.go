package roomhttp_test

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/roomhttp"
)

// wantReady fails the test unless the probe answers so for that share.
func (w *world) wantReady(share float64, want bool) {
	w.t.Helper()
	a := ask(roomhttp.Ready(w.manager, share), newRequest(http.MethodGet, "/readyz", ""))
	if got := a.status == http.StatusOK; got != want || !got && a.status != http.StatusServiceUnavailable {
		w.t.Errorf("share %v: %d %s, want ready: %v; states %v", share, a.status, a.body, want, w.manager.Stats().States)
	}
}

func (w *world) ask(rooms ...string) {
	for _, room := range rooms {
		_, _ = w.manager.Token(w.t.Context(), room)
	}
}

func TestReady(t *testing.T) {
	within(t, setup{manager: roomtoken.Config{MaxWait: time.Millisecond}}, func(t *testing.T, w *world) {
		w.wantReady(1, true) // no rooms
		w.ask("a", "b", "c")
		w.wantReady(1, true)

		w.source.Fail(errors.New("down"), -1)
		w.ask("d")
		w.wantReady(0.75, true)
		w.wantReady(0.76, false)
		w.wantReady(0, true)

		w.manager.Close()
		w.wantReady(0, false)
	})
}

// 55 rooms of 100 are a share of 0.55, although 0.55 * 100 is more than 55.
func TestReadyComparesExactly(t *testing.T) {
	within(t, setup{manager: roomtoken.Config{MaxWait: time.Millisecond}}, func(t *testing.T, w *world) {
		for i := range 100 {
			if i == 55 {
				w.source.Fail(errors.New("down"), -1)
			}
			w.ask(fmt.Sprint(i))
		}
		w.wantReady(0.55, true)
		w.wantReady(0.56, false)
	})
}

// Which states count, and how.
func TestReadyStates(t *testing.T) {
	config := roomtoken.Config{MaxWait: time.Millisecond, IdleAfter: time.Minute, CallTimeout: time.Second}
	t.Run("retrying", func(t *testing.T) {
		within(t, setup{manager: config}, func(t *testing.T, w *world) {
			s := w.open("/rooms/a/token/events")
			s.token()
			w.source.Fail(errors.New("down"), -1)
			time.Sleep(7 * time.Minute)
			w.wantStates("retrying")
			w.wantReady(1, true)
		})
	})
	t.Run("idle", func(t *testing.T) {
		within(t, setup{manager: config}, func(t *testing.T, w *world) {
			w.ask("a")
			time.Sleep(8 * time.Minute)
			w.wantStates("idle")
			w.wantReady(1, true)
			w.source.Fail(errors.New("down"), -1)
			w.ask("b")
			w.wantStates("idle failing")
			w.wantReady(0.1, false)
		})
	})
	t.Run("empty", func(t *testing.T) {
		within(t, setup{manager: config}, func(t *testing.T, w *world) {
			hold := w.source.Hold()
			w.ask("a")
			synctest.Wait()
			w.wantStates("empty")
			w.wantReady(0.1, false)
			hold.Release()
			synctest.Wait()
			w.wantReady(1, true)
		})
	})
	t.Run("stuck", func(t *testing.T) {
		within(t, setup{manager: config}, func(t *testing.T, w *world) {
			w.source.IgnoreContext = true
			hold := w.source.Hold()
			w.ask("a")
			time.Sleep(2 * time.Second)
			w.wantStates("stuck")
			w.wantReady(0.1, false)
			hold.Release()
		})
	})
	t.Run("failed", func(t *testing.T) {
		within(t, setup{manager: config}, func(t *testing.T, w *world) {
			w.source.Fail(roomtoken.ErrRoomNotFound, -1)
			w.ask("mistyped")
			w.wantStates("failed")
			w.wantReady(1, true)
		})
	})
	t.Run("refused", func(t *testing.T) {
		within(t, setup{manager: config}, func(t *testing.T, w *world) {
			w.ask("good")
			w.source.Fail(roomtoken.ErrUnauthorized, -1)
			w.ask("a")
			w.wantStates("failed valid")
			w.wantReady(0.5, true)
			w.wantReady(0.6, false)
			w.source.Clear()
			time.Sleep(time.Second)
			w.ask("other")
			w.wantReady(1, true) // the credential is good: a is another matter
		})
	})
	t.Run("probing", func(t *testing.T) {
		within(t, setup{manager: config}, func(t *testing.T, w *world) {
			w.source.Fail(roomtoken.Permanent(errors.New("account closed")), -1)
			for i := range 8 {
				w.ask(fmt.Sprint(i))
			}
			if !w.manager.Stats().Probing {
				t.Error("the source is not suspect")
			}
			w.wantReady(0.1, false)
		})
	})
}

// wantStates fails the test unless the rooms are in just these states, in order.
func (w *world) wantStates(want string) {
	w.t.Helper()
	var got string
	states := w.manager.Stats().States
	for _, s := range []roomtoken.RoomState{
		roomtoken.RoomStuck, roomtoken.RoomFailed, roomtoken.RoomIdle, roomtoken.RoomFailing, roomtoken.RoomRetrying, roomtoken.RoomEmpty, roomtoken.RoomValid,
	} {
		for range states[s] {
			got += " " + s.String()
		}
	}
	if got != " "+want {
		w.t.Errorf("states%s, want %s", got, want)
	}
}

func TestReadyRefusesNonsense(t *testing.T) {
	manager := newManager(t)
	for _, share := range []float64{-0.1, 1.1, 95, math.NaN(), math.Inf(1)} {
		wantPanic(t, func() { roomhttp.Ready(manager, share) })
	}
	wantPanic(t, func() { roomhttp.Ready(nil, 1) })
}

func wantPanic(t *testing.T, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	f()
}
