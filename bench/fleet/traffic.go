package main

import (
	"bytes"
	"context"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
)

// traffic counts what clients send to the server, on the wire, so that the commands of all
// clients count alike, and those too that a client adds by itself. What a client sends when
// it connects is not counted: HELLO, AUTH, SELECT, CLIENT and SUBSCRIBE. CLIENT CACHING, which
// goes with a command, is.
type traffic struct {
	prefix    string       // of the keys
	commands  atomic.Int64 // for the rooms
	idle      atomic.Int64 // look at the news, and keep the inbox alive: also without rooms
	exchanges atomic.Int64 // round trips for the rooms: times that a client sent some command after it had read something
}

// dial connects to the server, like a net.Dialer.
func (t *traffic) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	var dialer net.Dialer
	c, err := dialer.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return &countedConn{Conn: c, traffic: t}, nil
}

// countedConn is a client's connection. Writes do not overlap, nor do reads.
type countedConn struct {
	net.Conn
	traffic *traffic
	pending []byte      // the beginning of a command
	waits   atomic.Bool // commands for rooms were sent, and nothing was read since
}

func (c *countedConn) Write(data []byte) (int, error) {
	c.pending = append(c.pending, data...)
	rest := c.pending
	for {
		args, after, ok := takeCommand(rest)
		if !ok {
			break
		}
		if c.traffic.count(args) && !c.waits.Swap(true) {
			c.traffic.exchanges.Add(1)
		}
		rest = after
	}
	c.pending = append(c.pending[:0], rest...)
	return c.Conn.Write(data)
}

func (c *countedConn) Read(data []byte) (int, error) {
	n, err := c.Conn.Read(data)
	c.waits.Store(false)
	return n, err
}

// count counts a command, and reports whether it is for a room.
func (t *traffic) count(args []string) bool {
	name := strings.ToLower(args[0])
	switch {
	case name == "hello", name == "auth", name == "select", name == "subscribe",
		name == "client" && len(args) > 1 && !strings.EqualFold(args[1], "caching"):
	case name == "publish", len(args) > 3 && args[3] == t.prefix+"news":
		t.idle.Add(1)
	default:
		t.commands.Add(1)
		return true
	}
	return false
}

// takeCommand takes a command, which is an array of strings, from the front of data. It
// reports false if it is not all there.
func takeCommand(data []byte) (args []string, rest []byte, ok bool) {
	n, rest, ok := takeNumber(data, '*')
	if !ok || n < 1 {
		return nil, nil, false
	}
	for range n {
		var length int
		if length, rest, ok = takeNumber(rest, '$'); !ok || length < 0 || len(rest) < length+2 {
			return nil, nil, false
		}
		args = append(args, string(rest[:min(length, 128)])) // values do not matter
		rest = rest[length+2:]
	}
	return args, rest, true
}

// takeNumber takes a line that has a number behind a mark.
func takeNumber(data []byte, mark byte) (n int, rest []byte, ok bool) {
	line, rest, ok := bytes.Cut(data, []byte("\r\n"))
	if !ok || len(line) == 0 || line[0] != mark {
		return 0, nil, false
	}
	n, err := strconv.Atoi(string(line[1:]))
	return n, rest, err == nil
}
