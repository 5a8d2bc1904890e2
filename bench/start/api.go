package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/roomtoken/roomtoken/bench/internal/child"
	"github.com/roomtoken/roomtoken/telnyx/telnyxtest"
)

// settings are those of the API.
type settings struct {
	Latency time.Duration // of each call
	Limit   int           // calls per second beyond which it answers 429; 0: none
}

// order tells the API to be up or down from now on.
type order struct{ Down bool }

// traffic is what the API has seen since its start.
type traffic struct {
	Connections int64
	Creates     int
	Refreshes   int
	RateLimited int // those of them that it answered with 429
}

func (t traffic) since(before traffic) traffic {
	return traffic{
		Connections: t.Connections - before.Connections,
		Creates:     t.Creates - before.Creates,
		Refreshes:   t.Refreshes - before.Refreshes,
		RateLimited: t.RateLimited - before.RateLimited,
	}
}

// serveAPI serves Telnyx's API until in ends. While the API is down, it resets all
// connections.
func serveAPI(ctx context.Context, s settings, in io.Reader, out io.Writer) error {
	server := telnyxtest.StartTLS(closedBelow{}, telnyxtest.Config{})
	defer server.Close()
	server.Inject(telnyxtest.Fault{Latency: s.Latency})
	server.SetRateLimit(s.Limit, time.Second)
	behind, err := url.Parse(server.URL)
	if err != nil {
		return err
	}
	address, err := net.ResolveTCPAddr("tcp", behind.Host)
	if err != nil {
		return err
	}
	certificate, err := certificateOf(ctx, server.Client(), behind.Host)
	if err != nil {
		return err
	}
	g, err := newGate(address)
	if err != nil {
		return err
	}
	defer g.close()
	go g.run()
	front := "https://" + g.listener.Addr().String() + behind.Path
	return child.ServeAPI(in, out, front, certificate, func(o order) (traffic, error) {
		g.set(o.Down)
		calls := server.Calls()
		return traffic{g.passed.Load(), calls.Creates, calls.Refreshes, calls.Statuses[http.StatusTooManyRequests]}, nil
	})
}

// closedBelow is the t of a server that is closed without a test.
type closedBelow struct{}

func (closedBelow) Cleanup(func()) {}

// certificateOf returns the certificate of a server that a client trusts.
func certificateOf(ctx context.Context, client *http.Client, address string) (*x509.Certificate, error) {
	dialer := tls.Dialer{Config: client.Transport.(*http.Transport).TLSClientConfig}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	return conn.(*tls.Conn).ConnectionState().PeerCertificates[0], nil
}
