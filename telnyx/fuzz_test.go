package telnyx

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/roomtoken/roomtoken"
)

// fuzzed is the response to a fuzzSource.
type fuzzed struct {
	status int
	header http.Header
	body   string
}

// fuzzSource returns a Source whose requests get the current value of answer.
func fuzzSource(f *testing.F, endpoints Endpoints, answer *fuzzed) *Source {
	return newSource(f, Config{
		Endpoints:  endpoints,
		Clock:      mockAt(time.Unix(1_600_000_000, 0)),
		HTTPClient: answer.client(),
	})
}

// client returns a client whose requests get the current value of f.
func (f *fuzzed) client() *http.Client {
	return &http.Client{Transport: roundTripper(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: f.status, Header: f.header, Body: io.NopCloser(strings.NewReader(f.body))}, nil
	})}
}

// either calls Refresh or Create.
func (s *Source) either(t *testing.T, refresh bool) (roomtoken.Grant, error) {
	if refresh {
		return s.call(t, roomtoken.CallRefresh)
	}
	return s.call(t, roomtoken.CallCreate)
}

// checkGrant reports an error if a grant is not a usable one.
func checkGrant(t *testing.T, grant roomtoken.Grant) {
	t.Helper()
	if life := grant.Token.ExpiresAt.Sub(grant.IssuedAt); grant.Token.IsZero() || life <= 0 || life > maxTokenTTL {
		t.Errorf("the token lives for %v", life)
	}
	if strings.ContainsFunc(grant.Token.Value.Reveal()+grant.RefreshToken.Value.Reveal(), isNotTokenChar) {
		t.Error("a token contains an invalid character")
	}
	if refresh := grant.RefreshToken; !refresh.ExpiresAt.IsZero() {
		if life := refresh.ExpiresAt.Sub(grant.IssuedAt); refresh.IsZero() || life <= 0 || life > maxRefreshTokenTTL {
			t.Errorf("the refresh token lives for %v", life)
		}
	}
}

const fuzzDate = "Sun, 13 Sep 2020 12:26:40 GMT" // 1,600,000,000

// checkErrorText reports an error if the text of err is too long, malformed, or contains a
// credential.
func checkErrorText(t *testing.T, err error) {
	t.Helper()
	text := err.Error()
	if len(text) > 8*(maxServerText+20) || !utf8.ValidString(text) || strings.ContainsFunc(text, isControl) {
		t.Errorf("the error is %q", text)
	}
	if strings.Contains(text, testKey) || strings.HasPrefix(text, "telnyx: refresh") && strings.Contains(text, testRefreshToken.Value.Reveal()) {
		t.Errorf("%q contains a credential", text) // Create does not know the refresh token
	}
}

func FuzzDecodeResponse(f *testing.F) {
	now := time.Unix(1_600_000_000, 0)
	good := grantBody(jwt(now, now.Add(10*time.Minute)), now.Add(10*time.Minute), jwt(now, now.Add(time.Hour)), now.Add(time.Hour))
	for _, seed := range []string{
		good, strings.ReplaceAll(good, `"token`, `"access_token`), good[:len(good)/2], good + "x",
		``, `{}`, `[]`, `null`, `{"data":null}`, `{"data":[]}`, `{"data":{"token":5}}`,
		`{"data":{"token":"t","token_expires_at":"9999-12-31T23:59:59.999999999+23:59"}}`,
		`{"data":{"token":"t","token_expires_at":"0001-01-01T00:00:00Z"}}`,
		`{"data":{"token":"` + testKey + `","token_expires_at":"` + testKey + `"}}`,
	} {
		f.Add(seed, false, false)
		f.Add(seed, true, true)
	}
	answer := fuzzed{status: 201, header: http.Header{"Date": {fuzzDate}}}
	sources := map[bool]*Source{false: fuzzSource(f, ClientTokens, &answer), true: fuzzSource(f, AccessTokens, &answer)}
	f.Fuzz(func(t *testing.T, body string, legacy, refresh bool) {
		answer.body = body
		grant, err := sources[legacy].either(t, refresh)
		if err == nil {
			checkGrant(t, grant)
			return
		}
		if !errors.Is(err, roomtoken.ErrInvalidGrant) || !grant.Token.IsZero() {
			t.Errorf("got %v, %v", grant, err)
		}
		checkErrorText(t, err)
	})
}

