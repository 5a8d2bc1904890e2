package roomhttp_test

import (
	"bufio"
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/roomhttp"
	"github.com/roomtoken/roomtoken/roomtokentest"
)

// openHandler returns a handler that lets everybody in, for the examples. They print what
// clients see.
func openHandler(config roomhttp.Config) (*roomtoken.Manager, *roomhttp.Handler) {
	manager, err := roomtoken.NewManager(&roomtokentest.Source{}, roomtoken.Config{})
	if err != nil {
		log.Fatal(err)
	}
	config.Authorize = func(*http.Request, string) error { return nil } // never so in production
	handler, err := roomhttp.New(manager, config)
	if err != nil {
		log.Fatal(err)
	}
	return manager, handler
}

// do sends a request without a socket.
func do(handler http.Handler, method, path, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w
}

// A stream begins with the current token, and ends when the server shuts down.
func ExampleHandler_Events() {
	manager, handler := openHandler(roomhttp.Config{})
	defer manager.Close()
	server := httptest.NewServer(handler)
	defer server.Close()

	resp, err := http.Get(server.URL + "/rooms/lobby/token/events")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		name, ok := strings.CutPrefix(lines.Text(), "event: ")
		if !ok {
			continue
		}
		lines.Scan()
		fmt.Printf("%s %.26s\n", name, lines.Text())
		if name == "token" {
			go handler.Shutdown() // in production, http.Server.RegisterOnShutdown calls it
		}
	}
	// Output:
	// token data: {"token":"token 1 of
	// end data: {"code":"closing","r
}

// The endpoints on paths of your own. The module roomtoken.js finds events and rejected
// below the path of the token.
func ExampleHandler_Token() {
	manager, handler := openHandler(roomhttp.Config{AcceptRejections: true})
	defer manager.Close()
	mux := http.NewServeMux()
	mux.HandleFunc("/v1/{room_id}/credentials", handler.Token)
	mux.HandleFunc("/v1/{room_id}/credentials/events", handler.Events)
	mux.HandleFunc("/v1/{room_id}/credentials/rejected", handler.Rejected)

	w := do(mux, http.MethodGet, "/v1/lobby/credentials", "")
	fmt.Printf("%d %.28s\n", w.Code, w.Body)
	// Output: 200 {"token":"token 1 of lobby",
}

// With AcceptRejections a client says that its token was refused, and the room gets a new
// one.
func ExampleHandler_Rejected() {
	manager, handler := openHandler(roomhttp.Config{AcceptRejections: true})
	defer manager.Close()

	fmt.Printf("%.28s\n", do(handler, http.MethodGet, "/rooms/lobby/token", "").Body)
	w := do(handler, http.MethodPost, "/rooms/lobby/token/rejected", `{"token":"token 1 of lobby"}`)
	fmt.Println(w.Code)
	fmt.Printf("%.28s\n", do(handler, http.MethodGet, "/rooms/lobby/token", "").Body)
	// Output:
	// {"token":"token 1 of lobby",
	// 204
	// {"token":"token 2 of lobby",
}

// Stats are counters and gauges, for metrics of your own.
func ExampleHandler_Stats() {
	manager, handler := openHandler(roomhttp.Config{})
	defer manager.Close()

	do(handler, http.MethodGet, "/rooms/lobby/token", "")
	do(handler, http.MethodGet, "/rooms/attic/token", "")
	fmt.Println(handler.Stats().Tokens)
	// Output: 2
}

// A readiness probe: a process whose rooms have no tokens should get no traffic.
func ExampleReady() {
	source := &roomtokentest.Source{}
	manager, err := roomtoken.NewManager(source, roomtoken.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer manager.Close()
	ready := roomhttp.Ready(manager, 0.9) // while nine rooms of ten have a token

	fmt.Println(do(ready, http.MethodGet, "/readyz", "").Code)
	source.Fail(roomtoken.ErrUnauthorized, -1) // the API key was revoked
	_, _ = manager.Token(context.Background(), "lobby")
	fmt.Println(do(ready, http.MethodGet, "/readyz", "").Code)
	// Output:
	// 200
	// 503
}
