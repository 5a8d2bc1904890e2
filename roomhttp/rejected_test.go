package roomhttp_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken/roomhttp"
	"github.com/roomtoken/roomtoken/roomtokentest"
)

const jsonType = "Content-Type: application/json"

func TestRejected(t *testing.T) {
	within(t, setup{Config: roomhttp.Config{AcceptRejections: true}}, func(t *testing.T, w *world) {
		s := w.open("/rooms/lobby/token/events")
		first := s.token()
		for _, tt := range []struct {
			token         string
			invalidations uint64
		}{
			{"another token", 0},
			{first, 1},
			{first, 1}, // no longer the current one
		} {
			a := w.do(http.MethodPost, "/rooms/lobby/token/rejected", `{"token":"`+tt.token+`"}`, jsonType)
			if a.status != http.StatusNoContent || a.body != "" {
				t.Errorf("%d %s", a.status, a.body)
			}
			if n := w.manager.Stats().Invalidations; n != tt.invalidations {
				t.Errorf("%q: %d invalidations, want %d", tt.token, n, tt.invalidations)
			}
		}
		if second := s.token(); second == first {
			t.Errorf("the stream brings %q again", second)
		}
		if got := w.stats(); got.Rejections != 3 {
			t.Errorf("%+v", got)
		}
	})
}

func TestReports(t *testing.T) {
	const most = 16 << 10
	padded := func(size int) string { return `{"token":"x"` + strings.Repeat(" ", size-len(`{"token":"x"}`)) + "}" }
	for _, tt := range []struct {
		name, contentType, body string
		status                  int
		code                    string
	}{
		{"good", "application/json", `{"token":"x"}`, 204, ""},
		{"more members", "application/json; charset=utf-8", `{"reason":7,"token":"x"}`, 204, ""},
		{"capitals", "Application/JSON", `{"token":"x"}`, 204, ""},
		{"as large as may be", "application/json", padded(most), 204, ""},
		{"too large", "application/json", padded(most + 1), 413, "too_large"},
		{"much too large", "application/json", padded(1 << 20), 413, "too_large"},
		{"no content type", "", `{"token":"x"}`, 415, "unsupported_media_type"},
		{"form", "application/x-www-form-urlencoded", `token=x`, 415, "unsupported_media_type"},
		{"text", "text/plain", `{"token":"x"}`, 415, "unsupported_media_type"},
		{"broken content type", "application/json;;;x", `{"token":"x"}`, 204, ""}, // it says what it is
		{"another kind of JSON", "application/problem+json", `{"token":"x"}`, 415, "unsupported_media_type"},
		{"empty", "application/json", ``, 400, "bad_request"},
		{"no object", "application/json", `["x"]`, 400, "bad_request"},
		{"null", "application/json", `null`, 400, "bad_request"},
		{"no token", "application/json", `{}`, 400, "bad_request"},
		{"empty token", "application/json", `{"token":""}`, 400, "bad_request"},
		{"a number", "application/json", `{"token":1}`, 400, "bad_request"},
		{"half an object", "application/json", `{"token":"x"`, 400, "bad_request"},
		{"more behind it", "application/json", `{"token":"x"}{}`, 400, "bad_request"},
	} {
		within(t, setup{Config: roomhttp.Config{AcceptRejections: true}}, func(t *testing.T, w *world) {
			a := w.do(http.MethodPost, "/rooms/lobby/token/rejected", tt.body, field("Content-Type", tt.contentType))
			if a.status != tt.status || a.code(t) != tt.code {
				t.Errorf("%s: %d %s, want %d %s", tt.name, a.status, a.body, tt.status, tt.code)
			}
			want := roomhttp.Stats{}
			if tt.status == http.StatusNoContent {
				want.Rejections = 1
			}
			if got := w.stats(); got != want {
				t.Errorf("%s: %+v", tt.name, got)
			}
		})
	}
}

// A report that breaks off is none.
func TestReportBreaksOff(t *testing.T) {
	handler, _ := newHandler(t, &roomtokentest.Source{}, roomhttp.Config{AcceptRejections: true})
	r := newRequest(http.MethodPost, "/rooms/lobby/token/rejected", "", jsonType)
	r.Body = io.NopCloser(io.MultiReader(strings.NewReader(`{"token":"x"}`), brokenReader{}))
	if a := ask(handler, r); a.code(t) != "bad_request" {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// A report whose body does not come is given up after Wait. The connection of one that came
// in full goes on.
func TestReportThatDoesNotCome(t *testing.T) {
	for name, length := range map[string]string{"": "20", "too large": "1000000"} {
		t.Run(name, func(t *testing.T) {
			within(t, setup{Config: roomhttp.Config{AcceptRejections: true}}, func(t *testing.T, w *world) {
				conn, err := w.pipes.dial(t.Context(), "", "")
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				began := time.Now()
				go func() {
					io.WriteString(conn, "POST /rooms/lobby/token/rejected HTTP/1.1\r\nHost: rooms.example\r\n"+jsonType+"\r\nContent-Length: "+length+"\r\n\r\n{")
					if length != "20" {
						io.WriteString(conn, strings.Repeat("x", 20<<10))
					}
				}()
				time.AfterFunc(time.Hour, func() { conn.Close() })
				answer, err := io.ReadAll(conn)
				if took := time.Since(began); err != nil || took > 11*time.Second {
					t.Errorf("%v after %v: %s", err, took, answer)
				}
				if length == "20" && !strings.HasPrefix(string(answer), "HTTP/1.1 400 ") {
					t.Errorf("%s", answer)
				}
			})
		})
	}
	bothVersions(t, setup{Config: roomhttp.Config{AcceptRejections: true}}, func(t *testing.T, w *world) {
		for range 3 {
			if a := w.do(http.MethodPost, "/rooms/lobby/token/rejected", `{"token":"x"}`, jsonType); a.status != http.StatusNoContent {
				t.Errorf("%d %s", a.status, a.body)
			}
			time.Sleep(time.Minute)
		}
	})
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errors.New("cut off") }

// Without AcceptRejections there is no such path.
func TestRejectedIsOff(t *testing.T) {
	within(t, setup{}, func(t *testing.T, w *world) {
		w.get("/rooms/lobby/token")
		a := w.do(http.MethodPost, "/rooms/lobby/token/rejected", `{"token":"token 1 of lobby"}`, jsonType)
		if a.status != http.StatusNotFound || a.code(t) != "not_found" || w.manager.Stats().Invalidations != 0 {
			t.Errorf("%d %s", a.status, a.body)
		}
		if a := w.do(http.MethodOptions, "/rooms/lobby/token/rejected", ""); a.status != http.StatusNotFound {
			t.Errorf("%d %s", a.status, a.body)
		}
	})
}
