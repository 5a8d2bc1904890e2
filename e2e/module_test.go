package e2e_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/security"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/roomhttp"
	"github.com/roomtoken/roomtoken/roomtokentest"
)

// tokenServer serves tokens, and a page that has the module, over HTTP/2.
type tokenServer struct {
	*httptest.Server
	manager *roomtoken.Manager
	tokens  *roomhttp.Handler

	mu      sync.Mutex
	streams []*http.Request // that were opened
}

// startTokenServer starts a server whose tokens are under /api.
func startTokenServer(t *testing.T, config roomhttp.Config) *tokenServer {
	t.Helper()
	manager, err := roomtoken.NewManager(&roomtokentest.Source{}, roomtoken.Config{})
	if err != nil {
		t.Fatal(err)
	}
	s := &tokenServer{manager: manager}
	if config.Authorize == nil {
		config.Authorize = func(*http.Request, string) error { return nil }
	}
	s.tokens, err = roomhttp.New(manager, config)
	if err != nil {
		t.Fatal(err)
	}
	api := http.StripPrefix("/api", s.tokens)
	mux := http.NewServeMux()
	mux.Handle("/api/", api)
	mux.HandleFunc("/api/rooms/{room}/token/events", func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.streams = append(s.streams, r)
		s.mu.Unlock()
		api.ServeHTTP(w, r)
	})
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, `<!DOCTYPE html>
			<html lang="en"><title>module</title><link rel="icon" href="data:,">
			<script type="module">
				import { watchToken } from "/api/roomtoken.js";
				globalThis.tokens = [];
				globalThis.problems = [];
				globalThis.watch = (url, options) => watchToken(url, {
					onToken: (token) => void tokens.push(token),
					onProblem: (problem) => void problems.push(problem),
					...options,
				});
			</script>`)
	})
	s.Server = httptest.NewUnstartedServer(mux)
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(func() {
		s.tokens.Shutdown()
		s.Close()
		manager.Close()
	})
	return s
}

// opened returns the requests for streams so far.
func (s *tokenServer) opened() []*http.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.streams)
}

// openModule opens the page with the module in a tab.
func openModule(t *testing.T, s *tokenServer) *tab {
	t.Helper()
	b := newTab(t)
	call(b, security.SetIgnoreCertificateErrors, security.SetIgnoreCertificateErrorsParams{Ignore: true})
	b.open(s.URL)
	b.wait(`typeof watch === "function"`)
	return b
}

// Over HTTP/2 the number of streams does not matter. Each brings each token once.
func TestModuleKeepsManyRoomsSupplied(t *testing.T) {
	t.Parallel()
	s := startTokenServer(t, roomhttp.Config{AcceptRejections: true})
	b := openModule(t, s)
	b.do(`(() => {
		globalThis.watches = Array.from({ length: 20 }, (_, n) => watch("/api/rooms/room%2F" + n + "/token"));
	})()`)
	b.wait("tokens.length === 20")
	if protocols := eval[[]string](b, `[...new Set(performance.getEntriesByType("resource").map((e) => e.nextHopProtocol))]`); !slices.Equal(protocols, []string{"h2"}) {
		t.Errorf("the protocols are %q", protocols)
	}
	for n := range 20 {
		s.manager.Forget(fmt.Sprintf("room/%d", n))
	}
	b.wait("tokens.length === 40 && new Set(tokens.map(({ token }) => token)).size === 40")
	if !eval[bool](b, `tokens.every(({ token, expiresAt, expiresIn }) =>
		typeof token === "string" && expiresIn > 500 && expiresIn < 600 && Math.abs(expiresAt - Date.now() - expiresIn * 1000) < 60_000)`) {
		t.Error("the tokens are not what was promised")
	}
	b.wait("watches[7].rejected()")
	b.wait(`tokens.length === 41 && tokens[40].token.endsWith("room/7")`)
	b.do(`watches.forEach(({ stop }) => stop())`)
	if !eventually(t, func() bool { return s.tokens.Stats().Streams == 0 }) {
		t.Errorf("%+v after all watches were stopped", s.tokens.Stats())
	}
	if problems := eval[int](b, "problems.length"); problems != 0 || len(s.opened()) != 20 {
		t.Errorf("%d problems, %d streams; want none, and one per watch", problems, len(s.opened()))
	}
}

