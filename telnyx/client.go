package telnyx

import (
	"net"
	"net/http"
	"time"
)

// Limits of the Source's own HTTP client. A Manager ends each call at its CallTimeout;
// these limits apply to calls without a deadline, and detect dead connections early.
const (
	dialTimeout   = 5 * time.Second
	headerTimeout = 20 * time.Second
	wholeTimeout  = 30 * time.Second // of a call, including the response body

	// Load balancers commonly close connections after 60 s without traffic. A
	// request that is sent at that moment fails, since net/http does not retry a
	// POST. So the client closes them first.
	idleTimeout = 50 * time.Second

	// Without pings, every call on a dead HTTP/2 connection hangs until the kernel
	// gives up. The sum of the two is below the Manager's default CallTimeout: the
	// call that finds the connection dead fails, and the next call gets a new one.
	pingAfter   = 5 * time.Second
	pingTimeout = 4 * time.Second

	// Four times the Manager's default MaxConcurrentCalls. As many connections may
	// be idle, so that bursts of renewals reuse them.
	maxConnections = 256

	// Of a response header, in bytes. Good ones have about 1 KB; parsed, many short
	// lines take about twenty times their size.
	maxHeader = 256 << 10
)

// newHTTPClient returns a restricted copy of given for requests that carry credentials,
// or of the default client if given is nil.
func newHTTPClient(given *http.Client) *http.Client {
	client := http.Client{Transport: newTransport()}
	if given != nil {
		client = *given
	}
	// Redirects are responses: credentials for one host must not go to another.
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	client.Transport = badLocations{client.Transport}
	// Cookies would be credentials, sent with Refresh, too.
	client.Jar = nil
	return &client
}

// badLocations wraps a transport (nil: [http.DefaultTransport]) and replaces Location
// headers that are not URLs. [http.Client] parses the Location before it calls
// CheckRedirect, and fails with an error that quotes it and lacks the status.
type badLocations struct{ transport http.RoundTripper }

func (r badLocations) RoundTrip(req *http.Request) (*http.Response, error) {
	transport := r.transport
	if transport == nil {
		transport = http.DefaultTransport
	}
	resp, err := transport.RoundTrip(req)
	if err != nil || resp == nil || resp.Header.Get("Location") == "" {
		return resp, err
	}
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
func (r badLocations) CloseIdleConnections() {
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
		DisableCompression:     true,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout},
	}
}
