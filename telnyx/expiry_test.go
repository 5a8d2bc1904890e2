package telnyx

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomtoken/roomtoken"
)

// issue is what a response says about one token.
type issue struct {
	date       string // the Date header; "-": none
	token      string
	expires    string
	tokenTTL   time.Duration // requested
	refreshTTL time.Duration
}

func TestExpiriesAreTranslatedToTheLocalClock(t *testing.T) {
	server := time.Date(2021, 4, 22, 12, 14, 55, 0, time.UTC)
	at := func(d time.Duration) string { return server.Add(d).Format(time.RFC3339Nano) }
	date := server.Format(http.TimeFormat)
	dateAt := func(d time.Duration) string { return server.Add(d).Format(http.TimeFormat) }
	fresh := jwt(server, server.Add(600*time.Second))
	const s, h = time.Second, time.Hour

	tests := map[string]struct {
		issue
		want        time.Duration // the lifetime, from the request on
		wantRefresh time.Duration // the lifetime of the refresh token; 0: the same
	}{
		"Date and JWT":              {issue{date: date, token: fresh, expires: at(600 * s)}, 599 * s, 0},
		"Date alone":                {issue{date: date, token: "opaque", expires: at(600 * s)}, 599 * s, 0},
		"JWT alone":                 {issue{date: "-", token: fresh, expires: at(600 * s)}, 599 * s, 0},
		"fraction":                  {issue{date: date, token: "opaque", expires: at(600*s + 123456*time.Microsecond)}, 599*s + 123456*time.Microsecond, 0},
		"offset":                    {issue{date: date, token: "opaque", expires: "2021-04-22T17:54:55+05:30"}, 599 * s, 0},
		"Date a second later":       {issue{date: dateAt(s), token: fresh, expires: at(600 * s)}, 598 * s, 0},
		"Date of a slow proxy":      {issue{date: dateAt(-h / 2), token: fresh, expires: at(600 * s)}, 599 * s, 0},
		"Date of a cache, opaque":   {issue{date: dateAt(-1000 * h), token: "opaque", expires: at(600 * s)}, h - s, 24*h - s},
		"Date is garbage":           {issue{date: "yesterday", token: fresh, expires: at(600 * s)}, 599 * s, 0},
		"an older token":            {issue{date: date, token: jwt(server.Add(-h), server.Add(300*s)), expires: at(300 * s)}, 299 * s, 0},
		"JWT ends earlier":          {issue{date: date, token: jwt(server, server.Add(60*s)), expires: at(600 * s)}, 59 * s, 0},
		"JWT of another kind":       {issue{date: date, token: claimsJWT(`{"exp":1590010143,"iat":1587590943}`), expires: at(600 * s)}, 599 * s, 0},
		"JWT with fractions":        {issue{date: date, token: claimsJWT(`{"iat":1.6e9,"exp":1600000060.5}`), expires: at(600 * s)}, 59500 * time.Millisecond, 0},
		"JWT that ends at its iat":  {issue{date: date, token: claimsJWT(`{"iat":60,"exp":60}`), expires: at(600 * s)}, 599 * s, 0},
		"JWT with text for numbers": {issue{date: date, token: claimsJWT(`{"iat":"0","exp":"60"}`), expires: at(600 * s)}, 599 * s, 0},
		"JWT without iat":           {issue{date: date, token: claimsJWT(`{"exp":60}`), expires: at(600 * s)}, 599 * s, 0},
		"JWT with huge numbers":     {issue{date: date, token: claimsJWT(`{"iat":-1e300,"exp":1e300}`), expires: at(600 * s)}, 599 * s, 0},
		"JWT beyond floats":         {issue{date: date, token: claimsJWT(`{"iat":0,"exp":1e999}`), expires: at(600 * s)}, 599 * s, 0},
		"JWT with padding":          {issue{date: date, token: "e30." + base64.URLEncoding.EncodeToString([]byte(`{"iat":0,"exp":60} `)) + ".x", expires: at(600 * s)}, 59 * s, 0},
		"JWT with names elsewhere":  {issue{date: date, token: claimsJWT(`{"exp":60,"a":{"iat":59},"b":["iat",{"exp":1}],"c":"\\",\"iat\":58","iat":0,"d":"iat"}`), expires: at(600 * s)}, 59 * s, 0},
		"not base64":                {issue{date: date, token: "a.!!!.c", expires: at(600 * s)}, 599 * s, 0},
		"claims too long":           {issue{date: date, token: claimsJWT(`{"iat":0,"exp":60}` + strings.Repeat(" ", maxJWTClaims)), expires: at(600 * s)}, 599 * s, 0},
		"the year 9999":             {issue{date: date, token: "opaque", expires: "9999-12-31T23:59:59Z"}, h - s, 24*h - s},
		"year 9999, no Date":        {issue{date: "-", token: "opaque", expires: "9999-12-31T23:59:59Z"}, h, 24 * h},
		"longer than requested":     {issue{date: date, token: "opaque", expires: at(2 * h), tokenTTL: 40 * s, refreshTTL: 60 * s}, 39 * s, 59 * s},
	}
	for name, test := range tests {
		for _, skew := range []time.Duration{0, time.Hour, -time.Hour, 50 * 365 * 24 * time.Hour, -50 * 365 * 24 * time.Hour} {
			if strings.Contains(name, "no Date") && skew != 0 {
				continue // the expiry is on the local clock
			}
			t.Run(fmt.Sprintf("%s, skew %v", name, skew), func(t *testing.T) {
				local := server.Add(skew + 789*time.Millisecond)
				body := fmt.Sprintf(`{"data":{"token":%q,"token_expires_at":%q,"refresh_token":%q,"refresh_token_expires_at":%q}}`, test.token, test.expires, test.token, test.expires)
				base := startServer(t, answerWith(201, body, "Date: "+test.date))
				source := newSource(t, Config{BaseURL: base, Clock: mockAt(local), TokenTTL: test.tokenTTL, RefreshTokenTTL: test.refreshTTL})
				grant, err := source.call(t, roomtoken.CallCreate)
				if err != nil {
					t.Fatal(err)
				}
				if grant.IssuedAt != local {
					t.Errorf("issued at %v; want %v", grant.IssuedAt, local)
				}
				if got := grant.Token.ExpiresAt.Sub(local); got != test.want {
					t.Errorf("the token lives for %v; want %v", got, test.want)
				}
				wantRefresh := test.wantRefresh
				if wantRefresh == 0 {
					wantRefresh = test.want
				}
				if got := grant.RefreshToken.ExpiresAt.Sub(local); got != wantRefresh {
					t.Errorf("the refresh token lives for %v; want %v", got, wantRefresh)
				}
			})
		}
	}
}

