package telnyxtest

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestCalls(t *testing.T) {
	srv, mock := startMock(t, Config{})
	data := post(t, srv, strings.ToUpper(roomA), create, `{}`).data(t)
	mock.Add(time.Second)
	post(t, srv, roomA, refresh, `{"refresh_token":"`+data["refresh_token"]+`"}`).data(t)
	post(t, srv, roomA, "refresh_access_token", `{"refresh_token":"x"}`)
	post(t, srv, roomA, "nothing", `{}`)
	remove := srv.Inject(Fault{Status: 503, Room: roomB})
	post(t, srv, roomB, create, `{}`)
	remove()

	want := Calls{
		Creates: 2, Refreshes: 2, Other: 1, Injected: 1, MaxInFlight: 1,
		Rooms: map[string]RoomCalls{
			roomA: {Creates: 1, Refreshes: 2, MaxInFlight: 1},
			roomB: {Creates: 1, MaxInFlight: 1},
		},
		Statuses: map[int]int{201: 2, 403: 1, 404: 1, 503: 1},
	}
	got := srv.Calls()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v,\nwant %+v", got, want)
	}
	got.Rooms[roomA], got.Statuses[201] = RoomCalls{}, 0 // must be a copy
	if again := srv.Calls(); !reflect.DeepEqual(again, want) {
		t.Errorf("changing the result of Calls changed the counters: %+v", again)
	}

	later := epoch.Add(time.Second)
	wantLog := []Request{
		{At: epoch, Endpoint: Create, Room: roomA, Status: 201},
		{At: later, Endpoint: Refresh, Room: roomA, Status: 201},
		{At: later, Endpoint: Refresh, Room: roomA, Status: 403, Legacy: true},
		{At: later, Room: roomA, Status: 404},
		{At: later, Endpoint: Create, Room: roomB, Status: 503, Injected: true},
	}
	if got := srv.Requests(); !reflect.DeepEqual(got, wantLog) {
		t.Errorf("log\n%+v, want\n%+v", got, wantLog)
	}
}

func TestMaxInFlight(t *testing.T) {
	srv := Start(t, Config{})
	remove := srv.Inject(Fault{Hang: true})
	var done []<-chan answer
	for _, room := range []string{roomA, roomA, roomB} {
		done = append(done, background(t.Context(), srv, room, create, `{}`))
	}
	waitHeld(t, srv, 3)
	if c := srv.Calls(); c.InFlight != 3 || c.Rooms[roomA].InFlight != 2 || c.Rooms[roomB].InFlight != 1 {
		t.Errorf("%+v", c)
	}
	remove()
	for _, d := range done {
		(<-d).data(t)
	}
	c := srv.Calls()
	if c.InFlight != 0 || c.MaxInFlight != 3 || c.Rooms[roomA].MaxInFlight != 2 || c.Rooms[roomB].MaxInFlight != 1 {
		t.Errorf("%+v", c)
	}
	// A call whose response has arrived is no longer in flight.
	for range 50 {
		post(t, srv, "11111111-2222-3333-4444-555555555555", create, `{}`).data(t)
	}
	if got := srv.Calls().Rooms["11111111-2222-3333-4444-555555555555"].MaxInFlight; got != 1 {
		t.Errorf("MaxInFlight is %d for consecutive calls, want 1", got)
	}
}

func TestLogIsBounded(t *testing.T) {
	l := newLedger()
	for i := range MaxRequests + 3 {
		l.end(Request{Status: i})
	}
	log := l.requests()
	if len(log) != MaxRequests || log[0].Status != 3 || log[MaxRequests-1].Status != MaxRequests+2 {
		t.Errorf("%d entries, from %d to %d", len(log), log[0].Status, log[len(log)-1].Status)
	}
}

// WaitRequests counts all requests that have ended, those that the log has dropped and
// those to unknown paths included. WaitCreates counts creates as Calls does: from their
// beginning.
func TestWaitRequestsAndCreates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLedger()
		srv := &Server{ledger: l}
		wait := func(f func(context.Context, int) error, n int) *atomic.Bool {
			var over atomic.Bool
			go func() {
				if err := f(t.Context(), n); err != nil {
					t.Error(err)
				}
				over.Store(true)
			}()
			return &over
		}
		requests, creates := wait(srv.WaitRequests, MaxRequests+2), wait(srv.WaitCreates, 2)
		check := func(when string, wantRequests, wantCreates bool) {
			t.Helper()
			synctest.Wait()
			if requests.Load() != wantRequests || creates.Load() != wantCreates {
				t.Errorf("%s: WaitRequests returned: %v, want %v; WaitCreates: %v, want %v",
					when, requests.Load(), wantRequests, creates.Load(), wantCreates)
			}
		}
		for range MaxRequests {
			l.begin(Request{})
			l.end(Request{})
		}
		check("after other requests", false, false)
		l.begin(Request{Endpoint: Refresh})
		l.begin(Request{Endpoint: Create})
		check("one create", false, false)
		l.begin(Request{Endpoint: Create})
		check("two creates", false, true)
		l.end(Request{Endpoint: Create})
		check("one request before the last", false, true)
		l.end(Request{Endpoint: Refresh})
		check("the last request", true, true)
	})
}

func TestWaitsEndWithTheirContexts(t *testing.T) {
	srv := Start(t, Config{})
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	for name, wait := range map[string]func(context.Context, int) error{
		"WaitHeld": srv.WaitHeld, "WaitRequests": srv.WaitRequests, "WaitCreates": srv.WaitCreates,
	} {
		if err := wait(ctx, 1); !errors.Is(err, cause) {
			t.Errorf("%s: got %v, want %v", name, err, cause)
		}
		if err := wait(ctx, 0); err != nil {
			t.Errorf("%s: got %v, want nil: the condition holds already", name, err)
		}
	}
}

// OnRequest is called before the response is sent and can delay it. The call is in flight
// meanwhile.
func TestOnRequest(t *testing.T) {
	requests, release := make(chan Request), make(chan struct{})
	srv := Start(t, Config{OnRequest: func(r Request) { requests <- r; <-release }})
	done := background(t.Context(), srv, roomA, create, `{}`)
	if r := <-requests; r.Endpoint != Create || r.Room != roomA || r.Status != 201 {
		t.Errorf("%+v", r)
	}
	select {
	case <-done:
		t.Error("response before OnRequest returned")
	default:
	}
	if c := srv.Calls(); c.InFlight != 1 {
		t.Errorf("%d in flight, want 1", c.InFlight)
	}
	close(release)
	(<-done).data(t)
}