// A field has the value that encoding/json decodes, unless it occurs twice.
func FuzzField(f *testing.F) {
	for _, seed := range []string{`"a"`, `""`, `"\u0061\n"`, `"ÿ"`, `5`, `-1e5`, `null`, `true`, `[1]`, `{"a":1}`, `"a","token":"b"`, `"é"`, ``} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		object := []byte(`{"token":` + value + `}`)
		if !json.Valid(object) {
			for name, value := range members(object) { // finds something, and ends
				_, _ = name, value
			}
			return
		}
		var want map[string]any
		_ = json.Unmarshal(object, &want)
		a, names := new(answer), 0
		for name, value := range members(object) {
			names++
			if _, known := want[string(name)]; !known && !bytes.ContainsRune(object, '\\') && utf8.Valid(object) {
				t.Errorf("%s: found a member %q", object, name)
			}
			if f := a.field(name); f != nil {
				f.set(value)
			}
		}
		if names < len(want) {
			t.Errorf("%s: found %d members", object, names)
		}
		if a.token.again {
			return
		}
		text, err := a.token.value()
		if wantText, isString := want["token"].(string); isString != (err == nil) || text != wantText {
			t.Errorf("%s: got %q, %v; want %q", object, text, err, wantText)
		}
	})
}

func FuzzErrorBody(f *testing.F) {
	for _, seed := range []string{
		`{"errors":[{"code":"10009","title":"T","detail":"D","source":{"pointer":"/p","parameter":"q"},"meta":{}}]}`,
		`{"code":10010,"title":"T"}`, `{"message":"Error","success":false}`, ``, `<html><title>502</title></html>`, `{"errors":{}}`,
		`{"errors":[` + strings.Repeat("[", 100), "text\x00\xff\u202e", `{"title":"` + testKey + `"}`, testKey, `{"error":{"a":1}}`,
		`{"errors":{"f":"m","g":["m",{}],"h":{"i":"j"}}}`, `{"error":{"code":1,"title":"T","detail":"D"}}`, "\ufeff{}",
	} {
		f.Add(seed, 403, false)
		f.Add(seed, 302, true)
		f.Add(seed+testRefreshToken.Value.Reveal(), 429, true)
	}
	answer := fuzzed{header: http.Header{"Date": {fuzzDate}}}
	source := fuzzSource(f, ClientTokens, &answer)
	f.Fuzz(func(t *testing.T, body string, status int, refresh bool) {
		if status < 300 || status > 999 {
			return
		}
		answer.status, answer.body = status, body
		_, err := source.either(t, refresh)
		var apiError *APIError
		if !errors.As(err, &apiError) || apiError.StatusCode != status {
			t.Fatalf("got %v", err)
		}
		checkErrorText(t, err)
		for _, text := range []string{apiError.Code, apiError.Title, apiError.Detail, apiError.Source.Pointer, apiError.Source.Parameter} {
			if len(text) > maxServerText+16 {
				t.Errorf("a text has %d bytes", len(text))
			}
		}
		unauthorized, notFound := errors.Is(err, roomtoken.ErrUnauthorized), errors.Is(err, roomtoken.ErrRoomNotFound)
		if unauthorized && notFound || (unauthorized || notFound) && (refresh || !errors.Is(err, roomtoken.ErrPermanent)) {
			t.Errorf("%v: unauthorized %v, not found %v, refresh %v", err, unauthorized, notFound, refresh)
		}
	})
}

