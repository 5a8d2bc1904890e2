package redisstore_test

import (
	"fmt"
	"testing"

	"github.com/roomtoken/roomtoken"
)

func TestLoadKeepsTheOrder(t *testing.T) {
	f := newFleet(t)
	var ids []string
	for i := range roomtoken.MaxLoad {
		ids = append(ids, fmt.Sprint(i))
		if i%3 == 0 {
			f.publish(ids[i], "token "+ids[i])
		}
	}
	f.lease(ask("1"))
	entries, err := f.Load(t.Context(), ids)
	must(t, err)
	for i, e := range entries {
		want := "nothing"
		if i%3 == 0 {
			want = "record token " + ids[i]
		}
		if what(e) != want || e.Now == 0 {
			t.Errorf("room %d: %s, want %s", i, what(e), want)
		}
	}
	if e := f.acquire(ask("2")); what(e) != "lease" {
		t.Errorf("Load took a lease: %s", what(e))
	}
	if none, err := f.Load(t.Context(), nil); len(none) != 0 || err != nil {
		t.Errorf("of no rooms: %v, %v", none, err)
	}
}

// One command for each room, one round trip for all.
func TestLoadIsOneCommandPerRoom(t *testing.T) {
	f := newFleet(t)
	f.load("room")
	var calls commands
	client := newClient(t, shared)
	must(t, client.Ping(t.Context()).Err()) // a new connection has commands of its own
	client.AddHook(&calls)
	g := fleetOn(t, client)
	if _, err := g.Load(t.Context(), []string{"a", "b", "c", "d"}); err != nil {
		t.Fatal(err)
	}
	if n := calls.sent.Load(); n != 4 {
		t.Errorf("%d commands for 4 rooms", n)
	}
}

// A server that has lost its scripts, or never had them, gets their text.
func TestLostScripts(t *testing.T) {
	addr := ownServer(t)
	client := newClient(t, addr)
	var calls commands
	client.AddHook(&calls)
	f := fleetOn(t, client)
	lose := func() { must(t, client.ScriptFlush(t.Context()).Err()) }
	steps := map[string]func(){
		"Acquire": func() { f.acquire(ask("room")) },
		"Commit":  func() { f.commit(roomtoken.Lease{RoomID: "room", ID: "none"}, roomtoken.Result{}) },
		"Load": func() {
			_, err := f.Load(t.Context(), []string{"a", "b", "c"})
			must(t, err)
		},
		"Reject": func() { must(t, f.Reject(t.Context(), rejection("room", "one"))) },
		"Hold":   func() { must(t, f.Hold(t.Context(), 0, roomtoken.Failure{})) },
		"News":   func() { f.news("") },
	}
	for name, step := range steps {
		lose()
		before := calls.eval.Load()
		step()
		if n := calls.eval.Load() - before; n == 0 {
			t.Errorf("%s: no script was sent", name)
		}
		before = calls.eval.Load()
		step()
		if n := calls.eval.Load() - before; n != 0 {
			t.Errorf("%s: the script was sent again", name)
		}
	}
}
