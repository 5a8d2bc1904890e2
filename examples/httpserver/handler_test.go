package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/telnyx"
	"github.com/roomtoken/roomtoken/telnyx/telnyxtest"
)

const (
	room        = "0ccc7b54-4df3-4bca-a65a-3da1ecc777f0"
	longTimeout = 30 * time.Second // longer than any test takes
)

// start returns a back end and its API.
func start(t *testing.T, timeout time.Duration) (http.Handler, *telnyxtest.Server) {
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
	t.Cleanup(func() {
		if err := manager.Close(); err != nil {
			t.Error(err)
		}
	})
	return backEnd{manager, timeout}.handler(), api
}

func get(ctx context.Context, handler http.Handler, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, path, http.NoBody))
	return w
}

func TestToken(t *testing.T) {
	handler, api := start(t, longTimeout)
	for range 3 {
		w := get(t.Context(), handler, "/rooms/"+room+"/token")
		var answer struct {
			Token     string
			ExpiresAt time.Time `json:"expires_at"`
		}
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
		name    string
		room    string
		fault   telnyxtest.Fault
		timeout time.Duration
		status  int
		wait    int // Retry-After; 0: none
	}{
		{"unknown room", "9e2a0cbe-ce66-411e-a1ac-468f0b103c9a", telnyxtest.Fault{}, longTimeout, 404, 0},
		{"malformed room ID", "lobby", telnyxtest.Fault{}, longTimeout, 404, 0},
		{"rejected API key", room, telnyxtest.Fault{Status: 401}, longTimeout, 502, 0},
		{"rate limit", room, telnyxtest.RateLimited(time.Minute), longTimeout, 503, 60},
		{"outage", room, telnyxtest.Fault{Status: 503}, 100 * time.Millisecond, 503, 2},
		{"timeout", room, telnyxtest.Fault{Hang: true}, 100 * time.Millisecond, 503, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			handler, api := start(t, tt.timeout)
			if tt.fault.Status != 0 || tt.fault.Hang {
				api.Inject(tt.fault)
			}
			w := get(t.Context(), handler, "/rooms/"+tt.room+"/token")
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
	handler, api := start(t, longTimeout)
	remove := api.Inject(telnyxtest.Fault{Hang: true})
	ctx, disconnect := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		get(ctx, handler, "/rooms/"+room+"/token")
	}()
	if err := api.WaitHeld(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	disconnect()
	<-done
	remove()
	if w := get(t.Context(), handler, "/rooms/"+room+"/token"); w.Code != http.StatusOK {
		t.Errorf("status %d for the next client", w.Code)
	}
	if calls := api.Calls(); calls.Creates != 1 {
		t.Errorf("%d creates, want 1: the call continues without its client", calls.Creates)
	}
}

func TestStatusPage(t *testing.T) {
	handler, _ := start(t, longTimeout)
	w := get(t.Context(), handler, "/rooms/"+room+"/token")
	var answer struct{ Token string }
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
		t.Fatal(err)
	}
	get(t.Context(), handler, "/rooms/lobby/token")

	page := get(t.Context(), handler, "/debug/rooms").Body.String()
	for _, want := range []string{room, "valid", "refresh in ", roomtoken.NewSecret(answer.Token).Fingerprint(), "lobby", "failed", "is not a UUID"} {
		if !strings.Contains(page, want) {
			t.Errorf("%q is missing in the page:\n%s", want, page)
		}
	}
	if strings.Contains(page, answer.Token) {
		t.Error("the page shows the token")
	}
}
