package fleet_test

import (
	"bytes"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// proxy stands between workers and a Redis server.
type proxy struct {
	t      *testing.T
	addr   string
	target string

	mu       sync.Mutex
	listener net.Listener // nil while it refuses
	open     map[net.Conn]struct{}
	delay    time.Duration // of each answer
	mute     bool          // what is published is lost; the connections stay
}

// startProxy starts a proxy in front of a server.
func startProxy(t *testing.T, target string) *proxy {
	t.Helper()
	p := &proxy{t: t, target: target, addr: "127.0.0.1:0", open: map[net.Conn]struct{}{}}
	p.accept()
	t.Cleanup(p.refuse)
	return p
}

// accept begins to accept connections, also after refuse.
func (p *proxy) accept() {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	var err error
	if p.listener, err = net.Listen("tcp", p.addr); err != nil {
		p.t.Fatal(err)
	}
	p.addr = p.listener.Addr().String()
	go p.serve(p.listener)
}

// refuse resets all connections, and refuses new ones.
func (p *proxy) refuse() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listener != nil {
		_ = p.listener.Close()
		p.listener = nil
	}
	for c := range p.open {
		_ = c.Close()
	}
	clear(p.open)
}

// slow delays all answers.
func (p *proxy) slow(delay time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = delay
}

// silence loses what is published.
func (p *proxy) silence() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mute = true
}

func (p *proxy) serve(listener net.Listener) {
	for {
		client, err := listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.target)
		if err != nil {
			_ = client.Close()
			continue
		}
		p.mu.Lock()
		if p.listener == nil {
			_, _ = client.Close(), server.Close()
		}
		p.open[client], p.open[server] = struct{}{}, struct{}{}
		p.mu.Unlock()
		go p.copy(server, client, false)
		go p.copy(client, server, true)
	}
}

// copy forwards one direction of a connection.
func (p *proxy) copy(to io.WriteCloser, from io.ReadCloser, answers bool) {
	defer to.Close()
	defer from.Close()
	piece := make([]byte, 64<<10)
	for {
		n, err := from.Read(piece)
		if err != nil {
			return
		}
		p.mu.Lock()
		delay, mute := p.delay, p.mute
		p.mu.Unlock()
		if answers {
			time.Sleep(delay)
			if mute && bytes.Contains(piece[:n], []byte("$7\r\nmessage\r\n")) {
				continue
			}
		}
		if _, err := to.Write(piece[:n]); err != nil {
			return
		}
	}
}
