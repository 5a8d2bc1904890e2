package roomhttp_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/roomtoken/roomtoken/roomhttp"
	"github.com/roomtoken/roomtoken/roomtokentest"
)

const app = "https://app.example.com"

// Who may ask, by what browsers say about where the request comes from. The host of the
// Handler is rooms.example.
func TestOrigins(t *testing.T) {
	for _, tt := range []struct {
		origin, site string
		off, allowed bool // whether it is let in without AllowOrigins, and with app allowed
	}{
		{"", "", true, true},
		{"", "same-origin", true, true},
		{"", "none", true, true},
		{"", "same-site", false, false},
		{"", "cross-site", false, false},
		{"http://rooms.example", "", true, true},
		{"https://rooms.example", "same-origin", true, true}, // TLS ends at a proxy
		{"https://ROOMS.example", "", true, true},
		{"https://rooms.example:8443", "", false, false},
		{"https://rooms.example.evil.example", "", false, false},
		{"https://evil.example/rooms.example", "", false, false},
		{"https://evilrooms.example", "", false, false},
		{"https://rooms.example@evil.example", "", false, false},
		{"https://rooms.example/path", "", false, false}, // no origin has a path
		{"https://rooms.example/", "", false, false},
		{"https://rooms.example?", "", false, false},
		{"https://user@rooms.example", "", false, false},
		{"evil://rooms.example", "", false, false},
		{"chrome-extension://rooms.example", "", false, false},
		{"//rooms.example", "", false, false},
		{"rooms.example", "", false, false},
		{"https://", "", false, false},
		{"null", "", false, false},
		{"%", "", false, false},
		{app, "cross-site", false, true},
		{app + ".evil.example", "cross-site", false, false},
		{app + ":8443", "", false, false},
		{"http://app.example.com", "", false, false},
		{"https://APP.example.com", "", false, false},
		{"https://example.com", "", false, false},
	} {
		for _, origins := range [][]string{nil, {"https://other.example", app}} {
			within(t, setup{Config: roomhttp.Config{AllowOrigins: origins}}, func(t *testing.T, w *world) {
				header := []string{field("Origin", tt.origin), field("Sec-Fetch-Site", tt.site)}
				want := tt.off && origins == nil || tt.allowed && origins != nil
				for _, path := range []string{"/rooms/lobby/token", "/rooms/lobby/token/events"} {
					a := ask(w.handler, newRequest(http.MethodHead, "http://rooms.example"+path, "", header...))
					if (a.status == http.StatusOK) != want || !want && a.code(t) != "cross_origin" {
						t.Errorf("%s with %v, allowed %v: %d %s", path, header, origins, a.status, a.body)
					}
				}
				if got := w.stats(); !want && got != (roomhttp.Stats{Denied: 2}) {
					t.Errorf("%v: %+v", header, got)
				}
			})
		}
	}
}

// field returns a header field, "" if it has no value.
func field(name, value string) string {
	if value == "" {
		return ""
	}
	return name + ": " + value
}

// The CORS headers of every kind of answer.
func TestCORSHeaders(t *testing.T) {
	paths := []string{"/rooms/lobby/token", "/rooms/lobby/token/events", "/roomtoken.js", "/nothing", "/rooms/a%00/token"}
	for _, tt := range []struct {
		name    string
		config  roomhttp.Config
		origin  string
		allowed bool
	}{
		{"off", roomhttp.Config{}, app, false},
		{"named", roomhttp.Config{AllowOrigins: []string{app}}, app, true},
		{"named, with cookies", roomhttp.Config{AllowOrigins: []string{app}, AllowCredentials: true}, app, true},
		{"foreign", roomhttp.Config{AllowOrigins: []string{app}, AllowCredentials: true}, "https://evil.example", false},
		{"none", roomhttp.Config{AllowOrigins: []string{app}}, "", false},
	} {
		handler, _ := newHandler(t, &roomtokentest.Source{}, tt.config)
		for _, path := range paths {
			a := ask(handler, newRequest(http.MethodHead, path, "", field("Origin", tt.origin)))
			want := map[string]string{
				"Vary":                             "Origin",
				"Cross-Origin-Resource-Policy":     "",
				"Access-Control-Allow-Origin":      "",
				"Access-Control-Expose-Headers":    "",
				"Access-Control-Allow-Credentials": "",
			}
			if len(tt.config.AllowOrigins) == 0 {
				want["Vary"], want["Cross-Origin-Resource-Policy"] = "", "same-origin"
			}
			if tt.allowed {
				want["Access-Control-Allow-Origin"], want["Access-Control-Expose-Headers"] = app, "Retry-After"
				if tt.config.AllowCredentials {
					want["Access-Control-Allow-Credentials"] = "true"
				}
			}
			for name, value := range want {
				if got := strings.Join(a.header.Values(name), ", "); got != value {
					t.Errorf("%s: %s: %s is %q, want %q", tt.name, path, name, got, value)
				}
			}
		}
	}
}

// Middleware may have set a Vary of its own.
func TestVaryIsAdded(t *testing.T) {
	handler, _ := newHandler(t, &roomtokentest.Source{}, roomhttp.Config{AllowOrigins: []string{app}})
	a := ask(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Vary", "Accept-Encoding")
		handler.ServeHTTP(w, r)
	}), newRequest(http.MethodGet, "/rooms/lobby/token", ""))
	if got := strings.Join(a.header.Values("Vary"), ", "); got != "Accept-Encoding, Origin" {
		t.Error(got)
	}
}

func TestPreflight(t *testing.T) {
	asked := 0
	handler, _ := newHandler(t, &roomtokentest.Source{}, roomhttp.Config{
		Authorize:        func(*http.Request, string) error { asked++; return nil },
		AllowOrigins:     []string{app},
		AcceptRejections: true,
	})
	for path, methods := range map[string]string{
		"/rooms/lobby/token":          "GET, HEAD, OPTIONS",
		"/rooms/lobby/token/events":   "GET, HEAD, OPTIONS",
		"/rooms/lobby/token/rejected": "POST, OPTIONS",
		"/roomtoken.js":               "GET, HEAD, OPTIONS",
	} {
		a := ask(handler, newRequest(http.MethodOptions, path, "", "Origin: "+app, "Access-Control-Request-Method: GET"))
		for name, want := range map[string]string{
			"Allow":                        methods,
			"Access-Control-Allow-Origin":  app,
			"Access-Control-Allow-Methods": methods,
			"Access-Control-Allow-Headers": "Authorization, Content-Type, Last-Event-ID",
			"Access-Control-Max-Age":       "7200",
		} {
			if got := a.header.Get(name); a.status != http.StatusNoContent || got != want {
				t.Errorf("%s: %d, %s is %q, want %q", path, a.status, name, got, want)
			}
		}
		a = ask(handler, newRequest(http.MethodOptions, path, ""))
		if a.status != http.StatusNoContent || a.header.Get("Allow") != methods || a.header.Get("Access-Control-Allow-Methods") != "" {
			t.Errorf("%s, without Origin: %d %v", path, a.status, a.header)
		}
	}
	if asked != 0 {
		t.Errorf("Authorize was asked %d times; preflight requests have no cookies", asked)
	}
	if a := ask(handler, newRequest(http.MethodOptions, "/rooms/lobby/token", "", "Origin: https://evil.example")); a.code(t) != "cross_origin" {
		t.Errorf("%d %s", a.status, a.body)
	}
}
