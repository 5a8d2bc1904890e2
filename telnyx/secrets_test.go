package telnyx_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/benbjohnson/clock"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/telnyx"
	"github.com/roomtoken/roomtoken/telnyx/telnyxtest"
)

const canaryKey = "KEY0CANARY9876_AnApiKeyThatMustNotLeak"

// output collects everything that a program could show: logs, and printed values in every
// format.
type output struct {
	mu    sync.Mutex
	text  bytes.Buffer
	known sync.Map // texts of the values printed so far, without digits
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

// print prints values in every format. Of values that differ only in digits, it prints only
// the first one in every format.
func (o *output) print(values ...any) {
	for _, v := range values {
		text := fmt.Sprintf("%T %+v", v, v)
		_, _ = fmt.Fprintln(o, text)
		if _, known := o.known.LoadOrStore(strings.Map(withoutDigits, text), true); known {
			continue
		}
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%c"} {
			_, _ = fmt.Fprintf(o, verb+"\n", v)
			_, _ = fmt.Fprintf(o, verb+"\n", []any{v})
			_, _ = fmt.Fprintf(o, verb+"\n", struct{ Exported, unexported any }{v, v})
		}
		if text, err := json.Marshal(v); err == nil {
			_, _ = o.Write(text)
		}
		slog.New(slog.NewTextHandler(o, nil)).Info("value", "v", v, slog.Group("g", "v", []any{v}))
		slog.New(slog.NewJSONHandler(o, nil)).Info("value", "v", v, slog.Group("g", "v", []any{v}))
		if err, ok := v.(error); ok {
			o.print(fmt.Errorf("wrapped: %w", err).Error(), fmt.Sprintf("%+v", errors.Join(err, err)))
		}
	}
}

func withoutDigits(r rune) rune {
	if '0' <= r && r <= '9' {
		return -1
	}
	return r
}

// dump prints every string that is reachable from v, including unexported fields, as
// debuggers and deep printers do. It is for values that must not hold secrets at all.
func (o *output) dump(v any) {
	seen := map[uintptr]bool{}
	var walk func(reflect.Value)
	walk = func(v reflect.Value) {
		switch v.Kind() {
		case reflect.String:
			_, _ = fmt.Fprintln(o, v.String())
		case reflect.Pointer:
			if !v.IsNil() && !seen[v.Pointer()] {
				seen[v.Pointer()] = true
				walk(v.Elem())
			}
		case reflect.Interface:
			walk(v.Elem())
		case reflect.Struct:
			for i := range v.NumField() {
				walk(v.Field(i))
			}
		case reflect.Slice, reflect.Array:
			if v.Type().Elem().Kind() == reflect.Uint8 {
				_, _ = fmt.Fprintf(o, "%s\n", v)
			}
			for i := range min(v.Len(), 1000) {
				walk(v.Index(i))
			}
		case reflect.Map:
			for _, key := range v.MapKeys() {
				walk(key)
				walk(v.MapIndex(key))
			}
		}
	}
	walk(reflect.ValueOf(v))
}

// encodings returns the encodings in which a secret would still be revealed.
func encodings(secret string) []string {
	forms := []string{secret, fmt.Sprintf("%x", secret), fmt.Sprintf("%X", secret), fmt.Sprintf("% x", secret), strings.Trim(fmt.Sprint([]byte(secret)), "[]"), url.QueryEscape(secret)}
	for shift := range 3 { // the alignments of base64 in a longer text
		for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			encoded := encoding.EncodeToString([]byte(secret[shift:]))
			forms = append(forms, encoded[:len(encoded)-4])
		}
	}
	return forms
}

// search finds secrets in texts, in any encoding.
type search struct {
	byPrefix map[string][]string // the encoded secrets, by their first prefixLen bytes
	first    [1 << 16]bool       // the first two bytes of each, to skip most of a text fast
}

const prefixLen = 12

func newSearch(secrets []string) *search {
	s := &search{byPrefix: map[string][]string{}}
	for _, secret := range secrets {
		for _, form := range encodings(secret) {
			s.byPrefix[form[:prefixLen]] = append(s.byPrefix[form[:prefixLen]], form)
			s.first[int(form[0])<<8|int(form[1])] = true
		}
	}
	return s
}

