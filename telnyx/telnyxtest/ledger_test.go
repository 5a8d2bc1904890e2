package telnyxtest

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
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

func TestWaitHeldEndsWithItsContext(t *testing.T) {
	srv := Start(t, Config{})
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	if err := srv.WaitHeld(ctx, 1); !errors.Is(err, cause) {
		t.Errorf("got %v, want %v", err, cause)
	}
	if err := srv.WaitHeld(ctx, 0); err != nil {
		t.Errorf("got %v, want nil: the condition holds already", err)
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
