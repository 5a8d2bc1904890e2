package roomhttp_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken/roomhttp"
	"github.com/roomtoken/roomtoken/roomtokentest"
)

// runNode runs a test file under Node's test runner, 20 or newer. Its environment has the
// path of the module.
func runNode(t *testing.T, file string, env ...string) {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("no node in the PATH")
	}
	module, err := os.ReadFile("roomtoken.js")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "roomtoken.mjs") // so that Node takes it for a module
	if err := os.WriteFile(path, module, 0o600); err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), node, "--test", file)
	command.Env = append(os.Environ(), append(env, "ROOMTOKEN_MODULE="+path)...)
	if out, err := command.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// The module on fake time, with a scripted fetch.
func TestModule(t *testing.T) { runNode(t, "testdata/module.test.mjs") }

// The module against a server: a token, a report, a connection that is cut, a logout.
func TestModuleAgainstAServer(t *testing.T) {
	var mu sync.Mutex
	loggedOut := false
	var resumed []string
	config := roomhttp.Config{
		AcceptRejections: true,
		Retry:            time.Millisecond,
		Authorize: func(r *http.Request, _ string) error {
			mu.Lock()
			defer mu.Unlock()
			switch {
			case r.Header.Get("Authorization") != "Bearer alice":
				return roomhttp.ErrUnauthenticated
			case loggedOut:
				return errForbidden
			}
			if id := r.Header.Get("Last-Event-ID"); id != "" {
				resumed = append(resumed, id)
			}
			return nil
		},
	}
	handler, manager := newHandler(t, &roomtokentest.Source{}, config)
	cut := make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("/api/", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		if strings.HasSuffix(r.URL.Path, "/events") { // the stream, and no other request
			go func() {
				select {
				case <-cut:
					cancel()
				case <-ctx.Done():
				}
			}()
		}
		http.StripPrefix("/api", handler).ServeHTTP(w, r.WithContext(ctx))
		if ctx.Err() != nil {
			panic(http.ErrAbortHandler) // closes the connection
		}
	})
	mux.HandleFunc("POST /control/cut", func(http.ResponseWriter, *http.Request) { cut <- struct{}{} })
	mux.HandleFunc("POST /control/renew", func(http.ResponseWriter, *http.Request) { manager.Forget("a/b") })
	mux.HandleFunc("POST /control/logout", func(http.ResponseWriter, *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		loggedOut = true
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	defer handler.Shutdown()

	runNode(t, "testdata/live.test.mjs", "ROOMTOKEN_SERVER="+server.URL)
	if t.Skipped() || t.Failed() {
		return
	}
	if got := fmt.Sprint(resumed); len(resumed) == 0 || len(resumed[0]) != 12 {
		t.Errorf("resumed with %s", got)
	}
	if got := handler.Stats(); got.StreamsOpened != 2 || got.TokensSent != 3 || got.Rejections != 1 || got.Denied != 2 {
		t.Errorf("%+v", got)
	}
}
