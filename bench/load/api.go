package main

import (
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"time"
)

// api is a minimal Telnyx API: it answers every request with a grant. It runs in a
// separate process, so that its CPU time does not count as the clients'.
type api struct {
	connections atomic.Int64
	requests    atomic.Int64
}

// serveAPI serves until stdin is closed. It writes a welcome to stdout, and then its
// traffic for every line that it reads.
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
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := json.NewEncoder(stdout).Encode(welcome{URL: server.URL + "/v2", Certificate: string(certificate)}); err != nil {
		return err
	}
	for {
		var line string
		if _, err := fmt.Fscanln(stdin, &line); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		if err := json.NewEncoder(stdout).Encode(traffic{a.connections.Load(), a.requests.Load()}); err != nil {
			return err
		}
	}
}

// welcome says how to reach the API.
type welcome struct {
	URL         string
	Certificate string // of the server, PEM
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
	now := time.Now()
	expires, refreshExpires := now.Add(10*time.Minute), now.Add(time.Hour)
	data := map[string]string{
		"token": jwt(now, expires), "token_expires_at": expires.UTC().Format(time.RFC3339),
	}
	if strings.HasSuffix(r.URL.Path, "/generate_join_client_token") {
		data["refresh_token"] = jwt(now, refreshExpires)
		data["refresh_token_expires_at"] = refreshExpires.UTC().Format(time.RFC3339)
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(map[string]any{"data": data})
}

// jwt returns a token with the format and the size of a real one, and a dummy
// signature.
func jwt(issued, expires time.Time) string {
	encode := base64.RawURLEncoding.EncodeToString
	claims := fmt.Sprintf(`{"exp":%d,"grants":{"room":%q},"iat":%d,"iss":"load","jti":%q,"nbf":%d,"sub":"null","typ":"access"}`,
		expires.Unix(), strings.Repeat("r", 150), issued.Unix(), strings.Repeat("j", 36), issued.Unix()-1)
	return encode([]byte(`{"alg":"Ed25519","typ":"JWT"}`)) + "." + encode([]byte(claims)) + "." + strings.Repeat("s", 86)
}
