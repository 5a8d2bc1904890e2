package telnyxtest

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Both pairs of endpoints use their own field names. Refresh returns no refresh token.
func TestEndpointPairs(t *testing.T) {
	for _, tt := range []struct {
		name, create, refresh, ttl, token, expires string
		legacy                                     bool
	}{
		{"current", create, refresh, "token_ttl_secs", "token", "token_expires_at", false},
		{"legacy", "create_access_token", "refresh_access_token", "ttl_secs", "access_token", "access_token_expires_at", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			srv, mock := startMock(t, Config{})
			created := post(t, srv, roomA, tt.create, `{"`+tt.ttl+`":40,"refresh_token_ttl_secs":60}`).data(t)
			wantFields(t, created, "recort_type", tt.token, tt.expires, "refresh_token", "refresh_token_expires_at")
			if got := created[tt.expires]; got != "2026-07-01T12:00:40Z" {
				t.Errorf("token expires at %s", got)
			}
			if got := created["refresh_token_expires_at"]; got != "2026-07-01T12:01:00Z" {
				t.Errorf("refresh token expires at %s", got)
			}
			if err := srv.Verify(roomA, created[tt.token]); err != nil {
				t.Error(err)
			}

			mock.Add(30 * time.Second)
			refreshed := post(t, srv, roomA, tt.refresh, `{"`+tt.ttl+`":10,"refresh_token":"`+created["refresh_token"]+`"}`).data(t)
			wantFields(t, refreshed, "recort_type", tt.token, tt.expires)
			if got := refreshed[tt.expires]; got != "2026-07-01T12:00:40Z" {
				t.Errorf("refreshed token expires at %s", got)
			}
			if refreshed[tt.token] == created[tt.token] {
				t.Error("refresh returned the same token")
			}
			if err := srv.Verify(roomA, refreshed[tt.token]); err != nil {
				t.Error(err)
			}
			for _, r := range srv.Requests() {
				if r.Legacy != tt.legacy {
					t.Errorf("%+v: want Legacy %v", r, tt.legacy)
				}
			}
		})
	}
}

func wantFields(t *testing.T, data map[string]string, names ...string) {
	t.Helper()
	for _, name := range names {
		if data[name] == "" {
			t.Errorf("no %s in %v", name, data)
		}
	}
	if len(data) != len(names) {
		t.Errorf("%d fields in %v, want %v", len(data), data, names)
	}
}

func TestDefaultLifetimes(t *testing.T) {
	srv, _ := startMock(t, Config{})
	for _, body := range []string{`{}`, `{"ttl_secs":20,"unknown":[]}`} {
		data := post(t, srv, roomA, create, body).data(t)
		if got := data["token_expires_at"]; got != "2026-07-01T12:10:00Z" {
			t.Errorf("%s: token expires at %s", body, got)
		}
		if got := data["refresh_token_expires_at"]; got != "2026-07-01T13:00:00Z" {
			t.Errorf("%s: refresh token expires at %s", body, got)
		}
	}
}

// The limits themselves are valid lifetimes, and a refresh token may lapse before the
// token.
func TestExtremeLifetimes(t *testing.T) {
	srv, _ := startMock(t, Config{})
	for _, body := range []string{
		`{"token_ttl_secs":10,"refresh_token_ttl_secs":86400}`,
		`{"token_ttl_secs":3600,"refresh_token_ttl_secs":60}`,
	} {
		post(t, srv, roomA, create, body).data(t)
	}
}

// As in JSON Schema, a number without a fraction is an integer however it is written.
// Nothing else is one.
func TestIntegers(t *testing.T) {
	for value, want := range map[string]string{
		"60": "201", "60.0": "201", "6e1": "201", "0.6e+2": "201", "600.00e-1": "201",
		"-60": "422 list 10033", "0": "422 list 10033", "-0": "422 list 10033", "1e999": "422 list 10033", "-1e999": "422 list 10033",
		"9999999999999999999": "422 list 10033", "9.0": "422 list 10033", "3600.0": "201", "3601.0": "422 list 10033",
		"60.5": "400 list 10026", "6e-1": "400 list 10026", "null": "400 list 10026", "true": "400 list 10026", "false": "400 list 10026",
		`"60"`: "400 list 10026", `"inf"`: "400 list 10026", "{}": "400 list 10026", "[60]": "400 list 10026",
		"0x3c": "400 list 10023", "NaN": "400 list 10023", "060": "400 list 10023",
	} {
		srv, _ := startMock(t, Config{})
		got := post(t, srv, roomA, create, `{"token_ttl_secs": `+value+` }`)
		text := fmt.Sprint(got.status)
		if got.status == 201 {
			if expires := got.data(t)["token_expires_at"]; value != "3600.0" && expires != "2026-07-01T12:01:00Z" {
				t.Errorf("%s: expires at %s, want in a minute", value, expires)
			}
		} else {
			text += " " + got.code()
		}
		if text != want {
			t.Errorf("%s: got %s, want %s", value, text, want)
		}
	}
}

