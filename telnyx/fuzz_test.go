package telnyx

import (
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/roomtoken/roomtoken"
)

// fuzzSource answers every request with status and body.
func fuzzSource(f *testing.F, endpoints Endpoints, status *int, body *string) *Source {
	return newSource(f, Config{
		Endpoints: endpoints,
		Clock:     mockAt(time.Unix(1_600_000_000, 0)),
		HTTPClient: &http.Client{Transport: roundTripper(func(*http.Request) (*http.Response, error) {
			return &http.Response{
				StatusCode: *status,
				Header:     http.Header{"Date": {"Sun, 13 Sep 2020 12:26:40 GMT"}}, // 1,600,000,000
				Body:       io.NopCloser(strings.NewReader(*body)),
			}, nil
		})},
	})
}

// checkErrorText fails the test if an error is not fit to be printed.
func checkErrorText(t *testing.T, err error) {
	t.Helper()
	text := err.Error()
	if len(text) > 8*(maxServerText+20) || !utf8.ValidString(text) || strings.ContainsFunc(text, isControl) {
		t.Errorf("the error is %q", text)
	}
	mustNotLeak(t, text)
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
		f.Add(seed, false)
		f.Add(seed, true)
	}
	status, body := 201, ""
	sources := map[bool]*Source{false: fuzzSource(f, ClientTokens, &status, &body), true: fuzzSource(f, AccessTokens, &status, &body)}
	f.Fuzz(func(t *testing.T, answer string, legacy bool) {
		body = answer
		grant, err := sources[legacy].Create(t.Context(), testRoom)
		if err != nil {
			if !errors.Is(err, roomtoken.ErrInvalidGrant) || !grant.Token.IsZero() {
				t.Errorf("got %v, %v", grant, err)
			}
			checkErrorText(t, err)
			return
		}
		if life := grant.Token.ExpiresAt.Sub(grant.IssuedAt); grant.Token.IsZero() || life <= 0 || life > maxTokenTTL {
			t.Errorf("the token lives for %v", life)
		}
		if refresh := grant.RefreshToken; !refresh.ExpiresAt.IsZero() {
			if life := refresh.ExpiresAt.Sub(grant.IssuedAt); refresh.IsZero() || life <= 0 || life > maxRefreshTokenTTL {
				t.Errorf("the refresh token lives for %v", life)
			}
		}
	})
}

func FuzzErrorBody(f *testing.F) {
	for _, seed := range []string{
		`{"errors":[{"code":"10009","title":"T","detail":"D","source":{"pointer":"/p","parameter":"q"},"meta":{}}]}`,
		`{"code":10010,"title":"T"}`, `{"message":"Error","success":false}`, ``, `<html><title>502</title></html>`, `{"errors":{}}`,
		`{"errors":[` + strings.Repeat("[", 100), "text\x00\xff\u202e", `{"title":"` + testKey + `"}`, testKey, `{"error":{"a":1}}`,
	} {
		f.Add(seed, 403)
		f.Add(seed, 302)
	}
	status, body := 0, ""
	source := fuzzSource(f, ClientTokens, &status, &body)
	f.Fuzz(func(t *testing.T, answer string, code int) {
		if code < 300 || code > 999 {
			return
		}
		status, body = code, answer
		_, err := source.Create(t.Context(), testRoom)
		var apiError *APIError
		if !errors.As(err, &apiError) || apiError.StatusCode != code {
			t.Fatalf("got %v", err)
		}
		checkErrorText(t, err)
		for _, text := range []string{apiError.Code, apiError.Title, apiError.Detail, apiError.Source.Pointer, apiError.Source.Parameter} {
			if len(text) > maxServerText+16 {
				t.Errorf("a text has %d bytes", len(text))
			}
		}
	})
}

func FuzzRetryAfter(f *testing.F) {
	for _, seed := range []string{"", "7", "-7", "1.5", "1e9", "Sun, 13 Sep 2020 12:27:10 GMT", "1600000030", "1600000030000", "99999999999999999999", "5, 5;w=1", "NaN", "."} {
		f.Add(seed, "", "", 429)
		f.Add("", seed, "Sun, 13 Sep 2020 12:26:40 GMT", 429)
		f.Add(seed, seed, seed, 503)
	}
	f.Fuzz(func(t *testing.T, after, reset, date string, status int) {
		header := http.Header{"Retry-After": {after}, "X-Ratelimit-Reset": {reset}, "Date": {date}}
		for _, now := range []time.Time{{}, time.Unix(0, 0), time.Unix(1_600_000_000, 5), time.Unix(1<<40, 0)} {
			if wait := retryAfter(status, header, now); wait < 0 || wait > maxRetryAfter {
				t.Errorf("a wait of %v at %v", wait, now)
			}
		}
	})
}

// Of every well-formed object encoding/json reads the same two numbers.
func FuzzJWTTimes(f *testing.F) {
	for _, seed := range []string{
		`{"iat":1619093695,"exp":1619094295}`, `{"exp":1.6e9,"x":{"iat":1},"iat":1}`, `{"a":"\"iat\":5","iat":2,"exp":3}`,
		`{"iat":null,"exp":"5"}`, `[{"iat":1,"exp":2}]`, `{"iat":1,"iat":2,"exp":-1}`, `{ "iat" : 1 , "exp" : 2 }`, `{"x":["iat",{"exp":4}],"exp":1e999}`, `{"iat":`, `"iat":1`, ``,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, claims string) {
		if life, ok := jwtLifetime(claimsJWT(claims)); ok && life < 0 {
			t.Errorf("a lifetime of %v", life)
		}
		_, _ = jwtLifetime(claims)

		var members map[string]json.RawMessage
		if json.Unmarshal([]byte(claims), &members) != nil || members == nil || strings.Contains(claims, `\`) {
			return // not an object, or one whose names may be spelt with escapes
		}
		iat, exp := numericClaims([]byte(claims))
		for name, got := range map[string]float64{"iat": iat, "exp": exp} {
			var want float64
			if member, ok := members[name]; !ok || string(member) == "null" || json.Unmarshal(member, &want) != nil {
				want = math.NaN()
			}
			if got != want && !(math.IsNaN(got) && math.IsNaN(want)) {
				t.Errorf("%s is %v; want %v", name, got, want)
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
		if got, want := isRoomID(id), pattern.MatchString(id); got != want {
			t.Errorf("%q: got %v; want %v", id, got, want)
		}
		checkErrorText(t, badRoomID(opCreate, id))
	})
}
