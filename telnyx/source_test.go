package telnyx

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
)

// received is a request as a server saw it.
type received struct {
	method, uri string
	header      http.Header
	body        string
}

// record answers with handler and keeps the requests.
func record(t *testing.T, handler http.HandlerFunc) (base string, requests func() []received) {
	var mu sync.Mutex
	var all []received
	base = startServer(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		all = append(all, received{r.Method, r.RequestURI, r.Header.Clone(), string(body)})
		mu.Unlock()
		handler(w, r)
	})
	return base, func() []received {
		mu.Lock()
		defer mu.Unlock()
		return all
	}
}

func TestRequests(t *testing.T) {
	tests := map[string]struct {
		config  Config
		op      string
		uri     string
		body    string
		answer  string
		hasAuth bool
	}{
		"create, current": {Config{TokenTTL: 40 * time.Second, RefreshTokenTTL: time.Minute}, opCreate,
			"/v2/rooms/" + testRoom + "/actions/generate_join_client_token",
			`{"token_ttl_secs":40,"refresh_token_ttl_secs":60}`, "token", true},
		"refresh, current": {Config{TokenTTL: 40 * time.Second, RefreshTokenTTL: time.Minute}, opRefresh,
			"/v2/rooms/" + testRoom + "/actions/refresh_client_token",
			`{"refresh_token":"refresh-0123456789-abcdefghij","token_ttl_secs":40}`, "token", false},
		"create, legacy": {Config{TokenTTL: 40 * time.Second, RefreshTokenTTL: time.Minute, Endpoints: AccessTokens}, opCreate,
			"/v2/rooms/" + testRoom + "/actions/create_access_token",
			`{"ttl_secs":40,"refresh_token_ttl_secs":60}`, "access_token", true},
		"refresh, legacy": {Config{TokenTTL: 40 * time.Second, RefreshTokenTTL: time.Minute, Endpoints: AccessTokens}, opRefresh,
			"/v2/rooms/" + testRoom + "/actions/refresh_access_token",
			`{"refresh_token":"refresh-0123456789-abcdefghij","ttl_secs":40}`, "access_token", false},
		"create, defaults": {Config{}, opCreate,
			"/v2/rooms/" + testRoom + "/actions/generate_join_client_token", `{}`, "token", true},
		"refresh, defaults": {Config{}, opRefresh,
			"/v2/rooms/" + testRoom + "/actions/refresh_client_token",
			`{"refresh_token":"refresh-0123456789-abcdefghij"}`, "token", false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			base, requests := record(t, func(w http.ResponseWriter, r *http.Request) {
				fields := fmt.Sprintf(`"%[1]s":"the-token","%[1]s_expires_at":%[2]q`, test.answer, time.Now().Add(time.Hour).Format(time.RFC3339Nano))
				if test.op == opCreate {
					fields += fmt.Sprintf(`,"refresh_token":"the-refresh-token","refresh_token_expires_at":%q`, time.Now().Add(time.Hour).Format(time.RFC3339Nano))
				}
				answerWith(201, `{"data":{`+fields+`}}`)(w, r)
			})
			test.config.BaseURL = base + "/v2/"
			grant, err := newSource(t, test.config).call(t, test.op)
			if err != nil {
				t.Fatal(err)
			}
			if grant.Token.Value.Reveal() != "the-token" {
				t.Errorf("the token is %q", grant.Token.Value.Reveal())
			}
			if want := test.op == opCreate; (grant.RefreshToken.Value.Reveal() == "the-refresh-token") != want || grant.RefreshToken.IsZero() == want {
				t.Errorf("the refresh token is %q", grant.RefreshToken.Value.Reveal())
			}

			if len(requests()) != 1 {
				t.Fatalf("%d requests were made", len(requests()))
			}
			got := requests()[0]
			if got.method != "POST" || got.uri != test.uri || got.body != test.body {
				t.Errorf("got %s %s %s; want POST %s %s", got.method, got.uri, got.body, test.uri, test.body)
			}
			want := http.Header{
				"Accept":          {"application/json"},
				"Accept-Encoding": {"identity"},
				"Content-Type":    {"application/json"},
				"Content-Length":  {fmt.Sprint(len(test.body))},
				"User-Agent":      {defaultUserAgent},
			}
			if test.hasAuth {
				want["Authorization"] = []string{"Bearer " + testKey}
			}
			if !reflect.DeepEqual(got.header, want) {
				t.Errorf("got headers %v; want %v", got.header, want)
			}
			if test.op == opRefresh {
				mustNotLeak(t, strings.Replace(fmt.Sprint(got), testRefreshToken.Value.Reveal(), "", 1))
			}
		})
	}
}

