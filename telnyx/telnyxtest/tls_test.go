package telnyxtest

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/roomtoken/roomtoken/telnyx"
)

// The client of a server with TLS trusts it and speaks HTTP/2. Others do not trust it.
func TestStartTLS(t *testing.T) {
	srv := StartTLS(t, Config{APIKey: "another", Rooms: []string{roomA}})
	if !strings.HasPrefix(srv.URL, "https://127.0.0.1:") || !strings.HasSuffix(srv.URL, "/v2") || srv.APIKey != "another" {
		t.Errorf("URL %s, key %s", srv.URL, srv.APIKey)
	}
	resp, err := srv.Client().Post(srv.URL, "", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.Proto != "HTTP/2.0" {
		t.Errorf("protocol %s, want HTTP/2.0", resp.Proto)
	}

	source, err := telnyx.NewSource(telnyx.Config{BaseURL: srv.URL, APIKey: srv.APIKey, HTTPClient: srv.Client()})
	if err != nil {
		t.Fatal(err)
	}
	grant, err := source.Create(t.Context(), roomA)
	if err != nil {
		t.Fatal(err)
	}
	if err := srv.Verify(roomA, grant.Token.Value.Reveal()); err != nil {
		t.Error(err)
	}

	resp, err = http.Post(srv.URL, "", http.NoBody)
	var untrusted *tls.CertificateVerificationError
	if !errors.As(err, &untrusted) {
		t.Errorf("another client got %v, want a certificate error", err)
	}
	if err == nil {
		resp.Body.Close()
	}
}

// On HTTP/2, faults apply to one call, not to the others on its connection.
func TestFaultsOnHTTP2(t *testing.T) {
	srv := StartTLS(t, Config{})
	remove := srv.Inject(Fault{Room: roomB, Hang: true, Times: 1})
	hanging := background(t.Context(), srv, roomB, create, `{}`)
	waitHeld(t, srv, 1)

	srv.Inject(Fault{Reset: true, Times: 1})
	if got := post(t, srv, roomA, create, `{}`); got.err == nil || !strings.Contains(got.err.Error(), "INTERNAL_ERROR") {
		t.Errorf("got %+v, want a stream that was reset", got)
	}
	srv.Inject(Fault{Truncate: true, Times: 1})
	if got := post(t, srv, roomA, create, `{}`); got.status != 201 || got.err == nil || !strings.Contains(got.err.Error(), "unexpected EOF") {
		t.Errorf("got %+v, want half a body", got)
	}
	srv.Inject(Fault{Hang: true, Times: 1})
	ctx, cancel := context.WithCancel(t.Context())
	canceled := background(ctx, srv, roomA, create, `{}`)
	waitHeld(t, srv, 2)
	cancel()
	if got := <-canceled; !errors.Is(got.err, context.Canceled) {
		t.Errorf("got %+v", got)
	}
	waitRequests(t, srv, 3) // the server has noticed

	remove()
	(<-hanging).data(t)
}

// Over TLS without HTTP/2, the connection is reset as without TLS.
func TestResetOfHTTP1OverTLS(t *testing.T) {
	srv := StartTLS(t, Config{})
	transport := srv.Client().Transport.(*http.Transport).Clone()
	transport.ForceAttemptHTTP2 = false
	transport.TLSClientConfig.NextProtos = []string{"http/1.1"}
	transport.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
	srv.client = &http.Client{Transport: transport}
	defer srv.client.CloseIdleConnections()
	srv.Inject(Fault{Reset: true, Times: 1})
	if got := post(t, srv, roomA, create, `{}`); !errors.Is(got.err, syscall.ECONNRESET) {
		t.Errorf("got %+v, want a reset connection", got)
	}
	post(t, srv, roomA, create, `{}`).data(t)
}

func TestCloseTLS(t *testing.T) {
	srv := StartTLS(t, Config{})
	srv.Inject(Fault{Hang: true})
	done := background(t.Context(), srv, roomA, create, `{}`)
	waitHeld(t, srv, 1)
	srv.Close()
	if got := <-done; got.err == nil {
		t.Errorf("got %+v, want a connection error", got)
	}
	wantNoGoroutine(t)
}