// find returns the index of the first secret in text, or -1.
func (s *search) find(text string) int {
	for i := range len(text) - prefixLen {
		if !s.first[int(text[i])<<8|int(text[i+1])] {
			continue
		}
		for _, form := range s.byPrefix[text[i:i+prefixLen]] {
			if strings.HasPrefix(text[i:], form) {
				return i
			}
		}
	}
	return -1
}

// wire is a transport that records every token it carries. If spoil is not nil, it replaces
// the responses.
type wire struct {
	mu      sync.Mutex
	secrets map[string]bool
	spoil   func(req *http.Request, sent string, resp *http.Response) (*http.Response, error)
}

var tokens = regexp.MustCompile(`eyJ[\w-]+\.[\w-]+\.[\w-]+`)

func (w *wire) RoundTrip(req *http.Request) (*http.Response, error) {
	sent, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	req.Body = io.NopCloser(bytes.NewReader(sent))
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, token := range tokens.FindAllString(string(sent)+" "+string(body), -1) {
		w.secrets[token] = true
	}
	if w.spoil != nil {
		return w.spoil(req, string(sent), resp)
	}
	return resp, nil
}

func (w *wire) set(spoil func(*http.Request, string, *http.Response) (*http.Response, error)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.spoil = spoil
}

// spoilers returns functions that put the credentials of a request and its response in
// places where no credential belongs.
func spoilers() map[string]func(*http.Request, string, *http.Response) (*http.Response, error) {
	answer := func(status int, header http.Header, body string) (*http.Response, error) {
		return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body))}, nil
	}
	all := map[string]func(*http.Request, string, *http.Response) (*http.Response, error){}
	for name, body := range map[string]func(everything string) string{
		"a list": func(e string) string {
			return jsonOf(map[string]any{"errors": []any{map[string]any{"code": e, "title": e, "detail": e, "source": map[string]any{"pointer": e, "parameter": e}, "meta": e}}})
		},
		"an object":        func(e string) string { return jsonOf(map[string]any{"code": "1", "title": "bad: " + e}) },
		"a message":        func(e string) string { return jsonOf(map[string]any{"message": e, "success": false}) },
		"text":             func(e string) string { return "bad request:\n" + e },
		"a page":           func(e string) string { return "<html><title>" + e + "</title>" + e },
		"a truncated list": func(e string) string { return `{"errors":[{"title":"` + e },
	} {
		for _, status := range []int{201, 302, 403, 429, 500} {
			all[fmt.Sprint(name, " with ", status)] = func(req *http.Request, sent string, resp *http.Response) (*http.Response, error) {
				got, _ := io.ReadAll(resp.Body)
				everything := req.Header.Get("Authorization") + " " + sent + " " + string(got)
				header := http.Header{}
				for _, key := range []string{"X-Request-Id", "Location", "Content-Language", "Retry-After", "Date"} {
					header.Set(key, everything)
				}
				if status == 302 {
					header.Set("Location", "https://"+strings.TrimPrefix(req.Header.Get("Authorization"), "Bearer ")+"/"+sent)
				}
				return answer(status, header, body(everything))
			}
		}
	}
	// Tokens of the response in the wrong places.
	for name, change := range map[string]func(data map[string]any, token any){
		"token as expiry": func(data map[string]any, token any) {
			data["token_expires_at"], data["access_token_expires_at"] = token, token
		},
		"token in a list": func(data map[string]any, token any) { data["token"], data["access_token"] = []any{token}, []any{token} },
		"token with a line break": func(data map[string]any, token any) {
			data["token"], data["access_token"] = fmt.Sprint(token, "\n"), fmt.Sprint(token, "\n")
		},
		"an expired token": func(data map[string]any, _ any) {
			data["token_expires_at"], data["access_token_expires_at"] = "2001-01-01T00:00:00Z", "2001-01-01T00:00:00Z"
		},
	} {
		all[name] = func(_ *http.Request, _ string, resp *http.Response) (*http.Response, error) {
			var document struct {
				Data map[string]any `json:"data"`
			}
			if err := json.NewDecoder(resp.Body).Decode(&document); err != nil {
				return answer(500, nil, "") // the response is an error
			}
			token := document.Data["token"]
			if token == nil {
				token = document.Data["access_token"]
			}
			change(document.Data, token)
			return answer(201, resp.Header, jsonOf(document))
		}
	}
	all["a truncated answer"] = func(_ *http.Request, _ string, resp *http.Response) (*http.Response, error) {
		got, _ := io.ReadAll(resp.Body)
		return answer(201, nil, string(got[:len(got)*2/3]))
	}
	all["tokens in Content-Type"] = func(req *http.Request, sent string, resp *http.Response) (*http.Response, error) {
		got, _ := io.ReadAll(resp.Body)
		everything := strings.ReplaceAll(req.Header.Get("Authorization")+sent+string(got), "\n", "")
		return answer(201, http.Header{"Content-Type": {everything}}, string(got))
	}
	all["tokens in Content-Encoding"] = func(req *http.Request, sent string, resp *http.Response) (*http.Response, error) {
		return answer(201, http.Header{"Content-Encoding": {req.Header.Get("Authorization") + sent}}, "")
	}
	all["tokens in a transport error"] = func(req *http.Request, sent string, _ *http.Response) (*http.Response, error) {
		return nil, errors.New("could not send " + fmt.Sprint(req.Header) + sent)
	}
	return all
}

