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

// certificateFile is the file with the certificate that this process trusts as a root, or
// "" on systems on which that cannot be arranged. It is installed before crypto/x509 loads
// the system roots, so that the source's default HTTP client trusts httptest servers.
var certificateFile = installCertificate()

func installCertificate() string {
	if runtime.GOOS != "linux" {
		return "" // crypto/x509 may ignore SSL_CERT_FILE
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
	if _, err := server.Certificate().Verify(x509.VerifyOptions{DNSName: "127.0.0.1"}); err != nil { // loads the system roots
		panic(err)
	}
	os.Remove(file.Name())
	return file.Name()
}

// tlsFront is a TLS and HTTP/2 front end of a server, and an impostor of it with an
// untrusted certificate.
type tlsFront struct {
	good, bad *httptest.Server
	http2     atomic.Int64 // requests to good over HTTP/2
	leaked    atomic.Int64 // requests to bad
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
	f.bad = httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { f.leaked.Add(1) }))
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

// TestDeadHTTP2Connection drops all data of the one connection that carries all calls, as
// a middlebox does that has lost its state. The client must detect that within the
// Manager's default CallTimeout of 10 s, and use a new connection for the next call.
func TestDeadHTTP2Connection(t *testing.T) {
	t.Parallel()
	if certificateFile == "" {
		t.Skip("cannot install a root certificate on this system")
	}
	server := telnyxtest.Start(t, telnyxtest.Config{})
	proxy := startProxy(t, newTLSFront(t, hostOf(t, server.URL)).addr())
	source, err := telnyx.NewSource(telnyx.Config{APIKey: server.APIKey, BaseURL: "https://" + proxy.addr + "/v2"})
	if err != nil {
		t.Fatal(err)
	}
	defer source.CloseIdleConnections()
	create := func() (time.Duration, error) {
		// More than 10 s, to tolerate a busy machine.
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
		t.Errorf("a call on a dead connection returned %v after %v, want a connection error", err, took)
	}
	t.Logf("detected after %.2f s: %v", took.Seconds(), err)
	if _, err := create(); err != nil {
		t.Errorf("the next call failed: %v", err)
	}
}

// checkEncrypted checks that the recorded traffic is encrypted.
func (s *stage) checkEncrypted() {
	s.Helper()
	n := 0
	for _, c := range s.proxy.connections() {
		for _, sent := range [][]byte{c.recorded(up), c.recorded(down)} {
			n += len(sent)
			for _, text := range []string{s.servers[0].APIKey, "Authorization", "/actions/"} {
				if bytes.Contains(sent, []byte(text)) {
					s.Fatalf("the encrypted traffic contains %q", text)
				}
			}
			if jwt.Match(sent) {
				s.Fatal("the encrypted traffic contains a token")
			}
		}
	}
	if n := s.front.leaked.Load(); n > 0 {
		s.Errorf("%d requests to a server with an untrusted certificate", n)
	}
	if s.front.http2.Load() == 0 {
		s.Error("no requests over HTTP/2")
	}
	s.Logf("%s: %d connections, %d bytes", s.name, len(s.proxy.connections()), n)
}
