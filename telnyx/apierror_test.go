package telnyx

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
)

// call calls Create or Refresh.
func (s *Source) call(t testing.TB, kind roomtoken.CallKind) (roomtoken.Grant, error) {
	if kind == roomtoken.CallCreate {
		return s.Create(t.Context(), testRoom)
	}
	return s.Refresh(t.Context(), testRoom, testRefreshToken)
}

func TestStatusesMapToSentinels(t *testing.T) {
	var transient error // none of the three
	permanent, rejected, limited := roomtoken.ErrPermanent, roomtoken.ErrRefreshRejected, roomtoken.ErrRateLimited
	tests := []struct {
		status          int
		create, refresh error
	}{
		{300, permanent, transient},
		{301, permanent, transient},
		{302, permanent, transient},
		{303, permanent, transient},
		{304, permanent, transient},
		{307, permanent, transient},
		{308, permanent, transient},
		{399, permanent, transient},
		{400, permanent, rejected},
		{401, permanent, rejected},
		{402, permanent, rejected},
		{403, permanent, rejected},
		{404, permanent, rejected},
		{405, permanent, rejected},
		{406, permanent, rejected},
		{410, permanent, rejected},
		{413, permanent, rejected},
		{415, permanent, rejected},
		{418, permanent, rejected},
		{422, permanent, rejected},
		{451, permanent, rejected},
		{499, permanent, rejected},
		{408, transient, transient},
		{409, transient, transient},
		{429, limited, limited},
		{500, transient, transient},
		{501, transient, transient},
		{502, transient, transient},
		{503, transient, transient},
		{504, transient, transient},
		{520, transient, transient},
		{599, transient, transient},
		{600, transient, transient},
		{999, transient, transient},
	}
	for _, test := range tests {
		base := startServer(t, answerWith(test.status, `{"errors":[{"code":"1","title":"T"}]}`, "Location: https://elsewhere.example/x"))
		source := newSource(t, Config{BaseURL: base})
		for kind, want := range map[roomtoken.CallKind]error{roomtoken.CallCreate: test.create, roomtoken.CallRefresh: test.refresh} {
			grant, err := source.call(t, kind)
			var apiError *APIError
			if !errors.As(err, &apiError) || apiError.StatusCode != test.status || apiError.Op != kind || apiError.RoomID != testRoom {
				t.Errorf("%s, %d: got %v; want an APIError", kind, test.status, err)
				continue
			}
			if !grant.Token.IsZero() || errors.Is(err, roomtoken.ErrInvalidGrant) {
				t.Errorf("%s, %d: got a grant or ErrInvalidGrant: %v", kind, test.status, err)
			}
			for _, sentinel := range []error{permanent, rejected, limited} {
				if got := errors.Is(err, sentinel); got != (sentinel == want) {
					t.Errorf("%s, %d: errors.Is(%v) is %v", kind, test.status, sentinel, got)
				}
			}
		}
	}
}

func TestOtherSuccessStatusesAreInvalidGrants(t *testing.T) {
	for _, status := range []int{202, 203, 204, 205, 206, 226, 299} {
		base := startServer(t, func(w http.ResponseWriter, r *http.Request) {
			if status == 204 {
				w.WriteHeader(status)
				return
			}
			now := time.Now()
			answerWith(status, grantBody("t", now.Add(time.Minute), "r", now.Add(time.Hour)))(w, r)
		})
		for _, kind := range bothKinds {
			_, err := newSource(t, Config{BaseURL: base}).call(t, kind)
			if !errors.Is(err, roomtoken.ErrInvalidGrant) || !strings.Contains(err.Error(), fmt.Sprint(status)) {
				t.Errorf("%s, %d: got %v", kind, status, err)
			}
		}
	}
}

