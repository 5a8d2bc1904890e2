package telnyxtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
)

// memoryListener is a listener without a network. Its connections are the ends of a
// [net.Pipe], on which a goroutine of a testing/synctest bubble blocks durably.
type memoryListener struct {
	conns  chan net.Conn
	closed chan struct{}
	close  func() // closes closed, once
}

func newMemoryListener() *memoryListener {
	l := &memoryListener{conns: make(chan net.Conn), closed: make(chan struct{})}
	l.close = sync.OnceFunc(func() { close(l.closed) })
	return l
}

// dial is the DialContext of a transport whose requests all go to l.
func (l *memoryListener) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if address != l.Addr().String() {
		return nil, fmt.Errorf("telnyxtest: the client of a Server with InMemory cannot reach %s", address)
	}
	a, b := net.Pipe()
	reset := new(atomic.Bool)
	client, server := &memoryConn{a, reset}, &memoryConn{b, reset}
	var err error
	select {
	case l.conns <- server:
		return client, nil
	case <-l.closed:
		err = syscall.ECONNREFUSED
	case <-ctx.Done():
		err = ctx.Err()
	}
	return nil, &net.OpError{Op: "dial", Net: network, Addr: l.Addr(), Err: err}
}

// Accept implements [net.Listener].
func (l *memoryListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close implements [net.Listener]. It closes no connections.
func (l *memoryListener) Close() error {
	l.close()
	return nil
}

// Addr returns an address to which no socket can connect: its port is 0.
func (l *memoryListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

// memoryConn is one end of a connection. It can be reset like one of TCP.
type memoryConn struct {
	net.Conn
	reset *atomic.Bool // shared by both ends
}

// SetLinger(0) makes Close reset the connection, as that of a [net.TCPConn] does.
func (c *memoryConn) SetLinger(seconds int) error {
	c.reset.Store(seconds == 0)
	return nil
}

func (c *memoryConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	return n, c.explain("read", err)
}

func (c *memoryConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	return n, c.explain("write", err)
}

// explain returns the error that a socket has where a pipe has err.
func (c *memoryConn) explain(op string, err error) error {
	if c.reset.Load() && (errors.Is(err, io.EOF) || errors.Is(err, io.ErrClosedPipe)) {
		return &net.OpError{Op: op, Net: "pipe", Err: os.NewSyscallError(op, syscall.ECONNRESET)}
	}
	return err
}
