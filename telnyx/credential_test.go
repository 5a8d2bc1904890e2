package telnyx

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/roomtoken/roomtoken"
)

const testCredential = "5ca1ab1e-0000-4000-8000-c0ffee_Ab"

// newCredentialSource returns a CredentialSource for config, with testKey if config has no
// key.
func newCredentialSource(t testing.TB, config Config) *CredentialSource {
	t.Helper()
	if config.APIKey == "" && config.APIKeyFunc == nil {
		config.APIKey = testKey
	}
	source, err := NewCredentialSource(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(source.CloseIdleConnections)
	return source
}

func TestCredentialRequest(t *testing.T) {
	now := time.Now()
	token := jwt(now, now.Add(time.Hour))
	base, requests := record(t, answerWith(201, token, "Content-Type: text/plain; charset=utf-8"))
	source := newCredentialSource(t, Config{BaseURL: base + "/v2"})
	grant, err := source.Create(t.Context(), testCredential)
	if err != nil || grant.Token.Value.Reveal() != token || !grant.RefreshToken.IsZero() || grant.IssuedAt.IsZero() {
		t.Fatalf("got %v, %v", grant, err)
	}
	got := requests()[0]
	if got.method != "POST" || got.uri != "/v2/telephony_credentials/"+testCredential+"/token" || got.body != "" {
		t.Errorf("got %s %s %q", got.method, got.uri, got.body)
	}
	want := http.Header{
		"Accept":          {"text/plain"},
		"Accept-Encoding": {"identity"},
		"Authorization":   {"Bearer " + testKey},
		"Content-Length":  {"0"},
		"User-Agent":      {defaultUserAgent},
	}
	if fmt.Sprint(got.header) != fmt.Sprint(want) {
		t.Errorf("got the header %v; want %v", got.header, want)
	}
}

func TestCredentialIDs(t *testing.T) {
	var requests atomic.Int64
	config := Config{HTTPClient: &http.Client{Transport: roundTripper(func(*http.Request) (*http.Response, error) {
		requests.Add(1)
		return nil, errors.New("no")
	})}}
	source := newCredentialSource(t, config)
	good := []string{testRoom, testCredential, "a", strings.Repeat("x", 64), "-", "_"}
	for _, id := range good {
		if _, err := source.Create(t.Context(), id); errors.Is(err, roomtoken.ErrRoomNotFound) {
			t.Errorf("%q is refused: %v", id, err)
		}
	}
	if int(requests.Load()) != len(good) {
		t.Errorf("%d requests; want %d", requests.Load(), len(good))
	}
	config.RoomID = func(key string) (string, error) { return key[1:], nil }
	mapped := newCredentialSource(t, config)
	for _, id := range []string{"", strings.Repeat("x", 65), "a/b", "..", "a b", "a\n", "é", "a%2f", "a?b", "a.b"} {
		for _, err := range []error{
			func() error { _, err := source.Create(t.Context(), id); return err }(),
			func() error { _, err := mapped.Create(t.Context(), "x"+id); return err }(),
		} {
			if !errors.Is(err, roomtoken.ErrRoomNotFound) || !strings.Contains(err.Error(), "credential ID") || strings.Contains(err.Error(), "room ID") {
				t.Errorf("%q: got %v", id, err)
			}
			if err != nil {
				checkErrorText(t, err)
			}
		}
	}
	if int(requests.Load()) != len(good) {
		t.Error("a request was made for a bad ID")
	}
}

func TestCredentialAnswers(t *testing.T) {
	now := time.Now()
	token := jwt(now, now.Add(time.Hour))
	for name, test := range map[string]struct {
		body, headers string
		want          string // an error; "": the token
	}{
		"bare":               {token, "", ""},
		"white space":        {"\r\n " + token + "\n", "", ""},
		"byte order mark":    {"\ufeff" + token, "", ""},
		"JSON string":        {`"` + token + `"`, "Content-Type: application/json", ""},
		"spaces in a string": {` "` + token + `\n"` + "\n", "Content-Type: application/json", ""},
		"escapes":            {`"` + strings.ReplaceAll(token, "e", `\u0065`) + `"`, "", ""},
		"no type":            {token, "Content-Type: -", ""},
		"JWT type":           {token, "Content-Type: application/jwt", ""},

		"object":          {`{"data":{"token":"` + token + `"}}`, "Content-Type: application/json", "is not a JWT"},
		"truncated":       {token[:strings.LastIndex(token, ".")], "", "is not a JWT"},
		"empty signature": {token[:strings.LastIndex(token, ".")+1], "", "is not a JWT"},
		"four parts":      {token + ".x", "", "is not a JWT"},
		"line break":      {token[:50] + "\n" + token[50:], "", "is not a JWT"},
		"not base64url":   {strings.Replace(token, ".", "+.", 1), "", "is not a JWT"},
		"odd length":      {"aaaaa." + token[strings.Index(token, ".")+1:], "", "is not a JWT"},
		"padding":         {token + "=", "", "is not a JWT"},
		"opaque":          {"opaque", "", "is not a JWT"},
		"number":          {"5", "", "is not a JWT"},
		"two strings":     {`"` + token + `" "x"`, "", "neither a JWT nor a JSON string"},
		"string, open":    {`"` + token, "", "neither a JWT nor a JSON string"},
		"empty":           {"", "", "the body is empty"},
		"blank":           {" \n", "", "the body is empty"},
		"HTML":            {"<html><body>Sign in</body></html>", "", "HTML"},
		"HTML by type":    {token, "Content-Type: Text/HTML; charset=utf-8", "HTML"},
		"compressed":      {token, "Content-Encoding: gzip", "compressed (gzip)"},
		"too long":        {jwt(now, now.Add(time.Hour)) + strings.Repeat("A", 16<<10), "", "is not a JWT"},
		"no exp":          {claimsJWT(`{"iat":1600000000}`), "", "iat or exp is missing"},
		"no iat":          {claimsJWT(fmt.Sprintf(`{"exp":%d}`, now.Unix()+60)), "", "iat or exp is missing"},
		"no claims":       {"a.bb.cc", "", "not a JWT"},
		"ended":           {jwt(now.Add(-2*time.Hour), now.Add(-time.Hour)), "", "no time left"},
	} {
		t.Run(name, func(t *testing.T) {
			headers := []string{"Content-Type: text/plain"}
			if test.headers != "" {
				headers = append(headers, test.headers)
			}
			base := startServer(t, answerWith(201, test.body, headers...))
			grant, err := newCredentialSource(t, Config{BaseURL: base}).Create(t.Context(), testCredential)
			if test.want == "" {
				if err != nil || grant.Token.Value.Reveal() != token {
					t.Errorf("got %v, %v", grant, err)
				}
				return
			}
			if !errors.Is(err, roomtoken.ErrInvalidGrant) || errors.Is(err, roomtoken.ErrPermanent) || !grant.Token.IsZero() || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("got %v, %v; want ErrInvalidGrant with %q", grant, err, test.want)
			}
			if !strings.HasPrefix(err.Error(), "telnyx: create for credential 5ca1ab1e…: no usable grant: ") {
				t.Errorf("got %q", err)
			}
			mustNotLeak(t, fmt.Sprintf("%v %+v %#v", err, err, err), token, token[:30])
		})
	}
}

