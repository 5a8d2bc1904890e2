package roomhttp_test

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken/roomhttp"
)

const closing = `{"code":"closing","reconnect":true}`

// Shutdown ends all streams and refuses new ones. Tokens are still served.
func TestShutdown(t *testing.T) {
	bothVersions(t, setup{}, func(t *testing.T, w *world) {
		streams := []*stream{w.open(events), w.open(events), w.open("/rooms/attic/token/events")}
		for _, s := range streams {
			s.token()
		}
		w.handler.Shutdown()
		w.handler.Shutdown()
		for _, s := range streams {
			s.wantEnd(closing)
		}
		if a := w.get(events); a.status != http.StatusServiceUnavailable || a.code(t) != "closing" {
			t.Errorf("%d %s", a.status, a.body)
		}
		if a := w.get("/rooms/cellar/token"); a.status != http.StatusOK {
			t.Errorf("%d %s", a.status, a.body)
		}
		if got := w.stats(); got != (roomhttp.Stats{StreamsOpened: 3, StreamsRefused: 1, TokensSent: 3, Tokens: 1}) {
			t.Errorf("%+v", got)
		}
	})
}

// A stream that has not begun when Shutdown comes is refused.
func TestShutdownWhileAStreamOpens(t *testing.T) {
	within(t, setup{}, func(t *testing.T, w *world) {
		w.source.Latency = time.Minute
		time.AfterFunc(time.Second, w.handler.Shutdown)
		a := w.get(events)
		if a.status != http.StatusServiceUnavailable || a.code(t) != "closing" {
			t.Errorf("%d %s", a.status, a.body)
		}
		if got := w.stats(); got != (roomhttp.Stats{StreamsRefused: 1}) {
			t.Errorf("%+v", got)
		}
	})
}

// Shutdown of the http.Server does not wait for the streams.
func TestServerShutdown(t *testing.T) {
	bothVersions(t, setup{}, func(t *testing.T, w *world) {
		w.server.RegisterOnShutdown(w.handler.Shutdown)
		streams := []*stream{w.open(events), w.open(events)}
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := w.server.Shutdown(ctx); err != nil || time.Since(began) > time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		for _, s := range streams {
			s.token()
			s.wantEnd(closing)
		}
	})
}

// A client that does not read does not hold up the http.Server for longer than
// WriteTimeout.
func TestServerShutdownWithAClientThatDoesNotRead(t *testing.T) {
	within(t, setup{}, func(t *testing.T, w *world) {
		w.server.RegisterOnShutdown(w.handler.Shutdown)
		s := w.open(events)
		s.token()
		w.pipes.stall()
		time.Sleep(16 * time.Second) // a heartbeat, which is read
		began := time.Now()
		err := w.server.Shutdown(t.Context())
		if took := time.Since(began); err != nil || took < 10*time.Second || took > 11*time.Second {
			t.Errorf("%v after %v", err, took)
		}
		w.pipes.resume()
	})
}

// An Authorize that minds the ctx of its request does not hold up Shutdown, and the client
// learns that it may connect again.
func TestShutdownWhileAuthorizeIsAsked(t *testing.T) {
	var asked atomic.Int64
	var asking chan struct{} // of the bubble
	config := roomhttp.Config{Authorize: func(r *http.Request, _ string) error {
		if asked.Add(1) == 2 {
			close(asking)
			<-r.Context().Done()
			return r.Context().Err()
		}
		return nil
	}}
	bothVersions(t, setup{Config: config}, func(t *testing.T, w *world) {
		asked.Store(0)
		asking = make(chan struct{})
		w.server.RegisterOnShutdown(w.handler.Shutdown)
		s := w.open(events)
		s.token()
		<-asking
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := w.server.Shutdown(ctx); err != nil || time.Since(began) > time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		s.wantEnd(closing)
		if got := w.stats(); got.Denied != 0 {
			t.Errorf("%+v", got)
		}
	})
}

// Closing the Manager ends the streams, too, and no goroutine stays.
func TestManagerCloseEndsStreams(t *testing.T) {
	bothVersions(t, setup{}, func(t *testing.T, w *world) {
		s := w.open(events)
		s.token()
		if err := w.manager.Close(); err != nil {
			t.Fatal(err)
		}
		s.wantEnd(closing)
		if got := w.stats(); got != (roomhttp.Stats{StreamsOpened: 1, TokensSent: 1}) {
			t.Errorf("%+v", got)
		}
	})
}