func TestStatus200IsASuccessToo(t *testing.T) {
	now := time.Now()
	base := startServer(t, answerWith(200, grantBody("t", now.Add(time.Minute), "r", now.Add(time.Hour))))
	if _, err := newSource(t, Config{BaseURL: base}).call(t, opCreate); err != nil {
		t.Error(err)
	}
}

func TestUserAgent(t *testing.T) {
	base, requests := record(t, goodAnswer())
	if _, err := newSource(t, Config{BaseURL: base, UserAgent: "mine/1"}).call(t, opCreate); err != nil {
		t.Fatal(err)
	}
	if got := requests()[0].header.Get("User-Agent"); got != "mine/1" {
		t.Errorf("got %q", got)
	}
}

func TestRedirectsAreRefused(t *testing.T) {
	var elsewhere atomic.Int64
	other := startServer(t, func(w http.ResponseWriter, r *http.Request) {
		elsewhere.Add(1)
		goodAnswer()(w, r)
	})
	for _, status := range []int{301, 302, 303, 307, 308} {
		base, requests := record(t, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other+"/v2", status)
		})
		given := &http.Client{}
		for _, client := range []*http.Client{nil, given} {
			source := newSource(t, Config{BaseURL: base, HTTPClient: client})
			for _, op := range []string{opCreate, opRefresh} {
				_, err := source.call(t, op)
				var apiError *APIError
				if !errors.As(err, &apiError) || apiError.StatusCode != status {
					t.Errorf("%s, %d: got %v", op, status, err)
				}
			}
		}
		if len(requests()) != 4 {
			t.Errorf("%d: %d requests; want 4", status, len(requests()))
		}
		if given.CheckRedirect != nil {
			t.Error("the given client was changed")
		}
	}
	if elsewhere.Load() != 0 {
		t.Errorf("%d redirects were followed", elsewhere.Load())
	}
}

func TestGivenClientIsCopied(t *testing.T) {
	base, requests := record(t, goodAnswer())
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	where, _ := url.Parse(base)
	jar.SetCookies(where, []*http.Cookie{{Name: "session", Value: "hunter2"}})
	var used atomic.Int64
	client := &http.Client{Jar: jar, Timeout: time.Minute, Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		used.Add(1)
		return http.DefaultTransport.RoundTrip(r)
	})}
	source := newSource(t, Config{BaseURL: base, HTTPClient: client})
	for _, op := range []string{opCreate, opRefresh} {
		if _, err := source.call(t, op); err != nil {
			t.Fatal(err)
		}
	}
	source.CloseIdleConnections() // has nothing of its own to close
	if used.Load() != 2 {
		t.Errorf("the given transport was used %d times; want 2", used.Load())
	}
	for _, request := range requests() {
		if request.header.Get("Cookie") != "" {
			t.Error("a cookie was sent")
		}
	}
	if client.Jar != jar || client.CheckRedirect != nil || client.Timeout != time.Minute {
		t.Error("the given client was changed")
	}
	if source.client.Timeout != time.Minute {
		t.Error("the timeout of the given client was lost")
	}
}

