package roomhttp_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/roomhttp"
)

// errForbidden is an error whose text nobody but the operator may see.
var errForbidden = errors.New("alice is not a member")

type refusal struct{}

func (*refusal) Error() string { return "refused" }

// Nobody gets a token whom Authorize did not let in, whatever it returns.
func TestAuthorizeRefuses(t *testing.T) {
	for _, tt := range []struct {
		name   string
		err    error
		status int
		code   string
	}{
		{"an error", errForbidden, 403, "forbidden"},
		{"a nil pointer as an error", (*refusal)(nil), 403, "forbidden"},
		{"an error of the source", roomtoken.ErrRateLimited, 403, "forbidden"},
		{"no such room", fmt.Errorf("alice: %w", roomtoken.ErrRoomNotFound), 404, "room_not_found"},
		{"unauthenticated", fmt.Errorf("alice: %w", roomhttp.ErrUnauthenticated), 401, "unauthenticated"},
		{"unavailable", fmt.Errorf("alice: %w", roomhttp.ErrUnavailable), 503, "unavailable"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			config := roomhttp.Config{
				AcceptRejections: true,
				Authorize:        func(*http.Request, string) error { return tt.err },
			}
			within(t, setup{Config: config}, func(t *testing.T, w *world) {
				for _, a := range []answer{
					w.get("/rooms/lobby/token"),
					w.get("/rooms/lobby/token/events"),
					w.do(http.MethodHead, "/rooms/lobby/token", ""),
					w.do(http.MethodPost, "/rooms/lobby/token/rejected", `{"token":"x"}`, "Content-Type: application/json"),
				} {
					if a.status != tt.status || a.body != "" && a.code(t) != tt.code {
						t.Errorf("%d %s, want %d %s", a.status, a.body, tt.status, tt.code)
					}
					if strings.Contains(a.body, "alice") {
						t.Errorf("the answer has the text of the error: %s", a.body)
					}
				}
				if n := w.source.Creates(); n != 0 {
					t.Errorf("%d creates, want none", n)
				}
				if got := w.stats(); got != (roomhttp.Stats{Denied: 4}) {
					t.Errorf("%+v", got)
				}
			})
		})
	}
}

// Authorize gets the request and the room as the client named it.
func TestAuthorizeGetsTheRoom(t *testing.T) {
	var asked []string
	config := roomhttp.Config{Authorize: func(r *http.Request, roomID string) error {
		asked = append(asked, r.Header.Get("Cookie")+" "+roomID)
		return errForbidden
	}}
	within(t, setup{Config: config}, func(t *testing.T, w *world) {
		w.get("/rooms/a%2Fb/token", "Cookie: session=1")
		w.get("/rooms/c%20d/token/events", "Cookie: session=2")
		if got := strings.Join(asked, ", "); got != "session=1 a/b, session=2 c d" {
			t.Error(got)
		}
	})
}

// If Authorize panics, nobody gets a token, and the panic reaches the http.Server.
func TestAuthorizePanics(t *testing.T) {
	for name, throw := range map[string]func(){
		"panic":  func() { panic("authorize is broken") },
		"Goexit": runtime.Goexit,
	} {
		t.Run(name, func(t *testing.T) {
			config := roomhttp.Config{Authorize: func(*http.Request, string) error { throw(); return nil }}
			within(t, setup{Config: config}, func(t *testing.T, w *world) {
				for _, path := range []string{"/rooms/lobby/token", "/rooms/lobby/token/events"} {
					resp, err := w.client.Do(w.request(http.MethodGet, path, ""))
					if err == nil {
						body, _ := io.ReadAll(io.LimitReader(resp.Body, 1000))
						resp.Body.Close()
						t.Errorf("%s: %d %s", path, resp.StatusCode, body)
					}
				}
				if w.source.Creates() != 0 || w.stats() != (roomhttp.Stats{}) {
					t.Errorf("%d creates, %+v", w.source.Creates(), w.stats())
				}
				if name == "panic" && !strings.Contains(w.log.String(), "authorize is broken") {
					t.Error("the panic is not in the log of the server")
				}
			})
		})
	}
}

// A stream asks again before each further token, but not for the first.
func TestStreamAsksBeforeEachFurtherToken(t *testing.T) {
	var asked, loggedOut atomic.Int64
	config := roomhttp.Config{Authorize: func(*http.Request, string) error {
		asked.Add(1)
		if loggedOut.Load() != 0 {
			return errForbidden
		}
		return nil
	}}
	within(t, setup{Config: config}, func(t *testing.T, w *world) {
		s := w.open("/rooms/lobby/token/events")
		for want := range int64(5) {
			s.token()
			if got := asked.Load(); got != want+1 {
				t.Errorf("token %d: asked %d times, want %d", want+1, got, want+1)
			}
		}
		loggedOut.Store(1)
		s.wantEnd(`{"code":"forbidden","reconnect":false}`)
		if got := w.stats(); got != (roomhttp.Stats{StreamsOpened: 1, TokensSent: 5, Denied: 1}) {
			t.Errorf("%+v", got)
		}
		if !strings.Contains(w.log.String(), errForbidden.Error()) {
			t.Error("the log does not say why")
		}
	})
}