func TestExpiryWithoutDateAndJWTIsOnTheLocalClock(t *testing.T) {
	local := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
	expires := local.Add(600 * time.Second)
	base := startServer(t, answerWith(201, `{"data":{"token":"opaque","token_expires_at":"`+expires.Format(time.RFC3339Nano)+`"}}`, "Date: -"))
	grant, err := newSource(t, Config{BaseURL: base, Clock: mockAt(local)}).call(t, roomtoken.CallCreate)
	if err != nil || !grant.Token.ExpiresAt.Equal(expires) {
		t.Errorf("got %v, %v; want %v", grant.Token.ExpiresAt, err, expires)
	}
}

// The example in the API document, in which the refresh token lapses 9 min 50 s before
// the token.
func TestTheDocumentedExample(t *testing.T) {
	body := `{"data":{
		"token":"eyJhbGciOiJFZDI1NTE5IiwidHlwIjoiSldUIn0.eyJhdWQiOiJ0ZWxueXhfYWNjZXNzX3Rva2VuIiwiZXhwIjoxNjE5MDk0Mjk1LCJncmFudHMiOlt7ImFjdGlvbnMiOlsiam9pbiJdLCJyZXNvdXJjZXMiOlsidGVsbnl4OnZpZGVvOnJvb21zOjllMmEwY2JlLWNlNjYtNDExZS1hMWFjLTQ2OGYwYjEwM2M5YSJdLCJzdWJqZWN0cyI6WyJ0ZWxueXg6dXNlcnM6NzgyYjJjYmUtODQ2Ni00ZTNmLWE0ZDMtOTc4MWViNTc3ZTUwIl19XSwiZ3JhbnRzX3ZlcnNpb24iOiIxLjAuMCIsImlhdCI6MTYxOTA5MzY5NSwiaXNzIjoidGVsbnl4X2FjY2Vzc190b2tlbiIsImp0aSI6IjllNjIyOTA2LTc1ZTctNDBiNi1iOTAwLTc1NGIxZjNlZDMyZiIsIm5iZiI6MTYxOTA5MzY5NCwic3ViIjoibnVsbCIsInR5cCI6ImFjY2VzcyJ9.1JGK9PyHkTtoP_iMu-8TzXH_fhmnsDtZZOAJLDzLW6DDtAb80wZ93l1VH5yNx5tFqwIFG0t48dRiBKWlW-nzDA",
		"token_expires_at":"2021-04-22T12:24:55Z",
		"refresh_token":"eyJhbGciOiJFZDI1NTE5IiwidHlwIjoiSldUIn0.eyJhdWQiOiJ0ZWxueXhfYWNjZXNzX3Rva2VuIiwiZXhwIjoxNjE5MDkzNzA1LCJncmFudHMiOlt7ImFjdGlvbnMiOlsiam9pbiJdLCJyZXNvdXJjZXMiOlsidGVsbnl4OnZpZGVvOnJvb21zOjllMmEwY2JlLWNlNjYtNDExZS1hMWFjLTQ2OGYwYjEwM2M5YSJdLCJzdWJqZWN0cyI6WyJ0ZWxueXg6dXNlcnM6NzgyYjJjYmUtODQ2Ni00ZTNmLWE0ZDMtOTc4MWViNTc3ZTUwIl19XSwiZ3JhbnRzX3ZlcnNpb24iOiIxLjAuMCIsImlhdCI6MTYxOTA5MzY5NSwiaXNzIjoidGVsbnl4X2FjY2Vzc190b2tlbiIsImp0aSI6ImQ3OWJlMzhjLWFkNTQtNGQ5ZC1hODc4LWExNjVjNTk0MGQwNyIsIm5iZiI6MTYxOTA5MzY5NCwic3ViIjoibnVsbCIsInR5cCI6InJlZnJlc2gifQ.FHsp7KlVXn1E5tTUiKZzmQ4of39gi57AakeQeqI0oAa8hzjFMVb0RGj-mxWTvHVen4GpgsUW_epqqaxK16viCA",
		"refresh_token_expires_at":"2021-04-22T12:15:05Z"}}`
	for _, dateHeader := range []string{"-", "Thu, 22 Apr 2021 12:14:55 GMT"} {
		base := startServer(t, answerWith(201, body, "Date: "+dateHeader))
		local := time.Unix(0, 0) // the initial time of a clock.Mock
		grant, err := newSource(t, Config{BaseURL: base, Clock: mockAt(local)}).call(t, roomtoken.CallCreate)
		if err != nil {
			t.Fatal(err)
		}
		if token, refresh := grant.Token.ExpiresAt.Sub(local), grant.RefreshToken.ExpiresAt.Sub(local); token != 599*time.Second || refresh != 9*time.Second {
			t.Errorf("Date %s: the tokens live for %v and %v; want 9m59s and 9s", dateHeader, token, refresh)
		}
	}
}

