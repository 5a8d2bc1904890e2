package statuspage

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/roomtokentest"
)

// secretive is an Authorize that lets nobody in and tells why.
func secretive(*http.Request) error { return errors.New("the password is hunter2") }

// Whom Authorize does not let in gets a 403, whatever the request, and nothing else.
func TestAuthorizeIsAskedFirst(t *testing.T) {
	within(t, Config{Authorize: secretive, Title: "the-title"}, func(t *testing.T, w *world) {
		w.ask("the-room")
		for _, method := range []string{"GET", "HEAD", "POST", "DELETE", "OPTIONS", "BREW"} {
			for _, target := range []string{"/", "/?format=json", "/?format=html", "/?sort=nonsense", "/deep/path?%zz"} {
				answer := w.serve(httptest.NewRequest(method, target, http.NoBody))
				want := "Forbidden\n"
				if method == "HEAD" {
					want = ""
				}
				if answer.Code != http.StatusForbidden || answer.Body.String() != want {
					t.Errorf("%s %s: status %d, %q; want 403, %q", method, target, answer.Code, answer.Body, want)
				}
				if allow := answer.Header().Get("Allow"); allow != "" {
					t.Errorf("%s %s: Allow: %s", method, target, allow)
				}
			}
		}
	})
}

// Authorize sees the request as it is.
func TestAuthorizeDecidesByRequest(t *testing.T) {
	authorize := func(r *http.Request) error {
		if r.Header.Get("Authorization") == "Bearer operator" {
			return nil
		}
		return errors.New("no")
	}
	within(t, Config{Authorize: authorize}, func(t *testing.T, w *world) {
		r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
		if code := w.serve(r).Code; code != http.StatusForbidden {
			t.Errorf("status %d without the header, want 403", code)
		}
		r.Header.Set("Authorization", "Bearer operator")
		if code := w.serve(r).Code; code != http.StatusOK {
			t.Errorf("status %d with the header, want 200", code)
		}
	})
}

// A panic in Authorize goes on to the server, and shows nothing.
func TestPanicInAuthorizeShowsNothing(t *testing.T) {
	panics := func(*http.Request) error { panic("out of order") }
	within(t, Config{Authorize: panics}, func(t *testing.T, w *world) {
		w.ask("the-room")
		answer := httptest.NewRecorder()
		func() {
			defer func() {
				if thrown := recover(); thrown != "out of order" {
					t.Errorf("recovered %v, want what Authorize threw", thrown)
				}
			}()
			w.page.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/", http.NoBody))
		}()
		if answer.Body.Len() > 0 {
			t.Errorf("it wrote %q", answer.Body)
		}
	})

	manager, err := roomtoken.NewManager(&roomtokentest.Source{}, roomtoken.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	page, err := New(manager, Config{Authorize: panics})
	if err != nil {
		t.Fatal(err)
	}
	defer page.Close()
	server := httptest.NewUnstartedServer(page)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.Start()
	defer server.Close()
	if response, err := server.Client().Get(server.URL); err == nil {
		body, _ := io.ReadAll(response.Body)
		response.Body.Close()
		t.Errorf("status %d, %q; want no answer", response.StatusCode, body)
	}
}

// The page can only be read.
func TestMethods(t *testing.T) {
	within(t, Config{}, func(t *testing.T, w *world) {
		w.ask("the-room")
		for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"} {
			answer := w.serve(httptest.NewRequest(method, "/", http.NoBody))
			if answer.Code != http.StatusMethodNotAllowed || answer.Header().Get("Allow") != "GET, HEAD" || strings.Contains(answer.Body.String(), "the-room") {
				t.Errorf("%s: status %d, Allow %q, %s", method, answer.Code, answer.Header().Get("Allow"), answer.Body)
			}
		}
		for target, code := range map[string]int{"/": 200, "/?format=json": 200, "/?format=html": 200, "/?page=x": 400} {
			get := w.serve(httptest.NewRequest(http.MethodGet, target, http.NoBody))
			head := w.serve(httptest.NewRequest(http.MethodHead, target, http.NoBody))
			if get.Code != code || head.Code != code || get.Body.Len() == 0 || head.Body.Len() > 0 {
				t.Errorf("%s: GET %d with %d bytes, HEAD %d with %d; want %d, and no body for HEAD", target, get.Code, get.Body.Len(), head.Code, head.Body.Len(), code)
			}
			if g, h := get.Header().Get("Content-Type"), head.Header().Get("Content-Type"); g != h || g == "" {
				t.Errorf("%s: Content-Type %q for GET, %q for HEAD", target, g, h)
			}
		}
	})
}

