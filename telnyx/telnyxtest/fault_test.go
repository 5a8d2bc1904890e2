package telnyxtest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/benbjohnson/clock"
)

// Which faults act on which calls. Each call is "create A" and so on, or "+3s"
// for time that passes; each outcome is a status, 201 where no fault decided.
func TestWhichCallsAFaultMeets(t *testing.T) {
	for _, tt := range []struct {
		name   string
		faults []Fault
		calls  string
		want   string
	}{
		{"no fault", nil, "create A, refresh A", "201, 201"},
		{"until removed", []Fault{{Status: 503}}, "create A, +240h, refresh B", "503, 503"},
		{"once", []Fault{{Status: 503, Times: 1}}, "create A, create A", "503, 201"},
		{"n times", []Fault{{Status: 503, Times: 2}}, "create A, refresh B, create A", "503, 503, 201"},
		{"for a while", []Fault{{Status: 503, For: 6 * time.Second}}, "create A, +5s, create A, +1s, create A", "503, 503, 201"},
		{"n times or a while, what ends first: times", []Fault{{Status: 503, Times: 1, For: time.Hour}}, "create A, create A", "503, 201"},
		{"n times or a while, what ends first: while", []Fault{{Status: 503, Times: 9, For: time.Second}}, "create A, +1s, create A", "503, 201"},
		{"on create", []Fault{{Status: 503, On: Create}}, "create A, refresh A", "503, 201"},
		{"on refresh", []Fault{{Status: 503, On: Refresh}}, "create A, refresh A", "201, 503"},
		{"on any", []Fault{{Status: 503, On: Any}}, "create A, refresh A", "503, 503"},
		{"on a room", []Fault{{Status: 503, Room: strings.ToUpper(roomA)}}, "create A, create B", "503, 201"},
		{"calls that do not match use nothing up", []Fault{{Status: 503, On: Refresh, Room: roomA, Times: 1}},
			"create A, refresh B, refresh A, refresh A", "201, 201, 503, 201"},
		{"in order", []Fault{{Status: 503, Times: 1}, {Status: 429, Times: 2}}, "create A, create A, create A, create A", "503, 429, 429, 201"},
		{"the first of two", []Fault{{Status: 503}, {Status: 429}}, "create A, create A", "503, 503"},
		{"a narrow one behind a wide one", []Fault{{Status: 503, Times: 1}, {Status: 429, Room: roomB, Times: 1}},
			"create B, create A, create B", "503, 201, 429"},
		{"headers join", []Fault{{Header: http.Header{"X": {"y"}}, Times: 1}, {Status: 503, Times: 1}}, "create A, create A", "503, 201"},
		{"an outage", []Fault{Outage(6 * time.Second)}, "create A, +6s, create A", "503, 201"},
		{"a rate limit", []Fault{RateLimited(6 * time.Second)}, "create A, +6s, create A", "429, 201"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			mock := clock.NewMock()
			mock.Set(epoch)
			srv := &Server{clock: mock}
			for _, f := range tt.faults {
				srv.Inject(f)
			}
			var got []string
			for call := range strings.SplitSeq(tt.calls, ", ") {
				if wait, ok := strings.CutPrefix(call, "+"); ok {
					d, _ := time.ParseDuration(wait)
					mock.Add(d)
					continue
				}
				endpoint, name, _ := strings.Cut(call, " ")
				p := srv.faults.plan(map[string]Endpoint{"create": Create, "refresh": Refresh}[endpoint],
					map[string]string{"A": roomA, "B": roomB}[name], mock.Now())
				got = append(got, fmt.Sprint(max(p.fault.Status, 201)))
			}
			if strings.Join(got, ", ") != tt.want {
				t.Errorf("got %v, want %s", got, tt.want)
			}
		})
	}
}

func TestRequestsToNowhereMeetNoFault(t *testing.T) {
	srv := Start(t, Config{})
	srv.Inject(Fault{Status: 503})
	if got := post(t, srv, roomA, "nothing", `{}`); got.status != 404 {
		t.Errorf("status %d, want 404", got.status)
	}
}

