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

// DefaultAPIKey is the API key of a server whose [Config] names none.
const DefaultAPIKey = "KEY-of-telnyxtest"

// Config describes a [Server]. The zero Config is a good one.
type Config struct {
	// APIKey is the bearer key that create wants. Defaults to [DefaultAPIKey].
	APIKey string

	// Rooms are the IDs of the rooms that exist; a call for any other answers
	// 404. Defaults to all: every UUID is a room.
	Rooms []string

	// Clock is the time of everything the server does. Defaults to the real one.
	Clock clock.Clock

	// OnRequest is told of every request when its answer is decided, just before
	// that leaves: a hook that blocks holds the answer back. It is called from
	// many goroutines at the same time and may call any method of the Server but
	// Close. Defaults to none.
	OnRequest func(Request)
}

// Server is a Telnyx rooms API on a loopback port. All methods are safe for
// concurrent use.
type Server struct {
	// URL is the base URL of the API, "http://127.0.0.1:port/v2". Constant.
	URL string

	// APIKey is the key that create wants. Constant.
	APIKey string

	clock     clock.Clock
	rooms     map[string]bool // lower case; nil: all
	onRequest func(Request)
	http      *httptest.Server
	client    *http.Client

	issuer *issuer
	faults faults
	limit  limiter
	ledger *ledger

	closed   chan struct{} // closed by Close: releases the calls that wait
	handlers sync.WaitGroup

	mu   sync.Mutex // over all that follows, and over handlers.Add against Close
	skew time.Duration
	down bool
}

// NewServer starts a server; Close ends it. It panics if there is no loopback
// port to listen on, as httptest does.
func NewServer(config Config) *Server {
	s := &Server{
		APIKey:    config.APIKey,
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

// Start is NewServer with a Close at the end of the test: t is a *testing.T, or
// anything else with a Cleanup.
func Start(t interface{ Cleanup(func()) }, config Config) *Server {
	s := NewServer(config)
	t.Cleanup(s.Close)
	return s
}

// Close ends the server: calls that are delayed or hang lose their connection.
// It returns when the last handler has; no goroutine is left. Further calls of
// Close do nothing.
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
	// httptest waits for active connections; these may belong to a client that
	// never sends the rest of its request. So they are cut, the listener first.
	s.http.Listener.Close()
	s.http.CloseClientConnections()
	s.http.Close()
	s.handlers.Wait()
}

// Client returns an HTTP client for this server, the same each time, which keeps
// up to 256 connections open until Close.
func (s *Server) Client() *http.Client { return s.client }

// Now returns the time by the server's own clock: Config.Clock plus the skew.
func (s *Server) Now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.clock.Now().Add(s.skew)
}

// SetSkew puts the server's own clock ahead of Config.Clock by d, or behind it
// where d is negative: the Date header, the times in tokens and answers, and
// what counts as expired. Tokens minted before age, or get younger, by as much.
func (s *Server) SetSkew(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.skew = d
}

// SetRateLimit lets n calls through per window, all rooms and both endpoints
// together; further ones answer 429 with Retry-After and the x-ratelimit
// headers, reset being the seconds to the end of the window. A window opens with
// the first call after the one before has ended. Calls that a [Fault] answers
// are not counted. n below 1: no limit. The count begins anew.
func (s *Server) SetRateLimit(n int, window time.Duration) { s.limit.set(n, window) }

// Verify checks a client token as the room would when somebody joins with it:
// this server's signature, the kind, the room, and the times by the server's own
// clock. The error wraps [ErrInvalid], [ErrExpired] or [ErrRevoked].
func (s *Server) Verify(room, token string) error {
	return s.issuer.check(token, typAccess, strings.ToLower(room), s.Now())
}

// RevokeRefreshTokens makes every refresh token handed out so far unusable, for
// these rooms, or for all where none is named. New ones are good.
func (s *Server) RevokeRefreshTokens(rooms ...string) { s.issuer.revoke(typRefresh, rooms) }

// RevokeTokens does the same to client tokens: Verify refuses those handed out
// so far, as a room does when somebody was thrown out.
func (s *Server) RevokeTokens(rooms ...string) { s.issuer.revoke(typAccess, rooms) }

// Calls returns the counts so far. A call whose client has its answer is
// counted.
func (s *Server) Calls() Calls { return s.ledger.snapshot() }

// Requests returns the log of the requests that have ended, oldest first, of the
// last [MaxRequests].
func (s *Server) Requests() []Request { return s.ledger.requests() }

// WaitHeld waits until at least n calls are held by the Latency or Hang of a
// [Fault], so that a test knows when to move its clock. It returns ctx's cause
// when ctx ends first.
func (s *Server) WaitHeld(ctx context.Context, n int) error { return s.ledger.waitHeld(ctx, n) }
