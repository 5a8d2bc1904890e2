package telnyxtest

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// A request without a body, whatever its Content-Type, is one without parameters. One
// with a body must say that it is JSON.
func TestBodies(t *testing.T) {
	for _, tt := range []struct {
		name         string
		action       string
		contentType  string
		body         string
		status       int
		code         string
		strictStatus int
		strictCode   string
	}{
		{"create, nothing", create, "", ``, 201, "object ", 415, "list 10029"},
		{"create, only the type", create, "application/json", ``, 201, "object ", 400, "list 10023"},
		{"create, only another type", create, "text/plain", ``, 201, "object ", 415, "list 10029"},
		{"create, no type", create, "", `{}`, 415, "list 10029", 415, "list 10029"},
		{"create, another type", create, "application/x-www-form-urlencoded", `{}`, 415, "list 10029", 415, "list 10029"},
		{"create, type with a parameter", create, "Application/JSON; charset=utf-8", `{}`, 201, "object ", 201, "object "},
		{"create, a space", create, "application/json", ` `, 400, "list 10023", 400, "list 10023"},
		{"refresh, nothing", refresh, "", ``, 422, "list 10004", 415, "list 10029"},
		{"refresh, only the type", refresh, "application/json", ``, 422, "list 10004", 400, "list 10023"},
	} {
		for _, strict := range []bool{false, true} {
			name, status, code := tt.name, tt.status, tt.code
			if strict {
				name, status, code = name+"/strict", tt.strictStatus, tt.strictCode
			}
			t.Run(name, func(t *testing.T) {
				srv := Start(t, Config{Strict: strict})
				got := exchange(t.Context(), srv, roomA, tt.action, tt.body, func(r *http.Request) {
					r.Header.Del("Content-Type")
					if tt.contentType != "" {
						r.Header.Set("Content-Type", tt.contentType)
					}
				})
				if got.err != nil || got.status != status || got.code() != code {
					t.Errorf("got %d, %s, %v; want %d, %s", got.status, got.code(), got.err, status, code)
				}
			})
		}
	}
}

// A create without a body has the default lifetimes.
func TestNoBodyHasDefaultLifetimes(t *testing.T) {
	srv, _ := startMock(t, Config{})
	data := post(t, srv, roomA, create, ``).data(t)
	if data["token_expires_at"] != "2026-07-01T12:10:00Z" || data["refresh_token_expires_at"] != "2026-07-01T13:00:00Z" {
		t.Errorf("got %v, want 10 min and 1 h", data)
	}
}

// A body that ends early is no request without a body.
func TestBodyThatEndsEarly(t *testing.T) {
	srv := Start(t, Config{})
	base, _ := url.Parse(srv.URL)
	conn, err := net.Dial("tcp", base.Host)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /v2/rooms/%s/actions/%s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n"+
		"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n", roomA, create, srv.APIKey)
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(conn)
	if !strings.HasPrefix(string(got), "HTTP/1.1 400 ") || !strings.Contains(string(got), `"10015"`) {
		t.Errorf("got %q, %v; want a 400 with 10015", got, err)
	}
}