func TestErrorBodies(t *testing.T) {
	tests := map[string]struct {
		body string
		want APIError // the texts only
	}{
		"list": {
			`{"errors":[{"code":"10009","title":"Authentication failed","detail":"Could not find any usable credentials.","source":{"pointer":"/x","parameter":"y"},"meta":{"url":"u"}}]}`,
			APIError{Code: "10009", Title: "Authentication failed", Detail: "Could not find any usable credentials.", Source: ErrorSource{"/x", "y"}},
		},
		"number as code":            {`{"errors":[{"code":10033,"title":"T"}]}`, APIError{Code: "10033", Title: "T"}},
		"large number":              {`{"errors":[{"code":123456789012345678901234567890}]}`, APIError{Code: "123456789012345678901234567890"}},
		"top level":                 {`{"code":"10010","title":"Forbidden","detail":"D","source":{"pointer":"/p"}}`, APIError{Code: "10010", Title: "Forbidden", Detail: "D", Source: ErrorSource{Pointer: "/p"}}},
		"message":                   {`{"message":"Error","success":false}`, APIError{Title: "Error"}},
		"error as a string":         {`{"error":"unauthorized"}`, APIError{Title: "unauthorized"}},
		"first nonempty one":        {`{"errors":[null,7,"x",[],{},{"meta":{}},{"code":"1"},{"code":"2"}]}`, APIError{Code: "1"}},
		"errors as an object":       {`{"errors":{"code":"1","detail":"D"}}`, APIError{Code: "1", Detail: "D"}},
		"errors as a string":        {`{"errors":"x","title":"T"}`, APIError{Title: "T"}},
		"message for a field":       {`{"errors":{"f":"m"}}`, APIError{Detail: "f: m"}},
		"messages for a field":      {`{"errors":{"f":["m"]}}`, APIError{Detail: "f: m"}},
		"messages for fields":       {`{"errors":{"b":["m","n"],"a":"o","c":null,"d":[{}],"e":{"x":"y"},"f":7}}`, APIError{Detail: "b: m, n; a: o; f: 7"}},
		"error as an object":        {`{"error":{"code":"10005","title":"T","detail":"D"}}`, APIError{Code: "10005", Title: "T", Detail: "D"}},
		"error and errors":          {`{"error":{"code":"1"},"errors":[{"code":"2"}]}`, APIError{Code: "2"}},
		"error beside a title":      {`{"title":"T","error":"x"}`, APIError{Title: "T"}},
		"byte order mark":           {"\ufeff" + `{"errors":[{"code":"1"}]}`, APIError{Code: "1"}},
		"no errors":                 {`{"errors":[],"title":"T"}`, APIError{Title: "T"}},
		"fields of the wrong type":  {`{"errors":[{"code":true,"title":{},"detail":["x"],"source":"x","message":null}, {"code":3}]}`, APIError{Code: "3"}},
		"source of the wrong type":  {`{"errors":[{"code":"1","source":[1],"title":"T"}]}`, APIError{Code: "1", Title: "T"}},
		"pointer of the wrong type": {`{"errors":[{"code":"1","source":{"pointer":{},"parameter":"p"}}]}`, APIError{Code: "1", Source: ErrorSource{Parameter: "p"}}},
		"unknown shape":             {`{"ok":false}`, APIError{}},
		"array":                     {`[{"code":"1"}]`, APIError{}},
		"empty":                     {``, APIError{}},
		"white space":               {" \r\n", APIError{}},
		"null":                      {`null`, APIError{Detail: "null"}},
		"truncated":                 {`{"errors":[{"code":"10009","ti`, APIError{}},
		"deep":                      {strings.Repeat(`{"errors":[`, 20000), APIError{}},
		"text":                      {"upstream connect error or disconnect/reset before headers\n", APIError{Detail: "upstream connect error or disconnect/reset before headers"}},
		"HTML":                      {"<!DOCTYPE html>\n<html><head><TITLE>502 Bad\n Gateway</TITLE></head><body>x</body></html>", APIError{Detail: "an HTML page: 502 Bad Gateway"}},
		"HTML without a title":      {"<html><body>x</body></html>", APIError{Detail: "an HTML page"}},
		"HTML, title not closed":    {"<title>x", APIError{Detail: "an HTML page"}},
		"control characters":        {`{"title":"a\u0000\u001b[31mb\r\nc\u202ed\u2028e  f"}`, APIError{Title: "a [31mb c d e f"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			base := startServer(t, answerWith(403, test.body, "X-Request-Id: req-1"))
			for _, kind := range bothKinds {
				_, err := newSource(t, Config{BaseURL: base}).call(t, kind)
				var got *APIError
				if !errors.As(err, &got) {
					t.Fatalf("got %v", err)
				}
				want := test.want
				want.Op, want.RoomID, want.StatusCode, want.RequestID = kind, testRoom, 403, "req-1"
				want.noun = "room"
				want.foreign = !isJSONOrEmpty([]byte(strings.TrimPrefix(test.body, "\ufeff")))
				if *got != want {
					t.Errorf("got  %+v\nwant %+v", *got, want)
				}
			}
		})
	}
}

func TestErrorText(t *testing.T) {
	tests := []struct {
		err  APIError
		want string
	}{
		{
			APIError{Op: roomtoken.CallCreate, RoomID: testRoom, StatusCode: 401, Code: "10009"},
			"telnyx: create for room 0ccc7b54…: 401 Unauthorized: authentication failed (code 10009)",
		},
		{
			APIError{
				Op: roomtoken.CallRefresh, RoomID: testRoom, StatusCode: 422, Code: "10033", Title: "Value out of range", Detail: "must be at least 10",
				Source: ErrorSource{Pointer: "/token_ttl_secs"}, RequestID: "abc",
			},
			"telnyx: refresh for room 0ccc7b54…: 422 Unprocessable Entity: Value out of range: must be at least 10 (code 10033, at /token_ttl_secs, request abc)",
		},
		{APIError{Op: roomtoken.CallCreate, RoomID: testRoom, StatusCode: 599}, "telnyx: create for room 0ccc7b54…: status 599"},
		{
			APIError{Op: roomtoken.CallCreate, RoomID: testRoom, StatusCode: 400, Source: ErrorSource{Parameter: "room_id"}},
			"telnyx: create for room 0ccc7b54…: 400 Bad Request (parameter room_id)",
		},
	}
	for _, test := range tests {
		if got := test.err.Error(); got != test.want {
			t.Errorf("got  %s\nwant %s", got, test.want)
		}
	}
	for _, code := range slices.Concat(accountCodes, roomCodes, []string{"10010", "10011", "10033", "20006"}) {
		if err := (&APIError{Op: roomtoken.CallCreate, StatusCode: 403, Code: code}); !strings.Contains(err.Error(), ": "+codeNames[code]+" (code") || codeNames[code] == "" {
			t.Errorf("code %s has no name in %q", code, err)
		}
	}
}