func TestRemove(t *testing.T) {
	srv := Start(t, Config{})
	removeFirst := srv.Inject(Fault{Status: 503})
	srv.Inject(Fault{Status: 500})
	removeFirst()
	removeFirst()
	if got := post(t, srv, roomA, create, `{}`); got.status != 500 {
		t.Errorf("status %d, want that of the fault that stays, 500", got.status)
	}
}

func TestInjectRefusesNonsense(t *testing.T) {
	srv := Start(t, Config{})
	for _, f := range []Fault{
		{},
		{On: Create, Room: roomA, Times: 1, For: time.Second},
		{On: 4, Status: 503},
		{Status: 503, Times: -1},
		{Status: 503, For: -1},
		{Latency: -1},
		{Status: 100},
		{Status: 600},
		{Body: HTMLBody},
		{Body: HTMLBody, Latency: time.Second},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%+v was accepted", f)
				}
			}()
			srv.Inject(f)
		}()
	}
}

// What a client sees of a faulty answer.
func TestAnswers(t *testing.T) {
	for _, tt := range []struct {
		name        string
		fault       Fault
		status      int
		contentType string
		text        string
	}{
		{"by status 503", Fault{Status: 503}, 503, "application/json; charset=utf-8",
			`{"errors":[{"code":"10007","title":"Unexpected error","detail":"An unexpected error occured.",` +
				`"meta":{"url":"https://developers.telnyx.com/docs/overview/errors/10007"}}]}`},
		{"by status 403", Fault{Status: 403}, 403, "application/json; charset=utf-8",
			`{"code":"10010","title":"Authorization failed","detail":"You do not have permission to perform the requested action on the specified resource or resources.",` +
				`"meta":{"url":"https://developers.telnyx.com/docs/overview/errors/10010"}}`},
		{"by status 302", Fault{Status: 302}, 302, "", ""},
		{"no content type", Fault{Status: 500, Body: RawBody("", "<html>")}, 500, "", "<html>"},
		{"list", Fault{Status: 500, Body: ErrorList(Error{Code: 7, Title: "t"}, Error{Code: "8", Title: "u", Source: map[string]string{"pointer": "/x"}})},
			500, "application/json; charset=utf-8", `{"errors":[{"code":7,"title":"t"},{"code":"8","title":"u","source":{"pointer":"/x"}}]}`},
		{"object", Fault{Status: 422, Body: ErrorObject(Error{Code: 7, Title: "t"})}, 422, "application/json; charset=utf-8", `{"code":7,"title":"t"}`},
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
				t.Errorf("the fault is not in the books: %+v", c)
			}
			post(t, srv, roomA, create, `{}`).data(t) // the connection and the server are fine
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
		t.Errorf("%d calls were decided by a fault, want 0: it was headers alone", c.Injected)
	}
}

