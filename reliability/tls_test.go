package reliability_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken/telnyx"
	"github.com/roomtoken/roomtoken/telnyx/telnyxtest"
)

// certificateFile holds the certificate that the process takes for that of an
// authority; "": that cannot be arranged here. It is set before anything asks for
// the system's pool, so that the source's own HTTP client knows the servers of
// package httptest.
var certificateFile = installCertificate()

func installCertificate() string {
	if runtime.GOOS != "linux" {
		return "" // where crypto/x509 asks the system and not the environment
	}
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	file, err := os.CreateTemp("", "roomtoken-*.pem")
	if err != nil {
		panic(err)
	}
	defer file.Close()
	if err := pem.Encode(file, &pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}); err != nil {
		panic(err)
	}
	os.Setenv("SSL_CERT_FILE", file.Name())
	if _, err := server.Certificate().Verify(x509.VerifyOptions{DNSName: "127.0.0.1"}); err != nil { // reads the pool
		panic(err)
	}
	os.Remove(file.Name())
	return file.Name()
}

// tlsFront speaks TLS and HTTP/2 before a server, and has an impostor with a
// certificate that nobody vouches for.
type tlsFront struct {
	good, bad *httptest.Server
	http2     atomic.Int64 // requests that came over HTTP/2
	betrayed  atomic.Int64 // requests that the impostor was trusted with
}

func newTLSFront(t *testing.T, target string) *tlsFront {
	t.Helper()
	f := &tlsFront{}
	quiet := log.New(io.Discard, "", 0)
	back := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: target})
	back.ErrorLog = quiet
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	back.Transport = transport
	f.good = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor == 2 {
			f.http2.Add(1)
		}
		back.ServeHTTP(w, r)
	}))
	f.bad = httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { f.betrayed.Add(1) }))
	f.bad.TLS = &tls.Config{Certificates: []tls.Certificate{selfSigned(t)}, MinVersion: tls.VersionTLS12}
	for _, server := range []*httptest.Server{f.good, f.bad} {
		server.EnableHTTP2 = true
		server.Config.ErrorLog = quiet
		server.StartTLS()
		t.Cleanup(func() {
			server.CloseClientConnections()
			server.Close()
			transport.CloseIdleConnections()
		})
	}
	return f
}

func (f *tlsFront) addr() string     { return f.good.Listener.Addr().String() }
func (f *tlsFront) impostor() string { return f.bad.Listener.Addr().String() }

func selfSigned(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		BasicConstraintsValid: true, IsCA: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// TestDeadHTTP2Connection: one connection carries all calls, and when a middlebox
// has forgotten it, all of them hang. A call with the Manager's default time of
// 10 s must live to see that found out, and the next one get a new connection.
func TestDeadHTTP2Connection(t *testing.T) {
	t.Parallel()
	if certificateFile == "" {
		t.Skip("certificates cannot be put into the system's pool here")
	}
	server := telnyxtest.Start(t, telnyxtest.Config{})
	proxy := startProxy(t, newTLSFront(t, hostOf(t, server.URL)).addr())
	source, err := telnyx.NewSource(telnyx.Config{APIKey: server.APIKey, BaseURL: "https://" + proxy.addr + "/v2"})
	if err != nil {
		t.Fatal(err)
	}
	defer source.CloseIdleConnections()
	create := func() (time.Duration, error) {
		// More than 10 s, for the sake of a busy machine.
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
		defer cancel()
		begun := time.Now()
		_, err := source.Create(ctx, newRoomID())
		return time.Since(begun), err
	}
	if _, err := create(); err != nil {
		t.Fatal(err)
	}
	proxy.set(fault{stale: true})
	took, err := create()
	if err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("on a dead connection a call ends after %v with %v; want it to end because the connection is dead", took, err)
	}
	t.Logf("found out after %.2f s: %v", took.Seconds(), err)
	if _, err := create(); err != nil {
		t.Errorf("the next call does not get a new connection: %v", err)
	}
}

// checkEncrypted looks at a wire on which nothing can be read.
func (s *stage) checkEncrypted() {
	s.Helper()
	n := 0
	for _, c := range s.proxy.connections() {
		for _, tape := range [][]byte{c.sent(up), c.sent(down)} {
			n += len(tape)
			for _, text := range []string{s.servers[0].APIKey, "Authorization", "/actions/"} {
				if bytes.Contains(tape, []byte(text)) {
					s.Fatalf("%q can be read on an encrypted wire", text)
				}
			}
			if jwt.Match(tape) {
				s.Fatal("a token can be read on an encrypted wire")
			}
		}
	}
	if n := s.front.betrayed.Load(); n > 0 {
		s.Errorf("%d requests went to a server with a certificate that nobody vouches for", n)
	}
	if s.front.http2.Load() == 0 {
		s.Error("no request came over HTTP/2")
	}
	s.Logf("%s, on the wire: %d connections, %d bytes", s.name, len(s.proxy.connections()), n)
}
