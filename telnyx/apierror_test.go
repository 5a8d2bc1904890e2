package telnyx

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
)

// call makes a Create or a Refresh.
func (s *Source) call(t testing.TB, op string) (roomtoken.Grant, error) {
	if op == opCreate {
		return s.Create(t.Context(), testRoom)
	}
	return s.Refresh(t.Context(), testRoom, testRefreshToken)
}

func TestEveryStatusMeansWhatItShould(t *testing.T) {
	var passing error // none of the three
	permanent, rejected, limited := roomtoken.ErrPermanent, roomtoken.ErrRefreshRejected, roomtoken.ErrRateLimited
	tests := []struct {
		status          int
		create, refresh error
	}{
		{300, permanent, passing},
		{301, permanent, passing},
		{302, permanent, passing},
		{303, permanent, passing},
		{304, permanent, passing},
		{307, permanent, passing},
		{308, permanent, passing},
		{399, permanent, passing},
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
		{408, passing, passing},
		{409, passing, passing},
		{429, limited, limited},
		{500, passing, passing},
		{501, passing, passing},
		{502, passing, passing},
		{503, passing, passing},
		{504, passing, passing},
		{520, passing, passing},
		{599, passing, passing},
		{600, passing, passing},
		{999, passing, passing},
	}
	for _, test := range tests {
		base := startServer(t, answerWith(test.status, `{"errors":[{"code":"1","title":"T"}]}`, "Location: https://elsewhere.example/x"))
		source := newSource(t, Config{BaseURL: base})
		for op, want := range map[string]error{opCreate: test.create, opRefresh: test.refresh} {
			grant, err := source.call(t, op)
			var apiError *APIError
			if !errors.As(err, &apiError) || apiError.StatusCode != test.status || apiError.Op != op || apiError.RoomID != testRoom {
				t.Errorf("%s, %d: got %v; want an APIError", op, test.status, err)
				continue
			}
			if !grant.Token.IsZero() || errors.Is(err, roomtoken.ErrInvalidGrant) {
				t.Errorf("%s, %d: got a grant or ErrInvalidGrant: %v", op, test.status, err)
			}
			for _, sentinel := range []error{permanent, rejected, limited} {
				if got := errors.Is(err, sentinel); got != (sentinel == want) {
					t.Errorf("%s, %d: errors.Is(%v) is %v", op, test.status, sentinel, got)
				}
			}
		}
	}
}

func TestSuccessOfAnotherKindIsNoGrant(t *testing.T) {
	for _, status := range []int{202, 203, 204, 205, 206, 226, 299} {
		base := startServer(t, func(w http.ResponseWriter, r *http.Request) {
			if status == 204 {
				w.WriteHeader(status)
				return
			}
			now := time.Now()
			answerWith(status, grantBody("t", now.Add(time.Minute), "r", now.Add(time.Hour)))(w, r)
		})
		for _, op := range []string{opCreate, opRefresh} {
			_, err := newSource(t, Config{BaseURL: base}).call(t, op)
			if !errors.Is(err, roomtoken.ErrInvalidGrant) || !strings.Contains(err.Error(), fmt.Sprint(status)) {
				t.Errorf("%s, %d: got %v", op, status, err)
			}
		}
	}
}

