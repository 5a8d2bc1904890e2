package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/telnyx"
	"github.com/roomtoken/roomtoken/telnyx/telnyxtest"
)

const room = "0ccc7b54-4df3-4bca-a65a-3da1ecc777f0"

// start returns a server that does not listen, and its API.
func start(t *testing.T) (*http.Server, *telnyxtest.Server) {
	t.Helper()
	api := telnyxtest.Start(t, telnyxtest.Config{Rooms: []string{room}})
	source, err := telnyx.NewSource(telnyx.Config{BaseURL: api.URL, APIKey: api.APIKey})
	if err != nil {
		t.Fatal(err)
	}
	manager, err := roomtoken.NewManager(source, roomtoken.Config{})
	if err != nil {
		t.Fatal(err)
	}
	server, err := newServer("localhost:8080", manager)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(manager.Close(), server.Shutdown(context.WithoutCancel(t.Context()))); err != nil {
			t.Error(err)
		}
	})
	return server, api
}

func get(ctx context.Context, server *http.Server, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	server.Handler.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "http://localhost:8080"+path, http.NoBody))
	return w
}

// token is the answer to a request for a token.
type token struct {
	Token     string
	ExpiresAt time.Time `json:"token_expires_at"`
}

func TestToken(t *testing.T) {
	server, api := start(t)
	for range 3 {
		w := get(t.Context(), server, "/rooms/"+room+"/token")
		var answer token
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != http.StatusOK {
			t.Fatalf("status %d, %v: %s", w.Code, err, w.Body)
		}
		if err := api.Verify(room, answer.Token); err != nil {
			t.Error(err)
		}
		if time.Until(answer.ExpiresAt) < time.Minute || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("expires at %v, header %v", answer.ExpiresAt, w.Header())
		}
	}
	if calls := api.Calls(); calls.Creates != 1 {
		t.Errorf("%d creates, want 1", calls.Creates)
	}
}

func TestErrors(t *testing.T) {
	for _, tt := range []struct {
		name   string
		room   string
		fault  telnyxtest.Fault
		status int
		wait   int // Retry-After; 0: none
	}{
		{"unknown room", "9e2a0cbe-ce66-411e-a1ac-468f0b103c9a", telnyxtest.Fault{}, 404, 0},
		{"malformed room ID", "lobby", telnyxtest.Fault{}, 404, 0},
		{"rejected API key", room, telnyxtest.Fault{Status: 401}, 502, 0},
		{"rate limit", room, telnyxtest.RateLimited(time.Minute), 503, 60},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server, api := start(t)
			if tt.fault.Status != 0 {
				api.Inject(tt.fault)
			}
			w := get(t.Context(), server, "/rooms/"+tt.room+"/token")
			wait, _ := strconv.Atoi(w.Header().Get("Retry-After"))
			if w.Code != tt.status || wait > tt.wait || wait < tt.wait/2 {
				t.Errorf("status %d, Retry-After %d; want %d, %d: %s", w.Code, wait, tt.status, tt.wait, w.Body)
			}
			if strings.Contains(w.Body.String(), "telnyx") {
				t.Errorf("the response names telnyx: %s", w.Body)
			}
		})
	}
}

// A client that disconnects does not affect others.
func TestClientDisconnects(t *testing.T) {
	server, api := start(t)
	remove := api.Inject(telnyxtest.Fault{Hang: true})
	ctx, disconnect := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		get(ctx, server, "/rooms/"+room+"/token")
	}()
	if err := api.WaitHeld(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	disconnect()
	<-done
	remove()
	if w := get(t.Context(), server, "/rooms/"+room+"/token"); w.Code != http.StatusOK {
		t.Errorf("status %d for the next client", w.Code)
	}
	if calls := api.Calls(); calls.Creates != 1 {
		t.Errorf("%d creates, want 1: the call continues without its client", calls.Creates)
	}
}

func TestStatusPage(t *testing.T) {
	server, _ := start(t)
	var answer token
	if err := json.Unmarshal(get(t.Context(), server, "/rooms/"+room+"/token").Body.Bytes(), &answer); err != nil {
		t.Fatal(err)
	}
	get(t.Context(), server, "/rooms/lobby/token")

	page := get(t.Context(), server, "/debug/rooms").Body.String()
	for _, want := range []string{room, "valid", "refresh in ", roomtoken.NewSecret(answer.Token).Fingerprint(), "lobby", "failed", "is not a UUID"} {
		if !strings.Contains(page, want) {
			t.Errorf("%q is missing in the page:\n%s", want, page)
		}
	}
	if strings.Contains(page, answer.Token) {
		t.Error("the page shows the token")
	}
}

// Only the server's own hosts are served, and a body that does not come holds nothing up.
func TestServerIsGuarded(t *testing.T) {
	server, _ := start(t)
	w := httptest.NewRecorder()
	server.Handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://evil.example/rooms/"+room+"/token", http.NoBody))
	if w.Code != http.StatusMisdirectedRequest || server.ReadTimeout == 0 {
		t.Errorf("status %d for a foreign host, ReadTimeout %v", w.Code, server.ReadTimeout)
	}
}

// The first page leads to the others.
func TestIndex(t *testing.T) {
	server, _ := start(t)
	get(t.Context(), server, "/rooms/"+room+"/token") // so that there is a room, and the server is ready
	page := get(t.Context(), server, "/")
	if page.Code != http.StatusOK || !strings.HasPrefix(page.Header().Get("Content-Type"), "text/html") {
		t.Fatalf("status %d, %v", page.Code, page.Header())
	}
	links := regexp.MustCompile(`href="([^"]*)"`).FindAllStringSubmatch(page.Body.String(), -1)
	if len(links) != 4 || links[0][1] != "/debug/rooms" {
		t.Errorf("links %q, want 4, to the status page first", links)
	}
	for _, link := range links {
		if w := get(t.Context(), server, link[1]); w.Code != http.StatusOK {
			t.Errorf("%s: status %d", link[1], w.Code)
		}
	}
	if w := get(t.Context(), server, "/elsewhere"); w.Code != http.StatusNotFound {
		t.Errorf("/elsewhere: status %d, want 404", w.Code)
	}
}

// Shutdown ends the streams, which would go on for ever.
func TestShutdownEndsStreams(t *testing.T) {
	server, _ := start(t)
	listener := &httptest.Server{Listener: listen(t), Config: server}
	listener.Start()
	defer listener.Close()
	response, err := listener.Client().Get(listener.URL + "/rooms/" + room + "/token/events")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second) // longer than it takes
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	stream, err := io.ReadAll(response.Body)
	if err != nil || !strings.Contains(string(stream), "event: token\n") || !strings.HasSuffix(string(stream), "event: end\ndata: {\"code\":\"closing\",\"reconnect\":true}\n\n") {
		t.Errorf("%v: %s", err, stream)
	}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return listener
}

func TestServe(t *testing.T) {
	t.Setenv("TELNYX_API_KEY", "")
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := serve(ctx, "127.0.0.1:0"); err != nil {
		t.Errorf("after an interrupt: %v", err)
	}
	taken := listen(t)
	defer taken.Close()
	if err := serve(t.Context(), taken.Addr().String()); err == nil {
		t.Error("no error although the address is in use")
	}
}
