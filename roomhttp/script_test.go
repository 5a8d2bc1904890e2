package roomhttp_test

import (
	"errors"
	"net/http"
	"os"
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

func TestScriptIsSmall(t *testing.T) {
	info, err := os.Stat("roomtoken.js")
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() > 8<<10 {
		t.Errorf("%d bytes, want at most 8 KiB", info.Size())
	}
}
