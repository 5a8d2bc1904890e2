package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken/telnyx/telnyxtest"
)

const (
	room = "0ccc7b54-4df3-4bca-a65a-3da1ecc777f0"
	ttl  = 10 * time.Second
)

// start returns an app with an API in the process.
func start(t *testing.T) *app {
	t.Helper()
	a, err := newApp("", ttl, defaultRooms)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.close)
	return a
}

// send sends a request with these headers, given as names and values.
func send(t *testing.T, a *app, method, path, body string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	a.handler().ServeHTTP(w, r)
	return w
}

// The page names the rooms and the faults, and has nothing inline that its policy would
// have to allow.
func TestPage(t *testing.T) {
	w := send(t, start(t), http.MethodGet, "/", "")
	page := w.Body.String()
	if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "text/html; charset=utf-8" {
		t.Fatalf("status %d, %v", w.Code, w.Header())
	}
	if got := w.Header().Get("Content-Security-Policy"); got != policy || strings.Contains(got, "unsafe") {
		t.Errorf("Content-Security-Policy: %s", got)
	}
	for _, want := range []string{"lives for 10 s", `data-room="` + defaultRooms[2] + `"`, `value="/faults/outage" data-seconds="15"`, `href="/status"`} {
		if !strings.Contains(page, want) {
			t.Errorf("%q is missing in the page:\n%s", want, page)
		}
	}
	if inline := regexp.MustCompile(`<style|<script[^>]*>[^<]|\s(style|on\w+)=`).FindString(page); inline != "" {
		t.Errorf("inline: %q", inline)
	}
}

// All that the page and its scripts load is there.
func TestAssets(t *testing.T) {
	a := start(t)
	types := map[string]string{"js": "text/javascript; charset=utf-8", "css": "text/css; charset=utf-8", "svg": "image/svg+xml"}
	text := indexHTML
	files, err := fs.Glob(assets, "page/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		w := send(t, a, http.MethodGet, "/"+file, "")
		_, extension, _ := strings.Cut(file, ".")
		if got := w.Header().Get("Content-Type"); w.Code != http.StatusOK || got != types[extension] {
			t.Errorf("%s: status %d, %s", file, w.Code, got)
		}
		text += w.Body.String()
	}
	references := regexp.MustCompile(`(?:from|href=|src=) ?"([./][^"]+)"`).FindAllStringSubmatch(text, -1)
	if len(references) < 8 {
		t.Errorf("references %q, want more of them", references)
	}
	for _, reference := range references {
		path := reference[1]
		if name, ok := strings.CutPrefix(path, "./"); ok {
			path = "/page/" + name
		}
		if w := send(t, a, http.MethodGet, path, ""); w.Code != http.StatusOK {
			t.Errorf("%s: status %d", path, w.Code)
		}
	}
	for _, path := range []string{"/page/", "/page/none.js", "/elsewhere"} {
		if w := send(t, a, http.MethodGet, path, ""); w.Code != http.StatusNotFound {
			t.Errorf("%s: status %d, want 404", path, w.Code)
		}
	}
}

// The media server lets in what the API has issued for the room.
func TestAdmit(t *testing.T) {
	a := start(t)
	tok, err := a.manager.Token(t.Context(), room)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		room, token string
		want        int
	}{
		{room, tok.Value.Reveal(), http.StatusNoContent},
		{defaultRooms[1], tok.Value.Reveal(), http.StatusUnauthorized},
		{room, "", http.StatusUnauthorized},
		{room, strings.Repeat("x", 1<<14+1), http.StatusBadRequest},
	} {
		if w := send(t, a, http.MethodPost, "/media/"+tt.room, tt.token); w.Code != tt.want {
			t.Errorf("%.20q for room %s: status %d, want %d", tt.token, tt.room, w.Code, tt.want)
		}
	}
}