func TestErrorTextsAreBoundedAndRedacted(t *testing.T) {
	token := jwt(time.Unix(0, 0), time.Unix(600, 0))
	for name, secret := range map[string]string{
		"API key": testKey, "refresh token": testRefreshToken.Value.Reveal(), "token": token, "truncated token": token[:100],
	} {
		t.Run(name, func(t *testing.T) {
			// In the middle, where the limit would cut it in two, and repeated.
			for _, text := range []string{"invalid: " + secret + "!", strings.Repeat("x", maxServerText-5) + secret, strings.Repeat("ü", 200) + secret, strings.Repeat(secret, 100)} {
				encoded, err := json.Marshal(map[string]any{"code": text, "title": text, "detail": text, "source": map[string]any{"pointer": text, "parameter": text}})
				if err != nil {
					t.Fatal(err)
				}
				for _, body := range []string{string(encoded), `{"errors":[` + string(encoded) + `]}`, text, "<title>" + text + "</title>"} {
					base := startServer(t, answerWith(400, body, "X-Request-Id: "+text, "Location: https://"+secret+"/"))
					for _, kind := range bothKinds {
						if name == "API key" && kind == roomtoken.CallRefresh || name == "refresh token" && kind == roomtoken.CallCreate {
							continue // the call does not send it; see below
						}
						_, err := newSource(t, Config{BaseURL: base}).call(t, kind)
						shown := fmt.Sprintf("%v %+v %#v", err, err, err)
						if strings.Contains(shown, secret) || strings.Contains(shown, secret[:20]) {
							t.Fatalf("%s: the error contains a credential: %s", kind, shown)
						}
						if got := err.Error(); len(got) > 7*(maxServerText+20) {
							t.Errorf("the error has %d bytes", len(got))
						}
					}
				}
			}
		})
	}

	base := startServer(t, answerWith(400, `{"title":"`+testKey+`"}`))
	_, err := newSource(t, Config{BaseURL: base}).call(t, roomtoken.CallRefresh)
	mustNotLeak(t, err.Error()) // the Source knows the key, although it did not send it
}

func TestRedirectErrorNamesTheHost(t *testing.T) {
	base := startServer(t, answerWith(302, "", "Location: https://elsewhere.example/path?token=hunter2"))
	_, err := newSource(t, Config{BaseURL: base}).call(t, roomtoken.CallCreate)
	if err == nil || !strings.Contains(err.Error(), "elsewhere.example") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v", err)
	}
	base = startServer(t, answerWith(302, "", "Location: /relative"))
	_, err = newSource(t, Config{BaseURL: base}).call(t, roomtoken.CallCreate)
	if err == nil || !strings.Contains(err.Error(), "a redirect was refused") {
		t.Errorf("got %v", err)
	}
}

func TestCompressedErrorBodyIsIgnored(t *testing.T) {
	base := startServer(t, answerWith(500, "\x1f\x8bgarbage", "Content-Encoding: gzip"))
	_, err := newSource(t, Config{BaseURL: base}).call(t, roomtoken.CallCreate)
	if err == nil || !strings.HasSuffix(err.Error(), "500 Internal Server Error") {
		t.Errorf("got %v", err)
	}
}

func TestClean(t *testing.T) {
	tests := []struct{ text, want string }{
		{"", ""},
		{" a ", "a"},
		{"\xff\xfea", "\ufffd\ufffda"},
		{"credential", "[redacted]al"},
		{"credcredenti", "cred[redacted]"},
		{"a short key", "a short key"},
		{"eyJust a word", "eyJust a word"},
		{"eyJ0123456789abcdef.x rest", "[redacted] rest"},
		{strings.Repeat("x", 40), strings.Repeat("x", 30) + "…"},
		{strings.Repeat("x", 30), strings.Repeat("x", 30)},
	}
	for _, test := range tests {
		if got := (redactor{"", "short", "credenti"}).clean(test.text, 30); got != test.want {
			t.Errorf("%q: got %q; want %q", test.text, got, test.want)
		}
	}
	if got := (redactor{"credenti", "credentia"}).clean("credential", 30); got != "[redacted]l" {
		t.Errorf("got %q; want the longer of two credentials redacted", got)
	}
}
