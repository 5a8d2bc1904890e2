package main

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"time"

	"github.com/roomtoken/roomtoken/bench/internal/child"
	"github.com/roomtoken/roomtoken/bench/internal/jwt"
)

// api is a minimal Telnyx API: it answers every request with a grant. It runs in a
// separate process, so that its CPU time does not count as the clients'.
type api struct {
	connections atomic.Int64
	requests    atomic.Int64
}

// serveAPI serves until stdin is closed, and answers every order with its traffic.
func serveAPI(protocol string, stdin io.Reader, stdout io.Writer) error {
	a := &api{}
	server := httptest.NewUnstartedServer(a)
	server.EnableHTTP2 = protocol == "http2"
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			a.connections.Add(1)
		}
	}
	server.StartTLS()
	defer server.Close()
	return child.ServeAPI(stdin, stdout, server.URL+"/v2", server.Certificate(), func(struct{}) (traffic, error) {
		return traffic{a.connections.Load(), a.requests.Load()}, nil
	})
}

// traffic is the number of connections and requests since the start.
type traffic struct{ Connections, Requests int64 }

func (t traffic) since(before traffic) traffic {
	return traffic{t.Connections - before.Connections, t.Requests - before.Requests}
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.requests.Add(1)
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return
	}
	room, action, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v2/rooms/"), "/actions/")
	now := time.Now()
	expires, refreshExpires := now.Add(10*time.Minute), now.Add(time.Hour)
	data := map[string]string{
		"token": jwt.New(jwt.Access, room, now, expires), "token_expires_at": expires.UTC().Format(time.RFC3339),
	}
	if action == "generate_join_client_token" {
		data["refresh_token"] = jwt.New(jwt.Refresh, room, now, refreshExpires)
		data["refresh_token_expires_at"] = refreshExpires.UTC().Format(time.RFC3339)
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(map[string]any{"data": data})
}
