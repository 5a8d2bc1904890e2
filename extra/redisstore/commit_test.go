package redisstore_test

import (
	"strings"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/extra/redisstore"
)

func TestCommitWithTheLease(t *testing.T) {
	f := newFleet(t)
	l := f.lease(ask("room"))
	r := record(l, "one")
	if c := f.commit(l, roomtoken.Result{Record: r}); !c.Taken || !c.Newer.IsZero() {
		t.Errorf("%+v", c)
	}
	if c := f.commit(l, roomtoken.Result{Record: r}); !c.Taken {
		t.Errorf("told again: %+v", c)
	}
	a := ask("room")
	a.Newer = r.Version
	next := f.lease(a)
	if c := f.commit(next, roomtoken.Result{Record: r}); c.Taken || !same(c.Newer, r) {
		t.Errorf("the same record, with another lease: %+v", c)
	}
	if e := f.acquire(a); what(e) != "lease" || e.Lease.Granted == next.Granted {
		t.Errorf("the lease did not end: %+v", e.Lease)
	}
	other := record(l, "other")
	if c := f.commit(l, roomtoken.Result{Record: other}); c.Taken || !same(c.Newer, r) {
		t.Errorf("another record of the same version: %+v", c)
	}
}

// A commit that comes after the lease is taken if nobody has published meanwhile.
func TestCommitAfterTheLease(t *testing.T) {
	f := newFleet(t)
	short := ask("room")
	short.TTL = time.Millisecond
	lost := f.lease(short)
	holder := until(t, f, "lease", ask("room")).Lease

	failure := roomtoken.Failure{Kind: roomtoken.FailureTransient, Count: 1}
	if c := f.commit(lost, roomtoken.Result{}); !c.Taken {
		t.Errorf("nothing: %+v", c)
	}
	if c := f.commit(lost, roomtoken.Result{Failure: failure, NotBefore: time.Millisecond}); !c.Taken {
		t.Errorf("a failure: %+v", c)
	}
	r := record(lost, "late")
	if c := f.commit(lost, roomtoken.Result{Record: r}); !c.Taken {
		t.Errorf("a record: %+v", c)
	}
	look := ask("room")
	look.Look, look.Newer = true, r.Version
	if e := f.acquire(look); what(e) != "busy" {
		t.Errorf("it took the lease of another: %s", what(e))
	}
	newest := record(holder, "newest")
	if c := f.commit(holder, roomtoken.Result{Record: newest}); !c.Taken {
		t.Errorf("the holder's record: %+v", c)
	}

	later := record(lost, "too late")
	later.Version = newest.Version + 1
	for _, result := range []roomtoken.Result{{Record: later}, {Failure: failure, NotBefore: time.Hour}, {}} {
		if c := f.commit(lost, result); c.Taken || !same(c.Newer, newest) {
			t.Errorf("with a newer record, %+v: %+v", result, c)
		}
	}
	if e := f.acquire(ask("room")); what(e) != "record newest" {
		t.Errorf("%s", what(e))
	}
}

// A lease that is over counts no more, although nobody else has taken it.
func TestCommitAfterTheLeaseOfNobody(t *testing.T) {
	f := newFleet(t)
	short := ask("room")
	short.TTL = time.Millisecond
	first := f.lease(short)
	last := until(t, f, "lease", ask("room")).Lease
	f.set("room", "expiry", int64(last.Granted))
	r := record(first, "one")
	if c := f.commit(first, roomtoken.Result{Record: r}); !c.Taken {
		t.Fatalf("%+v", c)
	}
	if c := f.commit(last, roomtoken.Result{Record: record(last, "two")}); c.Taken || !same(c.Newer, r) {
		t.Errorf("%+v", c)
	}
}

// An older record never replaces a newer one, not even with the lease.
func TestCommitOfAnOlderRecord(t *testing.T) {
	f := newFleet(t)
	r := f.publish("room", "new")
	a := ask("room")
	a.Newer = r.Version
	l := f.lease(a)
	old := record(l, "old")
	old.Version = r.Version - 1
	if c := f.commit(l, roomtoken.Result{Record: old}); c.Taken || !same(c.Newer, r) {
		t.Errorf("%+v", c)
	}
	a.ID += "b"
	if e := f.acquire(a); what(e) != "lease" {
		t.Errorf("the lease goes on: %s", what(e))
	}
}

