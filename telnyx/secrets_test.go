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

const canaryKey = "KEY0CANARY9876_ThisIsTheKeyOfTheCanary"

// heard is all that a program could show somebody: logs, and whatever value was
// printed, in every way there is.
type heard struct {
	mu    sync.Mutex
	out   bytes.Buffer
	known sync.Map
}

func (h *heard) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.out.Write(p)
}

// print prints values as programs do. Of values that differ in their numbers alone
// one is enough.
func (h *heard) print(values ...any) {
	for _, v := range values {
		text := fmt.Sprintf("%T %+v", v, v)
		_, _ = fmt.Fprintln(h, text)
		if _, known := h.known.LoadOrStore(strings.Map(withoutDigits, text), true); known {
			continue
		}
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%c"} {
			_, _ = fmt.Fprintf(h, verb+"\n", v)
			_, _ = fmt.Fprintf(h, verb+"\n", []any{v})
			_, _ = fmt.Fprintf(h, verb+"\n", struct{ Exported, unexported any }{v, v})
		}
		if text, err := json.Marshal(v); err == nil {
			_, _ = h.Write(text)
		}
		slog.New(slog.NewTextHandler(h, nil)).Info("value", "v", v, slog.Group("g", "v", []any{v}))
		slog.New(slog.NewJSONHandler(h, nil)).Info("value", "v", v, slog.Group("g", "v", []any{v}))
		if err, ok := v.(error); ok {
			h.print(fmt.Errorf("wrapped: %w", err).Error(), fmt.Sprintf("%+v", errors.Join(err, err)))
		}
	}
}

func withoutDigits(r rune) rune {
	if '0' <= r && r <= '9' {
		return -1
	}
	return r
}