func TestRefreshWithoutATokenMakesNoRequest(t *testing.T) {
	base, requests := record(t, goodAnswer())
	source := newSource(t, Config{BaseURL: base})
	for _, token := range []roomtoken.Token{{}, {Value: roomtoken.NewSecret(""), ExpiresAt: time.Now().Add(time.Hour)}} {
		_, err := source.Refresh(t.Context(), testRoom, token)
		if !errors.Is(err, roomtoken.ErrRefreshRejected) || !strings.Contains(err.Error(), "refresh token is empty") {
			t.Errorf("got %v; want ErrRefreshRejected", err)
		}
	}
	if len(requests()) != 0 {
		t.Errorf("%d requests were made", len(requests()))
	}
}

func TestRefreshThatAnswersARefreshToken(t *testing.T) {
	now := time.Now()
	expires := now.Add(time.Hour).UTC().Format(time.RFC3339)
	old := testRefreshToken.Value.Reveal()
	for _, test := range []struct {
		name, field, want string
		hasExpiry         bool
	}{
		{"none", ``, "", false},
		{"new", `,"refresh_token":"new","refresh_token_expires_at":"` + expires + `"`, "new", true},
		{"new, end unknown", `,"refresh_token":"new"`, "new", false},
		{"the same", `,"refresh_token":"` + old + `","refresh_token_expires_at":"` + expires + `"`, old, true},
		{"the same, end unknown", `,"refresh_token":"` + old + `"`, "", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			base := startServer(t, answerWith(201, `{"data":{"token":"t","token_expires_at":"`+expires+`"`+test.field+`}}`))
			grant, err := newSource(t, Config{BaseURL: base}).call(t, opRefresh)
			if err != nil {
				t.Fatal(err)
			}
			if got := grant.RefreshToken; got.Value.Reveal() != test.want || got.ExpiresAt.IsZero() == test.hasExpiry {
				t.Errorf("got %q until %v", got.Value.Reveal(), got.ExpiresAt)
			}
		})
	}
}

func TestRefreshTokensAreQuotedForJSON(t *testing.T) {
	base, requests := record(t, goodAnswer())
	nasty := `a"b\c<&>` + "\n\x00"
	if _, err := newSource(t, Config{BaseURL: base}).Refresh(t.Context(), testRoom, roomtoken.Token{Value: roomtoken.NewSecret(nasty)}); err != nil {
		t.Fatal(err)
	}
	var got map[string]string
	if err := json.Unmarshal([]byte(requests()[0].body), &got); err != nil || got["refresh_token"] != nasty {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestConnectionsAreReused(t *testing.T) {
	var connections atomic.Int64
	var turn atomic.Int64
	answers := []http.HandlerFunc{
		goodAnswer(),
		answerWith(403, `{"errors":[{"code":"1"}]}`),
		answerWith(500, strings.Repeat("x", maxBody-1)), // flushed in chunks
		answerWith(201, `no JSON`),
		answerWith(302, strings.Repeat("x", 5000), "Location: /x"),
		answerWith(204, ``),
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answers[int(turn.Add(1))%len(answers)](w, r)
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	source := newSource(t, Config{BaseURL: server.URL})
	for range 3 * len(answers) {
		_, _ = source.call(t, opCreate)
	}
	if connections.Load() != 1 {
		t.Errorf("%d connections were made; want 1", connections.Load())
	}
}

func TestCloseIdleConnections(t *testing.T) {
	var connections atomic.Int64
	server := httptest.NewUnstartedServer(goodAnswer())
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	source := newSource(t, Config{BaseURL: server.URL})
	for range 2 {
		if _, err := source.call(t, opCreate); err != nil {
			t.Fatal(err)
		}
		source.CloseIdleConnections()
	}
	if connections.Load() != 2 {
		t.Errorf("%d connections were made; want 2", connections.Load())
	}
}

func TestNetworkFailuresPass(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := "http://" + listener.Addr().String()
	listener.Close()
	reset := startServer(t, func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			conn.Close()
		}
	})
	leaky := roundTripper(func(r *http.Request) (*http.Response, error) {
		body, _ := io.ReadAll(r.Body)
		return nil, fmt.Errorf("could not send %v\n%s", r.Header, body)
	})
	for name, config := range map[string]Config{
		"refused":         {BaseURL: closed},
		"reset":           {BaseURL: reset},
		"leaky transport": {BaseURL: closed, HTTPClient: &http.Client{Transport: leaky}},
	} {
		for _, op := range []string{opCreate, opRefresh} {
			_, err := newSource(t, config).call(t, op)
			if err == nil {
				t.Fatalf("%s, %s: no error", name, op)
			}
			for _, sentinel := range []error{roomtoken.ErrPermanent, roomtoken.ErrRefreshRejected, roomtoken.ErrRateLimited, roomtoken.ErrInvalidGrant} {
				if errors.Is(err, sentinel) {
					t.Errorf("%s, %s: %v is %v", name, op, err, sentinel)
				}
			}
			if want := "telnyx: " + op + " for room 0ccc7b54…: no answer: "; !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %q; want %q...", err, want)
			}
			mustNotLeak(t, err.Error())
			if wrapped := (*url.Error)(nil); !errors.As(err, &wrapped) {
				t.Errorf("%s, %s: the cause of %v is lost", name, op, err)
			}
		}
	}
}

