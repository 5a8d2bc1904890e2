package telnyxtest

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/benbjohnson/clock"
)

const (
	roomA = "0ccc7b54-4df3-4bca-a65a-3da1ecc777f0"
	roomB = "9e2a0cbe-ce66-411e-a1ac-468f0b103c9a"

	create  = "generate_join_client_token"
	refresh = "refresh_client_token"
)

// epoch has a fraction of a second, which the times of the API lack.
var epoch = time.Date(2026, 7, 1, 12, 0, 0, 900e6, time.UTC)

// startMock starts a server with a mock clock set to epoch.
func startMock(t *testing.T, config Config) (*Server, *clock.Mock) {
	t.Helper()
	mock := clock.NewMock()
	mock.Set(epoch)
	config.Clock = mock
	return Start(t, config), mock
}

// answer is the result of a request.
type answer struct {
	status int
	header http.Header
	text   string
	err    error // from the request or from reading the body
}

// data returns the data object of a success.
func (a answer) data(t *testing.T) map[string]string {
	t.Helper()
	var body struct{ Data map[string]string }
	if err := json.Unmarshal([]byte(a.text), &body); err != nil || a.status != http.StatusCreated {
		t.Fatalf("status %d, body %q, %v; want 201 with data", a.status, a.text, err)
	}
	return body.Data
}

// code returns the form of an error body and the code of its first error.
func (a answer) code() string {
	var body struct {
		Code   string
		Errors []struct{ Code string }
	}
	_ = json.Unmarshal([]byte(a.text), &body)
	if len(body.Errors) > 0 {
		return "list " + body.Errors[0].Code
	}
	return "object " + body.Code
}

// exchange makes one request. If change is not nil, it modifies the request first.
func exchange(ctx context.Context, srv *Server, room, action, body string, change func(*http.Request)) answer {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, srv.URL+"/rooms/"+room+"/actions/"+action, strings.NewReader(body))
	if err != nil {
		return answer{err: err}
	}
	req.Header.Set("Content-Type", "application/json")
	if strings.Contains(action, "create") || strings.Contains(action, "generate") {
		req.Header.Set("Authorization", "Bearer "+srv.APIKey)
	}
	if change != nil {
		change(req)
	}
	resp, err := srv.Client().Do(req)
	if err != nil {
		return answer{err: err}
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(text), err}
}

func post(t *testing.T, srv *Server, room, action, body string) answer {
	t.Helper()
	return exchange(t.Context(), srv, room, action, body, nil)
}

// background makes the request in a goroutine.
func background(ctx context.Context, srv *Server, room, action, body string) <-chan answer {
	done := make(chan answer, 1)
	go func() { done <- exchange(ctx, srv, room, action, body, nil) }()
	return done
}

func waitHeld(t *testing.T, srv *Server, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := srv.WaitHeld(ctx, n); err != nil {
		t.Fatalf("waiting for %d held calls: %v", n, err)
	}
}

func waitRequests(t *testing.T, srv *Server, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := srv.WaitRequests(ctx, n); err != nil {
		t.Fatalf("waiting for %d requests that have ended: %v", n, err)
	}
}
