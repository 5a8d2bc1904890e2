package telnyx

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
)

// ownTransport returns the transport of the default client.
func ownTransport(t testing.TB, s *Source) *http.Transport {
	t.Helper()
	return s.http.Transport.(guard).transport.(*http.Transport)
}

func TestDefaultClientHasLimits(t *testing.T) {
	transport := ownTransport(t, newSource(t, Config{}))
	if transport.TLSHandshakeTimeout <= 0 || transport.ResponseHeaderTimeout <= 0 || transport.IdleConnTimeout <= 0 ||
		!transport.ForceAttemptHTTP2 || !transport.DisableCompression || transport.HTTP2.SendPingTimeout <= 0 {
		t.Errorf("a limit is missing: %+v", transport)
	}
}

func TestRedirectsAreRefused(t *testing.T) {
	var elsewhere atomic.Int64
	other := startServer(t, func(w http.ResponseWriter, r *http.Request) {
		elsewhere.Add(1)
		goodAnswer()(w, r)
	})
	for _, status := range []int{301, 302, 303, 307, 308} {
		base, requests := record(t, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other+"/v2", status)
		})
		given := &http.Client{}
		for _, client := range []*http.Client{nil, given} {
			source := newSource(t, Config{BaseURL: base, HTTPClient: client})
			for _, kind := range bothKinds {
				_, err := source.call(t, kind)
				var apiError *APIError
				if !errors.As(err, &apiError) || apiError.StatusCode != status {
					t.Errorf("%s, %d: got %v", kind, status, err)
				}
			}
		}
		if len(requests()) != 4 {
			t.Errorf("%d: %d requests; want 4", status, len(requests()))
		}
		if given.CheckRedirect != nil {
			t.Error("the given client was changed")
		}
	}
	if elsewhere.Load() != 0 {
		t.Errorf("%d redirects were followed", elsewhere.Load())
	}
}

func TestGivenClientIsCopied(t *testing.T) {
	base, requests := record(t, goodAnswer())
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	where, _ := url.Parse(base)
	jar.SetCookies(where, []*http.Cookie{{Name: "session", Value: "hunter2"}})
	var used atomic.Int64
	client := &http.Client{Jar: jar, Timeout: time.Minute, Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		used.Add(1)
		return http.DefaultTransport.RoundTrip(r)
	})}
	source := newSource(t, Config{BaseURL: base, HTTPClient: client})
	for _, kind := range bothKinds {
		if _, err := source.call(t, kind); err != nil {
			t.Fatal(err)
		}
	}
	source.CloseIdleConnections() // does nothing
	if used.Load() != 2 {
		t.Errorf("the given transport was used %d times; want 2", used.Load())
	}
	for _, request := range requests() {
		if request.header.Get("Cookie") != "" {
			t.Error("a cookie was sent")
		}
	}
	if client.Jar != jar || client.CheckRedirect != nil || client.Timeout != time.Minute {
		t.Error("the given client was changed")
	}
	if source.http.Timeout != time.Minute {
		t.Error("the timeout of the given client was lost")
	}
}

func TestConnectionsAreReused(t *testing.T) {
	var connections atomic.Int64
	var turn atomic.Int64
	answers := []http.HandlerFunc{
		goodAnswer(),
		answerWith(403, `{"errors":[{"code":"1"}]}`),
		answerWith(500, strings.Repeat("x", maxBody-1)), // chunked
		answerWith(201, `no JSON`),
		answerWith(302, strings.Repeat("x", 5000), "Location: /x"),
		answerWith(204, ``),
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answers[int(turn.Add(1))%len(answers)](w, r)
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	source := newSource(t, Config{BaseURL: server.URL})
	for range 3 * len(answers) {
		_, _ = source.call(t, roomtoken.CallCreate)
	}
	if connections.Load() != 1 {
		t.Errorf("%d connections were made; want 1", connections.Load())
	}
}

func TestCloseIdleConnections(t *testing.T) {
	var connections atomic.Int64
	server := httptest.NewUnstartedServer(goodAnswer())
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	source := newSource(t, Config{BaseURL: server.URL})
	for range 2 {
		if _, err := source.call(t, roomtoken.CallCreate); err != nil {
			t.Fatal(err)
		}
		source.CloseIdleConnections()
	}
	if connections.Load() != 2 {
		t.Errorf("%d connections were made; want 2", connections.Load())
	}
}

func TestNetworkFailuresAreTransient(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := "http://" + listener.Addr().String()
	listener.Close()
	reset := startServer(t, func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			conn.Close()
		}
	})
	leaky := roundTripper(func(r *http.Request) (*http.Response, error) {
		body, _ := io.ReadAll(r.Body)
		return nil, fmt.Errorf("could not send %v\n%s", r.Header, body)
	})
	for name, config := range map[string]Config{
		"refused":         {BaseURL: closed},
		"reset":           {BaseURL: reset},
		"leaky transport": {BaseURL: closed, HTTPClient: &http.Client{Transport: leaky}},
	} {
		for _, kind := range bothKinds {
			_, err := newSource(t, config).call(t, kind)
			if err == nil {
				t.Fatalf("%s, %s: no error", name, kind)
			}
			for _, sentinel := range []error{roomtoken.ErrPermanent, roomtoken.ErrRefreshRejected, roomtoken.ErrRateLimited, roomtoken.ErrInvalidGrant} {
				if errors.Is(err, sentinel) {
					t.Errorf("%s, %s: %v is %v", name, kind, err, sentinel)
				}
			}
			if want := "telnyx: " + kind.String() + " for room 0ccc7b54…: no answer from 127.0.0.1:"; !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %q; want %q...", err, want)
			}
			mustNotLeak(t, err.Error())
			if wrapped := (*url.Error)(nil); !errors.As(err, &wrapped) {
				t.Errorf("%s, %s: %v does not wrap a *url.Error", name, kind, err)
			}
		}
	}
}

