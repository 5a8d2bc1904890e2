package telnyx

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"
)

// clearEnv clears the environment variables that NewSource reads.
func clearEnv(t *testing.T) {
	t.Setenv("TELNYX_API_KEY", "")
	t.Setenv("TELNYX_BASE_URL", "")
}

func TestConfigDefaults(t *testing.T) {
	clearEnv(t)
	s := newSource(t, Config{})
	if s.baseURL != "https://api.telnyx.com/v2" || s.endpoints != ClientTokens || s.clock == nil {
		t.Errorf("got %v with clock %v", s, s.clock)
	}
	if string(s.createBody) != "{}" {
		t.Errorf("create sends %s; want {}: the API requires a body", s.createBody)
	}
}

func TestConfigFromEnvironment(t *testing.T) {
	t.Setenv("TELNYX_API_KEY", "KEYfromEnvironment")
	t.Setenv("TELNYX_BASE_URL", "https://environment.example/v2/")
	s, err := NewSource(Config{})
	if err != nil {
		t.Fatal(err)
	}
	if s.keys.fixed.Reveal() != "KEYfromEnvironment" || s.baseURL != "https://environment.example/v2" {
		t.Errorf("got %v; want the values of the environment", s)
	}

	s, err = NewSource(Config{APIKey: "KEYfromConfig", BaseURL: "https://config.example"})
	if err != nil {
		t.Fatal(err)
	}
	if s.keys.fixed.Reveal() != "KEYfromConfig" || s.baseURL != "https://config.example" {
		t.Errorf("got %v; want the values of Config, not those of the environment", s)
	}

	s, err = NewSource(Config{APIKeyFunc: func(context.Context) (string, error) { return "KEYfromFunc", nil }})
	if err != nil {
		t.Fatal(err)
	}
	if !s.keys.fixed.IsZero() {
		t.Error("the Source holds the key of the environment despite APIKeyFunc")
	}
}

func TestConfigAPIKeyIsChecked(t *testing.T) {
	clearEnv(t)
	keyFunc := func(context.Context) (string, error) { return testKey, nil }
	tests := map[string]struct {
		config Config
		want   string
	}{
		"none":          {Config{}, "TELNYX_API_KEY"},
		"both":          {Config{APIKey: testKey, APIKeyFunc: keyFunc}, "both set"},
		"newline":       {Config{APIKey: testKey + "\n"}, "ends in a newline"},
		"header":        {Config{APIKey: testKey + "\r\nX-Evil: 1"}, "white space"},
		"space":         {Config{APIKey: testKey + " x"}, "white space"},
		"control":       {Config{APIKey: testKey + "\x00"}, "control"},
		"delete":        {Config{APIKey: testKey + "\x7f"}, "control"},
		"non-ASCII":     {Config{APIKey: testKey + "é"}, "non-ASCII"},
		"invalid UTF-8": {Config{APIKey: testKey + "\xff"}, "non-ASCII"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := NewSource(test.config)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("got %v; want an error with %q", err, test.want)
			}
			mustNotLeak(t, err.Error())
		})
	}
	t.Run("environment", func(t *testing.T) {
		t.Setenv("TELNYX_API_KEY", testKey+"\n")
		_, err := NewSource(Config{})
		if err == nil || !strings.Contains(err.Error(), "TELNYX_API_KEY ends in a newline") {
			t.Fatalf("got %v; want an error that names the variable", err)
		}
		mustNotLeak(t, err.Error())
	})
}

