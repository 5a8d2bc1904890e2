package main

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
)

// gate passes connections on to an address. While it is shut it resets them, those that
// it has passed on included.
type gate struct {
	listener *net.TCPListener
	to       *net.TCPAddr
	passed   atomic.Int64 // connections

	mu    sync.Mutex
	shut  bool
	conns map[*net.TCPConn]struct{}
}

// newGate returns an open gate on a free port of the loopback interface.
func newGate(to *net.TCPAddr) (*gate, error) {
	listener, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	return &gate{listener: listener, to: to, conns: make(map[*net.TCPConn]struct{})}, nil
}

// run accepts connections until the gate is closed.
func (g *gate) run() {
	for {
		client, err := g.listener.AcceptTCP()
		if err != nil {
			return
		}
		go g.pass(client)
	}
}

// pass passes a connection on until both sides have ended it.
func (g *gate) pass(client *net.TCPConn) {
	if !g.admit(client) {
		return
	}
	defer g.end(client)
	server, err := net.DialTCP("tcp", nil, g.to)
	if err != nil || !g.admit(server) {
		reset(client)
		return
	}
	defer g.end(server)
	g.passed.Add(1)
	var directions sync.WaitGroup
	directions.Go(func() { forward(server, client) })
	directions.Go(func() { forward(client, server) })
	directions.Wait()
}

// admit keeps a connection, or resets it and returns false if the gate is shut.
func (g *gate) admit(c *net.TCPConn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut {
		reset(c)
		return false
	}
	g.conns[c] = struct{}{}
	return true
}

// end closes a connection that was admitted.
func (g *gate) end(c *net.TCPConn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.conns, c)
	_ = c.Close()
}

// forward copies until from has ended.
func forward(to, from *net.TCPConn) {
	_, _ = io.Copy(to, from)
	_ = to.CloseWrite()
}

// set opens or shuts the gate.
func (g *gate) set(shut bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = shut
	if shut {
		for c := range g.conns {
			reset(c)
		}
	}
}

// close shuts the gate for good.
func (g *gate) close() {
	_ = g.listener.Close()
	g.set(true)
}

// reset ends a connection with an RST.
func reset(c *net.TCPConn) {
	_ = c.SetLinger(0)
	_ = c.Close()
}
