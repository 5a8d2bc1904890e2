package telnyx

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomtoken/roomtoken"
)

// A server that closes a kept-alive connection at the moment of the next request costs no
// call: net/http sends the request again, on a new connection.
func TestKeepAliveRace(t *testing.T) {
	var accepted, dropped atomic.Int64
	base := startConnections(t, func(conn net.Conn) {
		accepted.Add(1)
		reader := bufio.NewReader(conn)
		req, err := http.ReadRequest(reader)
		if err != nil {
			return
		}
		if _, sent := req.Header["Idempotency-Key"]; sent {
			t.Errorf("the request has an Idempotency-Key: %v", req.Header)
		}
		body, _ := io.ReadAll(req.Body)
		if req.Header.Get("Authorization") == "" && !strings.Contains(string(body), testRefreshToken.Value.Reveal()) {
			t.Errorf("the request has neither the key nor the refresh token: %s", body)
		}
		writeGoodAnswer(conn)
		if _, err := reader.ReadByte(); err == nil { // the next request begins
			dropped.Add(1)
		}
	})
	wrapped := &http.Transport{}
	t.Cleanup(wrapped.CloseIdleConnections)
	clone := roundTripper(func(r *http.Request) (*http.Response, error) {
		return wrapped.RoundTrip(r.Clone(r.Context())) // as wrappers do
	})
	for name, client := range map[string]*http.Client{"default": nil, "given": {Transport: &http.Transport{}}, "wrapped": {Transport: clone}} {
		source := newSource(t, Config{BaseURL: base, HTTPClient: client})
		before := dropped.Load()
		for i := range 20 {
			if _, err := source.call(t, bothKinds[i%2]); err != nil {
				t.Errorf("%s, call %d: %v", name, i, err)
			}
		}
		if dropped.Load() == before {
			t.Errorf("%s: no connection was closed at the moment of a request", name)
		}
		source.http.CloseIdleConnections()
	}
}

// startConnections starts a server that calls serve for each connection, and then closes it.
func startConnections(t *testing.T, serve func(net.Conn)) (base string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	t.Cleanup(func() { listener.Close(); running.Wait() })
	running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() { defer conn.Close(); serve(conn) })
		}
	})
	return "http://" + listener.Addr().String()
}

// writeGoodAnswer writes a success.
func writeGoodAnswer(conn net.Conn) {
	now := time.Now()
	resp := http.Response{StatusCode: 201, ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{"Content-Type": {"application/json"}}}
	body := grantBody(jwt(now, now.Add(time.Minute)), now.Add(time.Minute), "refresh-of-the-answer", now.Add(time.Hour))
	resp.ContentLength, resp.Body = int64(len(body)), io.NopCloser(strings.NewReader(body))
	_ = resp.Write(conn)
}

// The Manager limits the number of calls, and nobody else.
func TestConnectionsAreNotLimited(t *testing.T) {
	for name, protocols := range protocols {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const calls = 300
				var arrived atomic.Int64
				release := make(chan struct{})
				network := startPipeNet(t, protocols, func(w http.ResponseWriter, r *http.Request) {
					arrived.Add(1)
					<-release
					goodAnswer()(w, r)
				})
				source := network.source(t, nil)
				callAll := func() {
					arrived.Store(0)
					var running sync.WaitGroup
					for range calls {
						running.Go(func() {
							if _, err := source.Create(t.Context(), testRoom); err != nil {
								t.Error(err)
							}
						})
					}
					synctest.Wait()
					if arrived.Load() != calls {
						t.Errorf("%d of %d calls reach the server at once", arrived.Load(), calls)
					}
					for range calls {
						release <- struct{}{}
					}
					running.Wait()
				}
				callAll()
				dials := network.dials()
				callAll()
				if again := network.dials() - dials; again > 0 {
					t.Errorf("%d of %d connections were not kept", again, dials)
				}
			})
		})
	}
}

func TestWrapTransport(t *testing.T) {
	clearEnv(t)
	clients := map[string]bool{} // by address
	base := startServer(t, func(w http.ResponseWriter, r *http.Request) {
		clients[r.RemoteAddr] = true
		goodAnswer()(w, r)
	})
	var inner *http.Transport
	var wraps, trips int
	config := Config{APIKey: testKey, BaseURL: base, WrapTransport: func(transport http.RoundTripper) http.RoundTripper {
		wraps++
		inner = transport.(*http.Transport)
		return hideCloser{roundTripper(func(r *http.Request) (*http.Response, error) {
			trips++
			return transport.RoundTrip(r)
		})}
	}}
	source := newSource(t, config)
	for _, kind := range bothKinds {
		if _, err := source.call(t, kind); err != nil {
			t.Fatal(err)
		}
	}
	source.CloseIdleConnections() // reaches the transport, although the wrapper hides it
	if _, err := source.call(t, roomtoken.CallCreate); err != nil {
		t.Fatal(err)
	}
	if wraps != 1 || trips != 3 {
		t.Errorf("wrapped %d times; %d of 3 requests went through the wrapper", wraps, trips)
	}
	if len(clients) != 2 {
		t.Errorf("%d connections were made; want 2", len(clients))
	}
	if inner.ResponseHeaderTimeout != headerTimeout || inner.HTTP2.SendPingTimeout != pingAfter || !source.owned {
		t.Errorf("the wrapped transport lacks limits: %+v", inner)
	}

	config.HTTPClient = &http.Client{}
	if _, err := NewSource(config); err == nil || !strings.Contains(err.Error(), "HTTPClient and Config.WrapTransport are both set") {
		t.Errorf("with HTTPClient: %v", err)
	}
	config.HTTPClient, config.WrapTransport = nil, func(http.RoundTripper) http.RoundTripper { return nil }
	if _, err := NewSource(config); err == nil || !strings.Contains(err.Error(), "WrapTransport returned nil") {
		t.Errorf("a wrapper that returns nil: %v", err)
	}
}

