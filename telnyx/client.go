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
	// the kernel gives up on it. The two together are less than the Manager's
	// default CallTimeout: a call that meets a dead connection ends because that
	// was found out, and the next one, of whichever room, has a new one.
	pingAfter   = 5 * time.Second
	pingTimeout = 4 * time.Second

	// Four times the Manager's default of concurrent calls. Idle ones may be as
	// many, so that a burst of renewals finds its connections again.
	maxConnections = 256

	// Of an answer's header, in bytes. Good ones have about 1 KB; what net/http
	// makes of many short lines takes some twenty times their size.
	maxHeader = 256 << 10
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
	client.Transport = redirectsAreAnswers{client.Transport}
	// A cookie would be a credential that goes to Refresh as well.
	client.Jar = nil
	return &client
}

// redirectsAreAnswers is a transport, nil for [http.DefaultTransport], whose
// redirects an [http.Client] with the CheckRedirect above takes for answers. The
// client reads the Location before it asks CheckRedirect, and makes of one that is
// no URL an error that quotes it, without the status.
type redirectsAreAnswers struct{ transport http.RoundTripper }

func (r redirectsAreAnswers) RoundTrip(req *http.Request) (*http.Response, error) {
	transport := r.transport
	if transport == nil {
		transport = http.DefaultTransport
	}
	resp, err := transport.RoundTrip(req)
	if err != nil || resp == nil || resp.Header.Get("Location") == "" {
		return resp, err
	}
	if _, err := req.URL.Parse(resp.Header.Get("Location")); err != nil {
		changed := *resp // transports may keep theirs
		changed.Header = resp.Header.Clone()
		changed.Header.Set("Location", "/") // that there is one still counts
		return &changed, nil                //nolint:nilerr // an odd Location is the server's error, not the exchange's
	}
	return resp, nil
}

// CloseIdleConnections is what an [http.Client] looks for.
func (r redirectsAreAnswers) CloseIdleConnections() {
	if closer, ok := r.transport.(interface{ CloseIdleConnections() }); ok {
		closer.CloseIdleConnections()
	}
}

func newTransport() *http.Transport {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: dialTimeout}).DialContext,
		TLSHandshakeTimeout:    dialTimeout,
		ResponseHeaderTimeout:  headerTimeout,
		IdleConnTimeout:        idleTimeout,
		MaxIdleConns:           maxConnections,
		MaxIdleConnsPerHost:    maxConnections,
		MaxConnsPerHost:        maxConnections,
		MaxResponseHeaderBytes: maxHeader,
		ForceAttemptHTTP2:      true,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout},
	}
}
