package telnyxtest

import (
	"net/http"
	"strings"
	"testing"
)

// sdkHeaders are the headers that Telnyx's own SDKs send with every request. Only JSON
// bodies have a Content-Type.
var sdkHeaders = map[string]map[string]string{
	"JS 7.24.0": {
		"Accept":                      "application/json",
		"User-Agent":                  "Telnyx/JS 7.24.0",
		"X-Stainless-Arch":            "x64",
		"X-Stainless-Lang":            "js",
		"X-Stainless-OS":              "Linux",
		"X-Stainless-Package-Version": "7.24.0",
		"X-Stainless-Retry-Count":     "0",
		"X-Stainless-Runtime":         "node",
		"X-Stainless-Runtime-Version": "v22.12.0",
	},
	"Go 4.97.0": {
		"Accept":                      "application/json",
		"User-Agent":                  "Telnyx/Go 4.97.0",
		"X-Stainless-Arch":            "x64",
		"X-Stainless-Lang":            "go",
		"X-Stainless-OS":              "Linux",
		"X-Stainless-Package-Version": "4.97.0",
		"X-Stainless-Retry-Count":     "0",
		"X-Stainless-Runtime":         "go",
		"X-Stainless-Runtime-Version": "go1.25.4",
	},
}

// Telnyx's own SDKs get their tokens. They send the API key with every call, and the
// documented JavaScript sample of create sends no body.
func TestTelnyxSDKs(t *testing.T) {
	for _, tt := range []struct {
		name         string
		sdk          string
		action       string
		body         string // "": none; REFRESH stands for a refresh token
		strictStatus int
		leaks        int
	}{
		{"create without parameters", "JS 7.24.0", create, "", 415, 0},
		{"create with empty parameters", "JS 7.24.0", create, `{}`, 201, 0},
		{"create with parameters", "JS 7.24.0", create, `{"refresh_token_ttl_secs":7200,"token_ttl_secs":120}`, 201, 0},
		{"refresh", "JS 7.24.0", refresh, `{"refresh_token":"REFRESH"}`, 400, 1},
		{"create with empty parameters", "Go 4.97.0", create, `{}`, 201, 0},
		{"create with parameters", "Go 4.97.0", create, `{"refresh_token_ttl_secs":7200,"token_ttl_secs":120}`, 201, 0},
		{"refresh", "Go 4.97.0", refresh, `{"refresh_token":"REFRESH","token_ttl_secs":120}`, 400, 1},
	} {
		for _, strict := range []bool{false, true} {
			name, want := tt.sdk+"/"+tt.name, 201
			if strict {
				name, want = name+"/strict", tt.strictStatus
			}
			t.Run(name, func(t *testing.T) {
				srv := Start(t, Config{Strict: strict})
				refreshToken := post(t, srv, roomA, create, `{}`).data(t)["refresh_token"]
				got := exchange(t.Context(), srv, roomA, tt.action, strings.ReplaceAll(tt.body, "REFRESH", refreshToken), func(r *http.Request) {
					r.Header.Set("Authorization", "Bearer "+srv.APIKey)
					for name, value := range sdkHeaders[tt.sdk] {
						r.Header.Set(name, value)
					}
					if tt.body == "" {
						r.Header.Del("Content-Type")
					}
				})
				if got.status != want {
					t.Errorf("got %d %s %v, want %d", got.status, got.text, got.err, want)
				}
				if want == 201 {
					if err := srv.Verify(roomA, got.data(t)["token"]); err != nil {
						t.Error(err)
					}
				}
				if leaks := srv.Calls().KeyLeaks; leaks != tt.leaks {
					t.Errorf("KeyLeaks is %d, want %d", leaks, tt.leaks)
				}
			})
		}
	}
}
