package oauth2roomtoken_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/extra/oauth2roomtoken"
	"github.com/roomtoken/roomtoken/roomtokentest"
)

var errDown = errors.New("out of order")

func newManager(t *testing.T, source roomtoken.TokenSource, config roomtoken.Config) *roomtoken.Manager {
	t.Helper()
	manager, err := roomtoken.NewManager(source, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { manager.Close() })
	return manager
}

// bubble returns a test that runs in a bubble, where waits cost no time.
func bubble(f func(*testing.T)) func(*testing.T) {
	return func(t *testing.T) { synctest.Test(t, f) }
}

// newTransport returns a Transport for the room lobby on a server that is a function, and
// the source of its tokens: "token 1 of lobby" and so on.
func newTransport(t *testing.T, serve roundTripper) (*oauth2roomtoken.Transport, *roomtokentest.Source) {
	t.Helper()
	source := &roomtokentest.Source{}
	manager := newManager(t, source, roomtoken.Config{})
	return &oauth2roomtoken.Transport{Manager: manager, RoomID: "lobby", Base: serve}, source
}

type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip closes the request's body, as every http.RoundTripper must.
func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		defer req.Body.Close()
	}
	return f(req)
}

// answer returns a response with a status and a text that can be seen being closed.
func answer(status int, text string) *http.Response {
	return &http.Response{
		StatusCode: status, Header: http.Header{}, ContentLength: int64(len(text)),
		Body: newBody(text),
	}
}

// body is a request's or response's body that knows whether it was closed.
type body struct {
	io.Reader
	closed atomic.Bool
}

func newBody(text string) *body { return &body{Reader: strings.NewReader(text)} }

func (b *body) Close() error {
	b.closed.Store(true)
	return nil
}

// tokenOf returns the token that a request carries.
func tokenOf(req *http.Request) string {
	tok, _ := strings.CutPrefix(req.Header.Get("Authorization"), "Bearer ")
	return tok
}

func newRequest(t *testing.T, method, url string, body io.Reader) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

// read returns the text of a response, and closes it.
func read(t *testing.T, resp *http.Response) string {
	t.Helper()
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
