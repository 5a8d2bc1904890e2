package roomhttp_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/roomhttp"
)

// bothVersions runs a test over HTTP/1.1 and, where that can be in a bubble, HTTP/2.
func bothVersions(t *testing.T, s setup, test func(t *testing.T, w *world)) {
	t.Run("HTTP/1.1", func(t *testing.T) { within(t, s, test) })
	if http2InBubbles {
		s.http2 = true
		t.Run("HTTP/2", func(t *testing.T) { within(t, s, test) })
	}
}

// The timeouts of the server are for short requests.
func TestStreamOutlivesTheServersTimeouts(t *testing.T) {
	short := func(s *http.Server) {
		s.ReadTimeout, s.WriteTimeout, s.IdleTimeout = time.Second, time.Second, time.Second
	}
	bothVersions(t, setup{server: short}, func(t *testing.T, w *world) {
		w.source.Latency = 3 * time.Second
		s := w.open(events) // its headers come after 2 s
		for range 10 {
			s.token()
		}
		s.leave()
	})
}

// A deadline for one write does not end a stream on which nothing is written.
func TestWriteTimeoutIsForOneWrite(t *testing.T) {
	config := roomhttp.Config{WriteTimeout: time.Second, Heartbeat: time.Minute}
	bothVersions(t, setup{Config: config}, func(t *testing.T, w *world) {
		s := w.open(events)
		for range 10 {
			s.token()
		}
		s.leave()
	})
}

// A client that does not read is gone WriteTimeout after the first write that blocks. The
// others do not notice.
func TestClientThatDoesNotRead(t *testing.T) {
	within(t, setup{}, func(t *testing.T, w *world) {
		good := w.open(events)
		good.token()
		conn, err := w.pipes.dial(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, "GET "+events+" HTTP/1.1\r\nHost: rooms.example\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10*time.Second - 1)
		if got := w.stats(); got.Streams != 2 || got.StreamsTooSlow != 0 {
			t.Errorf("%+v", got)
		}
		time.Sleep(1)
		if got := w.stats(); got.Streams != 1 || got.StreamsTooSlow != 1 {
			t.Errorf("%+v", got)
		}
		if got := good.token(); got != "token 2 of lobby" {
			t.Error(got)
		}
		if !strings.Contains(w.log.String(), "client does not read") {
			t.Error(w.log.String())
		}
	})
}

// The same for one that stops reading later, and where the error of a write is lost in a
// wrapper.
func TestClientThatStopsReading(t *testing.T) {
	for name, wrap := range map[string]func(http.Handler) http.Handler{
		"": nil,
		"a wrapper whose Flush returns no error": func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(flushWriter{w, w}, r) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			within(t, setup{wrap: wrap}, func(t *testing.T, w *world) {
				conn, err := w.pipes.dial(t.Context(), "", "")
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				go io.WriteString(conn, "GET "+events+" HTTP/1.1\r\nHost: rooms.example\r\n\r\n")
				for got := ""; !strings.HasSuffix(got, "}\n\n\r\n"); {
					buffer := make([]byte, 4096)
					n, err := conn.Read(buffer)
					if err != nil {
						t.Fatal(err)
					}
					got += string(buffer[:n])
				}
				time.Sleep(25*time.Second - 1) // the first heartbeat, and the timeout of its write
				if got := w.stats(); got.Streams != 1 || got.StreamsTooSlow != 0 {
					t.Errorf("%+v", got)
				}
				time.Sleep(1)
				if got := w.stats(); got.Streams != 0 || got.StreamsTooSlow != 1 {
					t.Errorf("%+v", got)
				}
			})
		})
	}
}

// flushWriter has a Flush that returns no error, and an Unwrap.
type flushWriter struct {
	http.ResponseWriter
	inner http.ResponseWriter
}

func (w flushWriter) Flush()                      { w.inner.(http.Flusher).Flush() }
func (w flushWriter) Unwrap() http.ResponseWriter { return w.inner }

// A client that is cut off frees its slot at once.
func TestClientThatIsCutOff(t *testing.T) {
	bothVersions(t, setup{}, func(t *testing.T, w *world) {
		s := w.open(events)
		s.token()
		s.leave()
		if got := w.stats(); got.Streams != 0 || got.StreamsTooSlow != 0 {
			t.Errorf("%+v", got)
		}
		if got := w.manager.Stats(); got.Watchers != 0 {
			t.Errorf("%d watches are left", got.Watchers)
		}
	})
}

// A client that does not read why its stream is refused does not hold up the http.Server
// for longer than WriteTimeout either.
func TestRefusedClientThatDoesNotRead(t *testing.T) {
	for name, refuse := range map[string]func(w *world){
		"no such room": func(w *world) { w.source.Fail(roomtoken.ErrRoomNotFound, 1) },
		"shutdown":     func(w *world) { time.AfterFunc(time.Second, w.handler.Shutdown) },
		"the server's context ends": func(w *world) {
			inner := w.server.Handler
			w.server.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				ctx, cancel := context.WithTimeout(r.Context(), time.Second)
				defer cancel()
				inner.ServeHTTP(rw, r.WithContext(ctx))
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			within(t, setup{}, func(t *testing.T, w *world) {
				w.source.Latency = time.Second
				refuse(w)
				conn, err := w.pipes.dial(t.Context(), "", "")
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				if _, err := io.WriteString(conn, "GET "+events+" HTTP/1.1\r\nHost: rooms.example\r\n\r\n"); err != nil {
					t.Fatal(err)
				}
				time.Sleep(1500 * time.Millisecond) // the answer blocks since half a second
				began := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				if err := w.server.Shutdown(ctx); err != nil || time.Since(began) > 10500*time.Millisecond {
					t.Errorf("%v after %v", err, time.Since(began))
				}
			})
		})
	}
}
