package roomhttp_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/roomhttp"
	"github.com/roomtoken/roomtoken/roomtokentest"
)

// The benchmarks compare 10,000 streams of one room with a bare handler that writes the
// same bytes, in one run:
//
//	go test -run=NONE -bench=Streams -benchtime=10x ./roomhttp
//
// Connections are pipes, so that no limit on open files is in the way. Both sides have the
// same clients, whose cost is part of both.

const benchStreams = 10_000

// fleet is many clients of a server. Each reads all that comes.
type fleet struct {
	b      *testing.B
	pipes  *pipeListener
	server *http.Server
	conns  []net.Conn

	mu     sync.Mutex
	marker []byte         // of the block that clients wait for
	seen   sync.WaitGroup // of it
	ends   sync.WaitGroup // of the clients
}

// newFleet starts a server and connects clients. Each of them has received a block with
// the marker when newFleet returns.
func newFleet(b *testing.B, handler http.Handler, marker string) *fleet {
	f := &fleet{b: b, pipes: newPipeListener(), server: &http.Server{Handler: handler}}
	go f.server.Serve(f.pipes)
	f.expect(marker)
	f.ends.Add(benchStreams)
	for range benchStreams {
		conn, err := f.pipes.dial(context.Background(), "", "")
		if err != nil {
			b.Fatal(err)
		}
		f.conns = append(f.conns, conn)
		go f.read(conn)
		if _, err := io.WriteString(conn, "GET "+events+" HTTP/1.1\r\nHost: rooms.example\r\n\r\n"); err != nil {
			b.Fatal(err)
		}
	}
	f.seen.Wait()
	return f
}

// expect sets the marker of the block that comes next.
func (f *fleet) expect(marker string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.marker = []byte(marker)
	f.seen.Add(benchStreams)
}

func (f *fleet) read(conn net.Conn) {
	defer f.ends.Done()
	var last []byte
	for {
		buffer := buffers.Get().(*[]byte)
		n, err := conn.Read(*buffer)
		f.mu.Lock()
		marker := f.marker
		f.mu.Unlock()
		if n > 0 && !bytes.Equal(last, marker) && bytes.Contains((*buffer)[:n], marker) {
			last = marker
			f.seen.Done()
		}
		buffers.Put(buffer)
		if err != nil {
			return
		}
	}
}

var buffers = sync.Pool{New: func() any { b := make([]byte, 8<<10); return &b }}

func (f *fleet) close() {
	f.server.Close()
	for _, conn := range f.conns {
		conn.Close()
	}
	f.ends.Wait()
}

// bare is the handler that ours is compared with: it writes what it is given.
type bare struct {
	mu    sync.Mutex
	block []byte
	next  chan struct{} // closed when there is another block
}

func newBare(block []byte) *bare { return &bare{block: block, next: make(chan struct{})} }

func (h *bare) send(block []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.block = block
	close(h.next)
	h.next = make(chan struct{})
}

func (h *bare) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	for {
		h.mu.Lock()
		block, next := h.block, h.next
		h.mu.Unlock()
		w.Write(block)
		w.(http.Flusher).Flush()
		select {
		case <-next:
		case <-r.Context().Done():
			return
		}
	}
}

// benchSource mints tokens as long as those of Telnyx.
func benchSource() (*roomtokentest.Source, func(n int) string) {
	source := &roomtokentest.Source{RefreshTokenTTL: -1}
	value := func(n int) string { return fmt.Sprintf("%s.token-%d.", strings.Repeat("x", 700), n) }
	n := 0
	source.CreateFunc = func(_ context.Context, room string) (roomtoken.Grant, error) {
		n++
		grant := source.Mint(room)
		grant.Token.Value = roomtoken.NewSecret(value(n))
		return grant, nil
	}
	return source, value
}

// ours starts our side. renew makes all streams get another token.
func ours(b *testing.B) (f *fleet, handler *roomhttp.Handler, renew func(n int)) {
	source, _ := benchSource()
	handler, manager := newHandler(b, source, roomhttp.Config{MaxStreams: -1, MaxStreamsPerRoom: -1, Heartbeat: time.Hour})
	f = newFleet(b, handler, ".token-1.")
	return f, handler, func(n int) {
		f.expect(fmt.Sprintf(".token-%d.", n))
		manager.Forget("lobby")
		f.seen.Wait()
	}
}

// theirs starts the bare side.
func theirs(b *testing.B) (f *fleet, renew func(n int)) {
	_, value := benchSource()
	block := func(n int) []byte {
		return fmt.Appendf(nil, "id: 3f2a9c01d4e7\nevent: token\ndata: {\"token\":%q,\"token_expires_at\":\"2026-07-01T12:00:00Z\",\"expires_in\":600}\n\n", value(n))
	}
	handler := newBare(block(1))
	f = newFleet(b, handler, ".token-1.")
	return f, func(n int) {
		f.expect(fmt.Sprintf(".token-%d.", n))
		handler.send(block(n))
		f.seen.Wait()
	}
}

// memory returns the bytes in use, stacks included.
func memory() float64 {
	var stats runtime.MemStats
	for range 3 {
		runtime.GC()
	}
	runtime.ReadMemStats(&stats)
	return float64(stats.HeapAlloc + stats.StackInuse)
}

// BenchmarkStreamsMemory reports what a stream takes, client included.
func BenchmarkStreamsMemory(b *testing.B) {
	for range b.N {
		before := memory()
		f, _ := theirs(b)
		bare := (memory() - before) / benchStreams
		f.close()
		before = memory()
		f, _, _ = ours(b)
		own := (memory() - before) / benchStreams
		f.close()
		b.ReportMetric(bare, "bare-B/stream")
		b.ReportMetric(own, "B/stream")
		b.ReportMetric(own-bare, "extra-B/stream")
	}
}

// BenchmarkStreamsToken reports how long a new token takes to reach all streams: the best
// time of b.N, and the ratio to that of the bare handler.
func BenchmarkStreamsToken(b *testing.B) {
	them, renewTheirs := theirs(b)
	defer them.close()
	us, _, renewOurs := ours(b)
	defer us.close()
	bare, own := time.Hour, time.Hour
	round := func(renew func(int), n int, least *time.Duration) {
		runtime.GC()
		began := time.Now()
		renew(n)
		*least = min(*least, time.Since(began))
	}
	for n := range b.N {
		round(renewTheirs, n+2, &bare)
		round(renewOurs, n+2, &own)
	}
	b.ReportMetric(float64(bare.Microseconds())/1000, "bare-ms")
	b.ReportMetric(float64(own.Microseconds())/1000, "ms")
	b.ReportMetric(float64(own)/float64(bare), "ratio")
}

// BenchmarkStreamsShutdown reports how long http.Server.Shutdown takes with all streams
// open.
func BenchmarkStreamsShutdown(b *testing.B) {
	for range b.N {
		f, handler, _ := ours(b)
		f.server.RegisterOnShutdown(handler.Shutdown)
		began := time.Now()
		if err := f.server.Shutdown(context.Background()); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(time.Since(began).Milliseconds()), "ms")
		f.close()
	}
}
