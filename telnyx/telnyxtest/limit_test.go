package telnyxtest

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// Windows of 2 calls in 1.5 s. Each row is one call, after a wait.
func TestLimiter(t *testing.T) {
	var l limiter
	now := epoch
	if ok, header := l.take(now); !ok || header != nil {
		t.Errorf("the zero limiter returned %v, %v", ok, header)
	}
	l.set(2, 1500*time.Millisecond)
	for i, tt := range []struct {
		wait time.Duration
		want string // ok, limit, remaining, reset, Retry-After
	}{
		{0, "true 2 1 2 "},
		{499 * time.Millisecond, "true 2 0 2 "},
		{1 * time.Millisecond, "false 2 0 1 1"},
		{999 * time.Millisecond, "false 2 0 1 1"},
		{1 * time.Millisecond, "true 2 1 2 "},
		{time.Hour, "true 2 1 2 "},
	} {
		now = now.Add(tt.wait)
		ok, h := l.take(now)
		got := fmt.Sprint(ok, " ", h.Get("X-RateLimit-Limit"), " ", h.Get("X-RateLimit-Remaining"), " ",
			h.Get("X-RateLimit-Reset"), " ", h.Get("Retry-After"))
		if got != tt.want {
			t.Errorf("call %d: %s, want %s", i, got, tt.want)
		}
	}
	l.set(2, time.Hour)
	if ok, h := l.take(now); !ok || h.Get("X-RateLimit-Remaining") != "1" {
		t.Error("set did not reset the count")
	}
	l.set(0, 0)
	if ok, _ := l.take(now); !ok {
		t.Error("set(0, 0) did not remove the limit")
	}
}

// The limit applies to all rooms and both endpoints together. Faults do not count.
func TestSetRateLimit(t *testing.T) {
	srv, mock := startMock(t, Config{})
	srv.SetRateLimit(2, 10*time.Second)
	srv.Inject(Fault{Status: 503, Times: 1})
	var got []string
	for _, action := range []string{create, create, refresh, create, refresh} {
		room := roomA
		if action == refresh {
			room = roomB
		}
		a := post(t, srv, room, action, `{}`)
		got = append(got, fmt.Sprint(a.status, " ", a.header.Get("X-RateLimit-Remaining")))
		if a.status == 429 && (a.header.Get("Retry-After") != "10" || a.code() != "list 10011") {
			t.Errorf("%v %s", a.header, a.text)
		}
	}
	if want := "503 , 201 1, 422 0, 429 0, 429 0"; strings.Join(got, ", ") != want {
		t.Errorf("got %v, want %s", got, want)
	}
	mock.Add(10 * time.Second)
	post(t, srv, roomA, create, `{}`).data(t)
}
