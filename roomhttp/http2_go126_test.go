//go:build go1.26

package roomhttp_test

import (
	"net/http"
	"testing"
	"time"
)

// Before Go 1.26, HTTP/2 servers of a process share channels, which a bubble forbids.
const http2InBubbles = true

// Over HTTP/2 a handler cannot end a stream whose connection takes nothing any more. The
// package documentation tells to set WriteByteTimeout, which can.
func TestHTTP2ConnectionThatVanishes(t *testing.T) {
	server := func(s *http.Server) { s.HTTP2 = &http.HTTP2Config{WriteByteTimeout: 10 * time.Second} }
	within(t, setup{http2: true, server: server}, func(t *testing.T, w *world) {
		s := w.open(events)
		s.token()
		w.pipes.stall()
		time.Sleep(41 * time.Second) // a heartbeat that is read, one that is not, and the timeout
		if got := w.stats(); got.Streams != 0 {
			t.Errorf("%+v", got)
		}
		w.pipes.resume()
	})
}
