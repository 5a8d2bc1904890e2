package oauth2roomtoken_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/roomtoken/roomtoken/extra/oauth2roomtoken"
)

func TestTokenGoesOverHTTPSOrToLoopback(t *testing.T) {
	for to, allowed := range map[string]bool{
		"https://api.example.com/":      true,
		"https://api.example.com:8443/": true,
		"https://192.0.2.1/":            true,
		"http://127.0.0.1:8080/":        true,
		"http://127.9.9.9/":             true,
		"http://[::1]:8080/":            true,
		"http://[::ffff:127.0.0.1]/":    true,
		"http://localhost:8080/":        true,
		"http://LOCALHOST/":             false, // net/http would send it to a proxy
		"http://api.example.com/":       false,
		"http://192.0.2.1/":             false,
		"http://0.0.0.0/":               false,
		"http://localhost.example.com/": false,
		"http://127.0.0.1.example.com/": false,
		"ftp://api.example.com/":        false,
		"ws://127.0.0.1/":               false,
	} {
		sent := false
		transport, source := newTransport(t, func(*http.Request) (*http.Response, error) {
			sent = true
			return answer(http.StatusOK, ""), nil
		})
		_, err := transport.RoundTrip(newRequest(t, "GET", to, nil))
		if sent != allowed || (err == nil) != allowed {
			t.Errorf("%s: sent: %v, error %v; want it sent: %v", to, sent, err, allowed)
		}
		if !allowed && source.Creates() != 0 {
			t.Errorf("%s: a token was fetched for nothing", to)
		}
	}
}

// A chain of requests as an http.Client makes it.
func TestTokenStaysWithTheFirstServer(t *testing.T) {
	for _, test := range []struct {
		name    string
		chain   []string
		allowed bool
	}{
		{"same server", []string{"https://api.example.com/a", "https://api.example.com/b"}, true},
		{"same server, spelt otherwise", []string{"https://api.example.com/a", "https://API.example.com:443/b"}, true},
		{"loopback", []string{"http://127.0.0.1:8080/a", "http://127.0.0.1:8080/b"}, true},
		{"another host", []string{"https://api.example.com/", "https://evil.example/"}, false},
		{"a subdomain", []string{"https://example.com/", "https://api.example.com/"}, false},
		{"another port", []string{"https://api.example.com/", "https://api.example.com:8443/"}, false},
		{"another scheme", []string{"https://127.0.0.1:8080/", "http://127.0.0.1:8080/"}, false},
		{"from elsewhere to the same", []string{"https://api.example.com/", "https://evil.example/a", "https://evil.example/b"}, false},
		{"far away", []string{
			"https://api.example.com/", "https://api.example.com/2", "https://evil.example/3",
			"https://evil.example/4", "https://evil.example/5", "https://evil.example/6",
		}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			sent := false
			transport, _ := newTransport(t, func(*http.Request) (*http.Response, error) {
				sent = true
				return answer(http.StatusOK, ""), nil
			})
			var req *http.Request
			for _, to := range test.chain {
				next := newRequest(t, "GET", to, nil)
				if req != nil {
					next.Response = &http.Response{StatusCode: http.StatusFound, Request: req}
				}
				req = next
			}
			_, err := transport.RoundTrip(req)
			if sent != test.allowed || (err == nil) != test.allowed {
				t.Errorf("sent: %v, error %v; want it sent: %v", sent, err, test.allowed)
			}
		})
	}
}

// A redirect from nowhere might lead anywhere.
func TestBrokenChain(t *testing.T) {
	transport, _ := newTransport(t, func(*http.Request) (*http.Response, error) {
		t.Error("the token was sent")
		return answer(http.StatusOK, ""), nil
	})
	for _, before := range []*http.Response{{}, {Request: &http.Request{}}} {
		req := newRequest(t, "GET", url, nil)
		req.Response = before
		if _, err := transport.RoundTrip(req); err == nil || !strings.Contains(err.Error(), "Response.Request") {
			t.Errorf("error %v, want one that says what is missing", err)
		}
	}
}

// tokens are those that a server saw.
type tokens struct {
	mu   sync.Mutex
	seen []string
}

func (s *tokens) note(r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = append(s.seen, r.Header.Get("Authorization"))
}

// An http.Client follows redirects over real sockets: within a server the token goes
// along, to another one nothing goes.
func TestClientFollowsRedirects(t *testing.T) {
	var evil, good tokens
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		evil.note(r)
		http.Redirect(w, r, "/again", http.StatusFound)
	}))
	defer elsewhere.Close()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		good.note(r)
		switch r.URL.Path {
		case "/inside":
			http.Redirect(w, r, "/inside2", http.StatusTemporaryRedirect)
		case "/inside2", "/outside2":
			http.Redirect(w, r, map[string]string{"/inside2": "/end", "/outside2": elsewhere.URL}[r.URL.Path], http.StatusFound)
		case "/outside":
			http.Redirect(w, r, "/outside2", http.StatusFound)
		}
	}))
	defer server.Close()

	for _, base := range []http.RoundTripper{nil, http.DefaultTransport, forgetful{}} {
		transport, _ := newTransport(t, nil)
		transport.Base = base
		client := &http.Client{Transport: transport}
		resp, err := client.Do(newRequest(t, "POST", server.URL+"/inside", strings.NewReader("story")))
		if err != nil || resp.Request.URL.Path != "/end" {
			t.Fatalf("inside: %v, %v; want to end at /end", resp, err)
		}
		resp.Body.Close()
		if auth := resp.Request.Header.Get("Authorization"); auth != "" {
			t.Errorf("the response shows %q", auth)
		}

		resp, err = client.Do(newRequest(t, "GET", server.URL+"/outside", nil))
		if err == nil {
			resp.Body.Close()
		}
		if err == nil || !strings.Contains(err.Error(), "a redirect leads from "+server.URL+" to "+elsewhere.URL) {
			t.Errorf("outside: error %v, want that the redirect is refused", err)
		}
	}
	for _, auth := range good.seen {
		if auth != "Bearer token 1 of lobby" {
			t.Errorf("the first server saw %q", auth)
		}
	}
	if len(good.seen) != 3*5 || len(evil.seen) != 0 {
		t.Errorf("the first server saw %d requests, the other %d; want 15 and 0", len(good.seen), len(evil.seen))
	}
}

// forgetful does not say which request its response is to.
type forgetful struct{}

func (forgetful) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := http.DefaultTransport.RoundTrip(req)
	if resp != nil {
		resp.Request = nil
	}
	return resp, err
}

var _ http.RoundTripper = (*oauth2roomtoken.Transport)(nil)
