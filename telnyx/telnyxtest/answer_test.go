package telnyxtest

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"
)

// What a client gets from a fault.
func TestAnswers(t *testing.T) {
	for _, tt := range []struct {
		name        string
		fault       Fault
		status      int
		contentType string
		text        string
	}{
		{
			"by status 503",
			Fault{Status: 503},
			503, "application/json; charset=utf-8",
			`{"errors":[{"code":"10007","title":"Unexpected error","detail":"An unexpected error occurred.",` +
				`"meta":{"url":"https://developers.telnyx.com/docs/overview/errors/10007"}}]}`,
		},
		{
			"by status 403",
			Fault{Status: 403},
			403, "application/json; charset=utf-8",
			`{"code":"10010","title":"Authorization failed","detail":"You do not have permission to perform the requested action on the specified resource or resources.",` +
				`"meta":{"url":"https://developers.telnyx.com/docs/overview/errors/10010"}}`,
		},
		{
			"by status 404",
			Fault{Status: 404},
			404, "application/json; charset=utf-8",
			`{"code":"10005","title":"Resource not found","detail":"The requested resource or URL could not be found.",` +
				`"meta":{"url":"https://developers.telnyx.com/docs/overview/errors/10005"}}`,
		},
		{"by status 302", Fault{Status: 302}, 302, "", ""},
		{"no content type", Fault{Status: 500, Body: RawBody("", "<html>")}, 500, "", "<html>"},
		{
			"list",
			Fault{Status: 500, Body: ErrorList(Error{Code: 7, Title: "t"}, Error{Code: "8", Title: "u", Source: map[string]string{"pointer": "/x"}})},
			500, "application/json; charset=utf-8", `{"errors":[{"code":7,"title":"t"},{"code":"8","title":"u","source":{"pointer":"/x"}}]}`,
		},
		{"object", Fault{Status: 422, Body: ErrorObject(Error{Code: 7, Title: "t"})}, 422, "application/json; charset=utf-8", `{"code":7,"title":"t"}`},
		{
			"fields",
			Fault{Status: 422, Body: ErrorFields(map[string]string{"b": "is bad", "a": "is <missing>"})},
			422, "application/json; charset=utf-8", `{"errors":{"a":"is \u003cmissing\u003e","b":"is bad"}}`,
		},
		{
			"fields with lists",
			Fault{Status: 422, Body: ErrorFields(map[string][]string{"a": {"is bad", "is long"}})},
			422, "application/json; charset=utf-8", `{"errors":{"a":["is bad","is long"]}}`,
		},
		{
			"member",
			Fault{Status: 400, Body: ErrorMember(Error{Code: "7", Title: "t", Detail: "d"})},
			400, "application/json; charset=utf-8", `{"error":{"code":"7","title":"t","detail":"d"}}`,
		},
		{"message", Fault{Status: 500, Body: MessageBody}, 500, "application/json; charset=utf-8", `{"message":"Error","success":false}`},
		{"empty", Fault{Status: 500, Body: EmptyBody}, 500, "", ""},
		{"html", Fault{Status: 502, Body: HTMLBody}, 502, "text/html", HTMLBody.text},
		{"a page with 201", Fault{Status: 201, Body: HTMLBody}, 201, "text/html", HTMLBody.text},
		{"no data", Fault{Status: 201, Body: JSONBody(map[string]any{})}, 201, "application/json; charset=utf-8", `{}`},
		{"another content type", Fault{Status: 201, Body: JSONBody(1), Header: http.Header{"content-type": {"text/plain"}}}, 201, "text/plain", `1`},
		{"edited", Fault{Edit: func(data map[string]any) {
			clear(data)
			data["token"] = nil
		}}, 201, "application/json; charset=utf-8", `{"data":{"token":null}}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			srv, _ := startMock(t, Config{})
			tt.fault.Times = 1
			srv.Inject(tt.fault)
			got := post(t, srv, roomA, create, `{}`)
			if got.err != nil || got.status != tt.status || got.text != tt.text || got.header.Get("Content-Type") != tt.contentType {
				t.Errorf("got %d %q %q %v,\nwant %d %q %q", got.status, got.header.Get("Content-Type"), got.text, got.err, tt.status, tt.contentType, tt.text)
			}
			if date := got.header.Get("Date"); date != "Wed, 01 Jul 2026 12:00:00 GMT" {
				t.Errorf("Date %q", date)
			}
			if c := srv.Calls(); c.Injected != 1 || !srv.Requests()[0].Injected {
				t.Errorf("the fault is not counted or not logged: %+v", c)
			}
			post(t, srv, roomA, create, `{}`).data(t) // later calls are not affected
		})
	}
}

func TestFaultHeaders(t *testing.T) {
	srv := Start(t, Config{})
	srv.Inject(Fault{Times: 1, Header: http.Header{"x-ratelimit-limit": {"5, 5;w=1"}, "Retry-After": {"7"}, "Date": nil}})
	got := post(t, srv, roomA, create, `{}`)
	got.data(t)
	if got.header.Get("X-RateLimit-Limit") != "5, 5;w=1" || got.header.Get("Retry-After") != "7" {
		t.Errorf("headers %v", got.header)
	}
	if date, ok := got.header["Date"]; ok {
		t.Errorf("Date %v, want none", date)
	}
	if c := srv.Calls(); c.Injected != 0 {
		t.Errorf("Injected is %d, want 0: the fault only set headers", c.Injected)
	}
}

func TestRateLimitedFault(t *testing.T) {
	srv := Start(t, Config{})
	srv.Inject(RateLimited(1500 * time.Millisecond))
	got := post(t, srv, roomA, create, `{}`)
	if got.status != 429 || got.code() != "list 10011" || got.header.Get("Retry-After") != "2" ||
		got.header.Get("X-Ratelimit-Reset") != "2" || got.header.Get("X-Ratelimit-Remaining") != "0" {
		t.Errorf("got %d, %s, %v", got.status, got.code(), got.header)
	}
}

// Fault.TokenTTL applies to the response and to the token itself.
func TestTokenTTL(t *testing.T) {
	for _, tt := range []struct {
		ttl     time.Duration
		expires string
		want    error
	}{
		{2 * time.Second, "2026-07-01T12:00:02Z", nil},
		{-time.Hour, "2026-07-01T11:00:00Z", ErrExpired},
	} {
		srv, _ := startMock(t, Config{})
		srv.Inject(Fault{On: Create, TokenTTL: tt.ttl})
		data := post(t, srv, roomA, create, `{}`).data(t)
		if got := data["token_expires_at"]; got != tt.expires {
			t.Errorf("%v: expires at %s, want %s", tt.ttl, got, tt.expires)
		}
		if err := srv.Verify(roomA, data["token"]); !errors.Is(err, tt.want) {
			t.Errorf("%v: got %v, want %v", tt.ttl, err, tt.want)
		}
		if got := data["refresh_token_expires_at"]; got != "2026-07-01T13:00:00Z" {
			t.Errorf("%v: refresh token expires at %s", tt.ttl, got)
		}
	}
}

func TestTruncate(t *testing.T) {
	for _, f := range []Fault{
		{Truncate: true},
		{Truncate: true, Status: 500},
		{Truncate: true, Status: 500, Body: EmptyBody},
	} {
		srv := Start(t, Config{})
		f.Times = 1
		srv.Inject(f)
		got := post(t, srv, roomA, create, `{}`)
		if want := max(f.Status, 201); got.status != want || got.err == nil || !strings.Contains(got.err.Error(), "unexpected EOF") {
			t.Errorf("got %d, %v; want %d and half a body", got.status, got.err, want)
		}
		if full := f.Body.or(Create, 500).text; f.Status != 0 && got.text != full[:len(full)/2] {
			t.Errorf("got %q, want half of %q", got.text, full)
		}
		post(t, srv, roomA, create, `{}`).data(t)
	}
}
