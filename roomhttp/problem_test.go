package roomhttp_test

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/roomhttp"
	"github.com/roomtoken/roomtoken/roomtokentest"
)

var errInner = errors.New("inner text")

func TestStatus(t *testing.T) {
	for _, tt := range []struct {
		name       string
		err        error
		status     int
		code       string
		retryAfter time.Duration
	}{
		{"nil", nil, 200, "", 0},
		{"closed", roomtoken.ErrClosed, 503, "closing", 2 * time.Second},
		{"too many rooms", fmt.Errorf("x: %w", roomtoken.ErrTooManyRooms), 503, "too_many_rooms", 2 * time.Second},
		{"rate limited", roomtoken.RetryAfter(roomtoken.ErrRateLimited, time.Minute), 503, "rate_limited", time.Minute},
		{"rate limited for good", roomtoken.Permanent(roomtoken.ErrRateLimited), 503, "rate_limited", 2 * time.Second},
		{"room not found", roomtoken.ErrRoomNotFound, 404, "room_not_found", 0},
		{"unauthorized", roomtoken.ErrUnauthorized, 502, "source_refused", 0},
		{"permanent", roomtoken.RetryAfter(roomtoken.Permanent(errInner), time.Minute), 502, "source_refused", 0},
		{"unknown", errInner, 503, "unavailable", 2 * time.Second},
		{"too short", roomtoken.ErrTooShort, 503, "unavailable", 2 * time.Second},
		{"unauthenticated", roomhttp.ErrUnauthenticated, 401, "unauthenticated", 0},
		{"undecided", roomtoken.RetryAfter(roomhttp.ErrUnavailable, time.Minute), 503, "unavailable", time.Minute},
		{"of a room", &roomtoken.Error{RoomID: "lobby", Err: errInner, NotBefore: time.Now().Add(90 * time.Second)}, 503, "unavailable", 90 * time.Second},
		{"of a room that nothing holds back", &roomtoken.Error{RoomID: "lobby", Err: errInner}, 503, "unavailable", time.Second},
		{"a wait rounded up", roomtoken.RetryAfter(errInner, 3*time.Second+1), 503, "unavailable", 4 * time.Second},
		{"a short wait", roomtoken.RetryAfter(errInner, 1), 503, "unavailable", time.Second},
		{"no wait", roomtoken.RetryAfter(errInner, 0), 503, "unavailable", time.Second},
		{"a negative wait", roomtoken.RetryAfter(errInner, math.MinInt64), 503, "unavailable", time.Second},
		{"a wait for ever", roomtoken.RetryAfter(errInner, math.MaxInt64), 503, "unavailable", 365 * 24 * time.Hour},
	} {
		status, code, retryAfter := roomhttp.Status(tt.err)
		if status != tt.status || code != tt.code || retryAfter != tt.retryAfter {
			t.Errorf("%s: %d %q %v, want %d %q %v", tt.name, status, code, retryAfter, tt.status, tt.code, tt.retryAfter)
		}
	}
}

