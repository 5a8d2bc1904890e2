package telnyx

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
)

func TestInvalidGrants(t *testing.T) {
	later := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	data := func(fields string) string { return `{"data":{` + fields + `}}` }
	tests := map[string]struct {
		body, want string
		headers    []string
	}{
		"empty":                   {``, "body is empty", nil},
		"HTML":                    {`<html><body>Sign in</body></html>`, `not JSON`, nil},
		"HTML by type":            {data(`"token":"t","token_expires_at":"` + later + `"`), "body is text/html; charset=utf-8, not JSON", []string{"Content-Type: text/html; charset=utf-8"}},
		"XML by type":             {`<x/>`, "body is application/xml, not JSON", []string{"Content-Type: application/xml"}},
		"compressed":              {"\x1f\x8b", "compressed (gzip)", []string{"Content-Encoding: gzip"}},
		"truncated":               {`{"data":{"token":"abc`, "not JSON: unexpected end", nil},
		"trailing garbage":        {data(`"token":"t","token_expires_at":"`+later+`"`) + "x", "not JSON", nil},
		"two documents":           {data(`"token":"t","token_expires_at":"`+later+`"`) + "{}", "not JSON", nil},
		"deep":                    {strings.Repeat(`[`, 100_000), "not JSON", nil},
		"deep inside":             {`{"data":{"token":` + strings.Repeat(`[`, 100_000), "not JSON", nil},
		"array":                   {`[]`, "not have the form", nil},
		"string":                  {`"x"`, "not have the form", nil},
		"null":                    {`null`, `no "data"`, nil},
		"no data":                 {`{}`, `no "data"`, nil},
		"an error":                {`{"errors":[{"code":"1"}]}`, `no "data"`, nil},
		"data null":               {`{"data":null}`, `no "data"`, nil},
		"data an array":           {`{"data":[]}`, "not have the form", nil},
		"data a string":           {`{"data":"x"}`, "not have the form", nil},
		"data empty":              {data(``), `"token" is missing`, nil},
		"token null":              {data(`"token":null`), `"token" is missing`, nil},
		"token empty":             {data(`"token":"","token_expires_at":"` + later + `"`), `"token" is empty`, nil},
		"token a number":          {data(`"token":5`), `"token" is a number`, nil},
		"token a boolean":         {data(`"token":true`), `"token" is a boolean`, nil},
		"token an array":          {data(`"token":[]`), `"token" is an array`, nil},
		"token an object":         {data(`"token":{}`), `"token" is an object`, nil},
		"token with a line break": {data(`"token":"a\nb"`), `"token" contains white space`, nil},
		"the other pair's token":  {data(`"access_token":"t","access_token_expires_at":"` + later + `"`), `"token" is missing`, nil},
		"expiry missing":          {data(`"token":"t"`), `"token_expires_at" is missing`, nil},
		"expiry null":             {data(`"token":"t","token_expires_at":null`), `"token_expires_at" is missing`, nil},
		"expiry a number":         {data(`"token":"t","token_expires_at":1777863721`), `"token_expires_at" is a number`, nil},
		"expiry empty":            {data(`"token":"t","token_expires_at":""`), `"token_expires_at" is not an RFC 3339 time`, nil},
		"expiry without a zone":   {data(`"token":"t","token_expires_at":"2099-01-01T00:00:00"`), `is not an RFC 3339 time`, nil},
		"expiry beyond 9999":      {data(`"token":"t","token_expires_at":"10000-01-01T00:00:00Z"`), `is not an RFC 3339 time`, nil},
		"expiry zero":             {data(`"token":"t","token_expires_at":"0001-01-01T00:00:00Z"`), `"token_expires_at" is the zero time`, nil},
		"expiry past":             {data(`"token":"t","token_expires_at":"2021-04-22T12:24:55Z"`), `it expires at 2021-04-22T12:24:55Z`, nil},
		"expiry past, no Date":    {data(`"token":"t","token_expires_at":"2021-04-22T12:24:55Z"`), `this machine's clock shows 20`, []string{"Date: -"}},
		"data twice":              {data(`"token":"t","token_expires_at":"` + later + `"`)[:1] + `"data":{},` + data(`"token":"t","token_expires_at":"` + later + `"`)[1:], `"data" occurs more than once`, nil},
		"token twice":             {data(`"token":"t","token":"t","token_expires_at":"` + later + `"`), `"token" occurs more than once`, nil},
		"token in another case":   {data(`"Token":"t","token_expires_at":"` + later + `"`), `"token" is missing`, nil},
		"a long token":            {data(`"token":"` + strings.Repeat("x", 16<<10+1) + `","token_expires_at":"` + later + `"`), `"token" is larger than 16 KiB`, nil},
		"larger than the limit":   {data(`"token":"` + strings.Repeat("x", maxBody) + `"`), "larger than 1 MiB", nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			base := startServer(t, answerWith(201, test.body, test.headers...))
			for _, kind := range bothKinds {
				grant, err := newSource(t, Config{BaseURL: base}).call(t, kind)
				if !errors.Is(err, roomtoken.ErrInvalidGrant) || errors.Is(err, roomtoken.ErrPermanent) || errors.Is(err, roomtoken.ErrRefreshRejected) {
					t.Fatalf("got %v, %v; want ErrInvalidGrant alone", grant, err)
				}
				if !strings.Contains(err.Error(), test.want) || !strings.HasPrefix(err.Error(), "telnyx: "+kind.String()+" for room 0ccc7b54…: ") {
					t.Errorf("got %q; want an error with %q", err, test.want)
				}
				if !grant.Token.IsZero() || !grant.RefreshToken.IsZero() {
					t.Error("the error comes with a grant")
				}
			}
		})
	}
}

