package telnyx

import (
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// pipeNet is a network in memory, for tests on the time of a synctest bubble: a server,
// and connections to it that can die silently.
type pipeNet struct {
	server http.Server
	accept chan net.Conn
	closed chan struct{}

	slowDial atomic.Int64 // how long dialing takes, in nanoseconds

	mu    sync.Mutex
	conns []*pipeConn // all that were dialed
}

// startPipeNet starts a server that speaks the protocols.
func startPipeNet(t *testing.T, protocols *http.Protocols, handler http.HandlerFunc) *pipeNet {
	n := &pipeNet{accept: make(chan net.Conn), closed: make(chan struct{})}
	n.server.Handler = handler
	n.server.Protocols = protocols
	served := make(chan struct{})
	go func() { defer close(served); _ = n.server.Serve(n) }()
	t.Cleanup(func() { n.server.Close(); <-served })
	return n
}

// transport returns a transport whose connections are to the server.
func (n *pipeNet) transport() *http.Transport {
	return &http.Transport{DialContext: n.dial, Protocols: n.server.Protocols, MaxIdleConnsPerHost: 100}
}

// source returns a Source whose default client has the transport of the network, and the
// client that wrap returns for it if wrap is not nil.
func (n *pipeNet) source(t *testing.T, wrap func(*http.Transport) *http.Client) *Source {
	config := Config{BaseURL: "http://127.0.0.1/v2"}
	if wrap != nil {
		transport := n.transport()
		config.HTTPClient = wrap(transport)
		t.Cleanup(transport.CloseIdleConnections)
		return newSource(t, config)
	}
	s := newSource(t, config)
	ownTransport(t, s).DialContext = n.dial
	ownTransport(t, s).Protocols = n.server.Protocols
	return s
}

func (n *pipeNet) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	time.Sleep(time.Duration(n.slowDial.Load()))
	client, server := net.Pipe()
	select {
	case n.accept <- server:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	conn := &pipeConn{Conn: client, closed: make(chan struct{})}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.conns = append(n.conns, conn)
	return conn, nil
}

// dials returns the number of connections so far.
func (n *pipeNet) dials() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.conns)
}

// kill makes all connections so far dead.
func (n *pipeNet) kill() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, conn := range n.conns {
		conn.dead.Store(true)
	}
}

// Accept, Close and Addr implement net.Listener.
func (n *pipeNet) Accept() (net.Conn, error) {
	select {
	case conn := <-n.accept:
		return conn, nil
	case <-n.closed:
		return nil, net.ErrClosed
	}
}

func (n *pipeNet) Close() error { close(n.closed); return nil }
func (n *pipeNet) Addr() net.Addr {
	return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80}
}

// pipeConn is the client's end of a connection. Once dead, it takes everything that is
// written, and nothing arrives.
type pipeConn struct {
	net.Conn
	dead   atomic.Bool
	once   sync.Once
	closed chan struct{}
}

func (c *pipeConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.dead.Load() {
		<-c.closed
		return 0, net.ErrClosed
	}
	return n, err
}

func (c *pipeConn) Write(p []byte) (int, error) {
	if c.dead.Load() {
		return len(p), nil
	}
	return c.Conn.Write(p)
}

func (c *pipeConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}