// What the API refuses, with the status, the form of the body and the code.
func TestRefusals(t *testing.T) {
	const json = "application/json"
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	for _, tt := range []struct {
		name         string
		room, action string
		body         string
		change       func(*http.Request)
		status       int
		code         string
	}{
		{"no key", roomA, create, `{}`, func(r *http.Request) { r.Header.Del("Authorization") }, 401, "list 10009"},
		{"wrong key", roomA, create, `{}`, header("Authorization", "Bearer nonsense"), 401, "list 10009"},
		{"key without Bearer", roomA, create, `{}`, header("Authorization", DefaultAPIKey), 401, "list 10009"},
		{"key with another scheme", roomA, create, `{}`, header("Authorization", "Basic "+DefaultAPIKey), 401, "list 10009"},
		{"key on refresh", roomA, refresh, `{"refresh_token":"x"}`, header("Authorization", "Bearer "+DefaultAPIKey), 403, "object 10010"},
		{"unknown room", roomB, create, `{}`, nil, 404, "object 65001"},
		{"room is not a UUID", "lobby", create, `{}`, nil, 404, "object 65001"},
		{"unknown action", roomA, "delete_everything", `{}`, nil, 404, "object 10005"},
		{"unknown path", "..", create, `{}`, func(r *http.Request) { r.URL.Path = "/v2/evil" }, 404, "object 10005"},
		{"outside the base path", roomA, create, `{}`, func(r *http.Request) { r.URL.Path = strings.TrimPrefix(r.URL.Path, "/v2") }, 404, "object 10005"},
		{"GET", roomA, create, ``, func(r *http.Request) { r.Method = http.MethodGet }, 405, "list 10030"},
		{"truncated body", roomA, create, `{"token_ttl_secs":`, nil, 400, "list 10023"},
		{"null", roomA, create, `null`, nil, 400, "list 10026"},
		{"array", roomA, create, ` []`, nil, 400, "list 10026"},
		{"ttl too short", roomA, create, `{"token_ttl_secs":9}`, nil, 422, "list 10033"},
		{"ttl too long", roomA, create, `{"token_ttl_secs":3601}`, nil, 422, "list 10033"},
		{"legacy ttl too short", roomA, "create_access_token", `{"ttl_secs":9}`, nil, 422, "list 10033"},
		{"refresh ttl too short", roomA, create, `{"refresh_token_ttl_secs":59}`, nil, 422, "list 10033"},
		{"refresh ttl too long", roomA, create, `{"refresh_token_ttl_secs":86401}`, nil, 422, "list 10033"},
		{"ttl is a string", roomA, create, `{"token_ttl_secs":"600"}`, nil, 400, "list 10026"},
		{"ttl on refresh", roomA, refresh, `{"token_ttl_secs":9,"refresh_token":"x"}`, nil, 422, "list 10033"},
		{"no refresh token", roomA, refresh, `{}`, nil, 422, "list 10004"},
		{"empty refresh token", roomA, refresh, `{"refresh_token":""}`, nil, 403, "object 10010"},
		{"refresh token is null", roomA, refresh, `{"refresh_token":null}`, nil, 400, "list 10026"},
		{"refresh token is a number", roomA, refresh, `{"refresh_token":1}`, nil, 400, "list 10026"},
		{"garbage refresh token", roomA, refresh, `{"refresh_token":"x"}`, nil, 403, "object 10010"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			srv, _ := startMock(t, Config{Rooms: []string{strings.ToUpper(roomA)}})
			got := exchange(t.Context(), srv, tt.room, tt.action, tt.body, tt.change)
			if got.err != nil || got.status != tt.status || got.code() != tt.code {
				t.Errorf("got %d, %s, %v; want %d, %s", got.status, got.code(), got.err, tt.status, tt.code)
			}
			if contentType := got.header.Get("Content-Type"); !strings.HasPrefix(contentType, json) {
				t.Errorf("content type %q", contentType)
			}
		})
	}
}

// Without Config.Rooms every UUID is a room, and nothing else is.
func TestAnyUUIDIsARoom(t *testing.T) {
	srv := Start(t, Config{})
	post(t, srv, roomB, create, `{}`).data(t)
	if got := post(t, srv, "lobby", create, `{}`); got.status != 404 || got.code() != "object 65001" {
		t.Errorf("got %d, %s", got.status, got.code())
	}
}

