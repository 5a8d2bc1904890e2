package telnyx

import (
	"cmp"
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

// issuance is a response about two tokens.
type issuance struct {
	date                    string // the Date header; "-": none
	token, expires          string
	refresh, refreshExpires string        // "": as for the token
	tokenTTL, refreshTTL    time.Duration // requested
}

// create calls Create at the local time for a response, and returns how long its tokens
// live, from the request on.
func (i issuance) create(t *testing.T, local time.Time) (token, refresh time.Duration, err error) {
	t.Helper()
	if i.refresh == "" {
		i.refresh, i.refreshExpires = i.token, i.expires
	}
	body := fmt.Sprintf(`{"data":{"token":%q,"token_expires_at":%q,"refresh_token":%q,"refresh_token_expires_at":%q}}`, i.token, i.expires, i.refresh, i.refreshExpires)
	base := startServer(t, answerWith(201, body, "Date: "+i.date))
	source := newSource(t, Config{BaseURL: base, Clock: mockAt(local), TokenTTL: i.tokenTTL, RefreshTokenTTL: i.refreshTTL})
	grant, err := source.call(t, roomtoken.CallCreate)
	if err != nil {
		return 0, 0, err
	}
	if grant.IssuedAt != local {
		t.Errorf("issued at %v; want %v", grant.IssuedAt, local)
	}
	if grant.RefreshToken.ExpiresAt.IsZero() {
		return grant.Token.ExpiresAt.Sub(local), 0, nil
	}
	return grant.Token.ExpiresAt.Sub(local), grant.RefreshToken.ExpiresAt.Sub(local), nil
}

func TestExpiriesAreTranslatedToTheLocalClock(t *testing.T) {
	server := time.Date(2021, 4, 22, 12, 14, 55, 0, time.UTC)
	at := func(d time.Duration) string { return server.Add(d).Format(time.RFC3339Nano) }
	date := server.Format(http.TimeFormat)
	dateAt := func(d time.Duration) string { return server.Add(d).Format(http.TimeFormat) }
	const s, h = time.Second, time.Hour
	from := func(issued, expires time.Duration) string { return jwt(server.Add(issued), server.Add(expires)) }
	fresh := from(0, 600*s)
	claims := func(format string) string { return claimsJWT(fmt.Sprintf(format, server.Unix(), server.Unix()+60)) }

	tests := map[string]struct {
		issuance
		want        time.Duration // 0: ErrInvalidGrant
		wantRefresh time.Duration // 0: the same
	}{
		"Date and JWT":              {issuance{date: date, token: fresh, expires: at(600 * s)}, 599 * s, 0},
		"Date alone":                {issuance{date: date, token: "opaque", expires: at(600 * s)}, 599 * s, 0},
		"JWT alone":                 {issuance{date: "-", token: fresh, expires: at(600 * s)}, 599 * s, 0},
		"fraction":                  {issuance{date: date, token: "opaque", expires: at(600*s + 123456*time.Microsecond)}, 599*s + 123456*time.Microsecond, 0},
		"offset":                    {issuance{date: date, token: "opaque", expires: "2021-04-22T17:54:55+05:30"}, 599 * s, 0},
		"Date a second later":       {issuance{date: dateAt(s), token: fresh, expires: at(600 * s)}, 598 * s, 0},
		"Date of a slow proxy":      {issuance{date: dateAt(-h / 2), token: fresh, expires: at(600 * s)}, 599 * s, 0},
		"Date of a cache, opaque":   {issuance{date: dateAt(-1000 * h), token: "opaque", expires: at(600 * s)}, h - s, 24*h - s},
		"Date is garbage":           {issuance{date: "yesterday", token: fresh, expires: at(600 * s)}, 599 * s, 0},
		"an older token":            {issuance{date: date, token: from(-h, 300*s), expires: at(300 * s)}, 299 * s, 0},
		"JWT ends earlier":          {issuance{date: date, token: from(0, 60*s), expires: at(600 * s)}, 59 * s, 0},
		"JWT ended":                 {issuance{date: date, token: from(-2*h, -h), expires: at(600 * s)}, 0, 0},
		"JWT of another epoch":      {issuance{date: date, token: claimsJWT(`{"iat":0,"exp":60}`), expires: at(600 * s)}, 0, 0},
		"JWT with fractions":        {issuance{date: date, token: claims(`{"iat":%d,"exp":%d.5}`), expires: at(600 * s)}, 59500 * time.Millisecond, 0},
		"JWT with exponents":        {issuance{date: date, token: claims(`{"iat":%de0,"exp":%d00e-2}`), expires: at(600 * s)}, 59 * s, 0},
		"JWT that ends at its iat":  {issuance{date: date, token: from(0, 0), expires: at(600 * s)}, 0, 0},
		"JWT with text for numbers": {issuance{date: date, token: claims(`{"iat":"%d","exp":"%d"}`), expires: at(600 * s)}, 599 * s, 0},
		"JWT without iat":           {issuance{date: date, token: claims(`{"not":%d,"exp":%d}`), expires: at(600 * s)}, 59 * s, 0},
		"JWT without exp":           {issuance{date: "-", token: claims(`{"iat":%d,"not":%d}`), expires: at(600 * s)}, 599 * s, 0},
		"JWT with huge numbers":     {issuance{date: date, token: claimsJWT(`{"iat":-1e300,"exp":1e300}`), expires: at(600 * s)}, 599 * s, 0},
		"JWT from the far future":   {issuance{date: date, token: claimsJWT(`{"iat":1e300,"exp":1e300}`), expires: at(600 * s)}, 0, 0},
		"JWT with negative numbers": {issuance{date: date, token: claimsJWT(`{"iat":-1,"exp":-1e300}`), expires: at(600 * s)}, 0, 0},
		"JWT beyond floats":         {issuance{date: date, token: claimsJWT(`{"iat":-1e999,"exp":1e999}`), expires: at(600 * s)}, 599 * s, 0},
		"JWT beyond floats, past":   {issuance{date: date, token: claimsJWT(`{"exp":-1e999}`), expires: at(600 * s)}, 0, 0},
		"JWT with other numbers":    {issuance{date: date, token: claimsJWT(`{"iat":0x1p40,"exp":Inf}`), expires: at(600 * s)}, 599 * s, 0},
		"JWT with padding":          {issuance{date: date, token: "e30." + base64.URLEncoding.EncodeToString([]byte(fmt.Sprintf(`{"iat":%d,"exp":%d}`, server.Unix(), server.Unix()+60))) + ".x", expires: at(600 * s)}, 59 * s, 0},
		"JWT with names elsewhere":  {issuance{date: date, token: claims(`{"a":{"iat":9e9},"b":["iat",{"exp":1}],"c":"\\\",\"iat\":9e9,\"","iat":%d,"d":"iat","exp":%d}`), expires: at(600 * s)}, 59 * s, 0},
		"not base64":                {issuance{date: date, token: "a.!!!.c", expires: at(600 * s)}, 599 * s, 0},
		"the year 9999":             {issuance{date: date, token: "opaque", expires: "9999-12-31T23:59:59Z"}, h - s, 24*h - s},
		"year 9999, local clock":    {issuance{date: "-", token: "opaque", expires: "9999-12-31T23:59:59Z"}, h, 24 * h},
		"longer than requested":     {issuance{date: date, token: "opaque", expires: at(2 * h), tokenTTL: 40 * s, refreshTTL: 60 * s}, 39 * s, 59 * s},

		"the field ends earlier, no Date":     {issuance{date: "-", token: from(0, h), expires: at(10 * s)}, 9 * s, 0},
		"the field ends earlier, bad Date":    {issuance{date: "?", token: from(0, h), expires: at(10 * s)}, 9 * s, 0},
		"a token of a cache that ends sooner": {issuance{date: date, token: from(-540*s, 60*s), expires: at(600 * s)}, 59 * s, 0},
		"refresh token, no Date":              {issuance{date: "-", token: fresh, expires: at(600 * s), refresh: from(0, h), refreshExpires: at(h)}, 599 * s, h - s},
		"opaque refresh token, no Date":       {issuance{date: "-", token: fresh, expires: at(600 * s), refresh: "opaque", refreshExpires: at(h)}, 599 * s, h - s},
		"opaque refresh token, slow proxy":    {issuance{date: dateAt(-h), token: fresh, expires: at(600 * s), refresh: "opaque", refreshExpires: at(h)}, 599 * s, h - s},
		"JWT refresh token, slow proxy":       {issuance{date: dateAt(-h), token: fresh, expires: at(600 * s), refresh: from(0, h), refreshExpires: at(h)}, 599 * s, h - s},
		"opaque token, slow proxy":            {issuance{date: dateAt(-h), token: "opaque", expires: at(600 * s), refresh: from(0, h), refreshExpires: at(h)}, 599 * s, h - s},
		"opaque token, no Date":               {issuance{date: "-", token: "opaque", expires: at(600 * s), refresh: from(0, h), refreshExpires: at(h)}, 599 * s, h - s},
		"no field of the refresh token":       {issuance{date: date, token: fresh, expires: at(600 * s), refresh: from(0, h), refreshExpires: ""}, 599 * s, h - s},
	}
	for name, test := range tests {
		for _, skew := range []time.Duration{0, time.Hour, -time.Hour, 50 * 365 * 24 * time.Hour, -50 * 365 * 24 * time.Hour} {
			if strings.Contains(name, "local clock") && skew != 0 {
				continue // the expiry is on the local clock
			}
			t.Run(fmt.Sprintf("%s, skew %v", name, skew), func(t *testing.T) {
				token, refresh, err := test.create(t, server.Add(skew+789*time.Millisecond))
				if test.want == 0 {
					if !errors.Is(err, roomtoken.ErrInvalidGrant) {
						t.Errorf("the token lives for %v, %v; want ErrInvalidGrant", token, err)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				if token != test.want {
					t.Errorf("the token lives for %v; want %v", token, test.want)
				}
				if want := cmp.Or(test.wantRefresh, test.want); refresh != want {
					t.Errorf("the refresh token lives for %v; want %v", refresh, want)
				}
			})
		}
	}
}

// A Date by which the token has ended counts, unless the token itself and the local clock
// agree that it has not.
func TestDateOfAFastProxy(t *testing.T) {
	server := time.Date(2021, 4, 22, 12, 14, 55, 0, time.UTC)
	const s, h = time.Second, time.Hour
	tests := map[string]struct {
		date  time.Duration // after the server's clock
		token string        // "": a JWT of 600 s
		skew  time.Duration // of the local clock
		want  time.Duration // 0: ErrInvalidGrant
	}{
		"clocks agree":                  {h, "", 0, 599 * s},
		"local clock a minute ahead":    {h, "", 60 * s, 539 * s},
		"local clock a minute behind":   {h, "", -60 * s, 599 * s},
		"local clock further ahead":     {h, "", 61 * s, 0},
		"local clock further behind":    {h, "", -61 * s, 0},
		"local clock as fast":           {h, "", h, 0},
		"a lifetime of less than 1 s":   {599 * s, "", 0, 599 * s},
		"a lifetime of just more":       {598 * s, "", 0, s},
		"opaque token":                  {h, "opaque", 0, 0},
		"a token that ended long ago":   {h, jwt(server.Add(-h), server.Add(-h/2)), 0, 0},
		"a token that ended just ago":   {h, jwt(server.Add(-30*s), server.Add(-s)), 0, 0},
		"an iat of 9999, no confirming": {h, claimsJWT(`{"iat":253402300799,"exp":253402300799}`), 0, 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			i := issuance{
				date:  server.Add(test.date).Format(http.TimeFormat),
				token: test.token, expires: server.Add(600 * s).Format(time.RFC3339),
				refresh: "opaque", refreshExpires: server.Add(2 * h).Format(time.RFC3339),
			}
			if i.token == "" {
				i.token = jwt(server, server.Add(600*s))
			}
			token, refresh, err := i.create(t, server.Add(test.skew))
			if test.want == 0 {
				if !errors.Is(err, roomtoken.ErrInvalidGrant) {
					t.Errorf("the token lives for %v, %v; want ErrInvalidGrant", token, err)
				}
				return
			}
			if err != nil || token != test.want {
				t.Errorf("the token lives for %v, %v; want %v", token, err, test.want)
			}
			if want := test.want + 2*h - 600*s; refresh != want {
				t.Errorf("the refresh token lives for %v; want %v", refresh, want)
			}
		})
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
		lifetime := func(date time.Time, token string) time.Duration {
			when, it := times{sent: local, date: date}, issueOf(token, expires)
			return when.issuerClock(it, issue{}).lifetime(it, maxTokenTTL)
		}
		date := answered.Truncate(time.Second)
		tests := map[string]time.Duration{
			"both":       lifetime(date, jwt(minted, expires)),
			"Date":       lifetime(date, "opaque"),
			"JWT":        lifetime(time.Time{}, jwt(minted, expires)),
			"slow proxy": lifetime(date.Add(-draw(10*time.Hour)), jwt(minted, expires)),
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
