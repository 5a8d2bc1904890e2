package reliability_test

import (
	"bytes"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"
)

// direction is one of the two of a connection.
type direction uint8

const (
	up   direction = 1 << iota // to the server
	down                       // to the client
)

// fault is what a proxy does to connections. The zero fault is none.
type fault struct {
	latency   time.Duration // every piece of data is so much later
	rate      int           // bytes per second, each way of each connection
	bodyRate  int           // bytes per second of an answer's body, after a quick header
	reset     bool          // connections are reset, old and new
	cutAfter  int           // bytes of an answer that pass before the reset
	halfClose bool          // the client gets FIN in place of an answer
	hole      direction     // what is sent this way is swallowed
	stale     bool          // connections that are open when the fault begins swallow everything, for good
	maxConns  int           // all other connections are reset
}

// proxy is a TCP proxy on a loopback port that breaks connections, and keeps all
// that passed.
type proxy struct {
	addr     string
	listener net.Listener
	running  sync.WaitGroup

	mu     sync.Mutex
	target string
	fault  fault
	closed bool
	open   map[*conn]struct{}
	all    []*conn
}

// startProxy starts a proxy in front of a server, until the test ends.
func startProxy(t *testing.T, target string) *proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{addr: listener.Addr().String(), listener: listener, target: target, open: map[*conn]struct{}{}}
	p.running.Go(p.accept)
	t.Cleanup(p.close)
	return p
}

// close cuts all connections and waits until they are gone.
func (p *proxy) close() {
	p.mu.Lock()
	p.closed = true
	p.resetAll()
	p.mu.Unlock()
	p.listener.Close()
	p.running.Wait()
}

// set puts a fault in place of the one before. Connections that have swallowed
// something are reset when that ends, as nobody will send it again; stale ones
// are not.
func (p *proxy) set(f fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = f
	kept := 0
	for c := range p.open {
		switch {
		case f.stale:
			c.stale = true
		case f.reset, c.lost && !c.stale, f.maxConns > 0 && kept == f.maxConns:
			go c.reset()
		default:
			kept++
		}
	}
}

// retarget resets all connections; new ones lead to another server.
func (p *proxy) retarget(target string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = target
	p.resetAll()
}

// resetAll resets all connections. Caller must hold mu.
func (p *proxy) resetAll() {
	for c := range p.open {
		go c.reset()
	}
}

// connections returns all there were.
func (p *proxy) connections() []*conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.all)
}

func (p *proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return // closed
		}
		p.running.Go(func() { p.serve(client.(*net.TCPConn)) })
	}
}

// serve lives as long as a connection.
func (p *proxy) serve(client *net.TCPConn) {
	p.mu.Lock()
	target, f, n := p.target, p.fault, len(p.open)
	p.mu.Unlock()
	var server net.Conn
	var err error
	refused := f.reset || f.maxConns > 0 && n >= f.maxConns
	if !refused {
		server, err = net.DialTimeout("tcp", target, 10*time.Second)
	}
	if refused || err != nil {
		client.SetLinger(0)
		client.Close()
		return
	}
	c := &conn{proxy: p, client: client, server: server.(*net.TCPConn), done: make(chan struct{})}
	p.mu.Lock()
	p.open[c] = struct{}{}
	p.all = append(p.all, c)
	late := p.closed || p.fault.reset || p.target != target
	p.mu.Unlock()
	if late {
		c.reset()
	}
	var pumps sync.WaitGroup
	pumps.Go(func() { c.pump(up) })
	pumps.Go(func() { c.pump(down) })
	pumps.Wait()
	c.reset()
	p.mu.Lock()
	delete(p.open, c)
	p.mu.Unlock()
}

// conn is a connection through the proxy.
type conn struct {
	proxy          *proxy
	client, server *net.TCPConn
	once           sync.Once
	done           chan struct{} // closed: it is over

	lost  bool // it has swallowed something; guarded by proxy.mu
	stale bool // it swallows everything; guarded by proxy.mu

	mu   sync.Mutex
	tape [down + 1]bytes.Buffer // what was sent each way
}

// sent returns what was sent one way.
func (c *conn) sent(d direction) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return bytes.Clone(c.tape[d].Bytes())
}

// reset cuts the connection on both sides, with RST.
func (c *conn) reset() {
	c.once.Do(func() {
		close(c.done)
		c.client.SetLinger(0)
		c.server.SetLinger(0)
		c.client.Close()
		c.server.Close()
	})
}

// pump carries one direction. Who reads does not wait for who writes, so that
// the end of a client is seen at once; nothing of it is delivered any more then.
func (c *conn) pump(d direction) {
	from, to := c.client, c.server
	if d == down {
		from, to = c.server, c.client
	}
	pieces := make(chan []byte, 64)
	var reader sync.WaitGroup
	reader.Go(func() {
		defer close(pieces)
		for {
			piece := make([]byte, 8192)
			n, err := from.Read(piece)
			if n > 0 {
				c.mu.Lock()
				c.tape[d].Write(piece[:n])
				c.mu.Unlock()
				select {
				case pieces <- piece[:n]:
				case <-c.done:
					return
				}
			}
			if err != nil {
				if d == up {
					c.reset()
				}
				return
			}
		}
	})
	defer reader.Wait()
	for piece := range pieces {
		c.deliver(d, to, piece)
	}
	// The server has ended it: the client gets FIN, after the data.
	if d == down && !c.swallows(down) {
		c.client.Close()
	}
}

// fault returns what happens to the connection at this moment.
func (c *conn) fault() fault {
	c.proxy.mu.Lock()
	defer c.proxy.mu.Unlock()
	return c.proxy.fault
}

// swallows reports whether what is sent goes nowhere, and remembers it.
func (c *conn) swallows(d direction) bool {
	c.proxy.mu.Lock()
	defer c.proxy.mu.Unlock()
	if c.stale || c.proxy.fault.hole&d != 0 {
		c.lost = true
	}
	return c.lost
}

// pause waits, unless the connection ends.
func (c *conn) pause(d time.Duration) {
	select {
	case <-time.After(d):
	case <-c.done:
	}
}

// deliver sends a piece on its way, or not.
func (c *conn) deliver(d direction, to io.Writer, piece []byte) {
	f := c.fault()
	if f.latency > 0 {
		c.pause(f.latency)
	}
	if c.swallows(d) {
		return
	}
	switch f = c.fault(); {
	case d == down && f.halfClose:
		c.client.CloseWrite()
		return
	case d == down && f.cutAfter > 0:
		to.Write(piece[:min(f.cutAfter, len(piece))])
		c.pause(10 * time.Millisecond) // so that it arrives: RST overtakes data
		c.reset()
		return
	}
	header := 0
	if d == down && bytes.HasPrefix(piece, []byte("HTTP/")) {
		header = bytes.Index(piece, []byte("\r\n\r\n")) + 4
	}
	const tick = 50 * time.Millisecond
	for len(piece) > 0 {
		f := c.fault()
		rate, n := f.rate, len(piece)
		switch {
		case d == up || f.bodyRate == 0:
		case header > 0:
			rate, n = 0, header
		default:
			rate = f.bodyRate
		}
		if rate > 0 {
			n = min(n, max(1, int(int64(rate)*int64(tick)/int64(time.Second))))
		}
		if _, err := to.Write(piece[:n]); err != nil {
			return
		}
		piece, header = piece[n:], max(header-n, 0)
		if rate > 0 && len(piece) > 0 {
			c.pause(tick)
		}
	}
}
