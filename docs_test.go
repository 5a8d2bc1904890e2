package roomtoken_test

import (
	"testing"

	"github.com/roomtoken/roomtoken/internal/doctest"
)

// docsEnv is what the code on the pages may use without saying so.
var docsEnv = doctest.Env{
	Packages: []string{
		"context", "errors", "fmt", "log", "log/slog", "math", "math/rand/v2", "net/http", "os", "strconv", "strings", "sync",
		"testing", "testing/synctest", "time",
		thisModule, thisModule + "/roomhttp", thisModule + "/roomtokentest", thisModule + "/statuspage",
		thisModule + "/telnyx", thisModule + "/telnyx/telnyxtest",
	},
	Variables: `
var (
	ctx                          context.Context
	roomID, userID, credentialID string
	source                       roomtoken.TokenSource
	manager                      *roomtoken.Manager
	handler                      *roomhttp.Handler
	server                       *http.Server
	mux                          *http.ServeMux
	w                            http.ResponseWriter
	r                            *http.Request

	// The reader's own.
	room      interface{ UpdateClientToken(token string) }
	heartbeat *time.Ticker
	join      func(roomID, token string)
	send      func(roomtoken.Token, error)
	ping      func()

	// Those of other modules, which this one does not require.
	otelhttp interface{ NewTransport(http.RoundTripper) http.RoundTripper }
)
`,
}

// elsewhere are packages of modules in extra. Tests of theirs check the code on the pages
// that uses them.
var elsewhere = []string{"oauth2roomtoken", "otelroomtoken", "promroomtoken"}

func TestDocsCode(t *testing.T) {
	compiler := doctest.NewGo(t, docsEnv)
	n := 0
	for _, page := range doctest.Open(t, ".").Pages() {
		for _, block := range page.Blocks("go") {
			if doctest.UsesAny(block, elsewhere) {
				continue
			}
			n++
			for _, err := range compiler.Check(block) {
				t.Error(err)
			}
		}
	}
	if n < 8 {
		t.Errorf("the pages have %d blocks of Go code, want more", n)
	}
}

func TestDocsCommands(t *testing.T) {
	repository := doctest.Open(t, ".")
	n := 0
	for _, page := range repository.Pages() {
		for _, command := range doctest.Commands(page) {
			n++
			if err := repository.CheckCommand(command); err != nil {
				t.Error(err)
			}
		}
	}
	if n < 30 {
		t.Errorf("the pages have %d commands, want more", n)
	}
}

func TestDocsLinks(t *testing.T) {
	repository := doctest.Open(t, ".")
	for _, page := range repository.Pages() {
		for _, err := range repository.CheckLinks(page) {
			t.Error(err)
		}
	}
}
