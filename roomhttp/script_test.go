package roomhttp_test

import (
	"errors"
	"net/http"
	"os"
	"strconv"
	"testing"

	"github.com/roomtoken/roomtoken/roomhttp"
	"github.com/roomtoken/roomtoken/roomtokentest"
)

// The module is served to anybody, with an ETag.
func TestScript(t *testing.T) {
	file, err := os.ReadFile("roomtoken.js")
	if err != nil {
		t.Fatal(err)
	}
	handler, _ := newHandler(t, &roomtokentest.Source{}, roomhttp.Config{Authorize: func(*http.Request, string) error { return errors.New("nobody") }})
	a := ask(handler, newRequest(http.MethodGet, "/roomtoken.js", "", "Origin: https://evil.example"))
	if a.status != http.StatusOK || a.body != string(file) || a.header.Get("Content-Type") != "text/javascript; charset=utf-8" {
		t.Errorf("%d %v, %d bytes", a.status, a.header, len(a.body))
	}
	tag := a.header.Get("ETag")
	if a := ask(handler, newRequest(http.MethodGet, "/roomtoken.js", "", "If-None-Match: "+tag)); a.status != http.StatusNotModified || a.body != "" {
		t.Errorf("%d with ETag %s", a.status, tag)
	}
	if a := ask(handler, newRequest(http.MethodGet, "/roomtoken.js", "", `If-None-Match: "another"`)); a.status != http.StatusOK {
		t.Errorf("%d", a.status)
	}
}

// The module comes as a whole or not at all, whatever else a request asks for.
func TestScriptIsWhole(t *testing.T) {
	handler, _ := newHandler(t, &roomtokentest.Source{}, roomhttp.Config{})
	tag := ask(handler, newRequest(http.MethodGet, "/roomtoken.js", "")).header.Get("ETag")
	for _, header := range []string{
		"Range: bytes=0-9",
		"Range: bytes=100000-",
		`If-Match: "another"`,
		"If-Unmodified-Since: Mon, 01 Jan 2001 00:00:00 GMT",
	} {
		a := ask(handler, newRequest(http.MethodGet, "/roomtoken.js", "", header))
		if a.status != http.StatusOK || strconv.Itoa(len(a.body)) != a.header.Get("Content-Length") || len(a.body) < 1000 {
			t.Errorf("%s: %d, %d bytes", header, a.status, len(a.body))
		}
		if a := ask(handler, newRequest(http.MethodGet, "/roomtoken.js", "", header, "If-None-Match: "+tag)); a.status != http.StatusNotModified {
			t.Errorf("%s: %d with the ETag", header, a.status)
		}
	}
}

func TestScriptIsSmall(t *testing.T) {
	info, err := os.Stat("roomtoken.js")
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() >= 8000 {
		t.Errorf("%d bytes, want fewer than 8,000", info.Size())
	}
}
