package roomhttp_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/roomhttp"
	"github.com/roomtoken/roomtoken/roomtokentest"
)

// The endpoints on the standard mux, for users with a session cookie.
func Example() {
	source := &roomtokentest.Source{} // in production: telnyx.NewSource
	manager, err := roomtoken.NewManager(source, roomtoken.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer manager.Close()

	handler, err := roomhttp.New(manager, roomhttp.Config{
		Authorize: func(r *http.Request, roomID string) error {
			session, err := r.Cookie("session")
			switch {
			case err != nil:
				return roomhttp.ErrUnauthenticated
			case session.Value != "alice" || roomID != "lobby":
				return errors.New("not a member of the room")
			}
			return nil
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	mux := http.NewServeMux()
	mux.Handle("/api/", http.StripPrefix("/api", handler))
	mux.Handle("GET /readyz", roomhttp.Ready(manager, 0.9))
	server := httptest.NewServer(mux) // in production: an http.Server with TLS, so that it serves HTTP/2
	defer server.Close()              // in production: Shutdown
	server.Config.RegisterOnShutdown(handler.Shutdown)

	for _, user := range []string{"", "mallory", "alice"} {
		r, _ := http.NewRequest(http.MethodGet, server.URL+"/api/rooms/lobby/token", http.NoBody)
		if user != "" {
			r.AddCookie(&http.Cookie{Name: "session", Value: user})
		}
		resp, err := server.Client().Do(r)
		if err != nil {
			fmt.Println(err)
			return
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		fmt.Printf("%q: %s, %s, %.28s\n", user, resp.Status, resp.Header.Get("Content-Type"), body)
	}
	// Output:
	// "": 401 Unauthorized, application/problem+json, {"type":"about:blank","title
	// "mallory": 403 Forbidden, application/problem+json, {"type":"about:blank","title
	// "alice": 200 OK, application/json, {"token":"token 1 of lobby",
}

// A handler of one's own answers as the Handler would.
func ExampleStatus() {
	err := fmt.Errorf("upstream: %w", roomtoken.RetryAfter(roomtoken.ErrRateLimited, 1500*time.Millisecond))
	status, code, retryAfter := roomhttp.Status(err)
	fmt.Println(status, code, retryAfter)
	// Output: 503 rate_limited 2s
}
