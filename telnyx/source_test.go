package telnyx

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
)

// received is a request as the server received it.
type received struct {
	method, uri string
	header      http.Header
	body        string
}

// record starts a server with handler that records the requests.
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
		kind    roomtoken.CallKind
		uri     string
		body    string
		answer  string
		hasAuth bool
	}{
		"create, current": {
			Config{TokenTTL: 40 * time.Second, RefreshTokenTTL: time.Minute},
			roomtoken.CallCreate,
			"/v2/rooms/" + testRoom + "/actions/generate_join_client_token",
			`{"token_ttl_secs":40,"refresh_token_ttl_secs":60}`, "token", true,
		},
		"refresh, current": {
			Config{TokenTTL: 40 * time.Second, RefreshTokenTTL: time.Minute},
			roomtoken.CallRefresh,
			"/v2/rooms/" + testRoom + "/actions/refresh_client_token",
			`{"refresh_token":"refresh-0123456789-abcdefghij","token_ttl_secs":40}`, "token", false,
		},
		"create, legacy": {
			Config{TokenTTL: 40 * time.Second, RefreshTokenTTL: time.Minute, Endpoints: AccessTokens},
			roomtoken.CallCreate,
			"/v2/rooms/" + testRoom + "/actions/create_access_token",
			`{"ttl_secs":40,"refresh_token_ttl_secs":60}`, "access_token", true,
		},
		"refresh, legacy": {
			Config{TokenTTL: 40 * time.Second, RefreshTokenTTL: time.Minute, Endpoints: AccessTokens},
			roomtoken.CallRefresh,
			"/v2/rooms/" + testRoom + "/actions/refresh_access_token",
			`{"refresh_token":"refresh-0123456789-abcdefghij","ttl_secs":40}`, "access_token", false,
		},
		"create, defaults": {
			Config{},
			roomtoken.CallCreate,
			"/v2/rooms/" + testRoom + "/actions/generate_join_client_token", `{}`, "token", true,
		},
		"refresh, defaults": {
			Config{},
			roomtoken.CallRefresh,
			"/v2/rooms/" + testRoom + "/actions/refresh_client_token",
			`{"refresh_token":"refresh-0123456789-abcdefghij"}`, "token", false,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			base, requests := record(t, func(w http.ResponseWriter, r *http.Request) {
				fields := fmt.Sprintf(`"%[1]s":"the-token","%[1]s_expires_at":%[2]q`, test.answer, time.Now().Add(time.Hour).Format(time.RFC3339Nano))
				if test.kind == roomtoken.CallCreate {
					fields += fmt.Sprintf(`,"refresh_token":"the-refresh-token","refresh_token_expires_at":%q`, time.Now().Add(time.Hour).Format(time.RFC3339Nano))
				}
				answerWith(201, `{"data":{`+fields+`}}`)(w, r)
			})
			test.config.BaseURL = base + "/v2/"
			grant, err := newSource(t, test.config).call(t, test.kind)
			if err != nil {
				t.Fatal(err)
			}
			if grant.Token.Value.Reveal() != "the-token" {
				t.Errorf("the token is %q", grant.Token.Value.Reveal())
			}
			if want := test.kind == roomtoken.CallCreate; (grant.RefreshToken.Value.Reveal() == "the-refresh-token") != want || grant.RefreshToken.IsZero() == want {
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
			if test.kind == roomtoken.CallRefresh {
				mustNotLeak(t, strings.Replace(fmt.Sprint(got), testRefreshToken.Value.Reveal(), "", 1))
			}
		})
	}
}

func TestStatus200IsASuccess(t *testing.T) {
	now := time.Now()
	base := startServer(t, answerWith(200, grantBody("t", now.Add(time.Minute), "r", now.Add(time.Hour))))
	if _, err := newSource(t, Config{BaseURL: base}).call(t, roomtoken.CallCreate); err != nil {
		t.Error(err)
	}
}

func TestUserAgent(t *testing.T) {
	base, requests := record(t, goodAnswer())
	if _, err := newSource(t, Config{BaseURL: base, UserAgent: "mine/1"}).call(t, roomtoken.CallCreate); err != nil {
		t.Fatal(err)
	}
	if got := requests()[0].header.Get("User-Agent"); got != "mine/1" {
		t.Errorf("got %q", got)
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

func TestRefreshTokensFromRefresh(t *testing.T) {
	now := time.Now()
	expires := now.Add(time.Hour).UTC().Format(time.RFC3339)
	old := testRefreshToken.Value.Reveal()
	for _, test := range []struct {
		name, field, want string
		hasExpiry         bool
	}{
		{"none", ``, "", false},
		{"new", `,"refresh_token":"new","refresh_token_expires_at":"` + expires + `"`, "new", true},
		{"new, expiry unknown", `,"refresh_token":"new"`, "new", false},
		{"the same", `,"refresh_token":"` + old + `","refresh_token_expires_at":"` + expires + `"`, old, true},
		{"the same, expiry unknown", `,"refresh_token":"` + old + `"`, "", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			base := startServer(t, answerWith(201, `{"data":{"token":"t","token_expires_at":"`+expires+`"`+test.field+`}}`))
			grant, err := newSource(t, Config{BaseURL: base}).call(t, roomtoken.CallRefresh)
			if err != nil {
				t.Fatal(err)
			}
			if got := grant.RefreshToken; got.Value.Reveal() != test.want || got.ExpiresAt.IsZero() == test.hasExpiry {
				t.Errorf("got %q until %v", got.Value.Reveal(), got.ExpiresAt)
			}
		})
	}
}

func TestRefreshTokensAreEncodedAsJSON(t *testing.T) {
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