// callAPI calls the API of the app, and returns the status and the refresh token.
func callAPI(t *testing.T, a *app, action, body string) (status int, refreshToken string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, a.api.URL+"/rooms/"+room+"/actions/"+action, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if action == "generate_join_client_token" {
		r.Header.Set("Authorization", "Bearer "+a.api.APIKey)
	}
	response, err := a.api.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var answer struct {
		Data struct {
			RefreshToken string `json:"refresh_token"`
		}
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, answer.Data.RefreshToken
}

// Each button breaks what it says.
func TestFaults(t *testing.T) {
	for _, tt := range []struct {
		fault           string
		create, refresh int
	}{
		{"outage", 503, 503},
		{"revoke", 201, 403},
		{"limit", 429, 429},
	} {
		t.Run(tt.fault, func(t *testing.T) {
			a := start(t)
			path := "/faults/" + tt.fault
			create := func() (int, string) { return callAPI(t, a, "generate_join_client_token", "{}") }
			if w := send(t, a, http.MethodPost, path, "", "Sec-Fetch-Site", "cross-site"); w.Code != http.StatusForbidden {
				t.Errorf("from another site: status %d, want 403", w.Code)
			}
			status, refreshToken := create()
			if status != http.StatusCreated {
				t.Errorf("before: status %d", status)
			}
			if w := send(t, a, http.MethodPost, path, ""); w.Code != http.StatusNoContent {
				t.Errorf("status %d", w.Code)
			}
			if got, _ := callAPI(t, a, "refresh_client_token", `{"refresh_token":"`+refreshToken+`"}`); got != tt.refresh {
				t.Errorf("a refresh gets %d, want %d", got, tt.refresh)
			}
			if got, _ := create(); got != tt.create {
				t.Errorf("a create gets %d, want %d", got, tt.create)
			}
		})
	}
}

// With an API key there is nothing to break, and no way to check a token.
func TestTelnyx(t *testing.T) {
	api := telnyxtest.Start(t, telnyxtest.Config{APIKey: "KEY-of-mine"})
	t.Setenv("TELNYX_BASE_URL", api.URL)
	a, err := newApp("KEY-of-mine", ttl, []string{room})
	if err != nil {
		t.Fatal(err)
	}
	defer a.close()
	if page := send(t, a, http.MethodGet, "/", "").Body.String(); strings.Contains(page, "/faults/") || strings.Contains(page, "KEY") || !strings.Contains(page, room) {
		t.Errorf("the page is\n%s", page)
	}
	if w := send(t, a, http.MethodPost, "/faults/outage", ""); w.Code != http.StatusNotFound {
		t.Errorf("/faults/outage: status %d, want 404", w.Code)
	}
	if w := send(t, a, http.MethodPost, "/media/"+room, "a token of Telnyx"); w.Code != http.StatusNoContent {
		t.Errorf("/media: status %d", w.Code)
	}
	if w := send(t, a, http.MethodGet, "/api/rooms/"+room+"/token", ""); w.Code != http.StatusOK || api.Calls().Creates != 1 {
		t.Errorf("/api: status %d, %d creates", w.Code, api.Calls().Creates)
	}
}

func TestServe(t *testing.T) {
	t.Setenv("TELNYX_API_KEY", "")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	url := make(chan string, 1)
	done := make(chan error, 1)
	go func() { done <- serve(ctx, "127.0.0.1:0", ttl, nil, func(u string) { url <- u }) }()
	base := <-url
	foreign, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	foreign.Host = "evil.example"
	refused, err := http.DefaultClient.Do(foreign)
	if err != nil {
		t.Fatal(err)
	}
	defer refused.Body.Close()
	if refused.StatusCode != http.StatusMisdirectedRequest {
		t.Errorf("status %d for a foreign host", refused.StatusCode)
	}
	response, err := http.Get(base + "/api/rooms/" + room + "/token/events")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	stop()
	stream, err := io.ReadAll(response.Body)
	if err != nil || !bytes.Contains(stream, []byte("event: token\n")) || !bytes.Contains(stream, []byte(`{"code":"closing","reconnect":true}`)) {
		t.Errorf("%v: %s", err, stream)
	}
	if err := <-done; err != nil {
		t.Errorf("after an interrupt: %v", err)
	}
}

func TestServeErrors(t *testing.T) {
	t.Setenv("TELNYX_API_KEY", "")
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, tt := range []struct {
		name, addr string
		ttl        time.Duration
		rooms      []string
		want       string
	}{
		{"an address in use", taken.Addr().String(), ttl, nil, "in use"},
		{"a lifetime that cannot be", "127.0.0.1:0", time.Second, nil, "TokenTTL"},
		{"a room that cannot be", "127.0.0.1:0", ttl, []string{room, "lobby"}, `"lobby" (5 bytes) is not a UUID`},
	} {
		err := serve(t.Context(), tt.addr, tt.ttl, tt.rooms, func(string) { t.Error("it listens") })
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}