// FuzzAnswer fuzzes a whole response as sent on the connection.
func FuzzAnswer(f *testing.F) {
	now := time.Unix(1_600_000_000, 0)
	good := grantBody(jwt(now, now.Add(10*time.Minute)), now.Add(10*time.Minute), jwt(now, now.Add(time.Hour)), now.Add(time.Hour))
	for _, seed := range []string{
		"201 Created\r\nDate: " + fuzzDate + "\r\nContent-Type: application/json\r\n\r\n" + good,
		"201 Created\r\nContent-Length: 5\r\n\r\n{}",
		"200 OK\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8b",
		"200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX: y\r\n\r\n",
		"201 Created\r\nContent-Type: text/html; charset=" + testKey + "\r\n\r\n<",
		"302 Found\r\nLocation: http://%zz/" + testKey + "\r\n\r\n",
		"307 \r\nLocation: //" + testKey + "/\r\nX-Request-Id: " + testKey + "\r\n\r\n",
		"429 Too Many Requests\r\nRetry-After: 5\r\nX-Ratelimit-Limit: 5, 5;w=1\r\nX-Ratelimit-Reset: 1600000030\r\n\r\n" + `{"errors":[{"code":"10011"}]}`,
		"401 " + testKey + "\r\n" + testKey + ": " + testKey + "\r\n\r\n" + testKey,
		"204 No Content\r\n\r\n", "101 Switching Protocols\r\n\r\n", "99 x\r\n\r\n", "-1 x\r\n\r\n", "999\r\n\r\n", "x " + testKey, "",
	} {
		f.Add(seed, false)
		f.Add(seed, true)
	}
	var answer string
	source := newSource(f, Config{
		Clock: mockAt(now),
		HTTPClient: &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			return http.ReadResponse(bufio.NewReader(strings.NewReader("HTTP/1.1 "+answer)), r)
		})},
	})
	f.Fuzz(func(t *testing.T, text string, refresh bool) {
		answer = text
		grant, err := source.either(t, refresh)
		if err == nil {
			checkGrant(t, grant)
			return
		}
		checkErrorText(t, err)
		if apiError := (*APIError)(nil); errors.As(err, &apiError) {
			if wait := apiError.RetryAfter(); apiError.StatusCode < 300 || wait < 0 || wait > maxRetryAfter {
				t.Errorf("status %d, a wait of %v", apiError.StatusCode, wait)
			}
		}
	})
}

func FuzzRetryAfter(f *testing.F) {
	for _, seed := range []string{"", "7", "-7", "1.5", "1e9", "Sun, 13 Sep 2020 12:27:10 GMT", "1600000030", "1600000030000", "99999999999999999999", "5, 5;w=1", "NaN", "."} {
		f.Add(seed, "", "", "", "", 429)
		f.Add("", seed, "", "5, 5;w=1", fuzzDate, 429)
		f.Add("", "", seed, "0", fuzzDate, 429)
		f.Add(seed, seed, seed, seed, seed, 503)
	}
	f.Fuzz(func(t *testing.T, after, reset, draftReset, limit, date string, status int) {
		header := http.Header{
			"Retry-After": {after}, "X-Ratelimit-Reset": {reset}, "Ratelimit-Reset": {draftReset},
			"X-Ratelimit-Limit": {limit}, "X-Ratelimit-Remaining": {limit}, "Date": {date},
		}
		for _, now := range []time.Time{{}, time.Unix(0, 0), time.Unix(1_600_000_000, 5), time.Unix(1<<40, 0)} {
			wait := retryAfter(status, header, now)
			if wait < 0 || wait > maxRetryAfter {
				t.Errorf("a wait of %v at %v", wait, now)
			}
		}
	})
}