func jsonOf(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// panicking is a source whose Refresh panics with the refresh token if throw is not nil.
type panicking struct {
	*telnyx.Source
	mu    sync.Mutex
	throw func(refreshToken string)
}

func (s *panicking) Refresh(ctx context.Context, roomID string, refreshToken roomtoken.Token) (roomtoken.Grant, error) {
	s.mu.Lock()
	throw := s.throw
	s.mu.Unlock()
	if throw != nil {
		throw(refreshToken.Value.Reveal())
	}
	return s.Source.Refresh(ctx, roomID, refreshToken)
}

func (s *panicking) set(throw func(string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.throw = throw
}

// TestNoSecretIsPrinted runs a Manager, a Source and the API through every fault, collects
// everything that can be printed, and searches it for the API key and for every token
// that the transport carried.
func TestNoSecretIsPrinted(t *testing.T) {
	text := func(w io.Writer) slog.Handler {
		return slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug, AddSource: true})
	}
	jsonLines := func(w io.Writer) slog.Handler {
		return slog.NewJSONHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug, AddSource: true})
	}
	t.Run("current endpoints, text", func(t *testing.T) { testNoSecretIsPrinted(t, telnyx.ClientTokens, false, text) })
	t.Run("legacy endpoints, JSON", func(t *testing.T) { testNoSecretIsPrinted(t, telnyx.AccessTokens, false, jsonLines) })
	t.Run("a key from a function", func(t *testing.T) { testNoSecretIsPrinted(t, telnyx.ClientTokens, true, jsonLines) })
}