// Whatever the two clocks show, a lifetime is never too long, and too short by at most the
// truncation of the times plus the duration of the request.
func TestLifetimesAreNeverTooLong(t *testing.T) {
	const ttl = 600 * time.Second
	random := rand.New(rand.NewPCG(1, 2))
	draw := func(most time.Duration) time.Duration { return time.Duration(random.Int64N(int64(most))) }
	for range 2000 {
		local := time.Unix(1_600_000_000, 0).Add(draw(time.Hour))
		skew := draw(2*time.Hour) - time.Hour
		transit := draw(3 * time.Second)    // of the request; that of the response makes no difference
		minted := local.Add(skew + transit) // on the server's clock
		answered := minted.Add(draw(2 * time.Second))

		expires := minted.Truncate(time.Second).Add(ttl)
		tests := map[string]time.Duration{
			"both": times{sent: local, date: answered.Truncate(time.Second)}.lifetime(expires, jwt(minted, expires), maxTokenTTL),
			"Date": times{sent: local, date: answered.Truncate(time.Second)}.lifetime(expires, "opaque", maxTokenTTL),
			"JWT":  times{sent: local}.lifetime(expires, jwt(minted, expires), maxTokenTTL),
		}
		for name, lifetime := range tests {
			ends := local.Add(lifetime + skew) // on the server's clock
			if ends.After(expires) {
				t.Fatalf("%s: %v too long (skew %v, transit %v)", name, ends.Sub(expires), skew, transit)
			}
			if lost := expires.Sub(ends); lost > time.Second+transit+answered.Sub(minted)+time.Second {
				t.Fatalf("%s: %v too short (skew %v, transit %v)", name, lost, skew, transit)
			}
		}
	}
}

