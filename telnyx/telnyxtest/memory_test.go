package telnyxtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomtoken/roomtoken/telnyx"
)

// outcome describes an answer without what differs from server to server.
func outcome(a answer) string {
	err := "no error"
	for name, target := range map[string]error{
		"canceled": context.Canceled, "deadline": context.DeadlineExceeded, "reset": syscall.ECONNRESET,
		"refused": syscall.ECONNREFUSED, "unexpected EOF": io.ErrUnexpectedEOF,
	} {
		if errors.Is(a.err, target) {
			err = name
		}
	}
	if a.err != nil && err == "no error" {
		err = a.err.Error()
	}
	return fmt.Sprint(a.status, " ", a.header.Get("Date"), " ", a.header.Get("Content-Type"), " ", a.header.Get("X"), " ", len(a.text), " ", err)
}

// A server in memory does to its clients what one on a socket does, outside of a bubble,
// too.
func TestMemoryIsLikeASocket(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fault Fault
		want  string
	}{
		{"no fault", Fault{Header: http.Header{"X": {"y"}}, Times: 1}, "201 Wed, 01 Jul 2026 12:00:00 GMT application/json; charset=utf-8 y"},
		{"status", Fault{Status: 503, Times: 1}, "503 "},
		{"no headers", Fault{Status: 500, Body: EmptyBody, Header: http.Header{"Date": nil}, Times: 1}, "500    0 no error"},
		{"reset", Fault{Reset: true, Times: 1}, "0    0 reset"},
		{"truncated", Fault{Truncate: true, Times: 1}, "201 Wed, 01 Jul 2026 12:00:00 GMT application/json; charset=utf-8  "},
		{"latency", Fault{Latency: time.Hour, Times: 1}, "201 Wed, 01 Jul 2026 12:00:00 GMT application/json; charset=utf-8  "},
		{"large", Fault{Status: 200, Body: RawBody("text/plain", strings.Repeat("x", 5<<20)), Times: 1}, "200 Wed, 01 Jul 2026 12:00:00 GMT text/plain  5242880 no error"},
		{"no body allowed", Fault{Status: 204, Body: HTMLBody, Times: 1}, "204 Wed, 01 Jul 2026 12:00:00 GMT text/html  0 no error"},
		{"canceled", Fault{Hang: true, Times: 1}, "0    0 canceled"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var outcomes []string
			for _, inMemory := range []bool{false, true} {
				srv, mock := startMock(t, Config{InMemory: inMemory})
				post(t, srv, roomA, create, `{}`).data(t) // leaves an idle connection for the next call
				srv.Inject(tt.fault)
				ctx, cancel := context.WithCancel(t.Context())
				done := background(ctx, srv, roomA, create, `{}`)
				if tt.fault.Latency > 0 || tt.fault.Hang {
					waitHeld(t, srv, 1)
				}
				mock.Add(tt.fault.Latency)
				if tt.fault.Hang {
					cancel()
				}
				got := outcome(<-done)
				cancel()
				waitRequests(t, srv, 2) // the server has noticed that the client is gone
				if !strings.HasPrefix(got, tt.want) {
					t.Errorf("in memory %v: got %q, want %q", inMemory, got, tt.want)
				}
				outcomes = append(outcomes, got)
				post(t, srv, roomA, create, `{}`).data(t)
				srv.Close()
				outcomes = append(outcomes, outcome(exchange(t.Context(), srv, roomA, create, `{}`, nil)))
			}
			if outcomes[0] != outcomes[2] || outcomes[1] != outcomes[3] || outcomes[1] != "0    0 refused" {
				t.Errorf("on a socket and after Close: %q, in memory: %q", outcomes[:2], outcomes[2:])
			}
			wantNoGoroutine(t)
		})
	}
}

