package telnyxtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// Concurrent calls on the real clock: all tokens are valid and distinct.
func TestConcurrentCalls(t *testing.T) {
	srv := Start(t, Config{APIKey: "another"})
	var tokens sync.Map
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for range 5 {
				var body struct{ Data struct{ Token string } }
				got := exchange(t.Context(), srv, roomA, create, `{}`, nil)
				if err := json.Unmarshal([]byte(got.text), &body); err != nil {
					t.Error(got.status, got.err, err)
				}
				if err := srv.Verify(roomA, body.Data.Token); err != nil {
					t.Error(err)
				}
				if _, twice := tokens.LoadOrStore(body.Data.Token, true); twice {
					t.Error("a token was minted twice")
				}
				srv.Calls()
				srv.Inject(Fault{Latency: time.Microsecond, Times: 1})
			}
		})
	}
	wg.Wait()
	if c := srv.Calls(); c.Creates != 320 || c.Statuses[201] != 320 || c.InFlight != 0 {
		t.Errorf("%+v", c)
	}
}

// SetSkew applies to Date, to the times in responses, and to expiry.
func TestSkew(t *testing.T) {
	srv, mock := startMock(t, Config{})
	old := post(t, srv, roomA, create, `{"token_ttl_secs":3600}`).data(t)
	srv.SetSkew(time.Hour)
	if got, want := srv.Now(), mock.Now().Add(time.Hour); !got.Equal(want) {
		t.Errorf("now is %v, want %v", got, want)
	}
	if err := srv.Verify(roomA, old["token"]); !errors.Is(err, ErrExpired) {
		t.Errorf("got %v, want %v", err, ErrExpired)
	}
	got := post(t, srv, roomA, create, `{}`)
	if date := got.header.Get("Date"); date != "Wed, 01 Jul 2026 13:00:00 GMT" {
		t.Errorf("Date %q", date)
	}
	if expires := got.data(t)["token_expires_at"]; expires != "2026-07-01T13:10:00Z" {
		t.Errorf("expires at %s", expires)
	}
	srv.SetSkew(-time.Hour)
	if err := srv.Verify(roomA, old["token"]); !errors.Is(err, ErrExpired) {
		t.Errorf("a token from the future: got %v, want %v", err, ErrExpired)
	}
}

// Close ends calls that hang and connections with unfinished requests, can be called
// concurrently and again, and leaves no goroutine of the server or its client.
func TestClose(t *testing.T) {
	srv := NewServer(Config{})
	post(t, srv, roomA, create, `{}`).data(t) // leaves an idle connection
	srv.Inject(Fault{Hang: true, Room: roomA})
	srv.Inject(Fault{Latency: time.Hour, Room: roomB})
	done := []<-chan answer{
		background(t.Context(), srv, roomA, create, `{}`),
		background(t.Context(), srv, roomB, create, `{}`),
		// net/http does not notice that this client disconnects: part of the
		// request has not been read.
		background(t.Context(), srv, roomA, create, strings.Repeat(" ", maxBody+1<<20)),
	}
	waitHeld(t, srv, 3)

	base, _ := url.Parse(srv.URL)
	conn, err := net.Dial("tcp", base.Host)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("POST /v2 HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 12)); err != nil { // "HTTP/1.1 100": the handler waits for the body
		t.Fatal(err)
	}

	var wg sync.WaitGroup
	for range 3 {
		wg.Go(srv.Close)
	}
	wg.Wait()
	for _, d := range done {
		if got := <-d; got.err == nil {
			t.Errorf("got %+v, want a connection error", got)
		}
	}
	if got := post(t, srv, roomA, create, `{}`); got.err == nil {
		t.Errorf("got %+v from a closed server", got)
	}
	wantNoGoroutine(t)
}

// wantNoGoroutine waits until no goroutine runs in a Server, in a net/http server or in a
// client connection. The last ones end shortly after Close.
func wantNoGoroutine(t *testing.T) {
	t.Helper()
	stacks := make([]byte, 1<<20)
	for deadline := time.Now().Add(10 * time.Second); ; runtime.Gosched() {
		all := stacks[:runtime.Stack(stacks, true)]
		left := false
		for _, part := range []string{"telnyxtest.(*Server)", "net/http.(*conn).serve", "net/http.(*Server).Serve", "net/http.(*persistConn)"} {
			left = left || bytes.Contains(all, []byte(part))
		}
		if !left {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("goroutines remain:\n%s", all)
		}
	}
}

// A request that arrives while the server closes is aborted.
func TestNoEntryAfterClose(t *testing.T) {
	srv := NewServer(Config{})
	srv.Close()
	defer func() {
		if err, _ := recover().(error); !errors.Is(err, http.ErrAbortHandler) {
			t.Errorf("recovered %v, want %v", err, http.ErrAbortHandler)
		}
		if c := srv.Calls(); c.Other != 0 {
			t.Errorf("the request was counted: %+v", c)
		}
	}()
	srv.serve(nil, nil)
}

func TestParsePath(t *testing.T) {
	for path, want := range map[string]bool{
		"/v2/rooms/x/actions/generate_join_client_token":    true,
		"/v2/rooms/X/actions/refresh_client_token":          true,
		"/v2/rooms/x/actions/create_access_token":           true,
		"/v2/rooms/x/actions/refresh_access_token":          true,
		"/v2/telephony_credentials/x/token":                 true,
		"/v2/telephony_credentials/x/token/":                false,
		"/v2/telephony_credentials/x/actions/token":         false,
		"/v2/telephony_credentials/x":                       false,
		"/v2/telephony_credentials/x/y/token":               false,
		"/v2/rooms/x/token":                                 false,
		"/v2/rooms/x/actions/refresh_access_token/":         false,
		"/v2/rooms/x/actions/":                              false,
		"/v2/rooms/x":                                       false,
		"/v2/rooms/../evil":                                 false,
		"/rooms/x/actions/create_access_token":              false,
		"/v1/rooms/x/actions/create_access_token":           false,
		"//v2/rooms/x/actions/create_access_token":          false,
		"/v2/rooms/x/actions/actions/create_access_token":   false,
		"/v2/rooms/x%2Factions/create_access_token":         false,
		"/v2/rooms/x/actions/CREATE_ACCESS_TOKEN":           false,
		"/v2/rooms/x/actions/x/actions/create_access_token": false,
	} {
		if r, id := parsePath(path); (r.endpoint != 0) != want || want && id != "x" {
			t.Errorf("%s: %v %q; want an endpoint: %v", path, r.endpoint, id, want)
		}
	}
}

func TestIsUUID(t *testing.T) {
	for s, want := range map[string]bool{
		roomA:                                   true,
		"00000000-0000-0000-0000-000000000000":  true,
		"":                                      false,
		"0ccc7b54-4df3-4bca-a65a-3da1ecc777f":   false,
		"0ccc7b54-4df3-4bca-a65a-3da1ecc777f00": false,
		"0ccc7b54-4df3-4bca-a65a-3da1ecc777fg":  false,
		"0ccc7b5444df3-4bca-a65a-3da1ecc777f0":  false,
		"0ccc7b54-4df3-4bca-a65a-3da1ecc777F0":  false, // lower case only
	} {
		if got := isUUID(s); got != want {
			t.Errorf("%s: %v", s, got)
		}
	}
}