func TestNewTransportIsNew(t *testing.T) {
	if a, b := NewTransport(), NewTransport(); a == b || a.HTTP2 == b.HTTP2 || a.IdleConnTimeout != idleTimeout {
		t.Error("NewTransport does not return a new transport with the limits of the default client")
	}
}

func TestTransportWithoutAResult(t *testing.T) {
	source := newSource(t, Config{HTTPClient: &http.Client{Transport: roundTripper(func(*http.Request) (*http.Response, error) { return nil, nil })}})
	_, err := source.call(t, roomtoken.CallCreate)
	if err == nil || !strings.Contains(err.Error(), "the http.RoundTripper telnyx.roundTripper returned neither a response nor an error") {
		t.Errorf("got %v", err)
	}
}

func TestIdleConnectionsOfHTTPDefaultTransport(t *testing.T) {
	closer := &countCloser{RoundTripper: http.DefaultTransport}
	http.DefaultTransport = closer
	t.Cleanup(func() { http.DefaultTransport = closer.RoundTripper })
	source := newSource(t, Config{HTTPClient: &http.Client{}})
	source.fresh.closeIdle()
	source.CloseIdleConnections() // does nothing: the client is not the Source's
	if closer.closed != 1 {
		t.Errorf("idle connections were closed %d times; want 1", closer.closed)
	}
}

type countCloser struct {
	http.RoundTripper
	closed int
}

func (c *countCloser) CloseIdleConnections() { c.closed++ }

// Who reads the log at night can tell the API, a proxy and a wrong base URL apart.
func TestErrorsNameTheHost(t *testing.T) {
	const html, text, json = "<html><title>404 Not Found</title></html>", "404 page not found\n", `{"errors":[{"code":"10005"}]}`
	const question = "; this came from api.example:8443: does the base URL end in /v2?"
	for _, test := range []struct {
		base, body string
		status     int
		want       string // the end of the error; "": it does not name the host
	}{
		{"/v2", json, 404, ""},
		{"/v2", "", 404, ""},
		{"/v2", html, 404, ": an HTML page: 404 Not Found" + question},
		{"/v2", text, 404, ": 404 page not found" + question},
		{"/v2/", json, 404, ""},
		{"", json, 404, "404 Not Found: not found (code 10005)" + question},
		{"/", "", 404, "404 Not Found" + question},
		{"/v1", json, 404, question},
		{"/av2", json, 404, question},
		{"/telnyx/v2", json, 404, ""},
		{"", json, 403, ""},
		{"", html, 502, ""},
		{"/v2", "", 0, ": no answer from api.example:8443: out of order"},
	} {
		source := newSource(t, Config{BaseURL: "https://api.example:8443" + test.base, HTTPClient: &http.Client{Transport: roundTripper(func(*http.Request) (*http.Response, error) {
			if test.status == 0 {
				return nil, errors.New("out of order")
			}
			return &http.Response{StatusCode: test.status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(test.body))}, nil
		})}})
		for _, kind := range bothKinds {
			_, err := source.call(t, kind)
			switch text := err.Error(); {
			case test.want == "" && strings.Contains(text, "api.example"):
				t.Errorf("%q, %d %q: %s names the host", test.base, test.status, test.body, text)
			case !strings.HasSuffix(text, test.want):
				t.Errorf("%q, %d %q: got %s; want ...%s", test.base, test.status, test.body, text, test.want)
			}
		}
	}
}

// A short key is no secret, and host names and texts may contain it.
func TestShortKeysAreNotRedacted(t *testing.T) {
	source := newSource(t, Config{APIKey: "test", BaseURL: "https://api.test.example/v2", HTTPClient: &http.Client{Transport: roundTripper(func(*http.Request) (*http.Response, error) {
		return nil, errors.New("no such host: api.test.example")
	})}})
	if _, err := source.call(t, roomtoken.CallCreate); !strings.HasSuffix(err.Error(), "no answer from api.test.example: no such host: api.test.example") {
		t.Errorf("got %v", err)
	}
}
