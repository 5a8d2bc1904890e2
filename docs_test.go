package roomtoken_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/internal/doctest"
	"github.com/roomtoken/roomtoken/roomtokentest"
	"github.com/roomtoken/roomtoken/statuspage"
)

// docsEnv is what the code on the pages may use without saying so.
var docsEnv = doctest.Env{
	Packages: []string{
		"context", "errors", "fmt", "log", "log/slog", "math", "net/http", "os", "strconv", "strings", "sync",
		"testing", "testing/synctest", "time",
		thisModule, thisModule + "/roomhttp", thisModule + "/roomtokentest", thisModule + "/statuspage",
		thisModule + "/storetest", thisModule + "/telnyx", thisModule + "/telnyx/telnyxtest",
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

	mayEnter      func(r *http.Request, roomID string) error
	createToken   func(roomID string) (string, error)
	operatorsOnly func(*http.Request) error
	open          func(t *testing.T) roomtoken.Store

	// Those of other modules, which this one does not require.
	otelhttp interface{ NewTransport(http.RoundTripper) http.RoundTripper }
)
`,
}

// Packages of the modules in extra: tests there check the code that uses them.
func TestDocsCode(t *testing.T) {
	doctest.Open(t, ".").CheckGo(t, docsEnv, func(block doctest.Code) bool {
		return !doctest.UsesAny(block, "oauth2", "oauth2roomtoken", "otelroomtoken", "promroomtoken", "redisstore")
	})
}

func TestDocsCommands(t *testing.T) {
	repository := doctest.Open(t, ".")
	for _, page := range repository.Pages() {
		for _, command := range doctest.Commands(page) {
			if err := repository.CheckCommand(command); err != nil {
				t.Error(err)
			}
		}
	}
}

// The addresses of the status page on the pages are such as it answers.
func TestDocsStatusPage(t *testing.T) {
	manager, err := roomtoken.NewManager(&roomtokentest.Source{}, roomtoken.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	status, err := statuspage.New(manager, statuspage.Config{Authorize: statuspage.Anyone})
	if err != nil {
		t.Fatal(err)
	}
	defer status.Close()
	n := 0
	for _, page := range doctest.Open(t, ".").Pages() {
		for _, command := range doctest.Commands(page) {
			_, query, ok := strings.Cut(command.Text, "/debug/rooms")
			if !ok {
				continue
			}
			n++
			w := httptest.NewRecorder()
			status.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/"+strings.Trim(query, "'"), http.NoBody))
			if w.Code != http.StatusOK {
				t.Errorf("%s:%d: %s: status %d", command.Path, command.Line, command.Text, w.Code)
			}
		}
	}
	if n == 0 {
		t.Error("no page has an address of the status page")
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
