package roomhttp_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/roomtoken/roomtoken/roomhttp"
	"github.com/roomtoken/roomtoken/roomtokentest"
)

// Which path is which room. Each is asked for under a prefix on the standard mux, through
// a server, as it stands on the request line.
func TestPaths(t *testing.T) {
	for _, tt := range []struct {
		path string
		room string // "": no such path
	}{
		{"/rooms/lobby/token", "lobby"},
		{"/rooms/a%2Fb/token", "a/b"},
		{"/rooms/a%2Ftoken%2Fevents/token", "a/token/events"},
		{"/rooms/%2F%2F/token", "//"},
		{"/rooms/%2E%2E/token", ".."},
		{"/rooms/a%252Fb/token", "a%2Fb"},
		{"/rooms/%3Fq=1/token", "?q=1"},
		{"/rooms/a+b%20c/token", "a+b c"},
		{"/rooms/%C3%A4/token", "ä"},
		{"/rooms/lobby/token?x=1", "lobby"},
		{"/rooms/token/token", "token"},
		{"/rooms/a/b/token", ""},
		{"/rooms/lobby/token/", ""},
		{"/rooms/lobby/token/event", ""},
		{"/rooms/lobby/token%2Fevents", ""},
		{"/rooms/lobby%2Ftoken", ""},
		{"/rooms/lobby/TOKEN", ""},
		{"/rooms/lobby", ""},
		{"/rooms/", ""},
		{"/rooms", ""},
		{"/", ""},
		{"/roomtoken.js/", ""},
		{"/roomtoken%2Ejs", ""},
	} {
		var asked string
		config := roomhttp.Config{Authorize: func(_ *http.Request, roomID string) error { asked = roomID; return nil }}
		mount := func(h http.Handler) http.Handler {
			mux := http.NewServeMux()
			mux.Handle("/api/v1/", http.StripPrefix("/api/v1", h))
			return mux
		}
		within(t, setup{Config: config, wrap: mount}, func(t *testing.T, w *world) {
			w.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
			a := w.get("/api/v1" + tt.path)
			switch {
			case tt.room == "" && (a.code(t) != "not_found" || asked != ""):
				t.Errorf("%s: %d %s, room %q", tt.path, a.status, a.body, asked)
			case tt.room != "" && (a.status != http.StatusOK || asked != tt.room):
				t.Errorf("%s: %d %s, room %q, want %q", tt.path, a.status, a.body, asked, tt.room)
			}
		})
	}
}