func TestCredentialLifetimes(t *testing.T) {
	server := time.Date(2026, 4, 22, 12, 14, 55, 0, time.UTC)
	const h, day = time.Hour, 24 * time.Hour
	for name, test := range map[string]struct {
		date         time.Duration // after the server's clock; -1: none
		issued, ends time.Duration
		want         time.Duration // 0: ErrInvalidGrant
	}{
		"a day":                 {0, 0, day, day - time.Second},
		"28 days":               {0, 0, 28 * day, day - time.Second},
		"a credential that end": {0, 0, h, h - time.Second},
		"no Date":               {-1, 0, h, h - time.Second},
		"an old token":          {0, -h, h, h - time.Second},
		"a slow proxy":          {-2 * h, 0, h, h - time.Second},
		"a token that ended":    {0, -2 * h, -h, 0},
	} {
		for _, skew := range []time.Duration{0, 3 * h, -3 * h} {
			dateHeader := server.Add(test.date).Format(http.TimeFormat)
			if test.date == -1 {
				dateHeader = "-"
			}
			base := startServer(t, answerWith(201, jwt(server.Add(test.issued), server.Add(test.ends)), "Date: "+dateHeader))
			local := server.Add(skew + time.Millisecond)
			grant, err := newCredentialSource(t, Config{BaseURL: base, Clock: mockAt(local)}).Create(t.Context(), testCredential)
			if got := grant.Token.ExpiresAt.Sub(local); test.want != 0 && (err != nil || got != test.want) || test.want == 0 && !errors.Is(err, roomtoken.ErrInvalidGrant) {
				t.Errorf("%s, skew %v: got %v, %v; want %v", name, skew, got, err, test.want)
			}
		}
	}
}