func TestErrorBodies(t *testing.T) {
	tests := map[string]struct {
		body string
		want APIError // its texts
	}{
		"list": {
			`{"errors":[{"code":"10009","title":"Authentication failed","detail":"Could not find any usable credentials.","source":{"pointer":"/x","parameter":"y"},"meta":{"url":"u"}}]}`,
			APIError{Code: "10009", Title: "Authentication failed", Detail: "Could not find any usable credentials.", Source: ErrorSource{"/x", "y"}},
		},
		"number as code":         {`{"errors":[{"code":10033,"title":"T"}]}`, APIError{Code: "10033", Title: "T"}},
		"large number":           {`{"errors":[{"code":123456789012345678901234567890}]}`, APIError{Code: "123456789012345678901234567890"}},
		"top level":              {`{"code":"10010","title":"Forbidden","detail":"D","source":{"pointer":"/p"}}`, APIError{Code: "10010", Title: "Forbidden", Detail: "D", Source: ErrorSource{Pointer: "/p"}}},
		"message":                {`{"message":"Error","success":false}`, APIError{Title: "Error"}},
		"error as text":          {`{"error":"unauthorized"}`, APIError{Title: "unauthorized"}},
		"first useful one":       {`{"errors":[null,7,"x",[],{},{"meta":{}},{"code":"1"},{"code":"2"}]}`, APIError{Code: "1"}},
		"errors as an object":    {`{"errors":{"code":"1","detail":"D"}}`, APIError{Code: "1", Detail: "D"}},
		"errors as text":         {`{"errors":"x","title":"T"}`, APIError{Title: "T"}},
		"no errors":              {`{"errors":[],"title":"T"}`, APIError{Title: "T"}},
		"fields of wrong type":   {`{"errors":[{"code":true,"title":{},"detail":["x"],"source":"x","message":null}, {"code":3}]}`, APIError{Code: "3"}},
		"source of wrong type":   {`{"errors":[{"code":"1","source":[1],"title":"T"}]}`, APIError{Code: "1", Title: "T"}},
		"pointer of a number":    {`{"errors":[{"code":"1","source":{"pointer":{},"parameter":"p"}}]}`, APIError{Code: "1", Source: ErrorSource{Parameter: "p"}}},
		"unknown shape":          {`{"ok":false}`, APIError{}},
		"array":                  {`[{"code":"1"}]`, APIError{}},
		"empty":                  {``, APIError{}},
		"white space":            {" \r\n", APIError{}},
		"null":                   {`null`, APIError{Detail: "null"}},
		"half of it":             {`{"errors":[{"code":"10009","ti`, APIError{}},
		"deep":                   {strings.Repeat(`{"errors":[`, 20000), APIError{}},
		"text":                   {"upstream connect error or disconnect/reset before headers\n", APIError{Detail: "upstream connect error or disconnect/reset before headers"}},
		"HTML":                   {"<!DOCTYPE html>\n<html><head><TITLE>502 Bad\n Gateway</TITLE></head><body>x</body></html>", APIError{Detail: "an HTML page: 502 Bad Gateway"}},
		"HTML without a title":   {"<html><body>x</body></html>", APIError{Detail: "an HTML page"}},
		"HTML, title not closed": {"<title>x", APIError{Detail: "an HTML page"}},
		"control characters":     {`{"title":"a\u0000\u001b[31mb\r\nc\u202ed\u2028e  f"}`, APIError{Title: "a [31mb c d e f"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			base := startServer(t, answerWith(403, test.body, "X-Request-Id: req-1"))
			for _, op := range []string{opCreate, opRefresh} {
				_, err := newSource(t, Config{BaseURL: base}).call(t, op)
				var got *APIError
				if !errors.As(err, &got) {
					t.Fatalf("got %v", err)
				}
				want := test.want
				want.Op, want.RoomID, want.StatusCode, want.RequestID = op, testRoom, 403, "req-1"
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
			APIError{Op: opCreate, RoomID: testRoom, StatusCode: 401, Code: "10009"},
			"telnyx: create for room 0ccc7b54…: 401 Unauthorized: authentication failed (code 10009)",
		},
		{
			APIError{
				Op: opRefresh, RoomID: testRoom, StatusCode: 422, Code: "10033", Title: "Value out of range", Detail: "must be at least 10",
				Source: ErrorSource{Pointer: "/token_ttl_secs"}, RequestID: "abc",
			},
			"telnyx: refresh for room 0ccc7b54…: 422 Unprocessable Entity: Value out of range: must be at least 10 (code 10033, at /token_ttl_secs, request abc)",
		},
		{APIError{Op: opCreate, RoomID: testRoom, StatusCode: 599}, "telnyx: create for room 0ccc7b54…: status 599"},
		{
			APIError{Op: opCreate, RoomID: testRoom, StatusCode: 400, Source: ErrorSource{Parameter: "room_id"}},
			"telnyx: create for room 0ccc7b54…: 400 Bad Request (parameter room_id)",
		},
	}
	for _, test := range tests {
		if got := test.err.Error(); got != test.want {
			t.Errorf("got  %s\nwant %s", got, test.want)
		}
	}
	for _, code := range []string{"10005", "10009", "10010", "10011", "10033", "20006", "20012", "20013", "65001"} {
		if err := (&APIError{Op: opCreate, StatusCode: 403, Code: code}); !strings.Contains(err.Error(), ": "+codeNames[code]+" (code") || codeNames[code] == "" {
			t.Errorf("code %s has no name in %q", code, err)
		}
	}
}

func TestErrorTextsAreBoundedAndShowNoCredential(t *testing.T) {
	token := jwt(time.Unix(0, 0), time.Unix(600, 0))
	all := func(secret string) string { return strings.Repeat("ü", 200) + secret }
	for name, secret := range map[string]string{
		"API key": testKey, "refresh token": testRefreshToken.Value.Reveal(), "a token": token, "half a token": token[:100],
	} {
		t.Run(name, func(t *testing.T) {
			// Once in the clear, and once where the limit would cut it in two.
			for _, text := range []string{"invalid: " + secret + "!", strings.Repeat("x", maxServerText-5) + secret, all(secret), strings.Repeat(secret, 100)} {
				encoded, err := json.Marshal(map[string]any{"code": text, "title": text, "detail": text, "source": map[string]any{"pointer": text, "parameter": text}})
				if err != nil {
					t.Fatal(err)
				}
				for _, body := range []string{string(encoded), `{"errors":[` + string(encoded) + `]}`, text, "<title>" + text + "</title>"} {
					base := startServer(t, answerWith(400, body, "X-Request-Id: "+text, "Location: https://"+secret+"/"))
					for _, op := range []string{opCreate, opRefresh} {
						if name == "API key" && op == opRefresh || name == "refresh token" && op == opCreate {
							continue // was never sent there; below
						}
						_, err := newSource(t, Config{BaseURL: base}).call(t, op)
						shown := fmt.Sprintf("%v %+v %#v", err, err, err)
						if strings.Contains(shown, secret) || strings.Contains(shown, secret[:20]) {
							t.Fatalf("%s shows a credential: %s", op, shown)
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
	_, err := newSource(t, Config{BaseURL: base}).call(t, opRefresh)
	mustNotLeak(t, err.Error()) // the key is known to the Source, though not sent
}

func TestRedirectErrorSaysWhereTo(t *testing.T) {
	base := startServer(t, answerWith(302, "", "Location: https://elsewhere.example/path?token=hunter2"))
	_, err := newSource(t, Config{BaseURL: base}).call(t, opCreate)
	if err == nil || !strings.Contains(err.Error(), "elsewhere.example") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v", err)
	}
	base = startServer(t, answerWith(302, "", "Location: /relative"))
	_, err = newSource(t, Config{BaseURL: base}).call(t, opCreate)
	if err == nil || !strings.Contains(err.Error(), "a redirect was refused") {
		t.Errorf("got %v", err)
	}
}

func TestCompressedErrorBodyIsNotShown(t *testing.T) {
	base := startServer(t, answerWith(500, "\x1f\x8bgarbage", "Content-Encoding: gzip"))
	_, err := newSource(t, Config{BaseURL: base}).call(t, opCreate)
	if err == nil || !strings.HasSuffix(err.Error(), "500 Internal Server Error") {
		t.Errorf("got %v", err)
	}
}

func TestClean(t *testing.T) {
	tests := []struct{ text, want string }{
		{"", ""},
		{" a ", "a"},
		{"\xff\xfea", "\ufffd\ufffda"},
		{"abc", "[redacted]c"},
		{"aab", "a[redacted]"},
		{"eyJust a word", "eyJust a word"},
		{"eyJ0123456789abcdef.x rest", "[redacted] rest"},
		{strings.Repeat("x", 40), strings.Repeat("x", 30) + "…"},
		{strings.Repeat("x", 30), strings.Repeat("x", 30)},
	}
	for _, test := range tests {
		if got := (redactor{"", "ab"}).clean(test.text, 30); got != test.want {
			t.Errorf("%q: got %q; want %q", test.text, got, test.want)
		}
	}
	if got := (redactor{"ab", "abc"}).clean("abcd", 30); got != "[redacted]d" {
		t.Errorf("of two credentials the longer must go: got %q", got)
	}
}
