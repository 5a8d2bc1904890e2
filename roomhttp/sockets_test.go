package roomhttp_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/roomhttp"
	"github.com/roomtoken/roomtoken/roomtokentest"
)

// The tests in this file use real sockets, and so real time. They wait for what has to
// come, and for nothing else.

// site is a Handler behind an httptest.Server.
type site struct {
	source  *roomtokentest.Source
	manager *roomtoken.Manager
	handler *roomhttp.Handler
	server  *httptest.Server
	ended   chan struct{} // receives a value for each request that has been handled
}

// newSite starts a server, with TLS and HTTP/2 if h2 is set.
func newSite(t *testing.T, h2 bool, config roomhttp.Config) *site {
	t.Helper()
	s := &site{source: &roomtokentest.Source{}, ended: make(chan struct{}, 1000)}
	s.handler, s.manager = newHandler(t, s.source, config)
	s.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() { s.ended <- struct{}{} }()
		s.handler.ServeHTTP(w, r)
	}))
	s.server.EnableHTTP2 = h2
	if h2 {
		s.server.StartTLS()
	} else {
		s.server.Start()
	}
	t.Cleanup(s.server.Close)
	t.Cleanup(s.handler.Shutdown) // before the server
	return s
}

func (s *site) open(t *testing.T, client *http.Client, base string) *stream {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+events, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	stream := openStream(t, client, r)
	t.Cleanup(stream.leave)
	return stream
}

// renew has the room's token replaced.
func (s *site) renew(t *testing.T) {
	t.Helper()
	tok, ok := s.manager.Cached("lobby")
	if !ok || !s.manager.Invalidate("lobby", tok) {
		t.Fatal("the room has no token")
	}
}

// A stream over TCP, over HTTP/2 with TLS, and through reverse proxies of both: tokens and
// heartbeats come when they are sent, and a client that leaves is noticed.
func TestSockets(t *testing.T) {
	for _, tt := range []struct {
		name      string
		h2, proxy bool
	}{
		{"HTTP/1.1", false, false},
		{"HTTP/2", true, false},
		{"HTTP/1.1 through a proxy", false, true},
		{"HTTP/2 through a proxy", true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t, tt.h2, roomhttp.Config{Heartbeat: 50 * time.Millisecond})
			front := s.server
			if tt.proxy {
				front = newProxy(t, s.server, tt.h2)
			}
			stream := s.open(t, front.Client(), front.URL)
			if first := stream.next(); first.retry == "" {
				t.Errorf("%+v", first)
			}
			if got := stream.token(); got != "token 1 of lobby" {
				t.Error(got)
			}
			s.renew(t)
			if got := stream.token(); got != "token 2 of lobby" {
				t.Error(got)
			}
			if b := stream.next(); b.comment != "heartbeat 1" {
				t.Errorf("%+v", b)
			}
			stream.leave()
			<-s.ended
			if got := s.handler.Stats(); got != (roomhttp.Stats{StreamsOpened: 1, TokensSent: 2}) {
				t.Errorf("%+v", got)
			}

			stream = s.open(t, front.Client(), front.URL)
			stream.token()
			s.handler.Shutdown()
			stream.wantEnd(closing)
		})
	}
}

// newProxy starts a reverse proxy before a server.
func newProxy(t *testing.T, behind *httptest.Server, h2 bool) *httptest.Server {
	t.Helper()
	target, err := url.Parse(behind.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport: behind.Client().Transport,
		ErrorLog:  slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}
	server := httptest.NewUnstartedServer(proxy)
	server.EnableHTTP2 = h2
	if h2 {
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	return server
}

// A client that does not read fills its buffers, and is cut off. Its token is larger than
// any of them.
func TestSocketsOfAClientThatDoesNotRead(t *testing.T) {
	for name, h2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2": true} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, h2, roomhttp.Config{WriteTimeout: 200 * time.Millisecond})
			s.source.CreateFunc = func(_ context.Context, room string) (roomtoken.Grant, error) {
				grant := s.source.Mint(room)
				grant.Token.Value = roomtoken.NewSecret(strings.Repeat("x", 16<<20))
				return grant, nil
			}
			resp, err := s.server.Client().Get(s.server.URL + events)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			<-s.ended
			if got := s.handler.Stats(); got != (roomhttp.Stats{StreamsOpened: 1, StreamsTooSlow: 1}) {
				t.Errorf("%+v", got)
			}
			if _, err := io.Copy(io.Discard, resp.Body); err == nil {
				t.Error("the stream ends as if it were whole")
			}
		})
	}
}

// unwrapper is a ResponseWriter as middleware makes it, with nothing but Unwrap.
type unwrapper struct{ http.ResponseWriter }

func (w unwrapper) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// flusher can flush, but has no deadlines.
type flusher struct{ http.ResponseWriter }

func (w flusher) Flush() { w.ResponseWriter.(http.Flusher).Flush() }

// opaque hides everything.
type opaque struct{ http.ResponseWriter }

func TestWrappers(t *testing.T) {
	for _, tt := range []struct {
		name string
		wrap func(http.ResponseWriter) http.ResponseWriter
		code string // "": it streams
		warn bool   // without deadlines
	}{
		{"Unwrap", func(w http.ResponseWriter) http.ResponseWriter { return unwrapper{unwrapper{w}} }, "", false},
		{"Flush without deadlines", func(w http.ResponseWriter) http.ResponseWriter { return flusher{w} }, "", true},
		{"opaque", func(w http.ResponseWriter) http.ResponseWriter { return opaque{w} }, "streaming_unsupported", false},
		{"opaque within", func(w http.ResponseWriter) http.ResponseWriter { return unwrapper{opaque{w}} }, "streaming_unsupported", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			wrap := func(h http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(tt.wrap(w), r) })
			}
			within(t, setup{wrap: wrap}, func(t *testing.T, w *world) {
				if tt.code != "" {
					a := w.get(events)
					if a.status != http.StatusInternalServerError || a.code(t) != tt.code {
						t.Errorf("%d %s", a.status, a.body)
					}
					if got := w.stats(); got != (roomhttp.Stats{}) || !strings.Contains(w.log.String(), "level=WARN") {
						t.Errorf("%+v, log: %s", got, w.log)
					}
					return
				}
				s := w.open(events)
				for range 3 {
					s.token()
				}
				if got := strings.Contains(w.log.String(), "no write deadlines"); got != tt.warn {
					t.Errorf("log: %s", w.log)
				}
			})
		})
	}
}

// http.TimeoutHandler cannot stream; tokens are served.
func TestTimeoutHandler(t *testing.T) {
	wrap := func(h http.Handler) http.Handler { return http.TimeoutHandler(h, time.Minute, "") }
	within(t, setup{wrap: wrap}, func(t *testing.T, w *world) {
		if a := w.get(events); a.status != http.StatusInternalServerError || a.code(t) != "streaming_unsupported" {
			t.Errorf("%d %s", a.status, a.body)
		}
		if a := w.get("/rooms/lobby/token"); a.status != http.StatusOK {
			t.Errorf("%d %s", a.status, a.body)
		}
	})
}
