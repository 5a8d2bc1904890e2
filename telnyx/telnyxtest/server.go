package telnyxtest

import (
	"cmp"
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"time"

	"github.com/benbjohnson/clock"
)

// Server is a Telnyx API on a loopback port, or in memory. Its methods are safe for
// concurrent use.
type Server struct {
	// URL is the base URL of the API, such as "http://127.0.0.1:port/v2"; with
	// Config.InMemory the port is 0. Do not change it.
	URL string

	// APIKey is the key that Create and CredentialToken require. Do not change it.
	APIKey string

	strict    bool
	clock     clock.Clock
	onRequest func(Request)
	http      *httptest.Server
	client    *http.Client

	rooms       *rooms
	credentials credentials

	issuer *issuer
	faults faults
	limit  limiter
	ledger *ledger

	closed   chan struct{} // closed by Close: ends the calls that are held
	handlers sync.WaitGroup

	mu   sync.Mutex // guards skew and down, and handlers.Add against Close
	skew time.Duration
	down bool
}

// NewServer starts a server. Call Close to end it. NewServer panics if it cannot listen
// on a loopback port, as [httptest.NewServer] does.
func NewServer(config Config) *Server {
	s := newServer(config)
	s.listen(config.InMemory, false)
	return s
}

// Start calls [NewServer] and registers Close with t.Cleanup. t is usually a
// *testing.T.
func Start(t interface{ Cleanup(func()) }, config Config) *Server {
	s := NewServer(config)
	t.Cleanup(s.Close)
	return s
}

// StartTLS is like [Start] with HTTPS, over HTTP/2 for clients that speak it, such as
// [Server.Client]. The certificate is signed by itself: clients that have not been told
// to trust it fail.
func StartTLS(t interface{ Cleanup(func()) }, config Config) *Server {
	s := newServer(config)
	s.listen(config.InMemory, true)
	t.Cleanup(s.Close)
	return s
}

func newServer(config Config) *Server {
	s := &Server{
		APIKey:      cmp.Or(config.APIKey, DefaultAPIKey),
		strict:      config.Strict,
		clock:       config.Clock,
		onRequest:   config.OnRequest,
		rooms:       newRooms(config.Rooms),
		credentials: slices.Clone(config.Credentials),
		issuer:      newIssuer(),
		ledger:      newLedger(),
		closed:      make(chan struct{}),
	}
	if s.clock == nil {
		s.clock = clock.New()
	}
	return s
}

// listen starts the HTTP server, and sets s.http, s.client and s.URL.
func (s *Server) listen(inMemory, secure bool) {
	handler := http.HandlerFunc(s.serve)
	memory := newMemoryListener()
	if inMemory {
		s.http = &httptest.Server{Listener: memory, Config: &http.Server{Handler: handler}} //nolint:gosec // no stranger can connect
	} else {
		s.http = httptest.NewUnstartedServer(handler)
	}
	if secure {
		s.http.EnableHTTP2 = true
		s.http.TLS = &tls.Config{NextProtos: []string{"h2", "http/1.1"}, MinVersion: tls.VersionTLS12}
		s.http.StartTLS()
	} else {
		s.http.Start()
	}
	s.URL = s.http.URL + basePath
	s.client = s.http.Client()
	transport := s.client.Transport.(*http.Transport)
	transport.MaxIdleConnsPerHost = 256
	if inMemory {
		transport.DialContext = memory.dial
	}
}

// Close shuts the server down and closes all connections, those of calls that are
// delayed or hang included. It returns after the last handler has; no goroutine of the
// server or of its Client is left. Calling it again does nothing but wait.
func (s *Server) Close() {
	s.mu.Lock()
	down := s.down
	s.down = true
	s.mu.Unlock()
	if down {
		s.handlers.Wait()
		return
	}
	close(s.closed)
	// httptest.Server.Close waits for active connections, and a client may never send
	// the rest of its request. So close the listener and the connections first.
	s.http.Listener.Close()
	s.http.CloseClientConnections()
	s.http.Close()
	s.handlers.Wait()
}

// Client returns an HTTP client for this server, always the same one. It trusts the
// certificate of StartTLS, and keeps up to 256 idle connections, until Close.
func (s *Server) Client() *http.Client { return s.client }

// Now returns the server's own time: Config.Clock plus the skew set by SetSkew.
func (s *Server) Now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.clock.Now().Add(s.skew)
}

// SetSkew sets the server's own time ahead of Config.Clock by d, or behind it if d is
// negative. It applies to the Date header, to the times in tokens and responses, and to
// the expiry of all tokens, those minted before included.
func (s *Server) SetSkew(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.skew = d
}

// SetRateLimit limits the server to n calls per window, over all rooms, credentials and
// endpoints. Every response then has the x-ratelimit headers; calls beyond the limit get
// a 429 with Retry-After. Both Retry-After and x-ratelimit-reset are the seconds until
// the window ends, rounded up. A window begins with the first call after the previous
// one has ended, on Config.Clock. Calls answered by a [Fault] do not count. With n below
// 1 there is no limit. Each call of SetRateLimit resets the count.
func (s *Server) SetRateLimit(n int, window time.Duration) { s.limit.set(n, window) }