func TestCredentialStatuses(t *testing.T) {
	permanent, notFound, unauthorized, limited := roomtoken.ErrPermanent, roomtoken.ErrRoomNotFound, roomtoken.ErrUnauthorized, roomtoken.ErrRateLimited
	for _, test := range []struct {
		status int
		body   string
		want   error // nil: a transient failure
	}{
		{400, `{"errors":{"credential_id":"is invalid"}}`, permanent},
		{422, `{"errors":[{"code":"10015"}]}`, permanent},
		{404, `{"errors":[{"code":"10005","title":"Resource not found"}]}`, notFound},
		{404, ``, notFound},
		{404, `404 page not found`, permanent},
		{401, `{}`, unauthorized},
		{403, `{"errors":[{"code":"20012"}]}`, unauthorized},
		{403, `{}`, permanent},
		{429, `{}`, limited},
		{408, ``, nil},
		{409, ``, nil},
		{503, ``, nil},
		{202, `x`, roomtoken.ErrInvalidGrant},
		{204, ``, roomtoken.ErrInvalidGrant},
	} {
		base := startServer(t, func(w http.ResponseWriter, r *http.Request) {
			if test.status == 204 {
				w.WriteHeader(204)
				return
			}
			answerWith(test.status, test.body)(w, r)
		})
		_, err := newCredentialSource(t, Config{BaseURL: base + "/v2"}).Create(t.Context(), testCredential)
		if err == nil || !strings.HasPrefix(err.Error(), "telnyx: create for credential 5ca1ab1e…: ") || strings.Contains(err.Error(), "room") {
			t.Errorf("%d: got %v", test.status, err)
		}
		for _, sentinel := range []error{permanent, notFound, unauthorized, limited, roomtoken.ErrRefreshRejected, roomtoken.ErrInvalidGrant} {
			want := sentinel == test.want || sentinel == permanent && (test.want == notFound || test.want == unauthorized)
			if errors.Is(err, sentinel) != want {
				t.Errorf("%d %s: errors.Is(%v, %v) is %v", test.status, test.body, err, sentinel, !want)
			}
		}
		if apiError := (*APIError)(nil); errors.As(err, &apiError) != (test.status >= 300) || apiError != nil && apiError.RoomID != testCredential {
			t.Errorf("%d: %#v", test.status, err)
		}
	}
}

func TestCredentialsAreNotRefreshed(t *testing.T) {
	base, requests := record(t, goodAnswer())
	_, err := newCredentialSource(t, Config{BaseURL: base}).Refresh(t.Context(), testCredential, testRefreshToken)
	if !errors.Is(err, roomtoken.ErrRefreshRejected) || errors.Is(err, roomtoken.ErrPermanent) || !strings.HasPrefix(err.Error(), "telnyx: refresh for credential 5ca1ab1e…: ") {
		t.Errorf("got %v", err)
	}
	if len(requests()) != 0 {
		t.Error("a request was made")
	}
	_, err = newCredentialSource(t, Config{BaseURL: base}).Refresh(t.Context(), "\x1b[2J\nE\xff", testRefreshToken)
	if !errors.Is(err, roomtoken.ErrRefreshRejected) || !utf8.ValidString(err.Error()) || strings.ContainsFunc(err.Error(), isControl) {
		t.Errorf("got %q", err)
	}
}

func TestCredentialConfig(t *testing.T) {
	clearEnv(t)
	_, err := NewCredentialSource(Config{BaseURL: "x", TokenTTL: time.Minute, RefreshTokenTTL: time.Hour, Endpoints: AccessTokens})
	for _, want := range []string{"no API key", "BaseURL", "Config.TokenTTL, Config.RefreshTokenTTL, Config.Endpoints must be zero"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v; want %q in it", err, want)
		}
	}
	for _, config := range []Config{{TokenTTL: 5}, {RefreshTokenTTL: time.Hour}, {Endpoints: AccessTokens}, {WrapTransport: func(http.RoundTripper) http.RoundTripper { return nil }}} {
		config.APIKey = testKey
		if _, err := NewCredentialSource(config); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v: got %v; want one error", config, err)
		}
	}
}

// A rotated key is asked for again, as in a Source.
func TestCredentialKeyIsAskedForAgain(t *testing.T) {
	now := time.Now()
	base, requests := record(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "Bearer "+testKey {
			answerWith(401, `{"errors":[{"code":"10009"}]}`)(w, r)
			return
		}
		answerWith(201, jwt(now, now.Add(time.Hour)))(w, r)
	})
	var asked atomic.Int64
	source := newCredentialSource(t, Config{BaseURL: base, APIKeyFunc: func(context.Context) (string, error) {
		if asked.Add(1) == 1 {
			return testKey, nil
		}
		return testKey + "2", nil
	}})
	if _, err := source.Create(t.Context(), testCredential); err != nil || len(requests()) != 2 {
		t.Errorf("got %v after %d requests", err, len(requests()))
	}
}

func TestCredentialSourceIsPrintedWithoutTheKey(t *testing.T) {
	source := newCredentialSource(t, Config{BaseURL: "https://api.example"})
	for _, value := range []any{source, *source} {
		for _, text := range printed(t, value) {
			mustNotLeak(t, text, fmt.Sprintf("%x", testKey))
		}
	}
	if text := fmt.Sprint(source, (*CredentialSource)(nil)); text != "telnyx.CredentialSource{https://api.example} telnyx.CredentialSource(nil)" {
		t.Errorf("got %s", text)
	}
}