// Delays and headers join a fault that decides, whichever came first.
func TestDelaysAndHeadersJoin(t *testing.T) {
	srv, mock := startMock(t, Config{})
	srv.Inject(Fault{Header: http.Header{"First": {"1"}}})
	srv.Inject(Fault{Status: 503})
	srv.Inject(Fault{Header: http.Header{"Last": {"2"}}, Latency: time.Second})
	done := background(t.Context(), srv, roomA, create, `{}`)
	waitHeld(t, srv, 1)
	mock.Add(time.Second)
	if got := <-done; got.status != 503 || got.header.Get("First") != "1" || got.header.Get("Last") != "2" {
		t.Errorf("got %d, %v", got.status, got.header)
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

// The lifetime of a fault's token is the server's word: in the answer and in the
// token.
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

// Latency is by Config.Clock; the answer is as old as it took. Several add up.
func TestLatency(t *testing.T) {
	srv, mock := startMock(t, Config{})
	srv.Inject(Fault{Latency: 3 * time.Second})
	srv.Inject(Fault{Latency: 2 * time.Second, Times: 1})
	done := background(t.Context(), srv, roomA, create, `{"token_ttl_secs":10}`)
	waitHeld(t, srv, 1)
	mock.Add(5*time.Second - 1)
	select {
	case got := <-done:
		t.Fatalf("answered early: %+v", got)
	default:
	}
	if c := srv.Calls(); c.InFlight != 1 || c.Rooms[roomA].InFlight != 1 {
		t.Errorf("%+v, want one in flight", c)
	}
	mock.Add(1)
	got := <-done
	if expires := got.data(t)["token_expires_at"]; expires != "2026-07-01T12:00:10Z" {
		t.Errorf("expires at %s, want 10 s from the arrival", expires)
	}
	if date := got.header.Get("Date"); date != "Wed, 01 Jul 2026 12:00:00 GMT" {
		t.Errorf("Date %q, want that of the arrival", date)
	}
	if took := srv.Requests()[0].Took; took != 5*time.Second {
		t.Errorf("took %v, want 5s", took)
	}
}

// A call that hangs is answered when the fault is removed, whatever Times says.
func TestHangUntilRemoved(t *testing.T) {
	srv, mock := startMock(t, Config{})
	remove := srv.Inject(Fault{Hang: true, Latency: time.Second, Times: 1})
	done := background(t.Context(), srv, roomA, create, `{}`)
	waitHeld(t, srv, 1)
	post(t, srv, roomB, create, `{}`).data(t) // Times is used up
	mock.Add(time.Second)
	waitHeld(t, srv, 1)
	select {
	case got := <-done:
		t.Fatalf("answered while it should hang: %+v", got)
	default:
	}
	remove()
	(<-done).data(t)
}

// A call that hangs ends when its client leaves.
func TestHangUntilTheClientLeaves(t *testing.T) {
	ended := make(chan Request, 1)
	srv := Start(t, Config{OnRequest: func(r Request) { ended <- r }})
	srv.Inject(Fault{Hang: true})
	ctx, cancel := context.WithCancel(t.Context())
	done := background(ctx, srv, roomA, create, `{}`)
	waitHeld(t, srv, 1)
	cancel()
	if got := <-done; !errors.Is(got.err, context.Canceled) {
		t.Errorf("got %+v", got)
	}
	if r := <-ended; r.Status != 0 {
		t.Errorf("status %d in the log, want 0", r.Status)
	}
}

func TestReset(t *testing.T) {
	srv := Start(t, Config{})
	post(t, srv, roomA, create, `{}`).data(t) // so that the next one finds a connection open
	srv.Inject(Fault{Reset: true, Times: 1})
	if got := post(t, srv, roomA, create, `{}`); !errors.Is(got.err, syscall.ECONNRESET) {
		t.Errorf("got %+v, want a reset connection", got)
	}
	if c := srv.Calls(); c.Creates != 2 || c.Statuses[0] != 1 || c.InFlight != 0 {
		t.Errorf("%+v", c)
	}
	post(t, srv, roomA, create, `{}`).data(t)
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
		if full := f.Body.or(500).text; f.Status != 0 && got.text != full[:len(full)/2] {
			t.Errorf("got %q, want half of %q", got.text, full)
		}
		post(t, srv, roomA, create, `{}`).data(t)
	}
}

func TestKnownError(t *testing.T) {
	for code, text := range texts {
		if e := KnownError(code); e.Code != code || e.Title != text.title || e.Detail == "" {
			t.Errorf("%+v", e)
		}
	}
	for status, code := range codes {
		if _, ok := texts[code]; !ok {
			t.Errorf("status %d has the code %s, which has no text", status, code)
		}
	}
	if e := KnownError("20013"); e.Code != "20013" || e.Title != "" {
		t.Errorf("%+v", e)
	}
}

func TestJSONBodyPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a channel was written as JSON")
		}
	}()
	JSONBody(make(chan int))
}

func TestEndpointString(t *testing.T) {
	var got []string
	for _, e := range []Endpoint{0, Create, Refresh, Any} {
		got = append(got, e.String())
	}
	if want := []string{"other", "create", "refresh", "any"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