// A stream that breaks off is resumed, and no token comes twice.
func TestModuleResumes(t *testing.T) {
	t.Parallel()
	s := startTokenServer(t, roomhttp.Config{Retry: time.Millisecond})
	b := openModule(t, s)
	b.expect("net::ERR_")
	b.do(`watch("/api/rooms/lobby/token")`)
	b.wait("tokens.length === 1")
	s.CloseClientConnections()
	if !eventually(t, func() bool { return len(s.opened()) == 2 }) {
		t.Fatal("the stream is not opened again")
	}
	s.manager.Forget("lobby")
	b.wait("tokens.length === 2 && tokens[0].token !== tokens[1].token")
	want := roomtoken.NewSecret(eval[string](b, "tokens[0].token")).Fingerprint()
	if got := s.opened()[1].Header.Get("Last-Event-ID"); got != want {
		t.Errorf("Last-Event-ID is %q, want %q", got, want)
	}
}

// The browser's own EventSource reads the same streams, and resumes them.
func TestEventSource(t *testing.T) {
	t.Parallel()
	s := startTokenServer(t, roomhttp.Config{Retry: time.Millisecond})
	b := openModule(t, s)
	b.expect("net::ERR_")
	b.do(`(() => {
		globalThis.source = new EventSource("/api/rooms/lobby/token/events");
		source.addEventListener("token", ({ data }) => tokens.push(JSON.parse(data)));
	})()`)
	b.wait("tokens.length === 1 && tokens[0].expires_in > 500")
	s.CloseClientConnections()
	if !eventually(t, func() bool { return len(s.opened()) == 2 }) {
		t.Fatal("the stream is not opened again")
	}
	s.manager.Forget("lobby")
	b.wait("tokens.length === 2 && tokens[0].token !== tokens[1].token")
	if got := s.opened()[1].Header.Get("Last-Event-ID"); len(got) != 12 {
		t.Errorf("Last-Event-ID is %q, want a fingerprint", got)
	}
}

// A user who has logged out gets no further token, and the module stops.
func TestModuleStopsAfterALogout(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	loggedOut := false
	s := startTokenServer(t, roomhttp.Config{Authorize: func(r *http.Request, _ string) error {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case r.Header.Get("Authorization") != "Bearer alice":
			return roomhttp.ErrUnauthenticated
		case loggedOut:
			return errors.New("logged out")
		}
		return nil
	}})
	b := openModule(t, s)
	b.do(`watch("/api/rooms/lobby/token", { headers: async () => ({ Authorization: "Bearer alice" }) })`)
	b.wait("tokens.length === 1")
	mu.Lock()
	loggedOut = true
	mu.Unlock()
	s.manager.Forget("lobby")
	b.wait(`problems.length === 1 && problems[0].code === "forbidden" && problems[0].fatal`)

	b.expect("401")
	b.do(`watch("/api/rooms/lobby/token", { headers: { Authorization: "Bearer mallory" } })`)
	b.wait(`problems.length === 2 && problems[1].code === "unauthenticated" && problems[1].status === 401 && problems[1].fatal`)
	b.do(`dispatchEvent(new Event("online"))`) // which would make it try again
	b.wait("fetch('/api/roomtoken.js').then(({ ok }) => ok)")
	if n := len(s.opened()); n != 2 {
		t.Errorf("%d requests for streams, want 2", n)
	}
}