// For every well-formed object, encoding/json decodes the same two numbers.
func FuzzJWTTimes(f *testing.F) {
	for _, seed := range []string{
		`{"iat":1619093695,"exp":1619094295}`, `{"exp":1.6e9,"x":{"iat":1},"iat":1}`, `{"a":"\"iat\":5","iat":2,"exp":3}`,
		`{"iat":null,"exp":"5"}`, `[{"iat":1,"exp":2}]`, `{"iat":1,"iat":2,"exp":-1}`, `{ "iat" : 1 , "exp" : 2 }`, `{"x":["iat",{"exp":4}],"exp":1e999}`, `{"iat":`, `{"iat`, `"iat":1`, ``,
		`{"i\u0061t":5,"exp":-1e300}`, `{"iat":1e300,"exp":0.25}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, claims string) {
		iat, exp := jwtTimes(claimsJWT(claims))
		_, _ = jwtTimes(claims)
		for _, at := range []time.Time{iat, exp} {
			if !at.IsZero() && (at.Year() < 1900 || at.Year() > 9999) {
				t.Errorf("a claim is %v", at)
			}
		}
		var want map[string]json.RawMessage
		if json.Unmarshal([]byte(claims), &want) != nil || want == nil {
			return // not an object
		}
		for name, got := range map[string]time.Time{"iat": iat, "exp": exp} {
			var seconds float64
			member, ok := want[name]
			err := json.Unmarshal(member, &seconds)
			if outOfRange := (*json.UnmarshalTypeError)(nil); errors.As(err, &outOfRange) && strings.HasPrefix(outOfRange.Value, "number") {
				seconds, err = strconv.ParseFloat(string(member), 64)
				if math.IsInf(seconds, 0) {
					err = nil
				}
			}
			if !ok || string(member) == "null" || err != nil {
				if !got.IsZero() {
					t.Errorf("%s is %v; want none", name, got)
				}
				continue
			}
			seconds = max(-2208988800, min(seconds, 253402300799))
			if difference := float64(got.Unix()) + float64(got.Nanosecond())/1e9 - seconds; math.Abs(difference) > 1e-3 {
				t.Errorf("%s is %v; want %v", name, got, seconds)
			}
		}
	})
}

func FuzzRoomID(f *testing.F) {
	pattern := regexp.MustCompile(`\A[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\z`)
	f.Add(testRoom)
	for _, id := range badRoomIDs {
		f.Add(id)
	}
	f.Fuzz(func(t *testing.T, id string) {
		got, err := ParseRoomID(id)
		if want := pattern.MatchString(id); want != (err == nil) || want && got != strings.ToLower(id) {
			t.Errorf("%q: got %q, %v", id, got, err)
		}
		if err != nil {
			checkErrorText(t, err)
		}
	})
}

func FuzzCredentialToken(f *testing.F) {
	now := time.Unix(1_600_000_000, 0)
	good := jwt(now, now.Add(time.Hour))
	for _, seed := range []string{
		good, " " + good + "\r\n", `"` + good + `"`, "\ufeff" + good, `" ` + good + `\n"`, good + ".x", good[:len(good)-1], strings.Replace(good, ".", ".\n", 1),
		`{"data":{"token":"` + good + `"}}`, `<html>`, `"`, `""`, ``, `..`, "a.b.c", claimsJWT(`{"iat":1600000000}`), claimsJWT(`{"iat":1600000000,"exp":1e300}`),
	} {
		f.Add(seed, "text/plain")
	}
	answer := fuzzed{status: 201}
	source, err := NewCredentialSource(Config{APIKey: testKey, Clock: mockAt(now), HTTPClient: answer.client()})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body, contentType string) {
		answer.body, answer.header = body, http.Header{"Date": {fuzzDate}, "Content-Type": {contentType}}
		grant, err := source.Create(t.Context(), "credential-1")
		if err != nil {
			if !errors.Is(err, roomtoken.ErrInvalidGrant) || !grant.Token.IsZero() {
				t.Errorf("got %v, %v", grant, err)
			}
			checkErrorText(t, err)
			return
		}
		if life := grant.Token.ExpiresAt.Sub(grant.IssuedAt); !isJWT(grant.Token.Value.Reveal()) || life <= 0 || life > maxCredentialTTL || !grant.RefreshToken.IsZero() {
			t.Errorf("a token of %d bytes lives for %v", len(grant.Token.Value.Reveal()), life)
		}
	})
}

