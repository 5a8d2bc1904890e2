package roomtoken_test

import (
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
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

	createToken   func(roomID string) (string, error)
	operatorsOnly func(*http.Request) error

	// Those of other modules, which this one does not require.
	otelhttp interface{ NewTransport(http.RoundTripper) http.RoundTripper }
)
`,
}

// Packages of the modules in extra: tests there check the code that uses them.
func TestDocsCode(t *testing.T) {
	doctest.Open(t, ".").CheckGo(t, docsEnv, func(block doctest.Code) bool {
		return !doctest.UsesAny(block, "oauth2", "oauth2roomtoken", "otelroomtoken", "promroomtoken")
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

// notShown are methods that need no example: they make values print and encode, or say what
// their name says.
var notShown = regexp.MustCompile(`^(Error|Format|IsZero|LogValue|Marshal.*|ServeHTTP|String|Unwrap)$`)

// Every exported function and method is called in an Example that has output.
func TestExamplesShowEveryFeature(t *testing.T) {
	for _, dir := range []string{".", "roomhttp", "statuspage", "telnyx"} {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v, %d files", dir, err, len(files))
		}
		features, shown := map[string]bool{}, map[string]bool{}
		for _, name := range files {
			file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments|parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasSuffix(name, "_test.go") {
				for _, declaration := range file.Decls {
					if f, ok := declaration.(*ast.FuncDecl); ok && isFeature(f) {
						features[f.Name.Name] = true
					}
				}
				continue
			}
			for _, example := range doc.Examples(file) {
				if example.Output == "" {
					continue
				}
				ast.Inspect(example.Code, func(n ast.Node) bool {
					if s, ok := n.(*ast.SelectorExpr); ok {
						shown[s.Sel.Name] = true
					}
					return true
				})
			}
		}
		for name := range features {
			if !shown[name] {
				t.Errorf("%s: no Example with output calls %s", dir, name)
			}
		}
	}
}

// isFeature reports whether a function or method is exported, and needs an example.
func isFeature(f *ast.FuncDecl) bool {
	if f.Recv != nil {
		of := f.Recv.List[0].Type
		if pointer, ok := of.(*ast.StarExpr); ok {
			of = pointer.X
		}
		if name, ok := of.(*ast.Ident); !ok || !name.IsExported() {
			return false
		}
	}
	return f.Name.IsExported() && !notShown.MatchString(f.Name.Name)
}