// What a failing source makes of a request for a token.
func TestProblemsOfTheSource(t *testing.T) {
	for _, tt := range []struct {
		err        error
		status     int
		code       string
		retryAfter string
	}{
		{roomtoken.ErrRoomNotFound, 404, "room_not_found", ""},
		{roomtoken.Permanent(errInner), 502, "source_refused", ""},
		{roomtoken.ErrUnauthorized, 502, "source_refused", ""},
		{roomtoken.RetryAfter(roomtoken.ErrRateLimited, 90*time.Second), 503, "rate_limited", "90"},
		{roomtoken.RetryAfter(errInner, 89*time.Second+time.Millisecond), 503, "unavailable", "90"},
	} {
		within(t, setup{}, func(t *testing.T, w *world) {
			w.source.Fail(fmt.Errorf("secret-%w", tt.err), -1)
			a := w.get("/rooms/lobby/token")
			p := decode(t, a.body)
			if a.status != tt.status || a.code(t) != tt.code || a.header.Get("Retry-After") != tt.retryAfter {
				t.Errorf("%v: %d %s %v", tt.err, a.status, a.body, a.header)
			}
			if p["type"] != "about:blank" || p["title"] != http.StatusText(tt.status) || p["status"] != float64(tt.status) || p["detail"] == "" {
				t.Errorf("%v: %s", tt.err, a.body)
			}
			if got, ok := p["retry_after"]; ok != (tt.retryAfter != "") || ok && fmt.Sprint(got) != tt.retryAfter {
				t.Errorf("%v: retry_after is %v", tt.err, got)
			}
			if strings.Contains(a.body, "secret") || strings.Contains(a.body, "lobby") || strings.Contains(a.body, "inner") {
				t.Errorf("the answer says too much: %s", a.body)
			}
			if log := w.log.String(); !strings.Contains(log, "secret") || !strings.Contains(log, "lobby") {
				t.Errorf("the log says too little: %s", log)
			}
			if got := w.stats(); got != (roomhttp.Stats{Failed: 1}) {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestProblemAfterClose(t *testing.T) {
	within(t, setup{}, func(t *testing.T, w *world) {
		w.manager.Close()
		for _, path := range []string{"/rooms/lobby/token", "/rooms/lobby/token/events"} {
			if a := w.get(path); a.status != 503 || a.code(t) != "closing" || a.header.Get("Retry-After") != "2" {
				t.Errorf("%s: %d %s", path, a.status, a.body)
			}
		}
		if got := w.stats(); got != (roomhttp.Stats{Failed: 2}) {
			t.Errorf("%+v", got)
		}
	})
}

// 401 says how to authenticate.
func TestUnauthenticatedNamesAScheme(t *testing.T) {
	handler, _ := newHandler(t, &roomtokentest.Source{}, roomhttp.Config{Authorize: func(*http.Request, string) error { return roomhttp.ErrUnauthenticated }})
	a := ask(handler, newRequest(http.MethodGet, "/rooms/lobby/token", ""))
	if a.header.Get("WWW-Authenticate") != "Bearer" {
		t.Errorf("%v", a.header)
	}
}

// The first check that fails decides.
func TestOrderOfChecks(t *testing.T) {
	const foreign = "Origin: https://evil.example"
	asked := 0
	var answerOfAuthorize error
	config := roomhttp.Config{
		Authorize:         func(*http.Request, string) error { asked++; return answerOfAuthorize },
		MaxStreamsPerRoom: 1,
	}
	within(t, setup{Config: config}, func(t *testing.T, w *world) {
		w.open("/rooms/full/token/events")
		asked = 0
		answerOfAuthorize = errForbidden
		for _, tt := range []struct {
			method, path, header, code string
			asked                      int
		}{
			{"PUT", "/rooms/a%00/tokens", foreign, "not_found", 0},
			{"POST", "/rooms/lobby/token/rejected", foreign, "not_found", 0}, // without AcceptRejections
			{"PUT", "/rooms/a%00/token", foreign, "cross_origin", 0},
			{"PUT", "/rooms/a%00/token", "", "method_not_allowed", 0},
			{"GET", "/rooms/a%00/token", "", "bad_room_id", 0},
			{"GET", "/rooms/full/token/events", "", "forbidden", 1},
		} {
			if a := w.do(tt.method, tt.path, "", tt.header); a.code(t) != tt.code || asked != tt.asked {
				t.Errorf("%s %s: %s, asked %d times; want %s, %d", tt.method, tt.path, a.body, asked, tt.code, tt.asked)
			}
		}
		answerOfAuthorize = nil
		if a := w.get("/rooms/full/token/events"); a.code(t) != "too_many_streams" || asked != 2 {
			t.Errorf("%s, asked %d times", a.body, asked)
		}
	})
}

// An outage makes a few lines per minute, and the rest is counted.
func TestLogIsBounded(t *testing.T) {
	within(t, setup{}, func(t *testing.T, w *world) {
		w.source.Fail(roomtoken.Permanent(errInner), -1)
		for range 50 {
			w.get("/rooms/lobby/token")
		}
		if n := strings.Count(w.log.String(), "level=WARN"); n != 2 {
			t.Errorf("%d lines at Warn, want 2", n)
		}
		if n := strings.Count(w.log.String(), "level=DEBUG"); n != 48 {
			t.Errorf("%d lines at Debug, want 48", n)
		}
		time.Sleep(time.Minute)
		w.get("/rooms/lobby/token")
		if !strings.Contains(w.log.String(), `msg="roomhttp: more of the same" code=source_refused lines=48`) {
			t.Error(w.log.String())
		}
	})
}

// The log shortens what a client can make long.
func TestLogShortensRoomIDs(t *testing.T) {
	within(t, setup{}, func(t *testing.T, w *world) {
		w.source.Fail(roomtoken.ErrRoomNotFound, -1)
		w.get("/rooms/" + strings.Repeat("a", 79) + "%C3%A4" + strings.Repeat("b", 100) + "/token")
		if log := w.log.String(); !strings.Contains(log, "room="+strings.Repeat("a", 79)+"... ") {
			t.Error(log)
		}
	})
}
