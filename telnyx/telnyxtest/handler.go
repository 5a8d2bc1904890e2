package telnyxtest

import (
	"context"
	"io"
	"maps"
	"net"
	"net/http"
	"strconv"
	"strings"
)

// maxBody bounds what is read of a request. The longest one, a refresh, has
// about 700 bytes.
const maxBody = 1 << 20

// request is a request as the API sees it.
type request struct {
	Request
	route       route // zero: the API has no such path
	method      string
	contentType string
	bearer      string
	body        []byte
}

// reply is what becomes of a request.
type reply struct {
	Body
	status   int
	header   http.Header
	truncate bool
	cut      bool // no answer: the connection is reset
}

// serve is the handler.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	if !s.enter() {
		panic(http.ErrAbortHandler) // cuts the connection and logs nothing
	}
	defer s.handlers.Done()
	send(w, s.handle(r.Context(), s.read(r)))
}

// enter reports whether the server is up; if so, Close waits for the handler.
func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return false
	}
	s.handlers.Add(1)
	return true
}

// read takes a request apart, body included: only then does net/http notice a
// client that goes.
func (s *Server) read(r *http.Request) request {
	in := request{method: r.Method, contentType: r.Header.Get("Content-Type")}
	in.body, _ = io.ReadAll(io.LimitReader(r.Body, maxBody)) // half a body is not JSON, and answered so
	in.At = s.clock.Now()
	in.route, in.Room, _ = parsePath(r.URL.EscapedPath())
	in.Endpoint, in.Legacy = in.route.endpoint, in.route.legacy
	if scheme, key, _ := strings.Cut(r.Header.Get("Authorization"), " "); strings.EqualFold(scheme, "Bearer") {
		in.bearer = key
	}
	in.KeyLeak = s.leaksKey(r, in)
	return in
}

// leaksKey reports whether the request carries the API key where it does not
// belong: anywhere but in the Authorization header, or, on refresh, there too.
// Refresh needs no authorization at all (security: []), so that any counts.
func (s *Server) leaksKey(r *http.Request, in request) bool {
	if in.Endpoint == Refresh && r.Header.Get("Authorization") != "" {
		return true
	}
	if strings.Contains(r.RequestURI, s.APIKey) || strings.Contains(string(in.body), s.APIKey) {
		return true
	}
	for name, values := range r.Header {
		if name != "Authorization" && strings.Contains(strings.Join(values, "\n"), s.APIKey) {
			return true
		}
	}
	return false
}

// handle answers a request at the moment of its arrival, holds the answer for as
// long as the faults want, enters it in the books and only then lets it go.
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

// faulty is the answer that the plan makes of a request.
func (s *Server) faulty(in request, p plan) reply {
	var out reply
	switch now := s.Now(); {
	case p.fault.Reset:
		return reply{cut: true}
	case p.fault.Status != 0:
		out = respond(now, p.fault.Status, p.fault.Body.or(p.fault.Status))
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

// hold waits out the plan's latency and hang. It reports false if the client has
// left or the server was closed.
func (s *Server) hold(ctx context.Context, p plan) bool {
	if p.latency > 0 {
		timer := s.clock.Timer(p.latency)
		defer timer.Stop()
		if !held(ctx, s, timer.C) {
			return false
		}
	}
	return !p.fault.Hang || held(ctx, s, p.removed)
}

func held[T any](ctx context.Context, s *Server, until <-chan T) bool {
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

// send writes the answer.
func send(w http.ResponseWriter, out reply) {
	if out.cut {
		// A lost connection looks like this: RST, which is what closing with
		// unsent data dropped does.
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		_ = conn.(*net.TCPConn).SetLinger(0)
		_ = conn.Close()
		return
	}
	maps.Copy(w.Header(), out.header)
	text := out.text
	if out.truncate {
		// net/http closes the connection of a handler that wrote less than it said.
		w.Header().Set("Content-Length", strconv.Itoa(max(len(text), 1)))
		text = text[:len(text)/2]
	}
	w.WriteHeader(out.status)
	_, _ = io.WriteString(w, text)
}
