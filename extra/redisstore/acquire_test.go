package redisstore_test

import (
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
)

func TestAcquireAnswersInOrder(t *testing.T) {
	f := newFleet(t)
	first := ask("room")
	entry := f.acquire(first)
	l := entry.Lease
	if what(entry) != "lease" || l.RoomID != "room" || l.ID != first.ID || l.Version != 0 || l.Granted != entry.Now {
		t.Errorf("of a room that is not known: %s, %+v", what(entry), l)
	}
	if e := f.acquire(ask("room")); what(e) != "busy" || !near(e.Busy, 10*time.Second) {
		t.Errorf("with another's lease: %s, %v", what(e), e.Busy)
	}

	r := record(l, "one")
	f.commit(l, roomtoken.Result{Record: r})
	if e := f.acquire(ask("room")); what(e) != "record one" || !same(e.Record, r) {
		t.Errorf("with a record: %s, %+v, want %+v", what(e), e.Record, r)
	}
	newer := ask("room")
	newer.Newer = r.Version
	if e := f.acquire(newer); what(e) != "lease" || e.Lease.Version != r.Version {
		t.Errorf("with a record that the asker has: %s, %+v", what(e), e.Lease)
	}
	if e := f.acquire(ask("room")); what(e) != "record one" {
		t.Errorf("with a record and another's lease: %s", what(e))
	}
}

func TestAcquireIsRepeatable(t *testing.T) {
	f := newFleet(t)
	a := ask("room")
	l := f.lease(a)
	f.fail("other", time.Minute, roomtoken.Failure{Kind: roomtoken.FailureTransient, Count: 1})
	for range 3 {
		if e := f.acquire(a); e.Lease != l {
			t.Errorf("the same ask got %s, %+v; want %+v", what(e), e.Lease, l)
		}
	}
	a.Look = true
	if e := f.acquire(a); what(e) != "nothing" {
		t.Errorf("its holder looks: %s", what(e))
	}
}

func TestLookTakesNoLease(t *testing.T) {
	f := newFleet(t)
	look := ask("room")
	look.Look = true
	if e := f.acquire(look); what(e) != "nothing" {
		t.Errorf("of a room that is not known: %s", what(e))
	}
	noTTL := ask("room")
	noTTL.TTL = 0
	if e := f.acquire(noTTL); what(e) != "nothing" {
		t.Errorf("for no time: %s", what(e))
	}
	f.lease(ask("room"))
	for _, a := range []roomtoken.Ask{look, noTTL} {
		if e := f.acquire(a); what(e) != "busy" {
			t.Errorf("with another's lease: %s", what(e))
		}
	}
}

func TestFailureIsInForce(t *testing.T) {
	f := newFleet(t)
	failure := roomtoken.Failure{Kind: roomtoken.FailurePermanent, Count: 3, Text: "no such\x00room \xff"}
	f.fail("room", time.Minute, failure)
	if e := f.acquire(ask("room")); what(e) != "failure" || !near(e.NotBefore, time.Minute) || e.Failure != failure {
		t.Errorf("%s, %v, %+v", what(e), e.NotBefore, e.Failure)
	}
	if e := f.load("room"); what(e) != "failure" || !near(e.NotBefore, time.Minute) || e.Failure != failure {
		t.Errorf("loaded: %s, %v, %+v", what(e), e.NotBefore, e.Failure)
	}
	fresh := ask("room")
	fresh.Fresh = true
	e := f.acquire(fresh)
	if what(e) != "lease" || e.Failure != failure {
		t.Errorf("disregarded: %s, %+v", what(e), e.Failure)
	}
	if e := f.acquire(ask("room")); what(e) != "busy" {
		t.Errorf("disregarded by another: %s", what(e))
	}
	f.commit(e.Lease, roomtoken.Result{})
	if e := f.acquire(ask("room")); what(e) != "failure" {
		t.Errorf("after the lease was given back: %s", what(e))
	}
}

// A failure that is over is handed out with the next lease.
func TestFailureIsRemembered(t *testing.T) {
	f := newFleet(t)
	failure := roomtoken.Failure{Kind: roomtoken.FailureTransient, Count: 7, Text: "timeout"}
	f.fail("room", 0, failure)
	e := f.acquire(ask("room"))
	if what(e) != "lease" || e.Failure != failure {
		t.Errorf("%s, %+v", what(e), e.Failure)
	}
	if ttl := f.client.PTTL(t.Context(), f.key("room")).Val(); !near(ttl, time.Minute) {
		t.Errorf("it is remembered for %v, want a minute", ttl)
	}
	f.commit(e.Lease, roomtoken.Result{Failure: failure, NotBefore: time.Hour})
	if ttl := f.client.PTTL(t.Context(), f.key("room")).Val(); !near(ttl, 2*time.Hour+time.Minute) {
		t.Errorf("it is remembered for %v, want twice an hour and a minute", ttl)
	}
}

