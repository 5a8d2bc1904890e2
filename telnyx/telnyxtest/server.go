package telnyxtest

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"

	"github.com/benbjohnson/clock"
)

// DefaultAPIKey is the API key of a server without a [Config].APIKey.
const DefaultAPIKey = "KEY-of-telnyxtest"

// Config configures a [Server]. The zero Config uses the defaults.
type Config struct {
	// APIKey is the bearer token that the create endpoint requires. Defaults to
	// [DefaultAPIKey].
	APIKey string

	// Rooms lists the IDs of the rooms that exist, in either case. A call for any
	// other room gets a 404. Defaults to every UUID.
	Rooms []string

	// Strict refuses two things that Telnyx's API document rules out, although Telnyx's
	// own SDKs do them: a refresh with an Authorization header gets a 400, and a request
	// without a body a 415, or a 400 if its Content-Type is application/json. Defaults
	// to answering both.
	Strict bool

	// Clock is the source of all times (see the package documentation). Defaults to
	// the real clock.
	Clock clock.Clock

	// OnRequest, if not nil, is called with every request once its response is
	// decided and before it is sent: a hook that blocks delays the response. It is
	// called concurrently, and may call any method of the Server but Close.
	OnRequest func(Request)
}

// Server is a Telnyx rooms API on a loopback port. Its methods are safe for concurrent
// use.
type Server struct {
	// URL is the base URL of the API, "http://127.0.0.1:port/v2". Do not change it.
	URL string

	// APIKey is the key that the create endpoint requires. Do not change it.
	APIKey string

	strict    bool
	clock     clock.Clock
	rooms     map[string]bool // lower case; nil: all
	onRequest func(Request)
	http      *httptest.Server
	client    *http.Client

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
	s := &Server{
		APIKey:    config.APIKey,
		strict:    config.Strict,
		clock:     config.Clock,
		onRequest: config.OnRequest,
		client:    &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}},
		issuer:    newIssuer(),
		ledger:    newLedger(),
		closed:    make(chan struct{}),
	}
	if s.APIKey == "" {
		s.APIKey = DefaultAPIKey
	}
	if s.clock == nil {
		s.clock = clock.New()
	}
	if config.Rooms != nil {
		s.rooms = make(map[string]bool, len(config.Rooms))
		for _, room := range config.Rooms {
			s.rooms[strings.ToLower(room)] = true
		}
	}
	s.http = httptest.NewServer(http.HandlerFunc(s.serve))
	s.URL = s.http.URL + basePath
	return s
}

// Start calls [NewServer] and registers Close with t.Cleanup. t is usually a
// *testing.T.
func Start(t interface{ Cleanup(func()) }, config Config) *Server {
	s := NewServer(config)
	t.Cleanup(s.Close)
	return s
}

// Close shuts the server down and closes all connections, those of calls that are
// delayed or hang included. It returns after the last handler has; no goroutine of the
// server is left. Calling it again does nothing but wait.
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

// Client returns an HTTP client for this server, always the same one. It keeps up to
// 256 idle connections.
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

// SetRateLimit limits the server to n calls per window, over all rooms and both
// endpoints. Every response then has the x-ratelimit headers; calls beyond the limit get
// a 429 with Retry-After. Both Retry-After and x-ratelimit-reset are the seconds until
// the window ends, rounded up. A window begins with the first call after the previous
// one has ended, on Config.Clock. Calls answered by a [Fault] do not count. With n below
// 1 there is no limit. Each call of SetRateLimit resets the count.
func (s *Server) SetRateLimit(n int, window time.Duration) { s.limit.set(n, window) }

// Verify checks a client token as the room would when a participant joins: signature,
// kind, room, validity at the server's own time, revocation. An error wraps
// [ErrInvalid], [ErrExpired] or [ErrRevoked].
func (s *Server) Verify(room, token string) error {
	return s.issuer.check(token, typAccess, strings.ToLower(room), s.Now())
}

// RevokeRefreshTokens revokes all refresh tokens minted so far for the given rooms, or
// for all rooms if none are given. Tokens minted later are valid.
func (s *Server) RevokeRefreshTokens(rooms ...string) { s.issuer.revoke(typRefresh, rooms) }

// RevokeTokens revokes all client tokens minted so far for the given rooms, or for all
// rooms if none are given: Verify returns [ErrRevoked] for them.
func (s *Server) RevokeTokens(rooms ...string) { s.issuer.revoke(typAccess, rooms) }

// Calls returns a copy of the counters. A call whose client has received the response is
// counted as ended.
func (s *Server) Calls() Calls { return s.ledger.snapshot() }

// Requests returns a copy of the log: the last [MaxRequests] requests that have ended, in
// the order in which they ended.
func (s *Server) Requests() []Request { return s.ledger.requests() }

// WaitHeld waits until at least n calls are held by the Latency or Hang of a [Fault]; a
// test can then move its clock. If ctx ends first, it returns the cause of that (see
// [context.Cause]).
func (s *Server) WaitHeld(ctx context.Context, n int) error { return s.ledger.waitHeld(ctx, n) }
