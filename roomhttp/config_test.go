package roomhttp_test

import (
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/roomhttp"
	"github.com/roomtoken/roomtoken/roomtokentest"
)

// The error names everything that is wrong.
func TestNewNamesEveryInvalidField(t *testing.T) {
	_, err := roomhttp.New(nil, roomhttp.Config{
		AllowOrigins: []string{"https://app.example.com", "*"},
		Wait:         -1,
		Heartbeat:    -1,
		WriteTimeout: -1,
		Retry:        -1,
	})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"needs a Manager", "Config.Authorize", "Config.AllowOrigins[1]", "Config.Wait", "Config.Heartbeat", "Config.WriteTimeout", "Config.Retry"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not mention %s:\n%v", want, err)
		}
	}
	if strings.Contains(err.Error(), "AllowOrigins[0]") {
		t.Errorf("the error mentions an origin that is right:\n%v", err)
	}
}

func TestAllowOrigins(t *testing.T) {
	for _, tt := range []struct {
		origin string
		err    string // "": it is right
	}{
		{"https://app.example.com", ""},
		{"http://localhost:5173", ""},
		{"https://[2001:db8::1]:8443", ""},
		{"capacitor://localhost", ""},
		{"https://xn--bcher-kva.example", ""},
		{"*", "want one such as"},
		{"", "want one such as"},
		{"null", "want one such as"},
		{"app.example.com", "want one such as"},
		{"https://", "want one such as"},
		{"https://:443", "want one such as"},
		{"https://*.example.com", "want one such as"},
		{"https://app.example.com/", `want "https://app.example.com"`},
		{"https://app.example.com/rooms", `want "https://app.example.com"`},
		{"https://app.example.com?x", `want "https://app.example.com"`},
		{"https://app.example.com#x", `want "https://app.example.com"`},
		{"https://App.example.com", `want "https://app.example.com"`},
		{"HTTPS://app.example.com", `want "https://app.example.com"`},
		{"https://app.example.com:443", `want "https://app.example.com"`},
		{"http://app.example.com:80", `want "http://app.example.com"`},
		{"https://app.example.com:", `want "https://app.example.com"`},
		{"https://user:canary@app.example.com", `want "https://app.example.com"`},
		{"https://bücher.example", "Punycode"},
	} {
		_, err := roomhttp.New(newManager(t), roomhttp.Config{Authorize: anyone, AllowOrigins: []string{tt.origin}})
		switch {
		case tt.err == "" && err != nil:
			t.Errorf("%q: %v", tt.origin, err)
		case tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)):
			t.Errorf("%q: error %v, want one with %q", tt.origin, err, tt.err)
		case err != nil && strings.Contains(err.Error(), "canary"):
			t.Errorf("the error has the password: %v", err)
		}
	}
}

func newManager(t testing.TB) *roomtoken.Manager {
	t.Helper()
	manager, err := roomtoken.NewManager(&roomtokentest.Source{}, roomtoken.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { manager.Close() })
	return manager
}

// What the caller changes later does not reach the Handler.
func TestNewCopiesAllowOrigins(t *testing.T) {
	origins := []string{"https://app.example.com"}
	handler, _ := newHandler(t, &roomtokentest.Source{}, roomhttp.Config{AllowOrigins: origins})
	origins[0] = "https://evil.example"
	if a := ask(handler, newRequest(http.MethodGet, "/rooms/lobby/token", "", "Origin: https://evil.example")); a.status != http.StatusForbidden {
		t.Errorf("status %d", a.status)
	}
}

// Durations as long as there are do no harm.
func TestLongDurations(t *testing.T) {
	const forever = time.Duration(math.MaxInt64)
	within(t, setup{Config: roomhttp.Config{Wait: forever, Heartbeat: forever, WriteTimeout: forever, Retry: forever}}, func(t *testing.T, w *world) {
		s := w.open("/rooms/lobby/token/events")
		if b := s.next(); b.comment != "heartbeat 31536000" || len(b.retry) < 10 {
			t.Errorf("%+v, want a year", b)
		}
		s.token()
		s.token()
		w.handler.Shutdown()
		s.wantEnd(`{"code":"closing","reconnect":true}`)
	})
}