func testNoSecretIsPrinted(t *testing.T, endpoints telnyx.Endpoints, keyFunc bool, handler func(io.Writer) slog.Handler) {
	all := &output{}
	clk := clock.NewMock()
	clk.Set(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	api := telnyxtest.Start(t, telnyxtest.Config{Clock: clk, APIKey: canaryKey})
	w := &wire{secrets: map[string]bool{}}
	t.Cleanup(http.DefaultTransport.(*http.Transport).CloseIdleConnections)

	var keyMu sync.Mutex
	var keyFails func() error
	config := telnyx.Config{APIKey: canaryKey, BaseURL: api.URL, Endpoints: endpoints, Clock: clk, HTTPClient: &http.Client{Transport: w}}
	if keyFunc {
		config.APIKey = ""
		config.APIKeyFunc = func(context.Context) (string, error) {
			keyMu.Lock()
			defer keyMu.Unlock()
			if keyFails != nil {
				return canaryKey, keyFails()
			}
			return canaryKey, nil
		}
	}
	src, err := telnyx.NewSource(config)
	if err != nil {
		t.Fatal(err)
	}
	wrapped := &panicking{Source: src}
	events := make(chan roomtoken.Event, 100_000)
	manager, err := roomtoken.NewManager(wrapped, roomtoken.Config{
		Clock: clk, Jitter: -1, CallTimeout: time.Hour, Logger: slog.New(handler(all)),
		OnEvent: func(e roomtoken.Event) {
			all.print(e, &e, e.String())
			all.dump(e)
			events <- e
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	// Not in unexported fields, where fmt calls no methods; see Config. In a Source it
	// would even race with the calls.
	for _, v := range []any{config, &config, src, wrapped} {
		_, _ = fmt.Fprintf(all, "%v %+v %#v %s %q %x %d %v\n", v, v, v, v, v, v, v, []any{v})
		slog.New(handler(all)).Info("value", "v", v)
		_, _ = io.WriteString(all, jsonOf(v))
	}
	all.print(manager)
	// await moves the clock until there is an event of the kind. The sockets are not on
	// the mock clock, so it polls.
	await := func(kind roomtoken.EventKind) {
		t.Helper()
		for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
			select {
			case e := <-events:
				if e.Kind == kind {
					return
				}
			case <-time.After(5 * time.Millisecond):
				clk.Add(time.Second)
			}
		}
		t.Fatalf("no event %v within 10 s", kind)
	}
	printStatus := func() {
		all.print(manager.Stats(), manager)
		all.dump(manager.Stats())
		for status := range manager.Rooms() {
			all.print(status, &status, status.LastError)
			all.dump(status)
		}
	}
	printError := func(err error) {
		t.Helper()
		if err == nil {
			t.Fatal("no error")
		}
		all.print(err)
		all.dump(err)
		var apiError *telnyx.APIError
		if errors.As(err, &apiError) {
			all.print(apiError, *apiError)
			all.dump(apiError)
		}
	}
	token := func() roomtoken.Token {
		t.Helper()
		var tok roomtoken.Token
		var err error
		done := make(chan struct{})
		go func() {
			defer close(done)
			tok, err = manager.Token(t.Context(), lobby)
		}()
		for answered := false; !answered; {
			select {
			case <-done:
				answered = true
			case <-time.After(5 * time.Millisecond):
				clk.Add(time.Second)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		all.print(tok, &tok, tok.Value, map[string]roomtoken.Token{"t": tok})
		return tok
	}

	// The Source on its own, with every kind of response.
	grant, err := src.Create(t.Context(), lobby)
	if err != nil {
		t.Fatal(err)
	}
	all.print(grant, &grant)
	for name, spoil := range spoilers() { //nolint:bodyclose // the caller of the transport closes it
		w.set(spoil)
		if _, err := src.Create(t.Context(), lobby); err != nil {
			printError(err)
		} else {
			t.Errorf("%s: no error", name)
		}
		if _, err := src.Refresh(t.Context(), lobby, grant.RefreshToken); err != nil {
			printError(err)
		} else {
			t.Errorf("%s: no error", name)
		}
	}
	w.set(nil)

	// With a Manager: a renewal that fails, renewals that panic, one that is refused, and
	// then callers that get an error.
	token()
	await(roomtoken.EventTokenPublished)
	renew := func(until roomtoken.EventKind) {
		token() // keeps the room in use
		clk.Add(405 * time.Second)
		await(until)
		printStatus()
	}
	w.set(spoilers()["a list with 500"]) //nolint:bodyclose // the caller of the transport closes it
	renew(roomtoken.EventCallEnded)
	w.set(nil)
	await(roomtoken.EventTokenPublished)
	for _, throw := range []func(string){
		func(refresh string) { panic("lost " + refresh) },
		func(refresh string) { panic(fmt.Errorf("lost %s, %q", refresh, refresh)) },
		func(refresh string) { panic(struct{ RefreshToken string }{refresh}) },
	} {
		wrapped.set(throw)
		renew(roomtoken.EventCallEnded)
		wrapped.set(nil)
		await(roomtoken.EventTokenPublished)
	}
	w.set(spoilers()["a list with 403"]) //nolint:bodyclose // the caller of the transport closes it
	renew(roomtoken.EventFellBack)
	await(roomtoken.EventCallEnded)
	w.set(nil)
	await(roomtoken.EventTokenPublished)
	tok := token()
	for _, name := range []string{"an object with 403", "text with 429", "token as expiry"} {
		manager.Forget(lobby)
		w.set(spoilers()[name])                                               //nolint:bodyclose // the caller of the transport closes it
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond) // less than any backoff
		_, err := manager.Token(ctx, lobby)
		cancel()
		printError(err)
		printStatus()
		w.set(nil)
		clk.Add(5 * time.Minute) // longer than any backoff
	}
	manager.Invalidate(lobby, tok)
	if keyFunc {
		for _, fail := range []func() error{
			func() error { panic("the vault lost " + canaryKey) },
			func() error { panic(errors.New("the vault lost " + canaryKey)) },
			func() error { return errors.New("the vault refuses " + canaryKey) },
		} {
			manager.Forget(lobby)
			keyMu.Lock()
			keyFails = fail
			keyMu.Unlock()
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			_, err := manager.Token(ctx, lobby)
			cancel()
			printError(err)
			printStatus()
			_, err = src.Create(t.Context(), lobby)
			printError(err)
		}
	}
	if err := manager.Close(); err != nil {
		t.Error(err)
	}
	printStatus()

	all.mu.Lock()
	defer all.mu.Unlock()
	text := all.text.String()
	if len(w.secrets) < 15 {
		t.Errorf("the transport carried %d tokens, want at least 15: the test has nothing to find", len(w.secrets))
	}
	for _, want := range []string{"[redacted]", "the source panicked", "token published", "fell back to create", "429 Too Many Requests"} {
		if !strings.Contains(text, want) {
			t.Errorf("the output does not contain %q: the test covers too little", want)
		}
	}
	secrets := []string{canaryKey}
	for token := range w.secrets {
		parts := strings.Split(token, ".") // claims and signature are secrets on their own; the header is not
		secrets = append(secrets, token, parts[1], parts[2])
	}
	search := newSearch(secrets)
	if at := search.find(text); at >= 0 {
		t.Fatalf("the output contains a secret: ...%s...", text[max(0, at-300):min(len(text), at+300)])
	}
	for _, form := range encodings(canaryKey) { // test the search itself
		if search.find(text[:1000]+form+text[:1000]) != 1000 {
			t.Errorf("the search does not find %s", form)
		}
	}
	if leaks := api.Calls().KeyLeaks; leaks > 0 {
		t.Errorf("%d calls carried the API key where none is allowed", leaks)
	}
	t.Logf("%d secrets, %d bytes of output", len(secrets), len(text))
}

// The same for a CredentialSource, on its own and with a Manager.
func TestNoSecretOfACredentialIsPrinted(t *testing.T) {
	const credential = "c215ade3-0d39-418e-94be-c5f780760199"
	all := &output{}
	logger := slog.New(slog.NewTextHandler(all, &slog.HandlerOptions{Level: slog.LevelDebug}))
	api := telnyxtest.Start(t, telnyxtest.Config{APIKey: canaryKey})
	w := &wire{secrets: map[string]bool{}}
	t.Cleanup(http.DefaultTransport.(*http.Transport).CloseIdleConnections)
	source, err := telnyx.NewCredentialSource(telnyx.Config{APIKey: canaryKey, BaseURL: api.URL, HTTPClient: &http.Client{Transport: w}})
	if err != nil {
		t.Fatal(err)
	}
	logger.Info("source", "source", source)
	_, _ = fmt.Fprintf(all, "%v %+v %#v %x %d %s\n", source, source, source, source, source, jsonOf(source))

	spoilers := spoilers()                     //nolint:bodyclose // the caller of the transport closes it
	delete(spoilers, "tokens in Content-Type") // which does not matter here
	spoilers["claims that are not base64"] = func(_ *http.Request, _ string, resp *http.Response) (*http.Response, error) {
		got, _ := io.ReadAll(resp.Body)
		resp.Body = io.NopCloser(bytes.NewReader(bytes.Replace(got, []byte("."), []byte(".!"), 1)))
		return resp, nil
	}
	for name, spoil := range spoilers {
		w.set(spoil)
		grant, err := source.Create(t.Context(), credential)
		if err == nil {
			t.Errorf("%s: no error, and %v", name, grant)
			continue
		}
		all.print(err)
		all.dump(err)
	}
	w.set(nil)

	manager, err := roomtoken.NewManager(source, roomtoken.Config{Logger: logger, OnEvent: func(e roomtoken.Event) { all.print(e); all.dump(e) }})
	if err != nil {
		t.Fatal(err)
	}
	tok, err := manager.Token(t.Context(), credential)
	if err != nil {
		t.Fatal(err)
	}
	if err := api.VerifyCredential(credential, tok.Value.Reveal()); err != nil {
		t.Error(err)
	}
	all.print(tok, manager, manager.Stats())
	for status := range manager.Rooms() {
		all.print(status)
		all.dump(status)
	}
	if err := manager.Close(); err != nil {
		t.Error(err)
	}

	secrets := []string{canaryKey}
	for token := range w.secrets {
		parts := strings.Split(token, ".")
		secrets = append(secrets, token, parts[1], parts[2])
	}
	if len(w.secrets) < 10 {
		t.Errorf("the transport carried %d tokens: the test has nothing to find", len(w.secrets))
	}
	all.mu.Lock()
	defer all.mu.Unlock()
	text := all.text.String()
	if at := newSearch(secrets).find(text); at >= 0 {
		t.Fatalf("the output contains a secret: ...%s...", text[max(0, at-300):min(len(text), at+300)])
	}
}