// Lifetimes count from just before the request is sent: a slow call shortens them, a slow
// APIKeyFunc does not.
func TestLifetimesCountFromTheRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := newSource(t, Config{
			APIKeyFunc: func(context.Context) (string, error) { time.Sleep(2 * time.Second); return testKey, nil },
			HTTPClient: &http.Client{Transport: roundTripper(func(*http.Request) (*http.Response, error) {
				minted := time.Now()
				time.Sleep(5 * time.Second)
				return &http.Response{
					StatusCode: 201,
					Header:     http.Header{"Date": {minted.UTC().Format(http.TimeFormat)}},
					Body:       io.NopCloser(strings.NewReader(grantBody("t", minted.Add(time.Minute), "r", minted.Add(time.Hour)))),
				}, nil
			})},
		})
		began := time.Now()
		grant, err := source.Create(t.Context(), testRoom)
		if err != nil {
			t.Fatal(err)
		}
		if got := time.Since(began); got != 7*time.Second {
			t.Errorf("the call took %v", got)
		}
		if got := grant.IssuedAt.Sub(began); got != 2*time.Second {
			t.Errorf("issued after %v; want 2s", got)
		}
		if got := grant.Token.ExpiresAt.Sub(began); got != 61*time.Second {
			t.Errorf("expires after %v; want 61s", got)
		}
		if grant.IssuedAt != grant.IssuedAt.Round(0).UTC() {
			t.Error("IssuedAt carries a monotonic reading or a zone")
		}
	})
}

func TestLifetimeOfASecondIsTooShort(t *testing.T) {
	now := time.Unix(1000, 0)
	base := startServer(t, answerWith(201, grantBody("t", now.Add(time.Second), "r", now.Add(time.Hour)), "Date: "+now.UTC().Format(http.TimeFormat)))
	_, err := newSource(t, Config{BaseURL: base, Clock: mockAt(now)}).call(t, roomtoken.CallCreate)
	if want := "no time left: it expires at 1970-01-01T00:16:41Z, and the server's clock shows 1970-01-01T00:16:40Z"; !errors.Is(err, roomtoken.ErrInvalidGrant) || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v; want %q", err, want)
	}
}