func TestContextsEndCalls(t *testing.T) {
	release := make(chan struct{})
	reached := make(chan struct{}, 4)
	base := startServer(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "refresh_client_token") { // hangs within the body
			w.WriteHeader(201)
			io.WriteString(w, `{"data":`)
			w.(http.Flusher).Flush()
		}
		reached <- struct{}{}
		<-release
	})
	t.Cleanup(func() { close(release) }) // before the server closes
	source := newSource(t, Config{BaseURL: base})
	for _, op := range []string{opCreate, opRefresh} {
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-reached; cancel() }()
		var err error
		if op == opCreate {
			_, err = source.Create(ctx, testRoom)
		} else {
			_, err = source.Refresh(ctx, testRoom, testRefreshToken)
		}
		if !errors.Is(err, context.Canceled) || errors.Is(err, roomtoken.ErrInvalidGrant) {
			t.Errorf("%s: got %v; want context.Canceled", op, err)
		}
	}
}

func TestCallsWithoutADeadlineGetOne(t *testing.T) {
	deadline := make(chan bool, 1)
	transport := roundTripper(func(r *http.Request) (*http.Response, error) {
		_, ok := r.Context().Deadline()
		deadline <- ok
		return nil, errors.New("no")
	})
	own := newSource(t, Config{})
	own.client.Transport = transport
	if _, _ = own.Create(context.Background(), testRoom); !<-deadline {
		t.Error("a call on the own client has no deadline")
	}
	given := newSource(t, Config{HTTPClient: &http.Client{Transport: transport}})
	if _, _ = given.Create(context.Background(), testRoom); <-deadline {
		t.Error("a call on a given client was given a deadline")
	}
}

func TestNilContextIsAnError(t *testing.T) {
	given := newSource(t, Config{HTTPClient: &http.Client{Transport: roundTripper(nil)}})
	if _, err := given.Create(nil, testRoom); err == nil || !strings.Contains(err.Error(), "nil Context") { //nolint:staticcheck // on purpose
		t.Errorf("got %v", err)
	}
}

func TestConcurrentCalls(t *testing.T) {
	base := startServer(t, goodAnswer())
	source := newSource(t, Config{BaseURL: base})
	var calls sync.WaitGroup
	for i := range 64 {
		calls.Go(func() {
			op := opCreate
			if i%2 == 1 {
				op = opRefresh
			}
			for range 5 {
				if _, err := source.call(t, op); err != nil {
					t.Error(err)
				}
				_ = fmt.Sprint(source)
			}
		})
	}
	calls.Wait()
}
