package roomhttp_test

import (
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/roomtoken/roomtoken/roomhttp"
)

// Limits refuse new streams, and never end an open one. A slot is free when its stream has
// ended, however that was.
func TestLimits(t *testing.T) {
	var broken atomic.Bool
	config := roomhttp.Config{MaxStreams: 3, MaxStreamsPerRoom: 2, Authorize: func(r *http.Request, _ string) error {
		if broken.Load() && r.Header.Get("Break") != "" {
			panic("authorize is broken")
		}
		return nil
	}}
	within(t, setup{Config: config}, func(t *testing.T, w *world) {
		refused := uint64(0)
		wantFull := func(path string) {
			t.Helper()
			refused++
			a := w.get(path)
			if a.status != http.StatusServiceUnavailable || a.code(t) != "too_many_streams" || a.header.Get("Retry-After") != "2" {
				t.Errorf("%s: %d %s", path, a.status, a.body)
			}
			if n := w.stats().StreamsRefused; n != refused {
				t.Errorf("%d refused, want %d", n, refused)
			}
		}
		a1, a2 := w.open("/rooms/a/token/events"), w.open("/rooms/a/token/events", "Break: yes")
		wantFull("/rooms/a/token/events")
		b := w.open("/rooms/b/token/events")
		wantFull("/rooms/b/token/events")
		wantFull("/rooms/c/token/events")
		if a := w.get("/rooms/c/token"); a.status != http.StatusOK {
			t.Errorf("a request for a token: %d", a.status)
		}

		a1.leave()
		synctest.Wait()
		a3 := w.open("/rooms/a/token/events")
		wantFull("/rooms/a/token/events")

		broken.Store(true)
		a2.rest() // until Authorize panics
		synctest.Wait()
		w.open("/rooms/a/token/events")
		wantFull("/rooms/a/token/events")

		w.manager.Close()
		for _, s := range []*stream{a3, b} {
			s.rest()
		}
		if got := w.stats(); got.Streams != 0 || got.StreamsOpened != 5 {
			t.Errorf("%+v", got)
		}
	})
}

func TestNoLimits(t *testing.T) {
	within(t, setup{Config: roomhttp.Config{MaxStreams: -1, MaxStreamsPerRoom: -1}}, func(t *testing.T, w *world) {
		for range 1001 {
			w.open(events)
		}
		if got := w.stats(); got.Streams != 1001 {
			t.Errorf("%+v", got)
		}
	})
}

func TestDefaultLimitPerRoom(t *testing.T) {
	within(t, setup{}, func(t *testing.T, w *world) {
		for range 1000 {
			w.open(events)
		}
		if a := w.get(events); a.code(t) != "too_many_streams" {
			t.Errorf("%d %s", a.status, a.body)
		}
	})
}
