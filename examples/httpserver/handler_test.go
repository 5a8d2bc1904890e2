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
	room = "0ccc7b54-4df3-4bca-a65a-3da1ecc777f0"
	long = 30 * time.Second // more patience than any test needs
)

// start returns the back end, and the API behind it.
func start(t *testing.T, patience time.Duration) (http.Handler, *telnyxtest.Server) {
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
	return backEnd{manager, patience}.handler(), api
}

func get(ctx context.Context, handler http.Handler, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, path, http.NoBody))
	return w
}

func TestToken(t *testing.T) {
	handler, api := start(t, long)
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
		t.Errorf("%d creates, want one", calls.Creates)
	}
}

func TestErrors(t *testing.T) {
	for _, tt := range []struct {
		name     string
		room     string
		fault    telnyxtest.Fault
		patience time.Duration
		status   int
		wait     int // Retry-After; 0: none
	}{
		{"a room that does not exist", "9e2a0cbe-ce66-411e-a1ac-468f0b103c9a", telnyxtest.Fault{}, long, 404, 0},
		{"no room ID", "lobby", telnyxtest.Fault{}, long, 404, 0},
		{"a refused API key", room, telnyxtest.Fault{Status: 401}, long, 502, 0},
		{"a rate limit", room, telnyxtest.RateLimited(time.Minute), long, 503, 60},
		{"an outage", room, telnyxtest.Fault{Status: 503}, 100 * time.Millisecond, 503, 2},
		{"no answer in time", room, telnyxtest.Fault{Hang: true}, 100 * time.Millisecond, 503, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			handler, api := start(t, tt.patience)
			if tt.fault.Status != 0 || tt.fault.Hang {
				api.Inject(tt.fault)
			}
			w := get(t.Context(), handler, "/rooms/"+tt.room+"/token")
			wait, _ := strconv.Atoi(w.Header().Get("Retry-After"))
			if w.Code != tt.status || wait > tt.wait || wait < tt.wait/2 {
				t.Errorf("status %d, Retry-After %d; want %d, %d: %s", w.Code, wait, tt.status, tt.wait, w.Body)
			}
			if strings.Contains(w.Body.String(), "telnyx") {
				t.Errorf("the answer tells too much: %s", w.Body)
			}
		})
	}
}

// A client who goes away gets no answer, and harms nobody.
func TestClientGoesAway(t *testing.T) {
	handler, api := start(t, long)
	remove := api.Inject(telnyxtest.Fault{Hang: true})
	ctx, leave := context.WithCancel(t.Context())
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		get(ctx, handler, "/rooms/"+room+"/token")
	}()
	if err := api.WaitHeld(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	leave()
	<-gone
	remove()
	if w := get(t.Context(), handler, "/rooms/"+room+"/token"); w.Code != http.StatusOK {
		t.Errorf("status %d for the next client", w.Code)
	}
	if calls := api.Calls(); calls.Creates != 1 {
		t.Errorf("%d creates; want one, which goes on when its client leaves", calls.Creates)
	}
}

func TestStatusPage(t *testing.T) {
	handler, _ := start(t, long)
	w := get(t.Context(), handler, "/rooms/"+room+"/token")
	var answer struct{ Token string }
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
		t.Fatal(err)
	}
	get(t.Context(), handler, "/rooms/lobby/token")

	page := get(t.Context(), handler, "/debug/rooms").Body.String()
	for _, want := range []string{room, "valid", "refresh in ", roomtoken.NewSecret(answer.Token).Fingerprint(), "lobby", "failed", "is no UUID"} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q on the page:\n%s", want, page)
		}
	}
	if strings.Contains(page, answer.Token) {
		t.Error("the page shows the token")
	}
}