// A prefix that takes the slash with it does no harm.
func TestPathWithoutSlash(t *testing.T) {
	handler, _ := newHandler(t, &roomtokentest.Source{}, roomhttp.Config{})
	if a := ask(http.StripPrefix("/api/", handler), newRequest(http.MethodGet, "/api/rooms/lobby/token", "")); a.status != http.StatusOK {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestRoomIDs(t *testing.T) {
	handler, _ := newHandler(t, &roomtokentest.Source{}, roomhttp.Config{AcceptRejections: true})
	for _, tt := range []struct {
		name, segment string
		good          bool
	}{
		{"empty", "", false},
		{"1,024 bytes", strings.Repeat("a", 1024), true},
		{"1,025 bytes", strings.Repeat("a", 1025), false},
		{"not UTF-8", "%FF", false},
		{"NUL", "a%00", false},
		{"newline", "a%0Ab", false},
		{"DEL", "%7F", false},
		{"C1 control", "%C2%85", false},
		{"not a control", "%E2%80%A8", true},
	} {
		for _, request := range []*http.Request{
			newRequest(http.MethodGet, "/rooms/"+tt.segment+"/token", ""),
			newRequest(http.MethodHead, "/rooms/"+tt.segment+"/token/events", ""),
			newRequest(http.MethodPost, "/rooms/"+tt.segment+"/token/rejected", `{"token":"x"}`, "Content-Type: application/json"),
		} {
			a := ask(handler, request)
			if tt.good && a.status >= 300 || !tt.good && a.code(t) != "bad_room_id" {
				t.Errorf("%s: %s: %d %s", tt.name, request.Method, a.status, a.body)
			}
		}
	}
}

// A URL that the Handler gets from elsewhere may not be what a server would have parsed.
func TestBadEscape(t *testing.T) {
	handler, _ := newHandler(t, &roomtokentest.Source{}, roomhttp.Config{})
	r := newRequest(http.MethodGet, "/", "")
	r.URL = &url.URL{Path: "/rooms/%zz/token"} // a room called %zz
	if a := ask(handler, r); a.status != http.StatusOK || !strings.Contains(a.body, "%zz") {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestMethods(t *testing.T) {
	handler, _ := newHandler(t, &roomtokentest.Source{}, roomhttp.Config{AcceptRejections: true})
	for path, allow := range map[string]string{
		"/rooms/lobby/token":          "GET, HEAD, OPTIONS",
		"/rooms/lobby/token/events":   "GET, HEAD, OPTIONS",
		"/rooms/lobby/token/rejected": "POST, OPTIONS",
		"/roomtoken.js":               "GET, HEAD, OPTIONS",
	} {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "get"} {
			if strings.Contains(allow, method) {
				continue
			}
			a := ask(handler, newRequest(method, path, ""))
			if a.status != http.StatusMethodNotAllowed || a.code(t) != "method_not_allowed" || a.header.Get("Allow") != allow {
				t.Errorf("%s %s: %d %s %v", method, path, a.status, a.body, a.header)
			}
		}
	}
}

// The handlers for paths of one's own do the same, on r.PathValue("room_id").
func TestPathsOfOnesOwn(t *testing.T) {
	var asked atomic.Value
	config := roomhttp.Config{
		AcceptRejections: true,
		Authorize:        func(_ *http.Request, roomID string) error { asked.Store(roomID); return nil },
	}
	mount := func(h http.Handler) http.Handler {
		handler, mux := h.(*roomhttp.Handler), http.NewServeMux()
		mux.HandleFunc("/v2/{room_id}/key", handler.Token)
		mux.HandleFunc("/v2/{room_id}/key/events", handler.Events)
		mux.HandleFunc("/v2/{room_id}/key/rejected", handler.Rejected)
		mux.HandleFunc("/v3/{id}", handler.Token)
		return mux
	}
	within(t, setup{Config: config, wrap: mount}, func(t *testing.T, w *world) {
		if a := w.get("/v2/a%2Fb/key"); a.status != http.StatusOK || asked.Load() != "a/b" {
			t.Errorf("%d %s, room %v", a.status, a.body, asked.Load())
		}
		if got := w.open("/v2/a%2Fb/key/events").token(); got != "token 1 of a/b" {
			t.Error(got)
		}
		a := w.do(http.MethodPost, "/v2/a%2Fb/key/rejected", `{"token":"token 1 of a/b"}`, "Content-Type: application/json")
		if a.status != http.StatusNoContent || w.manager.Stats().Invalidations != 1 {
			t.Errorf("%d %s", a.status, a.body)
		}
		if a := w.get("/v3/lobby"); a.code(t) != "bad_room_id" {
			t.Errorf("without a room_id: %d %s", a.status, a.body)
		}
	})
}

// The headers of every kind of answer.
func TestHeaders(t *testing.T) {
	within(t, setup{Config: roomhttp.Config{AcceptRejections: true}}, func(t *testing.T, w *world) {
		report := w.do(http.MethodPost, "/rooms/lobby/token/rejected", `{"token":"x"}`, "Content-Type: application/json")
		stream := w.open("/rooms/lobby/token/events")
		for _, tt := range []struct {
			name, cacheControl string
			header             http.Header
		}{
			{"token", "no-store", w.get("/rooms/lobby/token").header},
			{"stream", "no-store, no-transform", stream.header},
			{"report", "no-store", report.header},
			{"script", "no-cache", w.get("/roomtoken.js").header},
			{"not found", "no-store", w.get("/").header},
			{"preflight", "no-store", w.do(http.MethodOptions, "/rooms/lobby/token", "").header},
			{"foreign", "no-store", w.get("/rooms/lobby/token", "Sec-Fetch-Site: cross-site").header},
		} {
			for name, want := range map[string]string{
				"Cache-Control":          tt.cacheControl,
				"X-Content-Type-Options": "nosniff",
				"Connection":             "",
				"Content-Encoding":       "",
			} {
				if got := tt.header.Get(name); got != want {
					t.Errorf("%s: %s is %q, want %q", tt.name, name, got, want)
				}
			}
		}
		if got := stream.header.Get("X-Accel-Buffering") + " " + stream.header.Get("Content-Type"); got != "no text/event-stream" {
			t.Error(got)
		}
	})
}

// However many clients wait for a room's token, they wait for one call.
func TestRequestsShareOneCall(t *testing.T) {
	within(t, setup{}, func(t *testing.T, w *world) {
		hold := w.source.Hold()
		answers := make(chan answer, 100)
		for range cap(answers) {
			go func() { answers <- ask(w.handler, newRequest(http.MethodGet, "/rooms/lobby/token", "")) }()
		}
		if err := w.source.WaitCalls(context.Background(), 1); err != nil {
			t.Fatal(err)
		}
		hold.Release()
		for range cap(answers) {
			if a := <-answers; a.status != http.StatusOK {
				t.Errorf("%d %s", a.status, a.body)
			}
		}
		if n := w.source.Creates(); n != 1 {
			t.Errorf("%d creates, want 1", n)
		}
	})
}
