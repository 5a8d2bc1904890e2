package telnyxtest

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/benbjohnson/clock"
)

// maxBody limits the size of a request body. The longest one, that of a refresh, has
// about 700 bytes.
const maxBody = 1 << 20

// request is a parsed request.
type request struct {
	Request
	route       route // zero: not a path of the API
	method      string
	contentType string
	bearer      string
	body        []byte
	broken      bool // the body could not be read to its end
	keyExposed  bool // the API key is in the URL, in the body, or in another header than Authorization
}

// reply is the response to a request.
type reply struct {
	Body
	status   int
	header   http.Header
	truncate bool
	cut      bool // no response: reset the connection
}

// serve is the HTTP handler.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	if !s.enter() {
		panic(http.ErrAbortHandler) // closes the connection without a log line
	}
	defer s.handlers.Done()
	send(w, s.handle(r.Context(), s.read(r)))
}

// enter reports whether the server is open. If so, Close waits until the caller calls
// s.handlers.Done.
func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return false
	}
	s.handlers.Add(1)
	return true
}

// read parses a request and reads its body: net/http notices that a client disconnects
// only after that.
func (s *Server) read(r *http.Request) request {
	in := request{method: r.Method, contentType: r.Header.Get("Content-Type")}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody)) // a longer one is not JSON once it is cut
	in.body, in.broken = body, err != nil
	in.At = s.clock.Now()
	in.route, in.Room = parsePath(r.URL.EscapedPath())
	in.Endpoint, in.Legacy = in.route.endpoint, in.route.legacy
	if scheme, key, _ := strings.Cut(r.Header.Get("Authorization"), " "); strings.EqualFold(scheme, "Bearer") {
		in.bearer = key
	}
	in.keyExposed = s.exposesKey(r, in.body)
	// "security: []" in the OpenAPI document: a refresh needs no authorization.
	in.KeyLeak = in.keyExposed || in.Endpoint == Refresh && r.Header.Get("Authorization") != ""
	return in
}

// exposesKey reports whether the request carries the API key outside the Authorization
// header. It does not look for keys of less than 8 bytes: every request has the word
// "token" in it.
func (s *Server) exposesKey(r *http.Request, body []byte) bool {
	if len(s.APIKey) < 8 {
		return false
	}
	if strings.Contains(r.RequestURI, s.APIKey) || bytes.Contains(body, []byte(s.APIKey)) {
		return true
	}
	for name, values := range r.Header {
		if name != "Authorization" && strings.Contains(strings.Join(values, "\n"), s.APIKey) {
			return true
		}
	}
	return false
}

// handle computes the response when the request arrives, holds it as the faults say,
// and logs it before it is sent.
func (s *Server) handle(ctx context.Context, in request) reply {
	entry := in.Request
	s.ledger.begin(entry)
	defer func() { s.ledger.end(entry) }()

	p := s.faults.plan(in.Endpoint, in.Room, in.At)
	out := s.faulty(in, p)
	if !s.hold(ctx, p) {
		out = reply{cut: true}
	}
	entry.Status, entry.Injected = out.status, p.fault.decides()
	entry.Took = s.clock.Since(in.At)
	if s.onRequest != nil {
		s.onRequest(entry)
	}
	return out
}

// faulty returns the response to a request under the plan.
func (s *Server) faulty(in request, p plan) reply {
	var out reply
	switch now := s.Now(); {
	case p.fault.Reset:
		return reply{cut: true}
	case p.fault.Status != 0:
		out = respond(now, p.fault.Status, p.fault.Body.or(in.Endpoint, p.fault.Status))
	default:
		out = s.answer(in, now, p.fault)
	}
	out.truncate = p.fault.Truncate
	for _, header := range p.headers {
		for name, values := range header {
			out.header[http.CanonicalHeaderKey(name)] = values
		}
	}
	return out
}

// hold waits for the latency and the hang of the plan. It returns false if the client
// disconnects or the server is closed.
func (s *Server) hold(ctx context.Context, p plan) bool {
	if p.latency > 0 {
		elapsed, timer := after(s.clock, p.latency)
		defer timer.Stop()
		if !s.wait(ctx, elapsed) {
			return false
		}
	}
	return !p.fault.Hang || s.wait(ctx, p.removed)
}

// after returns a channel that receives a value once d has passed on c, and the timer
// to stop. It does not use c.Timer: a [clock.Mock] runs due timers in that method too,
// and deadlocks if two goroutines run the same one. For the same reason f may run
// twice, so the send must not block.
func after(c clock.Clock, d time.Duration) (<-chan struct{}, *clock.Timer) {
	elapsed := make(chan struct{}, 1)
	f := func() {
		select {
		case elapsed <- struct{}{}:
		default:
		}
	}
	return elapsed, c.AfterFunc(d, f)
}

// wait waits for until, and counts the call as held meanwhile. It returns false if ctx
// ends or the server is closed first.
func (s *Server) wait(ctx context.Context, until <-chan struct{}) bool {
	s.ledger.hold(+1)
	defer s.ledger.hold(-1)
	select {
	case <-until:
		return true
	case <-ctx.Done():
	case <-s.closed:
	}
	return false
}

// send writes the response.
func send(w http.ResponseWriter, out reply) {
	if out.cut {
		reset(w)
		return
	}
	maps.Copy(w.Header(), out.header)
	text := out.text
	if out.truncate {
		// net/http closes the connection if a handler writes less than Content-Length.
		w.Header().Set("Content-Length", strconv.Itoa(max(len(text), 1)))
		text = text[:len(text)/2]
	}
	w.WriteHeader(out.status)
	_, _ = io.WriteString(w, text)
}

// reset resets the connection, or only the stream of the request if it is HTTP/2.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // net/http resets the stream
	}
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn() // whose Close sends no TLS alert
	}
	// With a linger time of 0, closing drops unsent data and sends RST.
	if tcp, ok := conn.(interface{ SetLinger(seconds int) error }); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}