// A refusal names the field that caused it, or the method that is allowed.
func TestRefusalsNameTheCause(t *testing.T) {
	srv := Start(t, Config{})
	for body, want := range map[string]string{
		`{"token_ttl_secs":9}`:          `"detail":"The value is outside of allowed range 10 to 3600","source":{"pointer":"/token_ttl_secs"}`,
		`{"token_ttl_secs":"9"}`:        `"detail":"The parameter must be of type integer, but received type string","source":{"pointer":"/token_ttl_secs"}`,
		`[]`:                            `"detail":"The parameter must be of type object, but received type array","meta"`,
		`{"refresh_token_ttl_secs":59}`: `"detail":"The value is outside of allowed range 60 to 86400","source":{"pointer":"/refresh_token_ttl_secs"}`,
	} {
		if got := post(t, srv, roomA, create, body); !strings.Contains(got.text, want) {
			t.Errorf("%s: got %s, want a body with %s", body, got.text, want)
		}
	}
	for body, want := range map[string]string{`{}`: "refresh_token", `{"refresh_token":1}`: "refresh_token"} {
		if got := post(t, srv, roomA, refresh, body); !strings.Contains(got.text, `"source":{"pointer":"/`+want+`"}`) {
			t.Errorf("%s: got %s, want a body with %s", body, got.text, want)
		}
	}
	got := exchange(t.Context(), srv, roomA, create, `{}`, func(r *http.Request) { r.Method = http.MethodPut })
	if allow := got.header.Get("Allow"); allow != "POST" {
		t.Errorf("Allow %q", allow)
	}
}

// Room IDs are case-insensitive.
func TestRoomIDsIgnoreCase(t *testing.T) {
	srv, _ := startMock(t, Config{})
	upper := strings.ToUpper(roomA)
	data := post(t, srv, upper, create, `{}`).data(t)
	for _, room := range []string{roomA, upper} {
		if err := srv.Verify(room, data["token"]); err != nil {
			t.Error(err)
		}
	}
	post(t, srv, roomA, refresh, `{"refresh_token":"`+data["refresh_token"]+`"}`).data(t)
}

// Every unusable refresh token gets a 403 with a bare error object.
func TestRefusedRefreshTokens(t *testing.T) {
	other := Start(t, Config{})
	for _, tt := range []struct {
		name string
		with func(srv *Server, data map[string]string) string
		code string
	}{
		{"expired", func(srv *Server, data map[string]string) string {
			srv.SetSkew(time.Hour)
			return data["refresh_token"]
		}, "20006"},
		{"revoked", func(srv *Server, data map[string]string) string {
			srv.RevokeRefreshTokens(roomA)
			return data["refresh_token"]
		}, "10010"},
		{"of another room", func(srv *Server, _ map[string]string) string {
			return post(t, srv, roomB, create, `{}`).data(t)["refresh_token"]
		}, "10010"},
		{"of another server", func(*Server, map[string]string) string {
			return post(t, other, roomA, create, `{}`).data(t)["refresh_token"]
		}, "10010"},
		{"client token", func(_ *Server, data map[string]string) string { return data["token"] }, "10010"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			srv, _ := startMock(t, Config{})
			token := tt.with(srv, post(t, srv, roomA, create, `{}`).data(t))
			got := post(t, srv, roomA, refresh, `{"refresh_token":"`+token+`"}`)
			if got.status != 403 || got.code() != "object "+tt.code {
				t.Errorf("got %d, %s; want 403, object %s", got.status, got.code(), tt.code)
			}
		})
	}
}

// The API key belongs in the Authorization header of a create. On a refresh it is counted
// there, and refused if the server is strict; anywhere else it is refused.
func TestKeyLeaks(t *testing.T) {
	const key = DefaultAPIKey
	for _, tt := range []struct {
		name         string
		action       string
		body         string
		change       func(*http.Request)
		leaks        int
		status       int
		strictStatus int
	}{
		{"create", create, `{}`, nil, 0, 201, 201},
		{"refresh", refresh, `{}`, nil, 0, 422, 422},
		{"refresh with it", refresh, `{}`, func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+key) }, 1, 422, 400},
		{"refresh with any authorization", refresh, `{}`, func(r *http.Request) { r.Header.Set("Authorization", "Basic x") }, 1, 422, 400},
		{"refresh in the query", refresh, `{}`, func(r *http.Request) { r.URL.RawQuery = "key=" + key }, 1, 400, 400},
		{"refresh in the body", refresh, `{"refresh_token":"` + key + `"}`, nil, 1, 400, 400},
		{"create in the query", create, `{}`, func(r *http.Request) { r.URL.RawQuery = "key=" + key }, 1, 400, 400},
		{"create in the body", create, `{"key":"` + key + `"}`, nil, 1, 400, 400},
		{"create in another header", create, `{}`, func(r *http.Request) { r.Header.Set("X-Api-Key", key) }, 1, 400, 400},
	} {
		for strict, want := range map[bool]int{false: tt.status, true: tt.strictStatus} {
			t.Run(fmt.Sprintf("%s/strict %v", tt.name, strict), func(t *testing.T) {
				srv := Start(t, Config{Strict: strict})
				got := exchange(t.Context(), srv, roomA, tt.action, tt.body, tt.change)
				if got.status != want {
					t.Errorf("status %d, want %d", got.status, want)
				}
				if leaks := srv.Calls().KeyLeaks; leaks != tt.leaks {
					t.Errorf("KeyLeaks is %d, want %d", leaks, tt.leaks)
				}
				if leaked := srv.Requests()[0].KeyLeak; leaked != (tt.leaks > 0) {
					t.Errorf("KeyLeak is %v in the log", leaked)
				}
			})
		}
	}
}