func TestRecordEndsTheFailure(t *testing.T) {
	f := newFleet(t)
	f.fail("room", 0, roomtoken.Failure{Kind: roomtoken.FailureTransient, Count: 7})
	r := f.publish("room", "one")
	a := ask("room")
	a.Newer = r.Version
	if e := f.acquire(a); what(e) != "lease" || e.Failure != (roomtoken.Failure{}) {
		t.Errorf("%s, %+v", what(e), e.Failure)
	}
}

// A failure of a room with a record leaves the record.
func TestFailureLeavesTheRecord(t *testing.T) {
	f := newFleet(t)
	r := f.publish("room", "one")
	a := ask("room")
	a.Newer = r.Version
	f.commit(f.lease(a), roomtoken.Result{Failure: roomtoken.Failure{Kind: roomtoken.FailureTransient, Count: 1}, NotBefore: time.Minute})
	if e := f.acquire(ask("room")); what(e) != "record one" {
		t.Errorf("for who has none: %s", what(e))
	}
	a = ask("room")
	a.Newer = r.Version
	if e := f.acquire(a); what(e) != "failure" {
		t.Errorf("for who has it: %s", what(e))
	}
	if e := f.load("room"); what(e) != "record one" {
		t.Errorf("loaded: %s", what(e))
	}
}

func TestLeaseEnds(t *testing.T) {
	f := newFleet(t)
	short := ask("room")
	short.TTL = 20 * time.Millisecond
	l := f.lease(short)
	second := until(t, f, "lease", ask("room"))
	if second.Lease.Granted < l.Granted.Add(short.TTL) {
		t.Errorf("the second lease began %v after the first, want at least %v", second.Lease.Granted.Sub(l.Granted), short.TTL)
	}
}

// until asks again and again until the answer is what is wanted.
func until(t *testing.T, f fleet, want string, a roomtoken.Ask) roomtoken.Entry {
	t.Helper()
	for range 2000 {
		e := f.acquire(a)
		if what(e) == want {
			return e
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("never got %s", want)
	return roomtoken.Entry{}
}

func TestRecordEndsWithItsToken(t *testing.T) {
	f := newFleet(t)
	l := f.lease(ask("room"))
	r := record(l, "one")
	r.Lifetime = 100 * time.Millisecond
	f.commit(l, roomtoken.Result{Record: r})
	if e := f.acquire(ask("room")); what(e) != "record one" {
		t.Fatalf("%s", what(e))
	}
	if e := until(t, f, "lease", ask("room")); e.Now < r.Ends() || e.Lease.Version != 0 {
		t.Errorf("a lease on version %d, %v after the end", e.Lease.Version, e.Now.Sub(r.Ends()))
	}
	f.commit(l, roomtoken.Result{})
}

// Nothing of a room stays for ever.
func TestEverythingEnds(t *testing.T) {
	f := newFleet(t)
	f.publish("record", "one")
	f.lease(ask("lease"))
	f.fail("failure", time.Minute, roomtoken.Failure{Kind: roomtoken.FailureTransient})
	must(t, f.Reject(t.Context(), roomtoken.Rejection{RoomID: "tombstone", Token: roomtoken.NewSecret("x").Digest(), Left: time.Hour, Refusals: 1}))
	must(t, f.Reject(t.Context(), roomtoken.Rejection{RoomID: "streak", Token: roomtoken.NewSecret("x").Digest(), Refusals: 1}))
	must(t, f.Hold(t.Context(), time.Minute, roomtoken.Failure{}))
	keys, err := f.client.Keys(t.Context(), "*"+f.prefix+"*").Result()
	if err != nil || len(keys) != 7 {
		t.Errorf("%d keys, %v: %q", len(keys), err, keys)
	}
	for _, key := range keys {
		if ttl := f.client.PTTL(t.Context(), key).Val(); ttl <= 0 || ttl > 2*time.Hour {
			t.Errorf("%s ends in %v", key, ttl)
		}
	}
	l := f.lease(ask("given back"))
	f.commit(l, roomtoken.Result{})
	if n := f.client.Exists(t.Context(), f.key("given back")).Val(); n != 0 {
		t.Error("a room whose lease was given back is still there")
	}
}