// HEAD does not look at the rooms: it is for probes.
func TestHeadMakesNoWalk(t *testing.T) {
	within(t, Config{}, func(t *testing.T, w *world) {
		walks := countWalks(w.page.walker)
		w.serve(httptest.NewRequest(http.MethodHead, "/", http.NoBody))
		if n := walks.Load(); n != 0 {
			t.Errorf("%d walks", n)
		}
	})
}

// Every answer has the headers, whatever its status.
func TestHeaders(t *testing.T) {
	within(t, Config{}, func(t *testing.T, w *world) {
		denied := &Page{config: Config{Authorize: secretive}}
		for _, test := range []struct {
			page           *Page
			method, target string
			contentType    string
		}{
			{w.page, "GET", "/?format=html", "text/html; charset=utf-8"},
			{w.page, "GET", "/any/path?format=json", "application/json"},
			{w.page, "GET", "/?format=text", "text/plain; charset=utf-8"},
			{w.page, "HEAD", "/?format=html", "text/html; charset=utf-8"},
			{w.page, "GET", "/?per=x", "text/plain; charset=utf-8"},
			{w.page, "POST", "/", "text/plain; charset=utf-8"},
			{denied, "GET", "/", "text/plain; charset=utf-8"},
		} {
			answer := httptest.NewRecorder()
			test.page.ServeHTTP(answer, httptest.NewRequest(test.method, test.target, http.NoBody))
			for name, want := range map[string]string{
				"Content-Type":           test.contentType,
				"Cache-Control":          "no-store",
				"X-Content-Type-Options": "nosniff",
				"Referrer-Policy":        "no-referrer",
				"Vary":                   "Accept",
			} {
				if got := answer.Header().Get(name); got != want {
					t.Errorf("%s %s: %s: %q, want %q", test.method, test.target, name, got, want)
				}
			}
			policy := answer.Header().Get("Content-Security-Policy")
			for _, want := range []string{"default-src 'none'", "style-src 'sha256-", "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'"} {
				if !strings.Contains(policy, want) {
					t.Errorf("%s %s: Content-Security-Policy: %s lacks %s", test.method, test.target, policy, want)
				}
			}
			if strings.Contains(policy, "unsafe") {
				t.Errorf("Content-Security-Policy: %s", policy)
			}
			if n := answer.Header().Get("Content-Length"); test.method != "HEAD" && n != strconv.Itoa(answer.Body.Len()) {
				t.Errorf("%s %s: Content-Length: %s of %d bytes", test.method, test.target, n, answer.Body.Len())
			}
		}
	})
}

// The policy allows exactly the stylesheet that the page has.
func TestPolicyHasTheHashOfTheStylesheet(t *testing.T) {
	within(t, Config{}, func(t *testing.T, w *world) {
		answer := w.serve(httptest.NewRequest(http.MethodGet, "/?format=html", http.NoBody))
		_, rest, _ := strings.Cut(answer.Body.String(), "<style>")
		style, rest, found := strings.Cut(rest, "</style>")
		if !found || len(style) < 1000 || strings.Contains(rest, "<style") {
			t.Fatalf("want one stylesheet, found %d bytes", len(style))
		}
		sum := sha256.Sum256([]byte(style))
		want := "style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
		if policy := answer.Header().Get("Content-Security-Policy"); !strings.Contains(policy, want) {
			t.Errorf("Content-Security-Policy: %s\nwant %s in it", policy, want)
		}
	})
}

// minted matches the tokens and refresh tokens that the source mints.
var minted = regexp.MustCompile(`token [0-9]+ of [ab]`)

