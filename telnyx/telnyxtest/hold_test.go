package telnyxtest

import (
	"context"
	"errors"
	"net/http"
	"syscall"
	"testing"
	"time"
)

// Latency is on Config.Clock and adds up. The response is that of the arrival.
func TestLatency(t *testing.T) {
	srv, mock := startMock(t, Config{})
	srv.Inject(Fault{Latency: 3 * time.Second})
	srv.Inject(Fault{Latency: 2 * time.Second, Times: 1})
	done := background(t.Context(), srv, roomA, create, `{"token_ttl_secs":10}`)
	waitHeld(t, srv, 1)
	mock.Add(5*time.Second - 1)
	select {
	case got := <-done:
		t.Fatalf("response before the end of the latency: %+v", got)
	default:
	}
	if c := srv.Calls(); c.InFlight != 1 || c.Rooms[roomA].InFlight != 1 {
		t.Errorf("%+v, want one in flight", c)
	}
	mock.Add(1)
	got := <-done
	if expires := got.data(t)["token_expires_at"]; expires != "2026-07-01T12:00:10Z" {
		t.Errorf("expires at %s, want 10 s after the arrival", expires)
	}
	if date := got.header.Get("Date"); date != "Wed, 01 Jul 2026 12:00:00 GMT" {
		t.Errorf("Date %q, want that of the arrival", date)
	}
	if took := srv.Requests()[0].Took; took != 5*time.Second {
		t.Errorf("took %v, want 5s", took)
	}
}

// A call that hangs is released when the fault is removed, not when Times runs out.
func TestHangUntilRemoved(t *testing.T) {
	srv, mock := startMock(t, Config{})
	remove := srv.Inject(Fault{Hang: true, Latency: time.Second, Times: 1})
	done := background(t.Context(), srv, roomA, create, `{}`)
	waitHeld(t, srv, 1)
	post(t, srv, roomB, create, `{}`).data(t) // Times is used up
	mock.Add(time.Second)
	waitHeld(t, srv, 1)
	select {
	case got := <-done:
		t.Fatalf("response from a call that hangs: %+v", got)
	default:
	}
	remove()
	(<-done).data(t)
}

// A call that hangs ends when its client disconnects.
func TestHangUntilTheClientDisconnects(t *testing.T) {
	ended := make(chan Request, 1)
	srv := Start(t, Config{OnRequest: func(r Request) { ended <- r }})
	srv.Inject(Fault{Hang: true})
	ctx, cancel := context.WithCancel(t.Context())
	done := background(ctx, srv, roomA, create, `{}`)
	waitHeld(t, srv, 1)
	cancel()
	if got := <-done; !errors.Is(got.err, context.Canceled) {
		t.Errorf("got %+v", got)
	}
	if r := <-ended; r.Status != 0 {
		t.Errorf("status %d in the log, want 0", r.Status)
	}
}

func TestReset(t *testing.T) {
	srv := Start(t, Config{})
	post(t, srv, roomA, create, `{}`).data(t) // leaves an idle connection for the next call
	srv.Inject(Fault{Reset: true, Times: 1})
	if got := post(t, srv, roomA, create, `{}`); !errors.Is(got.err, syscall.ECONNRESET) {
		t.Errorf("got %+v, want a reset connection", got)
	}
	if c := srv.Calls(); c.Creates != 2 || c.Statuses[0] != 1 || c.InFlight != 0 {
		t.Errorf("%+v", c)
	}
	post(t, srv, roomA, create, `{}`).data(t)
}

// A client that may repeat its request hides the reset of a connection that it has used
// before. It does not hide the second one, which hits a new connection.
func TestResetOfRepeatableRequests(t *testing.T) {
	repeatable := func(r *http.Request) { r.Header["Idempotency-Key"] = nil }
	for _, inMemory := range []bool{false, true} {
		srv := Start(t, Config{InMemory: inMemory})
		post(t, srv, roomA, create, `{}`).data(t)
		srv.Inject(Fault{Reset: true, Times: 1})
		exchange(t.Context(), srv, roomA, create, `{}`, repeatable).data(t)
		if c := srv.Calls(); c.Creates != 3 || c.Statuses[0] != 1 {
			t.Errorf("in memory %v: %+v, want one of three calls reset", inMemory, c)
		}
		srv.Inject(Fault{Reset: true, Times: 2})
		if got := exchange(t.Context(), srv, roomA, create, `{}`, repeatable); !errors.Is(got.err, syscall.ECONNRESET) {
			t.Errorf("in memory %v: got %+v, want a reset connection", inMemory, got)
		}
	}
}