func TestCanceledContextsEndCalls(t *testing.T) {
	release := make(chan struct{})
	reached := make(chan struct{}, 4)
	base := startServer(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "refresh_client_token") { // hangs in the body
			w.WriteHeader(201)
			io.WriteString(w, `{"data":`)
			w.(http.Flusher).Flush()
		}
		reached <- struct{}{}
		<-release
	})
	t.Cleanup(func() { close(release) }) // before the server closes
	source := newSource(t, Config{BaseURL: base})
	for _, kind := range bothKinds {
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-reached; cancel() }()
		var err error
		if kind == roomtoken.CallCreate {
			_, err = source.Create(ctx, testRoom)
		} else {
			_, err = source.Refresh(ctx, testRoom, testRefreshToken)
		}
		if !errors.Is(err, context.Canceled) || errors.Is(err, roomtoken.ErrInvalidGrant) {
			t.Errorf("%s: got %v; want context.Canceled", kind, err)
		}
	}
}

func TestDefaultClientSetsADeadline(t *testing.T) {
	deadline := make(chan bool, 1)
	transport := roundTripper(func(r *http.Request) (*http.Response, error) {
		_, ok := r.Context().Deadline()
		deadline <- ok
		return nil, errors.New("no")
	})
	own := newSource(t, Config{})
	own.http.Transport = transport
	if _, _ = own.Create(context.Background(), testRoom); !<-deadline {
		t.Error("a call with the default client has no deadline")
	}
	given := newSource(t, Config{HTTPClient: &http.Client{Transport: transport}})
	if _, _ = given.Create(context.Background(), testRoom); <-deadline {
		t.Error("a call with Config.HTTPClient got a deadline")
	}
}

func TestNilContextIsAnError(t *testing.T) {
	for name, config := range map[string]Config{
		"own client":   {},
		"given client": {HTTPClient: &http.Client{Transport: roundTripper(nil)}},
		"APIKeyFunc":   {APIKeyFunc: func(context.Context) (string, error) { return testKey, nil }},
	} {
		source := newSource(t, config)
		if _, err := source.Create(nil, testRoom); err == nil || !strings.Contains(err.Error(), "nil Context") { //nolint:staticcheck // on purpose
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestConcurrentCalls(t *testing.T) {
	base := startServer(t, goodAnswer())
	source := newSource(t, Config{BaseURL: base})
	var calls sync.WaitGroup
	for i := range 64 {
		calls.Go(func() {
			kind := roomtoken.CallCreate
			if i%2 == 1 {
				kind = roomtoken.CallRefresh
			}
			for range 5 {
				if _, err := source.call(t, kind); err != nil {
					t.Error(err)
				}
				_ = fmt.Sprint(source)
			}
		})
	}
	calls.Wait()
}

func TestDefaultClientUsesHTTP2(t *testing.T) {
	protocol := make(chan string, 1)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		protocol <- r.Proto
		goodAnswer()(w, r)
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	source := newSource(t, Config{BaseURL: server.URL})
	ownTransport(t, source).TLSClientConfig = &tls.Config{RootCAs: server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}
	if _, err := source.call(t, roomtoken.CallCreate); err != nil {
		t.Fatal(err)
	}
	if got := <-protocol; got != "HTTP/2.0" {
		t.Errorf("got %s", got)
	}
}