func TestConfigBaseURLIsChecked(t *testing.T) {
	clearEnv(t)
	for base, want := range map[string]string{
		"https://api.telnyx.com/v2":            "",
		"https://api.telnyx.com/v2/":           "",
		"HTTPS://api.telnyx.com":               "",
		"https://proxy.example:8443/telnyx":    "",
		"http://localhost:8080/v2":             "",
		"http://LOCALHOST":                     "",
		"http://127.0.0.1:1":                   "",
		"http://127.9.9.9":                     "",
		"http://[::1]:8080":                    "",
		"http://[::ffff:127.0.0.1]":            "",
		"http://api.telnyx.com/v2":             "in the clear",
		"http://localhost.example":             "in the clear",
		"http://10.0.0.1":                      "in the clear",
		"http://0.0.0.0":                       "in the clear",
		"http://[::]":                          "in the clear",
		"http://127.0.0.1.example":             "in the clear",
		"http://2130706433":                    "in the clear",
		"https://user:hunter2@api.telnyx.com":  "user name or password",
		"https://hunter2@api.telnyx.com":       "user name or password",
		"http://hunter2@localhost":             "user name or password",
		"https://api.telnyx.com?key=hunter2":   "query or fragment",
		"https://api.telnyx.com/v2?":           "query or fragment",
		"https://api.telnyx.com/v2#hunter2":    "query or fragment",
		"https://api.telnyx.com/v2#":           "query or fragment",
		"api.telnyx.com/v2":                    "not a URL",
		"//api.telnyx.com":                     "not a URL",
		"ftp://api.telnyx.com":                 "not a URL",
		"file:///etc/passwd":                   "not a URL",
		"unix:/run/telnyx":                     "not a URL",
		"https:api.telnyx.com":                 "not a URL",
		"https://":                             "not a URL",
		"https://:443/v2":                      "not a URL",
		"https://user:hunter2":                 "not a URL",
		"https://u:hunter 2@host":              "not a URL",
		"https://api.telnyx.com/\n":            "not a URL",
		"https://api.telnyx.com:hunter2":       "not a URL",
		" https://api.telnyx.com":              "not a URL",
		"https://[::1":                         "not a URL",
		"https://api.telnyx.com/%zz":           "not a URL",
		"http://hunter2:x@[::1]:99999999999/#": "user name or password",
	} {
		_, err := NewSource(Config{APIKey: testKey, BaseURL: base})
		switch {
		case want == "" && err != nil:
			t.Errorf("%q: %v", base, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%q: got %v; want an error with %q", base, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "hunter") {
			t.Errorf("%q: the error contains the password: %q", base, err)
		}
	}

	t.Setenv("TELNYX_BASE_URL", "http://api.telnyx.com")
	_, err := NewSource(Config{APIKey: testKey})
	if err == nil || !strings.Contains(err.Error(), "TELNYX_BASE_URL would send") {
		t.Errorf("got %v; want an error that names the variable", err)
	}
}

func TestAllowPlainHTTP(t *testing.T) {
	clearEnv(t)
	config := Config{APIKey: testKey, BaseURL: "http://telnyx-fake:8080/v2"}
	if _, err := NewSource(config); err == nil || !strings.Contains(err.Error(), `in the clear to "telnyx-fake"`) || !strings.Contains(err.Error(), "AllowPlainHTTP") {
		t.Errorf("got %v", err)
	}
	config.AllowPlainHTTP = true
	if _, err := NewSource(config); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"ftp://telnyx-fake/v2", "http://user:hunter2@telnyx-fake", "http://telnyx-fake?x", "http://"} {
		config.BaseURL = bad
		if _, err := NewSource(config); err == nil {
			t.Errorf("%s is allowed", bad)
		}
	}
}

func TestConfigLifetimesAreChecked(t *testing.T) {
	clearEnv(t)
	const s, h = time.Second, time.Hour
	tests := []struct {
		token, refresh time.Duration
		ok             bool
	}{
		{0, 0, true},
		{10 * s, 60 * s, true},
		{h, 24 * h, true},
		{h, 60 * s, true}, // no rule between the two
		{10*s - 1, 0, false},
		{9 * s, 0, false},
		{h + s, 0, false},
		{10*s + 500*time.Millisecond, 0, false},
		{-600 * s, 0, false},
		{1<<63 - 1, 0, false},
		{-1 << 63, 0, false},
		{0, 59 * s, false},
		{0, 24*h + s, false},
		{0, 60*s + 1, false},
		{0, -60 * s, false},
	}
	for _, test := range tests {
		_, err := NewSource(Config{APIKey: testKey, TokenTTL: test.token, RefreshTokenTTL: test.refresh})
		if (err == nil) != test.ok {
			t.Errorf("TokenTTL %v, RefreshTokenTTL %v: got %v", test.token, test.refresh, err)
		}
	}
}

func TestConfigErrorNamesEveryInvalidField(t *testing.T) {
	clearEnv(t)
	_, err := NewSource(Config{BaseURL: "x", TokenTTL: 1, RefreshTokenTTL: 1, Endpoints: 7, UserAgent: "a\nb"})
	for _, want := range []string{"API key", "BaseURL", "TokenTTL", "RefreshTokenTTL", "Endpoints(7)", "UserAgent"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v; want an error with %q", err, want)
		}
	}
}

func TestEndpointsString(t *testing.T) {
	if got := fmt.Sprint(ClientTokens, AccessTokens, Endpoints(-1)); got != "ClientTokens AccessTokens Endpoints(-1)" {
		t.Errorf("got %s", got)
	}
}
