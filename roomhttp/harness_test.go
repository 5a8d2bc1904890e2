package roomhttp_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/roomhttp"
	"github.com/roomtoken/roomtoken/roomtokentest"
)

// anyone lets everybody in.
func anyone(*http.Request, string) error { return nil }

// setup is what a world is made of. The zero setup is a good one.
type setup struct {
	roomhttp.Config                                 // Authorize defaults to anyone
	manager         roomtoken.Config                // of the Manager
	server          func(*http.Server)              // changes the server
	wrap            func(http.Handler) http.Handler // middleware
	http2           bool
}

// world is a Handler behind an http.Server, in a bubble of fake time. Its connections are
// pipes, in which nothing is buffered.
type world struct {
	t *testing.T // the bubble's own

	source  *roomtokentest.Source
	manager *roomtoken.Manager
	handler *roomhttp.Handler
	server  *http.Server
	pipes   *pipeListener
	client  *http.Client
	log     *syncBuffer // of the Handler and the http.Server, from Debug on
}

// within runs test in a bubble. The bubble fails if a goroutine is left when the server
// and the Manager are closed.
//
// test must use the *testing.T it receives: the one outside the bubble must not be used
// from within.
func within(t *testing.T, s setup, test func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, source: &roomtokentest.Source{}, pipes: newPipeListener(), log: &syncBuffer{}}
		var err error
		if w.manager, err = roomtoken.NewManager(w.source, s.manager); err != nil {
			t.Fatal(err)
		}
		if s.Authorize == nil {
			s.Authorize = anyone
		}
		if s.Logger == nil {
			s.Logger = slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		}
		if w.handler, err = roomhttp.New(w.manager, s.Config); err != nil {
			t.Fatal(err)
		}
		w.server = &http.Server{Handler: w.handler, ErrorLog: slog.NewLogLogger(s.Logger.Handler(), slog.LevelError)}
		if s.wrap != nil {
			w.server.Handler = s.wrap(w.handler)
		}
		transport := &http.Transport{DialContext: w.pipes.dial}
		if s.http2 {
			protocols := new(http.Protocols)
			protocols.SetUnencryptedHTTP2(true)
			w.server.Protocols, transport.Protocols = protocols, protocols
		}
		if s.server != nil {
			s.server(w.server)
		}
		go w.server.Serve(w.pipes)
		w.client = &http.Client{Transport: transport}
		defer func() {
			w.server.Close()
			transport.CloseIdleConnections()
			w.manager.Close()
			time.Sleep(time.Second) // net/http lingers for half a second before it closes some connections
			if n := w.handler.Stats().Streams; n != 0 {
				t.Errorf("%d streams are left", n)
			}
		}()
		test(t, w)
	})
}

// stats returns the Handler's Stats when all goroutines have come to rest.
func (w *world) stats() roomhttp.Stats {
	synctest.Wait()
	return w.handler.Stats()
}

// request returns a request of the path.
func (w *world) request(method, path, body string, header ...string) *http.Request {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), method, "http://rooms.example"+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	if body == "" {
		r.Body = http.NoBody
	}
	addHeader(r, header)
	return r
}

// addHeader adds header fields of the form "Name: value"; empty ones are left out.
func addHeader(r *http.Request, header []string) {
	for _, field := range header {
		if name, value, ok := strings.Cut(field, ": "); ok {
			r.Header.Add(name, value)
		}
	}
}

// answer is a response with its body.
type answer struct {
	status int
	header http.Header
	body   string
}

// do sends a request and returns the answer, which must end.
func (w *world) do(method, path, body string, header ...string) answer {
	w.t.Helper()
	resp, err := w.client.Do(w.request(method, path, body, header...))
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	const most = 1 << 20
	text, err := io.ReadAll(io.LimitReader(resp.Body, most))
	if err != nil || len(text) == most {
		w.t.Fatalf("%s %s: %d bytes, error %v", method, path, len(text), err)
	}
	return answer{resp.StatusCode, resp.Header, string(text)}
}

func (w *world) get(path string, header ...string) answer {
	w.t.Helper()
	return w.do(http.MethodGet, path, "", header...)
}

// decode returns the members of a JSON object.
func decode(t testing.TB, text string) map[string]any {
	t.Helper()
	var object map[string]any
	if err := json.Unmarshal([]byte(text), &object); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return object
}

// code returns the code of a problem document, "" if the answer is none.
func (a answer) code(t testing.TB) string {
	t.Helper()
	if a.header.Get("Content-Type") != "application/problem+json" {
		return ""
	}
	code, _ := decode(t, a.body)["code"].(string)
	return code
}

// syncBuffer is a log that can be read while it is written.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// newHandler returns a Handler of a Manager of source, without a server.
func newHandler(t testing.TB, source roomtoken.TokenSource, config roomhttp.Config) (*roomhttp.Handler, *roomtoken.Manager) {
	t.Helper()
	manager, err := roomtoken.NewManager(source, roomtoken.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { manager.Close() })
	if config.Authorize == nil {
		config.Authorize = anyone
	}
	handler, err := roomhttp.New(manager, config)
	if err != nil {
		t.Fatal(err)
	}
	return handler, manager
}

// newRequest returns a request for a handler without a server.
func newRequest(method, path, body string, header ...string) *http.Request {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	addHeader(r, header)
	return r
}

// ask lets a handler answer a request, without a server.
func ask(handler http.Handler, r *http.Request) answer {
	rec := httptest.NewRecorder()
	handler.ServeHTTP(rec, r)
	return answer{rec.Code, rec.Header(), rec.Body.String()}
}
