package telnyx

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"time"
)

// Limits of the default HTTP client. A Manager ends each call at its CallTimeout; these
// limits apply to calls without a deadline, and detect dead connections early.
const (
	dialTimeout   = 5 * time.Second
	headerTimeout = 20 * time.Second

	// Load balancers commonly close connections after 60 s without traffic. The client
	// closes them first.
	idleTimeout = 50 * time.Second

	// Pings detect a dead HTTP/2 connection before the Manager's default CallTimeout
	// ends: the calls on it fail, and the next ones get a new connection.
	pingAfter   = 5 * time.Second
	pingTimeout = 4 * time.Second

	// Of a response header, in bytes. Good ones have about 1 KB; parsed, many short
	// lines take about twenty times their size.
	maxHeader = 256 << 10
)

// NewTransport returns a new transport with the settings of the default HTTP client: HTTP/2
// with pings, the proxy of the environment (see [http.ProxyFromEnvironment]), timeouts for
// dialing (5 s), the TLS handshake (5 s) and the response header (20 s), and idle
// connections that are closed after 50 s. It does not limit the number of connections: the
// Manager limits the number of calls. Change it before its first use, and put it into
// Config.HTTPClient; for a wrapper such as otelhttp's, Config.WrapTransport is simpler.
func NewTransport() *http.Transport {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: dialTimeout}).DialContext,
		TLSHandshakeTimeout:    dialTimeout,
		ResponseHeaderTimeout:  headerTimeout,
		IdleConnTimeout:        idleTimeout,
		MaxIdleConnsPerHost:    math.MaxInt, // all: bursts of renewals reuse them
		MaxResponseHeaderBytes: maxHeader,
		ForceAttemptHTTP2:      true,
		DisableCompression:     true,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout},
	}
}

// newHTTPClient returns the client for requests that carry credentials, and the function
// that closes its idle connections: a restricted copy of c.HTTPClient, or the default
// client.
func newHTTPClient(c Config) (restricted *http.Client, closeIdle func(), err error) {
	restricted = new(http.Client)
	if c.HTTPClient != nil {
		*restricted = *c.HTTPClient
		closeIdle = restricted.CloseIdleConnections
	} else {
		transport := NewTransport()
		restricted.Transport = transport
		if c.WrapTransport != nil {
			restricted.Transport = c.WrapTransport(transport)
		}
		if restricted.Transport == nil {
			return nil, nil, errors.New("telnyx: Config.WrapTransport returned nil")
		}
		closeIdle = transport.CloseIdleConnections // a wrapper may hide it
	}
	// Redirects are responses: credentials for one host must not go to another.
	restricted.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	restricted.Transport = guard{restricted.Transport}
	// Cookies would be credentials, sent with Refresh, too.
	restricted.Jar = nil
	return restricted, closeIdle, nil
}

// guard wraps a transport (nil: [http.DefaultTransport]) and mends two of its results that
// [http.Client] turns into misleading errors.
type guard struct{ transport http.RoundTripper }

func (g guard) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := g.inner().RoundTrip(req)
	switch {
	case err != nil:
		return resp, err
	case resp == nil:
		return nil, fmt.Errorf("the http.RoundTripper %T returned neither a response nor an error", g.transport)
	case resp.Header.Get("Location") == "":
		return resp, nil
	}
	// The Client parses the Location before it calls CheckRedirect, and fails with an
	// error that quotes it and lacks the status.
	if _, err := req.URL.Parse(resp.Header.Get("Location")); err != nil {
		changed := *resp // the transport may keep resp
		changed.Header = resp.Header.Clone()
		changed.Header.Set("Location", "/") // still a redirect
		return &changed, nil                //nolint:nilerr // a bad Location is no failure of the round trip
	}
	return resp, nil
}

// CloseIdleConnections implements the optional interface that
// [http.Client.CloseIdleConnections] looks for.
func (g guard) CloseIdleConnections() {
	if closer, ok := g.inner().(interface{ CloseIdleConnections() }); ok {
		closer.CloseIdleConnections()
	}
}

func (g guard) inner() http.RoundTripper {
	if g.transport == nil {
		return http.DefaultTransport
	}
	return g.transport
}
