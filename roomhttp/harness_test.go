package roomhttp_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
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

// do sends a request and returns the answer.
func (w *world) do(method, path, body string, header ...string) answer {
	w.t.Helper()
	resp, err := w.client.Do(w.request(method, path, body, header...))
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
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

// block is a block of a stream.
type block struct {
	comment, id, event, data, retry string
	after                           time.Duration // since the request was sent
}

// stream is a stream that is read as fast as it comes.
type stream struct {
	t      testing.TB
	status int
	header http.Header
	leave  context.CancelFunc // cuts the connection
	blocks chan block         // closed at the end
	err    error              // why it has ended; io.EOF: properly
}

// open opens a stream and waits for its headers.
func (w *world) open(path string, header ...string) *stream {
	w.t.Helper()
	return openStream(w.t, w.client, w.request(http.MethodGet, path, "", header...))
}

func openStream(t testing.TB, client *http.Client, r *http.Request) *stream {
	t.Helper()
	began := time.Now()
	ctx, cancel := context.WithCancel(r.Context())
	resp, err := client.Do(r.WithContext(ctx)) //nolint:bodyclose // whoever reads it closes it
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	s := &stream{t: t, status: resp.StatusCode, header: resp.Header, leave: cancel, blocks: make(chan block, 1<<12)}
	go func() {
		defer close(s.blocks)
		defer resp.Body.Close()
		for lines := bufio.NewReader(resp.Body); ; {
			b, err := readBlock(lines)
			if err != nil {
				s.err = err
				return
			}
			b.after = time.Since(began)
			s.blocks <- b
		}
	}()
	return s
}

// readBlock reads a block. Anything but lines of known fields, each at most once, and an
// empty line behind them is an error.
func readBlock(r *bufio.Reader) (b block, err error) {
	fields := map[string]*string{"": &b.comment, "id": &b.id, "event": &b.event, "data": &b.data, "retry": &b.retry}
	for n := 0; ; n++ {
		line, err := r.ReadString('\n')
		if err != nil {
			if line != "" || n > 0 {
				err = errors.New("the stream ends within a block")
			}
			return block{}, err
		}
		if line == "\n" {
			if n == 0 {
				return block{}, errors.New("an empty block")
			}
			return b, nil
		}
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		if line[0] == ':' {
			name, value = "", strings.TrimSuffix(line[2:], "\n")
		}
		field := fields[name]
		if field == nil || *field != "" || strings.Contains(value, "\r") {
			return block{}, errors.New("unexpected line: " + line)
		}
		*field = value
	}
}

// next returns the next block. It fails the test if the stream ends before.
func (s *stream) next() block {
	s.t.Helper()
	b, ok := <-s.blocks
	if !ok {
		s.t.Fatal("the stream has ended")
	}
	return b
}

// nextEvent returns the next block that is no heartbeat.
func (s *stream) nextEvent() block {
	s.t.Helper()
	for {
		if b := s.next(); b.event != "" {
			return b
		}
	}
}

// token returns the token of the next event, which must be one.
func (s *stream) token() string {
	s.t.Helper()
	b := s.nextEvent()
	if b.event != "token" {
		s.t.Fatalf("%+v, want a token", b)
	}
	tok, _ := decode(s.t, b.data)["token"].(string)
	return tok
}

// wantEnd fails the test unless the next event is the end of the stream, with that data.
func (s *stream) wantEnd(data string) {
	s.t.Helper()
	if b := s.nextEvent(); b.event != "end" || b.data != data {
		s.t.Fatalf("%+v, want an end with %s", b, data)
	}
	s.wantEOF()
}

// wantEOF fails the test unless the stream has no further block and ends properly.
func (s *stream) wantEOF() {
	s.t.Helper()
	if b, ok := <-s.blocks; ok {
		s.t.Fatalf("%+v, want the end of the stream", b)
	}
	if !errors.Is(s.err, io.EOF) {
		s.t.Fatal(s.err)
	}
}

// wantQuiet fails the test if an event has come.
func (s *stream) wantQuiet() {
	s.t.Helper()
	for {
		select {
		case b, ok := <-s.blocks:
			if !ok {
				s.t.Fatal("the stream has ended")
			}
			if b.event != "" {
				s.t.Fatalf("unexpected event: %+v", b)
			}
		default:
			return
		}
	}
}

// pipeListener is a listener whose connections are pipes.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once

	mu      sync.Mutex
	stalled chan struct{} // not nil: clients read nothing until it is closed
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
}

// stall makes clients read nothing more, once a read that has begun has returned.
func (l *pipeListener) stall() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stalled = make(chan struct{})
}

// resume makes clients read again.
func (l *pipeListener) resume() {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.stalled)
	l.stalled = nil
}

// clientConn is the client's end of a pipe.
type clientConn struct {
	net.Conn
	listener *pipeListener
}

func (c clientConn) Read(p []byte) (int, error) {
	l := c.listener
	l.mu.Lock()
	stalled := l.stalled
	l.mu.Unlock()
	if stalled != nil {
		<-stalled
	}
	return c.Conn.Read(p)
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (*pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "pipe"} }

func (l *pipeListener) dial(context.Context, string, string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case l.conns <- server:
		return clientConn{client, l}, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
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