// dig prints every string that is reachable from v, exported or not, as debuggers
// and deep printers do. What is meant to hold no secret passes that too.
func (h *heard) dig(v any) {
	seen := map[uintptr]bool{}
	var walk func(reflect.Value)
	walk = func(v reflect.Value) {
		switch v.Kind() {
		case reflect.String:
			_, _ = fmt.Fprintln(h, v.String())
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
				_, _ = fmt.Fprintf(h, "%s\n", v)
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

// guises are the forms in which a secret would still be one.
func guises(secret string) []string {
	forms := []string{secret, fmt.Sprintf("%x", secret), fmt.Sprintf("%X", secret), fmt.Sprintf("% x", secret), strings.Trim(fmt.Sprint([]byte(secret)), "[]"), url.QueryEscape(secret)}
	for shift := range 3 { // where base64 may find it in something longer
		for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			encoded := encoding.EncodeToString([]byte(secret[shift:]))
			forms = append(forms, encoded[:len(encoded)-4])
		}
	}
	return forms
}

// find returns where in text one of the secrets stands, in any guise, -1 if
// nowhere.
func find(text string, secrets []string) int {
	const enough = 12 // bytes to know one by
	byPrefix := map[string][]string{}
	var first [1 << 16]bool // the first two of them
	for _, secret := range secrets {
		for _, guise := range guises(secret) {
			byPrefix[guise[:enough]] = append(byPrefix[guise[:enough]], guise)
			first[int(guise[0])<<8|int(guise[1])] = true
		}
	}
	for i := range len(text) - enough {
		if !first[int(text[i])<<8|int(text[i+1])] {
			continue
		}
		for _, guise := range byPrefix[text[i:i+enough]] {
			if strings.HasPrefix(text[i:], guise) {
				return i
			}
		}
	}
	return -1
}

// wire is a transport that keeps every token that passes it, and can spoil the
// answers with what the requests held.
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

// spoilers return what a request held, or what the answer to it held, where no
// token belongs.
func spoilers() map[string]func(*http.Request, string, *http.Response) (*http.Response, error) {
	answer := func(status int, header http.Header, body string) (*http.Response, error) {
		return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body))}, nil
	}
	all := map[string]func(*http.Request, string, *http.Response) (*http.Response, error){}
	for name, body := range map[string]func(everything string) string{
		"a list": func(e string) string {
			return jsonOf(map[string]any{"errors": []any{map[string]any{"code": e, "title": e, "detail": e, "source": map[string]any{"pointer": e, "parameter": e}, "meta": e}}})
		},
		"an object":   func(e string) string { return jsonOf(map[string]any{"code": "1", "title": "bad: " + e}) },
		"a message":   func(e string) string { return jsonOf(map[string]any{"message": e, "success": false}) },
		"text":        func(e string) string { return "bad request:\n" + e },
		"a page":      func(e string) string { return "<html><title>" + e + "</title>" + e },
		"half a list": func(e string) string { return `{"errors":[{"title":"` + e },
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
	// The answer, in the wrong places.
	for name, change := range map[string]func(data map[string]any, token any){
		"token as expiry": func(data map[string]any, token any) {
			data["token_expires_at"], data["access_token_expires_at"] = token, token
		},
		"token in a list": func(data map[string]any, token any) { data["token"], data["access_token"] = []any{token}, []any{token} },
		"token with a line break": func(data map[string]any, token any) {
			data["token"], data["access_token"] = fmt.Sprint(token, "\n"), fmt.Sprint(token, "\n")
		},
		"a lapsed one": func(data map[string]any, _ any) {
			data["token_expires_at"], data["access_token_expires_at"] = "2001-01-01T00:00:00Z", "2001-01-01T00:00:00Z"
		},
	} {
		all[name] = func(_ *http.Request, _ string, resp *http.Response) (*http.Response, error) {
			var document struct {
				Data map[string]any `json:"data"`
			}
			if err := json.NewDecoder(resp.Body).Decode(&document); err != nil {
				return answer(500, nil, "") // it was refused already
			}
			token := document.Data["token"]
			if token == nil {
				token = document.Data["access_token"]
			}
			change(document.Data, token)
			return answer(201, resp.Header, jsonOf(document))
		}
	}
	all["half an answer"] = func(_ *http.Request, _ string, resp *http.Response) (*http.Response, error) {
		got, _ := io.ReadAll(resp.Body)
		return answer(201, nil, string(got[:len(got)*2/3]))
	}
	all["headers of tokens"] = func(req *http.Request, sent string, resp *http.Response) (*http.Response, error) {
		got, _ := io.ReadAll(resp.Body)
		everything := strings.ReplaceAll(req.Header.Get("Authorization")+sent+string(got), "\n", "")
		return answer(201, http.Header{"Content-Type": {everything}}, string(got))
	}
	all["encoding of tokens"] = func(req *http.Request, sent string, resp *http.Response) (*http.Response, error) {
		return answer(201, http.Header{"Content-Encoding": {req.Header.Get("Authorization") + sent}}, "")
	}
	all["a transport that tells"] = func(req *http.Request, sent string, _ *http.Response) (*http.Response, error) {
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

// throwing is a source around another that panics with what it was given.
type throwing struct {
	*telnyx.Source
	mu    sync.Mutex
	throw func(refreshToken string)
}

func (s *throwing) Refresh(ctx context.Context, roomID string, refreshToken roomtoken.Token) (roomtoken.Grant, error) {
	s.mu.Lock()
	throw := s.throw
	s.mu.Unlock()
	if throw != nil {
		throw(refreshToken.Value.Reveal())
	}
	return s.Source.Refresh(ctx, roomID, refreshToken)
}

func (s *throwing) with(throw func(string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.throw = throw
}

// TestNothingSecretIsHeard runs all of it, from the Manager to the API, through
// every fault, listens to everything that can be printed, and searches that for
// the API key and for every token that was on the wire.
func TestNothingSecretIsHeard(t *testing.T) {
	text := func(w io.Writer) slog.Handler {
		return slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug, AddSource: true})
	}
	jsonLines := func(w io.Writer) slog.Handler {
		return slog.NewJSONHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug, AddSource: true})
	}
	t.Run("current endpoints, text", func(t *testing.T) { listen(t, telnyx.ClientTokens, false, text) })
	t.Run("legacy endpoints, JSON", func(t *testing.T) { listen(t, telnyx.AccessTokens, false, jsonLines) })
	t.Run("a key from a function", func(t *testing.T) { listen(t, telnyx.ClientTokens, true, jsonLines) })
}

