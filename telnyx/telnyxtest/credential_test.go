package telnyxtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"
)

const credential = "A_credential-1"

// credentialRequest asks for a token of the credential as Telnyx documents it: with the API
// key and without a body. If change is not nil, it modifies the request first.
func credentialRequest(ctx context.Context, srv *Server, id string, change func(*http.Request)) answer {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, srv.URL+"/telephony_credentials/"+id+"/token", http.NoBody)
	if err != nil {
		return answer{err: err}
	}
	req.Header.Set("Authorization", "Bearer "+srv.APIKey)
	if change != nil {
		change(req)
	}
	resp, err := srv.Client().Do(req)
	if err != nil {
		return answer{err: err}
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(text), err}
}

// The response is a JWT and nothing else, with the header and the claims of the example in
// the API document. It is good for 24 hours.
func TestCredentialToken(t *testing.T) {
	srv, mock := startMock(t, Config{})
	got := credentialRequest(t.Context(), srv, credential, nil)
	if got.status != 201 || got.header.Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Fatalf("got %d, %v, %v", got.status, got.header, got.err)
	}
	parts := strings.Split(got.text, ".")
	if len(parts) != 3 || decode(parts[0]) != `{"alg":"HS512","typ":"JWT"}` || len(decode(parts[2])) != 64 {
		t.Fatalf("got %q", got.text)
	}
	text := regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`).ReplaceAllString(decode(parts[1]), "UUID")
	text = regexp.MustCompile(`"[\w-]{126}=="`).ReplaceAllString(text, `"OPAQUE"`)
	want := `{"aud":"telnyx_telephony","exp":1782993600,"iat":1782907200,"iss":"telnyx_telephony","jti":"UUID",` +
		`"nbf":1782907199,"sub":"A_credential-1","tel_token":"OPAQUE","typ":"access"}`
	if text != want {
		t.Errorf("claims\n%s, want\n%s", text, want)
	}
	if again := credentialRequest(t.Context(), srv, credential, nil); again.text == got.text {
		t.Error("two requests got the same token")
	}

	data := post(t, srv, roomA, create, `{}`).data(t)
	for _, tt := range []struct {
		name  string
		check error
		want  error
	}{
		{"good", srv.VerifyCredential(credential, got.text), nil},
		{"another credential", srv.VerifyCredential("A_credential-2", got.text), ErrInvalid},
		{"another case", srv.VerifyCredential(strings.ToLower(credential), got.text), ErrInvalid},
		{"in a room", srv.Verify(roomA, got.text), ErrInvalid},
		{"client token", srv.VerifyCredential(roomA, data["token"]), ErrInvalid},
		{"refresh token", srv.VerifyCredential(roomA, data["refresh_token"]), ErrInvalid},
		{"another signature", srv.VerifyCredential(credential, parts[0]+"."+parts[1]+"."+strings.Repeat("A", len(parts[2]))), ErrInvalid},
		{"no token", srv.VerifyCredential(credential, ""), ErrInvalid},
	} {
		if !errors.Is(tt.check, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, tt.check, tt.want)
		}
	}
	mock.Add(24*time.Hour - time.Second)
	if err := srv.VerifyCredential(credential, got.text); err != nil {
		t.Error(err)
	}
	mock.Add(time.Second)
	if err := srv.VerifyCredential(credential, got.text); !errors.Is(err, ErrExpired) {
		t.Errorf("after 24 h: got %v, want %v", err, ErrExpired)
	}
}

// A refresh with a token of a credential is refused, whatever the credential's ID.
func TestCredentialTokenIsNoRefreshToken(t *testing.T) {
	srv := Start(t, Config{})
	token := credentialRequest(t.Context(), srv, roomA, nil).text
	if got := post(t, srv, roomA, refresh, `{"refresh_token":"`+token+`"}`); got.status != 403 {
		t.Errorf("got %d, want 403", got.status)
	}
}

// What the endpoint refuses, always with a list of errors, and what it does not.
func TestCredentialRequests(t *testing.T) {
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	body := func(contentType, text string) func(*http.Request) {
		return func(r *http.Request) {
			r.Header.Set("Content-Type", contentType)
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader(text)), int64(len(text))
		}
	}
	for _, tt := range []struct {
		name   string
		listed []string
		id     string
		change func(*http.Request)
		status int
		code   string
	}{
		{"any ID", nil, credential, nil, 201, "object "},
		{"the longest ID", nil, strings.Repeat("x", 64), nil, 201, "object "},
		{"a longer ID", nil, strings.Repeat("x", 65), nil, 404, "list 10005"},
		{"a dot", nil, "a.b", nil, 404, "list 10005"},
		{"an escape", nil, "a%2eb", nil, 404, "list 10005"},
		{"nothing", nil, "", nil, 404, "list 10005"},
		{"listed", []string{"x", credential}, credential, nil, 201, "object "},
		{"not listed", []string{"x"}, credential, nil, 404, "list 10005"},
		{"another case", []string{credential}, strings.ToUpper(credential), nil, 404, "list 10005"},
		{"none listed", []string{}, credential, nil, 404, "list 10005"},
		{"no key", nil, credential, func(r *http.Request) { r.Header.Del("Authorization") }, 401, "list 10009"},
		{"wrong key", nil, credential, header("Authorization", "Bearer x"), 401, "list 10009"},
		{"key in another header", nil, credential, header("X-Api-Key", DefaultAPIKey), 400, "list 10015"},
		{"GET", nil, credential, func(r *http.Request) { r.Method = http.MethodGet }, 405, "list 10030"},
		{"empty object", nil, credential, body("application/json", `{}`), 201, "object "},
		{"a form", nil, credential, body("application/x-www-form-urlencoded", `a=b`), 201, "object "},
		{"JavaScript SDK", nil, credential, func(r *http.Request) {
			for name, value := range sdkHeaders["JS 7.24.0"] {
				r.Header.Set(name, value)
			}
			r.Header.Set("Accept", "text/plain")
		}, 201, "object "},
		{"Go SDK", nil, credential, func(r *http.Request) {
			for name, value := range sdkHeaders["Go 4.97.0"] {
				r.Header.Set(name, value)
			}
			r.Header.Set("Accept", "text/plain")
		}, 201, "object "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, strict := range []bool{false, true} {
				srv := Start(t, Config{Credentials: tt.listed, Strict: strict})
				got := credentialRequest(t.Context(), srv, tt.id, tt.change)
				if got.err != nil || got.status != tt.status || got.code() != tt.code {
					t.Errorf("strict %v: got %d, %s, %v; want %d, %s", strict, got.status, got.code(), got.err, tt.status, tt.code)
				}
				if err := srv.VerifyCredential(tt.id, got.text); (err == nil) != (tt.status == 201) {
					t.Errorf("strict %v: the token: %v", strict, err)
				}
			}
		})
	}
}

func TestCredentialCalls(t *testing.T) {
	srv, _ := startMock(t, Config{Credentials: []string{credential}})
	credentialRequest(t.Context(), srv, credential, nil)
	credentialRequest(t.Context(), srv, strings.ToLower(credential), nil)
	post(t, srv, strings.ToUpper(roomA), create, `{}`)
	want := Calls{
		Creates: 1, CredentialTokens: 2, MaxInFlight: 1,
		Rooms: map[string]RoomCalls{
			credential:                  {CredentialTokens: 1, MaxInFlight: 1},
			strings.ToLower(credential): {CredentialTokens: 1, MaxInFlight: 1},
			roomA:                       {Creates: 1, MaxInFlight: 1},
		},
		Statuses: map[int]int{201: 2, 404: 1},
	}
	if got := srv.Calls(); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v,\nwant %+v", got, want)
	}
	if r := srv.Requests()[0]; r.Endpoint != CredentialToken || r.Room != credential || r.Status != 201 || r.KeyLeak {
		t.Errorf("%+v", r)
	}
}

// The rate limit counts the tokens of credentials, too.
func TestCredentialRateLimit(t *testing.T) {
	srv := Start(t, Config{})
	srv.SetRateLimit(1, time.Minute)
	post(t, srv, roomA, create, `{}`).data(t)
	got := credentialRequest(t.Context(), srv, credential, nil)
	if got.status != 429 || got.code() != "list 10011" || got.header.Get("Retry-After") != "60" {
		t.Errorf("got %d, %s, %v", got.status, got.code(), got.header)
	}
}

// Which faults apply to the credential, and to a room. IDs of credentials are
// case-sensitive.
func TestCredentialFaults(t *testing.T) {
	edit := func(data map[string]any) { clear(data) }
	for _, tt := range []struct {
		name             string
		fault            Fault
		credential, room string
	}{
		{"on any", Fault{Status: 503}, "503 list 10007", "503 list 10007"},
		{"on credential tokens", Fault{On: CredentialToken, Status: 503}, "503 list 10007", "201"},
		{"on rooms", Fault{On: Create | Refresh, Status: 503}, "201", "503 list 10007"},
		{"of the credential", Fault{Room: credential, Status: 503}, "503 list 10007", "201"},
		{"of another case", Fault{Room: strings.ToLower(credential), Status: 503}, "201", "201"},
		{"of the room", Fault{Room: strings.ToUpper(roomA), Status: 503}, "201", "503 list 10007"},
		{"forbidden", Fault{Status: 403}, "403 list 10010", "403 object 10010"},
		{"not found", Fault{Status: 404}, "404 list 10005", "404 object 10005"},
		{"edit does not count here", Fault{Edit: edit, Times: 1}, "201", "no data"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			srv := Start(t, Config{})
			srv.Inject(tt.fault)
			describe := func(a answer) string {
				switch {
				case a.status != 201:
					return fmt.Sprint(a.status, " ", a.code())
				case a.text == `{"data":{}}`:
					return "no data"
				}
				return "201"
			}
			if got := describe(credentialRequest(t.Context(), srv, credential, nil)); got != tt.credential {
				t.Errorf("credential: got %s, want %s", got, tt.credential)
			}
			if got := describe(post(t, srv, roomA, create, `{}`)); got != tt.room {
				t.Errorf("room: got %s, want %s", got, tt.room)
			}
		})
	}
}

func TestCredentialTokenTTL(t *testing.T) {
	srv, mock := startMock(t, Config{})
	srv.Inject(Fault{On: CredentialToken, TokenTTL: time.Minute, Times: 1})
	token := credentialRequest(t.Context(), srv, credential, nil).text
	if err := srv.VerifyCredential(credential, token); err != nil {
		t.Error(err)
	}
	mock.Add(time.Minute)
	if err := srv.VerifyCredential(credential, token); !errors.Is(err, ErrExpired) {
		t.Errorf("got %v, want %v", err, ErrExpired)
	}
}

// RevokeTokens takes the IDs of credentials, which are case-sensitive, and of rooms, which
// are not. Without any it revokes all.
func TestRevokeCredentialTokens(t *testing.T) {
	for _, tt := range []struct {
		name             string
		ids              []string
		credential, room error
	}{
		{"the credential", []string{credential}, ErrRevoked, nil},
		{"another case", []string{strings.ToLower(credential)}, nil, nil},
		{"the room", []string{strings.ToUpper(roomA)}, nil, ErrRevoked},
		{"both", []string{roomA, credential}, ErrRevoked, ErrRevoked},
		{"all", nil, ErrRevoked, ErrRevoked},
	} {
		srv := Start(t, Config{})
		token := credentialRequest(t.Context(), srv, credential, nil).text
		data := post(t, srv, roomA, create, `{}`).data(t)
		srv.RevokeRefreshTokens()
		if err := srv.VerifyCredential(credential, token); err != nil {
			t.Errorf("after RevokeRefreshTokens: %v", err)
		}
		srv.RevokeTokens(tt.ids...)
		if err := srv.VerifyCredential(credential, token); !errors.Is(err, tt.credential) {
			t.Errorf("%s: the credential: got %v, want %v", tt.name, err, tt.credential)
		}
		if err := srv.Verify(roomA, data["token"]); !errors.Is(err, tt.room) {
			t.Errorf("%s: the room: got %v, want %v", tt.name, err, tt.room)
		}
		fresh := credentialRequest(t.Context(), srv, credential, nil).text
		if err := srv.VerifyCredential(credential, fresh); err != nil {
			t.Errorf("%s: a new token: %v", tt.name, err)
		}
	}
}
