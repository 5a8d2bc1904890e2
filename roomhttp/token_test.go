package roomhttp_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/roomhttp"
	"github.com/roomtoken/roomtoken/roomtokentest"
)

func TestToken(t *testing.T) {
	within(t, setup{}, func(t *testing.T, w *world) {
		a := w.get("/rooms/lobby/token")
		want := `{"token":"token 1 of lobby","token_expires_at":"2000-01-01T00:10:00Z","expires_in":600}`
		if a.status != http.StatusOK || a.body != want || a.header.Get("Content-Type") != "application/json" {
			t.Errorf("got %d %s\nwant %s", a.status, a.body, want)
		}
		time.Sleep(90*time.Second + time.Nanosecond)
		want = `{"token":"token 1 of lobby","token_expires_at":"2000-01-01T00:10:00Z","expires_in":509}`
		if a := w.get("/rooms/lobby/token"); a.body != want {
			t.Errorf("got %s\nwant %s: seconds are rounded down", a.body, want)
		}
		if got := w.stats(); got != (roomhttp.Stats{Tokens: 2}) {
			t.Errorf("%+v", got)
		}
	})
}

// A token's times are given in UTC and in whole seconds, whatever the source says.
func TestTokenTimes(t *testing.T) {
	within(t, setup{}, func(t *testing.T, w *world) {
		w.source.CreateFunc = func(_ context.Context, room string) (roomtoken.Grant, error) {
			grant := w.source.Mint(room)
			grant.Token.ExpiresAt = time.Now().Add(time.Hour + 999*time.Millisecond).In(time.FixedZone("", 7200))
			return grant, nil
		}
		a := w.get("/rooms/lobby/token")
		want := `{"token":"token 1 of lobby","token_expires_at":"2000-01-01T01:00:00Z","expires_in":3600}`
		if a.body != want {
			t.Errorf("got %s\nwant %s", a.body, want)
		}
	})
}

func TestHead(t *testing.T) {
	within(t, setup{}, func(t *testing.T, w *world) {
		for path, contentType := range map[string]string{
			"/rooms/lobby/token":        "application/json",
			"/rooms/lobby/token/events": "text/event-stream",
			"/roomtoken.js":             "text/javascript; charset=utf-8",
			"/nothing":                  "application/problem+json",
		} {
			a := w.do(http.MethodHead, path, "")
			if a.body != "" || a.header.Get("Content-Type") != contentType {
				t.Errorf("%s: %d %v %q", path, a.status, a.header, a.body)
			}
		}
		if got := w.stats(); got != (roomhttp.Stats{}) { // nobody got a token
			t.Errorf("%+v", got)
		}
	})
}

// A request waits for Config.Wait at most, and the call goes on for the next one.
func TestWait(t *testing.T) {
	within(t, setup{Config: roomhttp.Config{Wait: 3 * time.Second}}, func(t *testing.T, w *world) {
		w.source.Latency = 4 * time.Second
		began := time.Now()
		a := w.get("/rooms/lobby/token")
		if a.status != http.StatusServiceUnavailable || a.code(t) != "unavailable" || time.Since(began) != 3*time.Second {
			t.Errorf("%d %s after %v", a.status, a.body, time.Since(began))
		}
		if a := w.get("/rooms/lobby/token"); a.status != http.StatusOK || time.Since(began) != 4*time.Second {
			t.Errorf("%d %s after %v", a.status, a.body, time.Since(began))
		}
		if n := w.source.Creates(); n != 1 {
			t.Errorf("%d creates, want 1", n)
		}
		if got := w.stats(); got.Failed != 1 || got.Tokens != 1 {
			t.Errorf("%+v", got)
		}
	})
}

// A client that has gone does not end the call that others wait for, and counts nowhere.
func TestClientThatHasGone(t *testing.T) {
	within(t, setup{}, func(t *testing.T, w *world) {
		w.source.Latency = 4 * time.Second
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			time.Sleep(time.Second)
			cancel()
		}()
		resp, err := w.client.Do(w.request(http.MethodGet, "/rooms/lobby/token", "").WithContext(ctx))
		if err == nil {
			resp.Body.Close()
		}
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if got := w.stats(); got != (roomhttp.Stats{}) {
			t.Errorf("%+v", got)
		}
		if a := w.get("/rooms/lobby/token"); a.status != http.StatusOK || w.source.Creates() != 1 {
			t.Errorf("%d %s, %d creates", a.status, a.body, w.source.Creates())
		}
	})
}

// The ctx of a request may end while its client is there, if it is that of the server: the
// client gets an answer.
func TestServerContextEnds(t *testing.T) {
	source := &roomtokentest.Source{}
	defer source.Hold().Release()
	handler, _ := newHandler(t, source, roomhttp.Config{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, path := range []string{"/rooms/lobby/token", "/rooms/lobby/token/events"} {
		a := ask(handler, newRequest(http.MethodGet, path, "").WithContext(ctx))
		if a.status != http.StatusServiceUnavailable || a.code(t) != "unavailable" {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	if got := handler.Stats(); got != (roomhttp.Stats{}) {
		t.Errorf("%+v", got)
	}
}
