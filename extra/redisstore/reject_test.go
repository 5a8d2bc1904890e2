package redisstore_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
)

func rejection(roomID, token string) roomtoken.Rejection {
	return roomtoken.Rejection{RoomID: roomID, Token: roomtoken.NewSecret(token).Digest(), Left: time.Hour, Refusals: 1}
}

func TestRejectDropsThatTokenOnly(t *testing.T) {
	f := newFleet(t)
	f.publish("room", "one")
	must(t, f.Reject(t.Context(), rejection("room", "other")))
	if e := f.acquire(ask("room")); what(e) != "record one" {
		t.Errorf("another token was refused: %s", what(e))
	}
	must(t, f.Reject(t.Context(), rejection("room", "one")))
	if e := f.load("room"); what(e) != "nothing" {
		t.Errorf("loaded: %s", what(e))
	}
	if e := f.acquire(ask("room")); what(e) != "lease" || e.Lease.Version != 0 {
		t.Errorf("%s, %+v", what(e), e.Lease)
	}
}

// An Ask carries a rejection that the store may not have heard of.
func TestAskWithARefusedToken(t *testing.T) {
	f := newFleet(t)
	r := f.publish("room", "one")
	a := ask("room")
	a.Look, a.Refused = true, rejection("room", "one")
	if e := f.acquire(a); what(e) != "nothing" {
		t.Errorf("%s", what(e))
	}
	if e := f.load("room"); what(e) != "nothing" {
		t.Errorf("loaded: %s", what(e))
	}
	l := f.lease(ask("room"))
	again := record(l, "one")
	again.Version = r.Version + 1
	if c := f.commit(l, roomtoken.Result{Record: again}); c.Taken {
		t.Error("the refused token came back")
	}
	f.publish("room", "two")
	if e := f.acquire(a); what(e) != "record two" {
		t.Errorf("with another record: %s", what(e))
	}
}

func TestTombstoneEndsWithItsToken(t *testing.T) {
	f := newFleet(t)
	refused := rejection("room", "one")
	refused.Left = 50 * time.Millisecond
	must(t, f.Reject(t.Context(), refused))
	a := ask("room")
	l := f.lease(a)
	for range 2000 {
		if f.commit(l, roomtoken.Result{Record: record(l, "one")}).Taken {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Error("the tombstone is still there")
}

// A tombstone is there for as long as it was ever told.
func TestTombstoneIsToldAgain(t *testing.T) {
	f := newFleet(t)
	refused := rejection("room", "one")
	must(t, f.Reject(t.Context(), refused))
	refused.Left = 0
	must(t, f.Reject(t.Context(), refused))
	l := f.lease(ask("room"))
	if f.commit(l, roomtoken.Result{Record: record(l, "one")}).Taken {
		t.Error("the refused token came back")
	}
}

// A room has 16 tombstones at most. Those that are told again stay in their place.
func TestOldestTombstoneGoes(t *testing.T) {
	f := newFleet(t)
	for i := range 17 {
		must(t, f.Reject(t.Context(), rejection("room", fmt.Sprint(i))))
		must(t, f.Reject(t.Context(), rejection("room", fmt.Sprint(max(i-1, 0)))))
	}
	if n := f.client.HStrLen(t.Context(), f.key("room"), "tombs").Val(); n != 16*32 {
		t.Errorf("%d bytes of tombstones", n)
	}
	for i := range 17 {
		l := f.lease(ask("room"))
		taken := f.commit(l, roomtoken.Result{Record: record(l, fmt.Sprint(i))}).Taken
		if taken != (i == 0) {
			t.Errorf("token %d: taken %v", i, taken)
		}
		if taken {
			f.client.HDel(t.Context(), f.key("room"), f.field("room"))
		}
	}
}

// The most refusals in a row that were told since the last record go to the next lease.
func TestRefusalsAreHandedOut(t *testing.T) {
	f := newFleet(t)
	f.publish("room", "one")
	for i, refusals := range []int{3, 5, 4} {
		r := rejection("room", "one")
		r.Refusals = refusals
		if i == 2 {
			a := ask("room")
			a.Look, a.Refused = true, r
			f.acquire(a)
			continue
		}
		must(t, f.Reject(t.Context(), r))
	}
	e := f.acquire(ask("room"))
	if what(e) != "lease" || e.Refusals != 5 {
		t.Errorf("%s, %d refusals", what(e), e.Refusals)
	}
	f.commit(e.Lease, roomtoken.Result{})
	if e = f.acquire(ask("room")); e.Refusals != 5 {
		t.Errorf("after the lease was given back: %d refusals", e.Refusals)
	}
	two := record(e.Lease, "two")
	f.commit(e.Lease, roomtoken.Result{Record: two})

	late := rejection("room", "one") // says nothing about the record that is there
	late.Refusals = 9
	must(t, f.Reject(t.Context(), late))
	a := ask("room")
	a.Newer = two.Version
	if e = f.acquire(a); what(e) != "lease" || e.Refusals != 0 {
		t.Errorf("with another record: %s, %d refusals", what(e), e.Refusals)
	}
	f.commit(e.Lease, roomtoken.Result{})
	must(t, f.Reject(t.Context(), rejection("room", "two")))
	if e = f.acquire(ask("room")); what(e) != "lease" || e.Refusals != 1 {
		t.Errorf("when that was refused: %s, %d refusals", what(e), e.Refusals)
	}
}