// In a bubble, calls that wait let the time pass. The bubble ends after Close, although
// calls hang and the client keeps idle connections.
func TestMemoryInABubble(t *testing.T) {
	// An idle connection outside of the bubble, which httptest closes as well.
	other := httptest.NewServer(http.NotFoundHandler())
	defer other.Close()
	if resp, err := http.Get(other.URL); err == nil {
		resp.Body.Close()
	}
	for name, start := range map[string]func(interface{ Cleanup(func()) }, Config) *Server{"HTTP/1": Start, "HTTP/2": StartTLS} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := start(t, Config{InMemory: true})
				began := time.Now()
				srv.Inject(Fault{Latency: 2 * time.Second})
				for range 24 {
					data := post(t, srv, roomA, create, `{}`).data(t)
					if err := srv.Verify(roomA, data["token"]); err != nil {
						t.Error(err)
					}
					time.Sleep(time.Hour)
				}
				if took, want := time.Since(began), 24*(time.Hour+2*time.Second); took != want {
					t.Errorf("took %v, want %v", took, want)
				}

				for _, f := range []Fault{{Reset: true, Times: 1}, {Truncate: true, Times: 1}} {
					srv.Inject(f)
					if got := post(t, srv, roomA, create, `{}`); got.err == nil {
						t.Errorf("got %+v, want an error", got)
					}
				}

				remove := srv.Inject(Fault{Hang: true})
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				if got := exchange(ctx, srv, roomA, create, `{}`, nil); !errors.Is(got.err, context.DeadlineExceeded) {
					t.Errorf("got %+v, want a timeout", got)
				}
				synctest.Wait()
				if c := srv.Calls(); c.InFlight != 0 || c.Statuses[0] != 2 {
					t.Errorf("the server has not noticed that the client is gone: %+v", c)
				}
				released := background(t.Context(), srv, roomA, create, `{}`)
				time.Sleep(time.Hour)
				remove()
				(<-released).data(t)

				srv.Inject(Fault{Hang: true})
				var done []<-chan answer
				for _, body := range []string{`{}`, `{}`, strings.Repeat(" ", maxBody+1<<20)} { // the last one is not read to its end
					done = append(done, background(t.Context(), srv, roomA, create, body))
				}
				synctest.Wait()
				srv.Close()
				for _, d := range done {
					if got := <-d; got.err == nil {
						t.Errorf("got %+v, want a connection error", got)
					}
				}
			})
		})
	}
}

// A response comes through although the server does not read the request to its end.
func TestMemoryWithALongBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := Start(t, Config{InMemory: true})
		if got := post(t, srv, roomA, create, strings.Repeat(" ", maxBody+8<<20)); got.status != 400 || got.err != nil {
			t.Errorf("got %+v, want 400", got)
		}
	})
}

// The URL suits the telnyx package. Only the server's own client reaches it, and reaches
// nothing else.
func TestMemoryURL(t *testing.T) {
	srv := Start(t, Config{InMemory: true})
	config := telnyx.Config{BaseURL: srv.URL, APIKey: srv.APIKey, HTTPClient: srv.Client()}
	source, err := telnyx.NewSource(config)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := source.Create(t.Context(), roomA); err != nil {
		t.Error(err)
	}

	config.HTTPClient = nil
	source, err = telnyx.NewSource(config)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := source.Create(t.Context(), roomA); err == nil || srv.Calls().Creates != 1 {
		t.Errorf("another client: %v, %d creates; want an error and one create", err, srv.Calls().Creates)
	}

	other := httptest.NewServer(http.NotFoundHandler())
	defer other.Close()
	resp, err := srv.Client().Get(other.URL)
	if err == nil {
		resp.Body.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "InMemory cannot reach 127.0.0.1:") {
		t.Errorf("another server: %v", err)
	}
}

// A dial ends with its ctx, and fails once the listener is closed.
func TestMemoryDial(t *testing.T) {
	l := newMemoryListener()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.dial(ctx, "tcp", "127.0.0.1:0"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	l.Close()
	l.Close()
	if _, err := l.dial(t.Context(), "tcp", "127.0.0.1:0"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("got %v, want %v", err, syscall.ECONNREFUSED)
	}
}