func TestInvalidGrantErrorsAreRedacted(t *testing.T) {
	token := jwt(time.Unix(0, 0), time.Unix(600, 0))
	for _, body := range []string{
		`{"data":{"token":"` + token + `"}}`,
		`{"data":{"token":"` + token + `","token_expires_at":"` + token + `"}}`,
		`{"data":{"token":["` + token + `"],"token_expires_at":"x"}}`,
		`{"data":{"token":"` + token + `","token_expires_at":"1970-01-01T00:10:00Z"}}`,
		`{"data":"` + token + `"}`,
		`{"data":{"token":"` + token + `"`,
		token,
	} {
		for _, headers := range [][]string{nil, {"Content-Type: " + token}, {"Content-Encoding: " + token}} {
			base := startServer(t, answerWith(201, body, headers...))
			_, err := newSource(t, Config{BaseURL: base}).call(t, roomtoken.CallCreate)
			if err == nil {
				t.Fatalf("no error for %s", body)
			}
			mustNotLeak(t, fmt.Sprintf("%v %+v %#v", err, err, err), token, token[:20])
		}
	}
}

func TestUnusualButValidAnswers(t *testing.T) {
	later := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	good := `"token":"the-token","token_expires_at":"` + later + `"`
	tests := map[string]struct {
		body    string
		headers []string
	}{
		"unknown fields":        {`{"meta":{"a":[1]},"data":{` + good + `,"recort_type":"x","x":{"token":"y"}}}`, nil},
		"white space":           {"\r\n {\"data\":\t{" + good + "}}\n", nil},
		"fraction and offset":   {`{"data":{"token":"the-token","token_expires_at":"` + time.Now().Add(time.Hour).In(time.FixedZone("", -5*3600)).Format("2006-01-02T15:04:05.123456Z07:00") + `"}}`, nil},
		"lower-case t and z":    {`{"data":{"token":"the-token","token_expires_at":"` + strings.ToLower(later) + `"}}`, nil},
		"no content type":       {`{"data":{` + good + `}}`, []string{"Content-Type: -"}},
		"sniffed type":          {`{"data":{` + good + `}}`, []string{"Content-Type: text/plain; charset=utf-8"}},
		"JSON:API type":         {`{"data":{` + good + `}}`, []string{"Content-Type: Application/vnd.api+JSON"}},
		"identity":              {`{"data":{` + good + `}}`, []string{"Content-Encoding: identity"}},
		"names in other cases":  {`{"Data":null,"DATA":5,"data":{"Token":null,` + good + `,"TOKEN_EXPIRES_AT":0,"Token_Expires_At":"x"}}`, nil},
		"escaped names":         {`{"d\u0061ta":{"t\u006fken":"the-token","token_expires_at":"` + later + `"}}`, nil},
		"byte order mark":       {"\ufeff" + `{"data":{` + good + `}}`, nil},
		"just within the limit": {`{"data":{` + good + `}}` + strings.Repeat(" ", maxBody-len(`{"data":{`+good+`}}`)), nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			base := startServer(t, answerWith(201, test.body, test.headers...))
			grant, err := newSource(t, Config{BaseURL: base}).call(t, roomtoken.CallCreate)
			if err != nil || grant.Token.Value.Reveal() != "the-token" || !grant.RefreshToken.IsZero() {
				t.Errorf("got %q, %v", grant.Token.Value.Reveal(), err)
			}
		})
	}
}

// A good client token is kept, whatever is wrong with the refresh token.
func TestUnusableRefreshTokens(t *testing.T) {
	now := time.Now()
	later := now.Add(time.Hour).UTC().Format(time.RFC3339)
	for name, test := range map[string]struct {
		fields string
		kept   bool // with an unknown expiry
	}{
		"missing":           {``, false},
		"null":              {`,"refresh_token":null`, false},
		"empty":             {`,"refresh_token":"","refresh_token_expires_at":"` + later + `"`, false},
		"a number":          {`,"refresh_token":5,"refresh_token_expires_at":"` + later + `"`, false},
		"with a line break": {`,"refresh_token":"a\nb"`, false},
		"lapsed":            {`,"refresh_token":"r","refresh_token_expires_at":"2021-04-22T12:15:05Z"`, false},
		"no expiry":         {`,"refresh_token":"r"`, true},
		"expiry null":       {`,"refresh_token":"r","refresh_token_expires_at":null`, true},
		"expiry a number":   {`,"refresh_token":"r","refresh_token_expires_at":5`, true},
		"expiry garbage":    {`,"refresh_token":"r","refresh_token_expires_at":"soon"`, true},
	} {
		base := startServer(t, answerWith(201, `{"data":{"token":"t","token_expires_at":"`+later+`"`+test.fields+`}}`))
		grant, err := newSource(t, Config{BaseURL: base}).call(t, roomtoken.CallCreate)
		if err != nil || grant.Token.Value.Reveal() != "t" {
			t.Errorf("%s: the client token was dropped: %v", name, err)
		}
		if grant.RefreshToken.IsZero() == test.kept || !grant.RefreshToken.ExpiresAt.IsZero() {
			t.Errorf("%s: the refresh token is %q until %v", name, grant.RefreshToken.Value.Reveal(), grant.RefreshToken.ExpiresAt)
		}
	}
}