// What ends a stream when Authorize refuses a further token.
func TestStreamIsRefusedAFurtherToken(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want string
	}{
		{errForbidden, `{"code":"forbidden","reconnect":false}`},
		{roomhttp.ErrUnauthenticated, `{"code":"unauthenticated","reconnect":false}`},
		{roomtoken.ErrRoomNotFound, `{"code":"room_not_found","reconnect":false}`},
		{roomhttp.ErrUnavailable, `{"code":"unavailable","reconnect":true}`},
	} {
		var asked atomic.Int64
		config := roomhttp.Config{Authorize: func(*http.Request, string) error {
			if asked.Add(1) > 1 {
				return tt.err
			}
			return nil
		}}
		within(t, setup{Config: config}, func(t *testing.T, w *world) {
			s := w.open("/rooms/lobby/token/events")
			s.token()
			s.wantEnd(tt.want)
		})
	}
}

// If Authorize panics before a further token, the stream breaks off without it.
func TestStreamWhoseAuthorizePanics(t *testing.T) {
	var asked atomic.Int64
	config := roomhttp.Config{Authorize: func(*http.Request, string) error {
		if asked.Add(1) > 1 {
			panic("authorize is broken")
		}
		return nil
	}}
	within(t, setup{Config: config}, func(t *testing.T, w *world) {
		s := w.open("/rooms/lobby/token/events")
		s.token()
		for _, b := range s.rest() {
			if b.event != "" {
				t.Errorf("unexpected %+v", b)
			}
		}
		if got := w.stats(); got != (roomhttp.Stats{StreamsOpened: 1, TokensSent: 1}) {
			t.Errorf("%+v", got)
		}
	})
}

// Only what is sent makes the next token a further one, or a Last-Event-ID that names the
// room's token: neither time nor a problem before the first token does.
func TestStreamAsksForNoFirstToken(t *testing.T) {
	for _, tt := range []struct {
		name    string
		setUp   func(w *world)
		problem bool // before the first token
		resume  bool // with the token that the room has
	}{
		{name: "at once"},
		{name: "late", setUp: func(w *world) { w.source.Latency = 5 * time.Second }},
		{name: "after a problem", setUp: func(w *world) { w.source.Fail(errors.New("down"), 1) }, problem: true},
		{name: "after Last-Event-ID", setUp: func(w *world) { w.get("/rooms/lobby/token") }, resume: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var asked atomic.Int64
			config := roomhttp.Config{Authorize: func(r *http.Request, _ string) error {
				if r.URL.Path == events && asked.Add(1) > 1 {
					return errForbidden
				}
				return nil
			}}
			within(t, setup{Config: config}, func(t *testing.T, w *world) {
				if tt.setUp != nil {
					tt.setUp(w)
				}
				id := ""
				if tok, ok := w.manager.Cached("lobby"); ok {
					id = tok.Value.Fingerprint()
				}
				s := w.open(events, field("Last-Event-ID", id))
				if tt.problem {
					if b := s.nextEvent(); b.event != "problem" {
						t.Errorf("%+v", b)
					}
				}
				if !tt.resume {
					s.token()
				}
				if got := asked.Load(); got != 1 {
					t.Errorf("asked %d times, want once", got)
				}
				s.wantEnd(`{"code":"forbidden","reconnect":false}`)
			})
		})
	}
}

// What happens while Authorize takes its time counts: a newer token is sent in the place of
// the one that was waiting, and an error, too.
func TestStreamWhoseAuthorizeIsSlow(t *testing.T) {
	for name, tt := range map[string]struct {
		meanwhile func(w *world)
		event     string
		data      string // part of it
	}{
		"nothing":       {func(*world) {}, "token", "token 2 of lobby"},
		"a newer token": {func(w *world) { w.manager.Forget("lobby") }, "token", "token 3 of lobby"},
		"an error": {func(w *world) {
			w.source.Fail(errors.New("down"), -1)
			w.manager.Forget("lobby")
		}, "problem", "unavailable"},
		"no such room": {func(w *world) {
			w.source.Fail(roomtoken.ErrRoomNotFound, -1)
			w.manager.Forget("lobby")
		}, "end", "room_not_found"},
		"Close": {func(w *world) { w.manager.Close() }, "end", "closing"},
	} {
		t.Run(name, func(t *testing.T) {
			var asked atomic.Int64
			var asking chan struct{} // of the bubble
			config := roomhttp.Config{Authorize: func(*http.Request, string) error {
				if asked.Add(1) == 2 {
					close(asking)
					time.Sleep(5 * time.Second)
				}
				return nil
			}}
			within(t, setup{Config: config}, func(t *testing.T, w *world) {
				asking = make(chan struct{})
				s := w.open(events)
				s.token()
				<-asking
				tt.meanwhile(w)
				b := s.nextEvent()
				if b.event != tt.event || !strings.Contains(b.data, tt.data) {
					t.Errorf("%+v, want %s with %s", b, tt.event, tt.data)
				}
				if tt.event == "problem" { // Authorize was not asked for the token behind it
					w.source.Clear()
					if s.token(); asked.Load() != 3 {
						t.Errorf("asked %d times, want 3", asked.Load())
					}
				}
			})
		})
	}
}

// A stream that ends leaves no watch behind, even if the ctx of its request goes on.
func TestStreamLeavesNoWatch(t *testing.T) {
	first := true
	config := roomhttp.Config{Authorize: func(*http.Request, string) error {
		if !first {
			return errForbidden
		}
		first = false
		return nil
	}}
	within(t, setup{Config: config}, func(t *testing.T, w *world) {
		a := ask(w.handler, newRequest(http.MethodGet, events, "").WithContext(context.Background()))
		if !strings.HasSuffix(a.body, "event: end\ndata: {\"code\":\"forbidden\",\"reconnect\":false}\n\n") {
			t.Error(a.body)
		}
		if n := w.manager.Stats().Watchers; n != 0 {
			t.Errorf("%d watches are left", n)
		}
	})
}