// FuzzConfig fuzzes the fields that a program may read from its own configuration.
func FuzzConfig(f *testing.F) {
	for _, seed := range []struct{ base, key, agent string }{
		{"", testKey, ""},
		{"https://api.example/v2/", testKey, "agent/1"},
		{"http://127.0.0.1:1//", testKey + "\n", "a\r\nX-Evil: 1"},
		{"http://localhost:99999", "\x00", "\xff"},
		{"https://user:" + testKey + "@host", testKey, ""},
		{"https://host?" + testKey, testKey, ""},
		{"http://[::1]:80/a%2fb", testKey, "é"},
		{"http://[::ffff:127.0.0.1%25eth0]", testKey, ""},
		{"http://evil\\@127.0.0.1", testKey, ""},
		{"https://host:port/%zz" + testKey, testKey, ""},
		{"HTTPS://\u212a", testKey, ""},
		{"http://127.1", testKey, ""},
		{"https://..", testKey, ""},
		{"http://localhost.evil", testKey, ""},
		{"//host", testKey, ""},
		{"https:host", testKey, ""},
		{"https://host/../..", testKey, ""},
	} {
		f.Add(seed.base, seed.key, seed.agent, int64(0), int64(0), 0)
		f.Add(seed.base, seed.key, seed.agent, int64(10*time.Second), int64(time.Minute), 1)
		f.Add(seed.base, seed.key, seed.agent, int64(math.MaxInt64), int64(math.MinInt64), 2)
	}
	f.Fuzz(func(t *testing.T, base, key, agent string, ttl, refreshTTL int64, endpoints int) {
		var sent *http.Request
		config := Config{
			BaseURL: base, APIKey: key, UserAgent: agent, Endpoints: Endpoints(endpoints),
			TokenTTL: time.Duration(ttl), RefreshTokenTTL: time.Duration(refreshTTL),
			HTTPClient: &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
				sent = r
				return nil, errors.New("no")
			})},
		}
		secret := len(key) >= 16 && !strings.Contains(base, key) && !strings.Contains(agent, key) && !strings.Contains("telnyx: Config."+redacted, key)
		if secret && strings.Contains(fmt.Sprintf("%v %+v %#v %s", config, config, &config, []any{config}), key) {
			t.Errorf("the printed Config contains %q", key)
		}
		source, err := NewSource(config)
		if err != nil {
			if secret && strings.Contains(err.Error(), key) || !utf8.ValidString(err.Error()) {
				t.Errorf("the error is %q", err)
			}
			return
		}
		_, err = source.Create(t.Context(), testRoom)
		if sent == nil {
			t.Fatalf("no request to %q: %v", base, err)
		}
		where := sent.URL
		if where.Scheme != "https" && (where.Scheme != "http" || !isLoopback(where.Hostname())) {
			t.Errorf("the key would go to %s", where)
		}
		if where.Host == "" || where.User != nil || where.RawQuery != "" || where.Fragment != "" ||
			!strings.HasSuffix(where.Path, "/rooms/"+testRoom+"/actions/"+Endpoints(endpoints).action(roomtoken.CallCreate)) {
			t.Errorf("base URL %q: the request goes to %s", base, where)
		}
		if got := sent.Header["Authorization"]; len(got) != 1 || got[0] != "Bearer "+key || strings.ContainsFunc(key, isNotTokenChar) {
			t.Errorf("the key %q is sent as %q", key, got)
		}
		if err == nil || secret && strings.Contains(err.Error(), key) {
			t.Errorf("the error is %q", err)
		}
		sent = nil
		if _, _ = source.Refresh(t.Context(), testRoom, testRefreshToken); sent == nil || len(sent.Header["Authorization"]) != 0 {
			t.Error("Refresh sent the key, or no request")
		}
	})
}
