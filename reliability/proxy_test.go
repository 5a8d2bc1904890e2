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

// direction is a set of the two directions of a connection.
type direction uint8

const (
	up   direction = 1 << iota // to the server
	down                       // to the client
)

// fault is what a proxy does to connections. The zero fault is none.
type fault struct {
	latency   time.Duration // delays all data
	rate      int           // limits each direction of each connection, in bytes per second
	bodyRate  int           // limits response bodies but not headers, in bytes per second
	reset     bool          // resets all connections, old and new
	cutAfter  int           // resets a connection after that many bytes of a response
	halfClose bool          // sends FIN to the client instead of a response
	hole      direction     // drops all data in these directions
	stale     bool          // drops all data of connections that are open when the fault begins, for good
	maxConns  int           // resets all connections beyond this number
}

// proxy is a TCP proxy on a loopback port that breaks connections and records all data.
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

// startProxy starts a proxy in front of a server. The end of the test closes it.
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

// close resets all connections and waits for the proxy's goroutines.
func (p *proxy) close() {
	p.mu.Lock()
	p.closed = true
	p.resetAll()
	p.mu.Unlock()
	p.listener.Close()
	p.running.Wait()
}

// set replaces the fault. It resets connections that have dropped data, since that data
// will not be sent again, but not stale ones.
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

// retarget resets all connections and directs new ones to another server.
func (p *proxy) retarget(target string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = target
	p.resetAll()
}

// resetAll resets all connections. The caller must hold mu.
func (p *proxy) resetAll() {
	for c := range p.open {
		go c.reset()
	}
}

// connections returns all connections so far.
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

// serve connects a client to the target and returns when the connection ends.
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
	done           chan struct{} // closed by reset

	lost  bool // has dropped data; guarded by proxy.mu
	stale bool // drops all data; guarded by proxy.mu

	mu   sync.Mutex
	sent [down + 1]bytes.Buffer // the data sent, by direction
}

// recorded returns the data sent in one direction.
func (c *conn) recorded(d direction) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return bytes.Clone(c.sent[d].Bytes())
}

// reset closes both sides of the connection with RST.
func (c *conn) reset() {
	c.once.Do(func() {
		close(c.done)
		c.client.SetLinger(0)
		c.server.SetLinger(0)
		c.client.Close()
		c.server.Close()
	})
}

// pump forwards one direction. Its reader does not wait for its writer, so that it notices
// at once when a client disconnects; pending data is then discarded.
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
				c.sent[d].Write(piece[:n])
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
	// The server has closed the connection: the client gets the data, then FIN.
	if d == down && !c.drops(down) {
		c.client.Close()
	}
}

// fault returns the current fault.
func (c *conn) fault() fault {
	c.proxy.mu.Lock()
	defer c.proxy.mu.Unlock()
	return c.proxy.fault
}

// drops reports whether data is dropped, and records that.
func (c *conn) drops(d direction) bool {
	c.proxy.mu.Lock()
	defer c.proxy.mu.Unlock()
	if c.stale || c.proxy.fault.hole&d != 0 {
		c.lost = true
	}
	return c.lost
}

// pause waits for d or until the connection ends.
func (c *conn) pause(d time.Duration) {
	select {
	case <-time.After(d):
	case <-c.done:
	}
}

// deliver forwards a piece of data as the fault says.
func (c *conn) deliver(d direction, to io.Writer, piece []byte) {
	f := c.fault()
	if f.latency > 0 {
		c.pause(f.latency)
	}
	if c.drops(d) {
		return
	}
	switch f = c.fault(); {
	case d == down && f.halfClose:
		c.client.CloseWrite()
		return
	case d == down && f.cutAfter > 0:
		to.Write(piece[:min(f.cutAfter, len(piece))])
		c.pause(10 * time.Millisecond) // let the data arrive: RST may discard it
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