// No format shows a token or a refresh token.
func TestPageShowsNoSecret(t *testing.T) {
	within(t, Config{}, func(t *testing.T, w *world) {
		w.src.RefreshFunc = func(_ context.Context, _ string, refreshToken roomtoken.Token) (roomtoken.Grant, error) {
			panic("refused: " + refreshToken.Value.Reveal())
		}
		w.ask("a", "b")
		w.pass(7 * time.Minute)
		for _, format := range formats {
			page := w.get("/?format=" + format)
			if !strings.Contains(page, "the source panicked") {
				t.Errorf("%s does not show the last error: %s", format, page)
			}
			if secret := minted.FindString(page); secret != "" {
				t.Errorf("%s shows %q", format, secret)
			}
		}
		if tok, ok := w.m.Cached("a"); !ok || !minted.MatchString(tok.Value.Reveal()) {
			t.Errorf("%v is no token of the kind that the test looks for", tok)
		}
	})
}

// A viewer whose request ends before its rooms are found gets no page. Where it is still
// there, because a deadline ended the request, it gets an error.
func TestRequestEnds(t *testing.T) {
	within(t, Config{}, func(t *testing.T, w *world) {
		w.page.walker.turn <- struct{}{} // somebody walks
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		answer := w.serve(httptest.NewRequestWithContext(ctx, http.MethodGet, "/", http.NoBody))
		if answer.Code != http.StatusServiceUnavailable || strings.Contains(answer.Body.String(), "roomtoken") {
			t.Errorf("status %d: %s", answer.Code, answer.Body)
		}
		<-w.page.walker.turn
	})
}

// The page goes on after Close of the page and of the Manager, and says so.
func TestPageGoesOnAfterClose(t *testing.T) {
	within(t, Config{}, func(t *testing.T, w *world) {
		w.ask("the-room")
		w.page.Close()
		w.page.Close()
		if text := w.get("/"); !strings.Contains(text, "the-room") {
			t.Errorf("after Close of the page: %s", text)
		}
		if err := w.m.Close(); err != nil {
			t.Error(err)
		}
		for _, format := range formats {
			if text := w.get("/?format=" + format); strings.Contains(text, "the-room") || format != formatJSON && !strings.Contains(text, "The manager is closed") {
				t.Errorf("after Close of the Manager: %s", text)
			}
		}
	})
}

// However many look, in whichever format, there is one walk at a time.
func TestRequestsShareAWalk(t *testing.T) {
	within(t, Config{}, func(t *testing.T, w *world) {
		w.ask("a", "b", "c")
		rooms := w.page.walker.rooms
		w.page.walker.rooms = func(yield func(*roomtoken.RoomStatus) bool) {
			time.Sleep(time.Second)
			rooms(yield)
		}
		walks := countWalks(w.page.walker)
		began := time.Now()
		var viewers sync.WaitGroup
		viewers.Go(func() { w.get("/") })
		synctest.Wait() // its walk has begun
		for i := range 300 {
			viewers.Go(func() {
				params := []string{"", "state=valid", "q=A&sort=room"}[i/3%3]
				if page := w.get("/?format=" + formats[i%3] + "&" + params); !strings.Contains(page, "a") {
					t.Errorf("?%s: %s", params, page)
				}
			})
		}
		viewers.Wait()
		if n, took := walks.Load(), time.Since(began); n != 2 || took != 2*time.Second {
			t.Errorf("%d walks in %v for 301 viewers, want 2 in 2 s", n, took)
		}
	})
}

// Many look while rooms come and go.
func TestViewersOfRoomsThatComeAndGo(t *testing.T) {
	within(t, Config{Every: time.Millisecond}, func(t *testing.T, w *world) {
		var all sync.WaitGroup
		for i := range 4 {
			all.Go(func() {
				for n := range 100 {
					id := fmt.Sprint("r", n%30)
					w.ask(id, fmt.Sprint("r", n))
					if tok, ok := w.m.Cached(id); ok && n%3 == 0 {
						w.m.Invalidate(id, tok)
					}
					w.m.Forget(fmt.Sprint("r", n/2))
					time.Sleep(time.Millisecond)
				}
			})
			all.Go(func() {
				for n := range 25 {
					for _, format := range formats {
						w.get(fmt.Sprintf("/?format=%s&per=%d&page=%d", format, 1+n, 1+i))
					}
					time.Sleep(3 * time.Millisecond)
				}
			})
		}
		all.Wait()
	})
}