func TestCommitOfARefusedToken(t *testing.T) {
	f := newFleet(t)
	l := f.lease(ask("room"))
	r := record(l, "one")
	must(t, f.Reject(t.Context(), roomtoken.Rejection{RoomID: "room", Token: r.Token.Digest(), Left: time.Hour}))
	if c := f.commit(l, roomtoken.Result{Record: r}); c.Taken || !c.Newer.IsZero() {
		t.Errorf("%+v", c)
	}
	if e := f.acquire(ask("room")); what(e) != "lease" {
		t.Errorf("%s", what(e))
	}
}

func TestCommitOfNothing(t *testing.T) {
	f := newFleet(t)
	r := f.publish("room", "one")
	a := ask("room")
	a.Newer = r.Version
	if c := f.commit(f.lease(a), roomtoken.Result{}); !c.Taken {
		t.Errorf("%+v", c)
	}
	if e := f.acquire(ask("room")); what(e) != "record one" || !same(e.Record, r) {
		t.Errorf("%s, %+v", what(e), e.Record)
	}
	a.ID += "b"
	if e := f.acquire(a); what(e) != "lease" {
		t.Errorf("%s", what(e))
	}
}

func TestFailureOfMoreThanADayIsNone(t *testing.T) {
	f := newFleet(t)
	f.fail("room", 24*time.Hour+time.Microsecond, roomtoken.Failure{Kind: roomtoken.FailurePermanent, Count: 1})
	if e := f.acquire(ask("room")); what(e) != "lease" || e.Failure != (roomtoken.Failure{}) {
		t.Errorf("%s, %+v", what(e), e.Failure)
	}
	f.fail("other", 24*time.Hour, roomtoken.Failure{Kind: roomtoken.FailurePermanent, Count: 1})
	if e := f.acquire(ask("other")); what(e) != "failure" {
		t.Errorf("of a day: %s", what(e))
	}
}

func TestLongTextIsCut(t *testing.T) {
	f := newFleet(t)
	f.fail("room", time.Minute, roomtoken.Failure{Kind: roomtoken.FailureTransient, Text: "x" + strings.Repeat("é", 600)})
	if e := f.acquire(ask("room")); what(e) != "failure" || e.Failure.Text != "x"+strings.Repeat("é", 511) {
		t.Errorf("%s, %d bytes", what(e), len(e.Failure.Text))
	}
}

// What cannot be stored is refused before anything is sent.
func TestCommitOfWhatCannotBeStored(t *testing.T) {
	f := newFleet(t)
	l := f.lease(ask("room"))
	for name, change := range map[string]func(*roomtoken.Record){
		"version": func(r *roomtoken.Record) { r.Version = 1 << 53 },
		"end":     func(r *roomtoken.Record) { r.Began = 1 << 53 },
		"start":   func(r *roomtoken.Record) { r.Began = -1 << 53 },
		"nothing": func(r *roomtoken.Record) { r.Version = 0 },
		"size":    func(r *roomtoken.Record) { r.Token = roomtoken.NewSecret(strings.Repeat("canary", 1<<14)) },
	} {
		r := record(l, "one")
		change(&r)
		if c, err := f.Commit(t.Context(), l, roomtoken.Result{Record: r}); err == nil || c.Taken || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
	}
}

// A store in the clear does the same.
func TestPlaintext(t *testing.T) {
	f := newFleet(t).with(redisstore.Config{AllowPlaintext: true})
	r := f.publish("room", "readable")
	if e := f.acquire(ask("room")); what(e) != "record readable" || !same(e.Record, r) {
		t.Errorf("%s", what(e))
	}
	if name := f.field("room"); name != "record" || !strings.Contains(f.stored("room"), "readable") {
		t.Error("it is not in the clear")
	}
}