// A page of another origin gets tokens where it is allowed to, with its cookie.
func TestModuleAcrossOrigins(t *testing.T) {
	t.Parallel()
	app := startTokenServer(t, roomhttp.Config{})
	s := startTokenServer(t, roomhttp.Config{
		AllowOrigins: []string{app.URL}, AllowCredentials: true,
		AcceptRejections: true,
		Authorize: func(r *http.Request, _ string) error {
			if session, err := r.Cookie("session"); err != nil || session.Value != "alice" {
				return roomhttp.ErrUnauthenticated
			}
			return nil
		},
	})
	b := openModule(t, app)
	b.do(`document.cookie = "session=alice; Secure; SameSite=Strict"`) // for every port of the host
	b.do(fmt.Sprintf(`(() => { globalThis.foreign = watch("%s/api/rooms/lobby/token", { credentials: "include" }); })()`, s.URL))
	b.wait("tokens.length === 1")
	b.wait("foreign.rejected()")
	b.wait("tokens.length === 2")

	// A server that does not list the origin.
	closed := startTokenServer(t, roomhttp.Config{})
	if reports := b.unexpected(); len(reports) > 0 {
		t.Errorf("the page reports %q", reports)
	}
	b.expect("CORS")
	b.expect("CorsIssue")
	b.expect("net::ERR_FAILED")
	b.do(fmt.Sprintf(`(() => { watch("%s/api/rooms/lobby/token", { credentials: "include" }); })()`, closed.URL))
	b.wait(`problems.length === 1 && problems[0].code === "network"`)
	if got := closed.tokens.Stats(); got.Denied != 1 || got.TokensSent != 0 {
		t.Errorf("%+v; want one request to be denied", got)
	}
}

// When the browser is back online, the module does not wait for its next attempt.
func TestModuleComesBackOnline(t *testing.T) {
	t.Parallel()
	s := startTokenServer(t, roomhttp.Config{Retry: time.Hour})
	b := openModule(t, s)
	b.expect("net::ERR_")
	b.do(`(() => {
		const original = fetch;
		globalThis.fetch = (url, init) => {
			globalThis.connection ??= init.signal; // aborted when the module has noticed the end
			return original(url, init);
		};
		watch("/api/rooms/lobby/token");
	})()`)
	b.wait("tokens.length === 1")
	offline := func(yes bool) {
		call(b, network.EmulateNetworkConditionsByRule, network.EmulateNetworkConditionsByRuleParams{
			MatchedNetworkConditions: []*network.Conditions{{Offline: yes, DownloadThroughput: -1, UploadThroughput: -1}},
		})
		// Last, since it sends the event.
		call(b, network.OverrideNetworkState, network.OverrideNetworkStateParams{Offline: yes, DownloadThroughput: -1, UploadThroughput: -1})
	}
	offline(true)
	b.wait("!navigator.onLine")
	s.CloseClientConnections()
	b.wait("connection.aborted")
	offline(false)
	if !eventually(t, func() bool { return len(s.opened()) == 2 }) {
		t.Fatal("the stream is not opened again")
	}
}

// When the browser thaws a page, the module does not wait for signs of a dead connection.
func TestModuleIsThawed(t *testing.T) {
	t.Parallel()
	s := startTokenServer(t, roomhttp.Config{Heartbeat: time.Hour})
	b := openModule(t, s)
	b.do(`watch("/api/rooms/lobby/token")`)
	b.wait("tokens.length === 1")
	call(b, page.SetWebLifecycleState, page.SetWebLifecycleStateParams{State: page.SetWebLifecycleStateStateFrozen})
	sent := s.tokens.Stats().TokensSent
	s.manager.Forget("lobby")
	if !eventually(t, func() bool { return s.tokens.Stats().TokensSent > sent }) {
		t.Fatal("no token is sent to the frozen page")
	}
	call(b, page.SetWebLifecycleState, page.SetWebLifecycleStateParams{State: page.SetWebLifecycleStateStateActive})
	b.wait("tokens.length === 2 && tokens[0].token !== tokens[1].token")
}