func listen(t *testing.T, endpoints telnyx.Endpoints, keyFunc bool, handler func(io.Writer) slog.Handler) {
	all := &heard{}
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
	wrapped := &throwing{Source: src}
	events := make(chan roomtoken.Event, 100_000)
	manager, err := roomtoken.NewManager(wrapped, roomtoken.Config{
		Clock: clk, Jitter: -1, CallTimeout: time.Hour, Logger: slog.New(handler(all)),
		OnEvent: func(e roomtoken.Event) {
			all.print(e, &e, e.String())
			all.dig(e)
			events <- e
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	// Not in unexported fields: see Config; of a Source fmt would read what is in use.
	for _, v := range []any{config, &config, src, wrapped} {
		_, _ = fmt.Fprintf(all, "%v %+v %#v %s %q %x %d %v\n", v, v, v, v, v, v, v, []any{v})
		slog.New(handler(all)).Info("value", "v", v)
		_, _ = io.WriteString(all, jsonOf(v))
	}
	all.print(manager)
	// await lets seconds pass until there is an event of the kind: the sockets are
	// not on the clock's time.
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
		t.Fatalf("waited in vain for %v", kind)
	}
	look := func() {
		all.print(manager.Stats(), manager)
		all.dig(manager.Stats())
		for status := range manager.Rooms() {
			all.print(status, &status, status.LastError)
			all.dig(status)
		}
	}
	fails := func(err error) {
		t.Helper()
		if err == nil {
			t.Fatal("no error")
		}
		all.print(err)
		all.dig(err)
		var apiError *telnyx.APIError
		if errors.As(err, &apiError) {
			all.print(apiError, *apiError)
			all.dig(apiError)
		}
	}
	ask := func() roomtoken.Token {
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

	// The source on its own, through all that a server may do.
	grant, err := src.Create(t.Context(), lobby)
	if err != nil {
		t.Fatal(err)
	}
	all.print(grant, &grant)
	for name, spoil := range spoilers() { //nolint:bodyclose // the caller of the transport closes it
		w.set(spoil)
		if _, err := src.Create(t.Context(), lobby); err != nil {
			fails(err)
		} else {
			t.Errorf("%s: no error", name)
		}
		if _, err := src.Refresh(t.Context(), lobby, grant.RefreshToken); err != nil {
			fails(err)
		} else {
			t.Errorf("%s: no error", name)
		}
	}
	w.set(nil)

	// With the Manager around it: a renewal that fails, one that throws, one that
	// is refused, then a caller who gets the error.
	ask()
	await(roomtoken.EventTokenPublished)
	renew := func(until roomtoken.EventKind) {
		ask() // it is in use
		clk.Add(405 * time.Second)
		await(until)
		look()
	}
	w.set(spoilers()["a list with 500"]) //nolint:bodyclose // the caller of the transport closes it
	renew(roomtoken.EventCallEnded)
	w.set(nil)
	await(roomtoken.EventTokenPublished)
	for _, throw := range []func(string){
		func(refresh string) { panic("threw " + refresh) },
		func(refresh string) { panic(fmt.Errorf("threw %s, %q", refresh, refresh)) },
		func(refresh string) { panic(struct{ RefreshToken string }{refresh}) },
	} {
		wrapped.with(throw)
		renew(roomtoken.EventCallEnded)
		wrapped.with(nil)
		await(roomtoken.EventTokenPublished)
	}
	w.set(spoilers()["a list with 403"]) //nolint:bodyclose // the caller of the transport closes it
	renew(roomtoken.EventFellBack)
	await(roomtoken.EventCallEnded)
	w.set(nil)
	await(roomtoken.EventTokenPublished)
	tok := ask()
	for _, name := range []string{"an object with 403", "text with 429", "token as expiry"} {
		manager.Forget(lobby)
		w.set(spoilers()[name])                                               //nolint:bodyclose // the caller of the transport closes it
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond) // less than any wait
		_, err := manager.Token(ctx, lobby)
		cancel()
		fails(err)
		look()
		w.set(nil)
		clk.Add(25 * time.Hour)
	}
	manager.Invalidate(lobby, tok)
	if keyFunc {
		for _, fail := range []func() error{
			func() error { panic("the vault threw " + canaryKey) },
			func() error { panic(errors.New("the vault threw " + canaryKey)) },
			func() error { return errors.New("the vault refuses " + canaryKey) },
		} {
			manager.Forget(lobby)
			keyMu.Lock()
			keyFails = fail
			keyMu.Unlock()
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			_, err := manager.Token(ctx, lobby)
			cancel()
			fails(err)
			look()
			_, err = src.Create(t.Context(), lobby)
			fails(err)
		}
	}
	if err := manager.Close(); err != nil {
		t.Error(err)
	}
	look()

	all.mu.Lock()
	defer all.mu.Unlock()
	out := all.out.String()
	if len(w.secrets) < 15 {
		t.Errorf("only %d tokens were on the wire: the test is blind", len(w.secrets))
	}
	for _, want := range []string{"[redacted]", "the source threw a panic", "token published", "fell back to create", "429 Too Many Requests"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q was never heard: the test is deaf", want)
		}
	}
	secrets := []string{canaryKey}
	for token := range w.secrets {
		parts := strings.Split(token, ".") // the header is no secret; the claims and the signature are, on their own too
		secrets = append(secrets, token, parts[1], parts[2])
	}
	if at := find(out, secrets); at >= 0 {
		t.Fatalf("a secret was heard: ...%s...", out[max(0, at-300):min(len(out), at+300)])
	}
	for _, guise := range guises(canaryKey) { // if the search were blind, so would be the test
		if find(out[:1000]+guise+out[:1000], secrets) != 1000 {
			t.Errorf("%s is not found", guise)
		}
	}
	if leaks := api.Calls().KeyLeaks; leaks > 0 {
		t.Errorf("the API key reached %d calls that need none", leaks)
	}
	t.Logf("%d secrets, %d bytes heard", len(secrets), len(out))
}
