package telnyx

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/benbjohnson/clock"

	"github.com/roomtoken/roomtoken"
)

const (
	testKey  = "KEY0123456789ABCDEF_abcdefghijklmnop"
	testRoom = "0ccc7b54-4df3-4bca-a65a-3da1ecc777f0"
)

var bothKinds = []roomtoken.CallKind{roomtoken.CallCreate, roomtoken.CallRefresh}

var testRefreshToken = roomtoken.Token{Value: roomtoken.NewSecret("refresh-0123456789-abcdefghij")}

// jwt returns a token like Telnyx's, without a valid signature.
func jwt(issued, expires time.Time) string {
	return claimsJWT(fmt.Sprintf(`{"aud":"telnyx_access_token","exp":%d,"grants":[{"actions":["join"],"resources":["telnyx:video:rooms:%s"],"subjects":["telnyx:users:782b2cbe-8466-4e3f-a4d3-9781eb577e50"]}],"grants_version":"1.0.0","iat":%d,"iss":"telnyx_access_token","jti":"9e622906-75e7-40b6-b900-754b1f3ed32f","nbf":%d,"sub":"null","typ":"access"}`,
		expires.Unix(), testRoom, issued.Unix(), issued.Unix()-1))
}

// claimsJWT returns a token with these claims.
func claimsJWT(claims string) string {
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(`{"alg":"Ed25519","typ":"JWT"}`)) + "." + encode([]byte(claims)) + "." + encode(make([]byte, 64))
}

// grantBody returns the body of a success of the current endpoints.
func grantBody(token string, expires time.Time, refresh string, refreshExpires time.Time) string {
	return fmt.Sprintf(`{"data":{"token":%q,"token_expires_at":%q,"refresh_token":%q,"refresh_token_expires_at":%q,"recort_type":"room"}}`,
		token, expires.UTC().Format(time.RFC3339), refresh, refreshExpires.UTC().Format(time.RFC3339))
}

// newSource returns a Source for config, with testKey if config has no key.
func newSource(t testing.TB, config Config) *Source {
	t.Helper()
	if config.APIKey == "" && config.APIKeyFunc == nil {
		config.APIKey = testKey
	}
	source, err := NewSource(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(source.CloseIdleConnections)
	return source
}

// startServer starts a server with handler and returns its URL.
func startServer(t testing.TB, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

// answerWith returns a handler that responds with a status, a body, and headers of the
// form "Name: value". The value "-" suppresses a header that net/http would add.
func answerWith(status int, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for _, header := range headers {
			name, value, _ := strings.Cut(header, ": ")
			if value == "-" {
				w.Header()[name] = nil
			} else {
				w.Header().Set(name, value)
			}
		}
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

// goodAnswer returns a handler that responds with a valid grant, on the real clock.
func goodAnswer() http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		now := time.Now()
		answerWith(201, grantBody(jwt(now, now.Add(10*time.Minute)), now.Add(10*time.Minute),
			jwt(now, now.Add(time.Hour)), now.Add(time.Hour)))(w, r)
	}
}

// mockAt returns a mock clock set to now.
func mockAt(now time.Time) *clock.Mock {
	mock := clock.NewMock()
	mock.Set(now)
	return mock
}

// roundTripper is a function as a transport.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// mustNotLeak reports an error if text contains a credential.
func mustNotLeak(t testing.TB, text string, credentials ...string) {
	t.Helper()
	for _, credential := range append(credentials, testKey, testRefreshToken.Value.Reveal()) {
		if strings.Contains(text, credential) {
			t.Errorf("%q contains a credential", text)
		}
	}
}
