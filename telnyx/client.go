package telnyx

import (
	"net"
	"net/http"
	"time"
)

// Bounds of the Source's own HTTP client. A Manager ends each call at its
// CallTimeout; these are for calls without a deadline, and for finding out early
// that a peer is gone.
const (
	dialTimeout   = 5 * time.Second
	headerTimeout = 20 * time.Second
	wholeTimeout  = 30 * time.Second // of an exchange, its body included

	// A load balancer commonly drops connections that were idle for 60 s; a
	// request that meets the drop on its way fails, since a POST is not
	// repeated. So ours go first.
	idleTimeout = 50 * time.Second

	// Without a ping a dead HTTP/2 connection takes every call with it until
	// the kernel gives up on it.
	pingAfter   = 15 * time.Second
	pingTimeout = 5 * time.Second

	// Four times the Manager's default of concurrent calls. Idle ones may be as
	// many, so that a burst of renewals finds its connections again.
	maxConnections = 256
)

// newHTTPClient returns the client that a Source makes its requests with: given,
// or one of its own if that is nil, restricted to what credentials may go
// through.
func newHTTPClient(given *http.Client) *http.Client {
	client := http.Client{Transport: newTransport()}
	if given != nil {
		client = *given
	}
	// A redirect is an answer: what was meant for one host goes to no other.
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	// A cookie would be a credential that goes to Refresh as well.
	client.Jar = nil
	return &client
}

func newTransport() *http.Transport {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: dialTimeout}).DialContext,
		TLSHandshakeTimeout:   dialTimeout,
		ResponseHeaderTimeout: headerTimeout,
		IdleConnTimeout:       idleTimeout,
		MaxIdleConns:          maxConnections,
		MaxIdleConnsPerHost:   maxConnections,
		MaxConnsPerHost:       maxConnections,
		ForceAttemptHTTP2:     true,
		HTTP2:                 &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout},
	}
}
