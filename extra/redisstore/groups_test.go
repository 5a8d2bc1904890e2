package redisstore_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/extra/redisstore"
)

// groups returns stores of processes without a common key.
func (f fleet) groups() map[string]fleet {
	return map[string]fleet{
		"first": f, "second": f.with(keys(2)), "two keys": f.with(keys(3, 4)), "plain": f.with(redisstore.Config{AllowPlaintext: true}),
	}
}

// issuer counts the calls for the rooms of a group.
type issuer struct {
	mu        sync.Mutex
	creates   int
	refreshes int
	spent     map[string]bool // refresh tokens
	twice     int             // refreshes with a refresh token that was spent
}

// call makes a refresh of the record that the caller has, a create if it has none.
func (i *issuer) call(has, next roomtoken.Record) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if has.IsZero() {
		i.creates++
	} else {
		i.refreshes++
		refresh := has.RefreshToken.Reveal()
		if i.spent[refresh] {
			i.twice++
		}
		i.spent[refresh] = true
	}
	i.spent[next.RefreshToken.Reveal()] = false
}

// renew gets a record of a room that is newer than the one that a process has.
func (f fleet) renew(roomID string, has roomtoken.Record, source *issuer) (roomtoken.Record, error) {
	for range 10_000 {
		a := ask(roomID)
		a.Newer = has.Version
		e, err := f.Acquire(f.t.Context(), a)
		switch {
		case err != nil || !e.Record.IsZero():
			return e.Record, err
		case !e.Lease.IsZero():
			next := record(e.Lease, a.ID)
			source.call(has, next)
			c, err := f.Commit(f.t.Context(), e.Lease, roomtoken.Result{Record: next})
			if err == nil && !c.Taken {
				err = fmt.Errorf("not taken: %+v", c)
			}
			return next, err
		}
		time.Sleep(time.Millisecond) // another has the lease
	}
	return roomtoken.Record{}, fmt.Errorf("never got a record of %s", roomID)
}

// Processes without a common key make one call per group, room and renewal, whoever comes
// first, and spend no refresh token twice.
func TestOneCallPerGroup(t *testing.T) {
	const perGroup, rooms, renewals = 3, 4, 5
	f := newFleet(t)
	sources := make(map[string]*issuer)
	type holding struct {
		fleet
		source *issuer
		roomID string
		has    roomtoken.Record
	}
	var all []*holding
	for name, s := range f.groups() {
		sources[name] = &issuer{spent: make(map[string]bool)}
		for range perGroup {
			for room := range rooms {
				all = append(all, &holding{s, sources[name], fmt.Sprint(room), roomtoken.Record{}})
			}
		}
	}
	for range 1 + renewals {
		var wg sync.WaitGroup
		for _, h := range all {
			wg.Go(func() {
				next, err := h.renew(h.roomID, h.has, h.source)
				if err != nil || next.Version <= h.has.Version {
					t.Errorf("%+v, %v; had %+v", next, err, h.has)
				}
				h.has = next
			})
		}
		wg.Wait()
	}
	for name, source := range sources {
		if source.creates != rooms || source.refreshes != rooms*renewals || source.twice != 0 {
			t.Errorf("group %s: %d creates and %d refreshes of %d rooms in %d renewals, %d with a refresh token that was spent",
				name, source.creates, source.refreshes, rooms, renewals, source.twice)
		}
	}
}

// Each group has a record of its own, which others neither see nor replace.
func TestGroupsHaveTheirOwnRecords(t *testing.T) {
	f := newFleet(t)
	groups := f.groups()
	published := make(map[string]roomtoken.Record)
	for name, s := range groups {
		if e := s.load("room"); what(e) != "nothing" {
			t.Errorf("%s: loaded %s", name, what(e))
		}
		l := s.lease(ask("room"))
		if l.Version != 0 {
			t.Errorf("%s: the lease %+v", name, l)
		}
		published[name] = record(l, name)
		if c := s.commit(l, roomtoken.Result{Record: published[name]}); !c.Taken {
			t.Errorf("%s: %+v", name, c)
		}
	}
	for name, s := range groups {
		if e := s.load("room"); what(e) != "record "+name {
			t.Errorf("%s: loaded %s", name, what(e))
		}
		a := ask("room")
		if e := s.acquire(a); what(e) != "record "+name {
			t.Errorf("%s: %s", name, what(e))
		}
		a.Newer = published[name].Version
		e := s.acquire(a)
		if what(e) != "lease" || e.Lease.Version != published[name].Version {
			t.Errorf("%s: %s, given on %d, want %d", name, what(e), e.Lease.Version, published[name].Version)
		}
		s.commit(e.Lease, roomtoken.Result{})
	}
	if n := len(f.fields("room")); n != len(groups) {
		t.Errorf("%d records of %d groups", n, len(groups))
	}
}

// Who has keys of two groups writes for one of them, and leaves the other its record.
func TestBetweenGroups(t *testing.T) {
	f := newFleet(t)
	other, both := f.with(keys(2)), f.with(keys(1, 2))
	f.publish("room", "ours")
	theirs := other.publish("room", "theirs")
	a := ask("room")
	if e := both.acquire(a); !same(e.Record, theirs) {
		t.Errorf("%s, want the newest of both", what(e))
	}
	a.Newer = theirs.Version
	l := both.lease(a)
	both.commit(l, roomtoken.Result{Record: record(l, "between")})
	if e := f.load("room"); what(e) != "record between" {
		t.Errorf("%s, want that of its first key", what(e))
	}
	if e := other.load("room"); !same(e.Record, theirs) {
		t.Errorf("%s, want that of the other group", what(e))
	}
}

// All but the records belongs to everybody.
func TestGroupsShareTheRest(t *testing.T) {
	f := newFleet(t)
	other := f.with(keys(2))
	l := f.lease(ask("room"))
	if e := other.acquire(ask("room")); what(e) != "busy" {
		t.Errorf("the lease: %s", what(e))
	}
	failure := roomtoken.Failure{Kind: roomtoken.FailurePermanent, Count: 3, Text: "no"}
	f.commit(l, roomtoken.Result{Failure: failure, NotBefore: time.Minute})
	if e := other.acquire(ask("room")); what(e) != "failure" || e.Failure != failure {
		t.Errorf("the failure: %s, %+v", what(e), e.Failure)
	}
	other.publish("refused", "other")
	must(t, f.Reject(t.Context(), rejection("refused", "one")))
	a := ask("refused")
	a.Newer = 1<<53 - 2
	l = other.lease(a)
	if c := other.commit(l, roomtoken.Result{Record: record(l, "one")}); c.Taken {
		t.Error("a token came back that another group has refused")
	}
	if e := f.acquire(ask("refused")); e.Refusals != 1 {
		t.Errorf("%s, %d refusals, although the record of another group is there", what(e), e.Refusals)
	}
}

// A commit after the lease is refused because of a newer record of the same group only.
func TestFencingWithinAGroup(t *testing.T) {
	f := newFleet(t)
	other := f.with(keys(2))
	late := func() roomtoken.Lease {
		l := f.lease(ask("room"))
		f.client.HDel(t.Context(), f.key("room"), "lease")
		return l
	}
	lost, newer := late(), late()
	theirs := other.publish("room", "theirs")
	if c := f.commit(lost, roomtoken.Result{}); !c.Taken {
		t.Errorf("nothing: %+v", c)
	}
	if c := f.commit(newer, roomtoken.Result{Record: record(newer, "ours")}); !c.Taken {
		t.Errorf("with a newer record of another group: %+v", c)
	}
	if c := f.commit(lost, roomtoken.Result{Record: record(lost, "lost")}); c.Taken || !same(c.Newer, record(newer, "ours")) {
		t.Errorf("with a newer record of its own group: %+v", c)
	}
	if e := other.load("room"); !same(e.Record, theirs) {
		t.Errorf("the other group has %s", what(e))
	}
}

// A token that was refused is dropped under whichever names it stands, and no other token.
func TestRejectDropsUnderAnyName(t *testing.T) {
	f := newFleet(t)
	plain := f.with(redisstore.Config{AllowPlaintext: true})
	refuse := map[string]func(roomID string){
		"Reject": func(roomID string) { must(t, plain.Reject(t.Context(), rejection(roomID, "refused"))) },
		"Acquire": func(roomID string) {
			a := ask(roomID)
			a.Look, a.Refused = true, rejection(roomID, "refused")
			plain.acquire(a)
		},
	}
	for name, do := range refuse {
		f.publish(name, "refused")
		f.with(keys(2)).publish(name, "good")
		f.with(keys(3)).publish(name, "refused")
		do(name)
		if e := f.with(keys(1, 3)).load(name); what(e) != "nothing" {
			t.Errorf("%s: loaded %s", name, what(e))
		}
		if e := f.with(keys(2)).load(name); what(e) != "record good" {
			t.Errorf("%s: of the others %s", name, what(e))
		}
	}
}

// The record of a group that is no more goes with the next change after its end. Reading
// changes nothing.
func TestRecordsThatHaveEndedAreRemoved(t *testing.T) {
	f := newFleet(t)
	change := map[string]func(roomID string){
		"Acquire": func(roomID string) { f.lease(ask(roomID)) },
		"Commit": func(roomID string) {
			f.commit(roomtoken.Lease{RoomID: roomID, ID: "none"}, roomtoken.Result{Failure: roomtoken.Failure{Kind: roomtoken.FailureTransient}})
		},
		"Reject": func(roomID string) { must(t, f.Reject(t.Context(), rejection(roomID, "refused"))) },
	}
	for name, do := range change {
		f.with(keys(2)).publish(name, "living")
		leaving := f.with(keys(3))
		l := leaving.lease(ask(name))
		r := record(l, "leaving")
		r.Lifetime = time.Millisecond
		leaving.commit(l, roomtoken.Result{Record: r})
		eventually(t, "the record has ended", func() bool { return what(leaving.load(name)) == "nothing" })
		if n := len(f.fields(name)); n != 2 {
			t.Errorf("%s: %d records before, want 2", name, n)
		}
		do(name)
		if n := len(f.fields(name)); n != 1 || what(f.with(keys(2)).load(name)) != "record living" {
			t.Errorf("%s: %d records after, want the one that lives", name, n)
		}
	}
}

// A room ends with the last of its records, whoever has written that, and whoever has
// written last.
func TestRoomEndsWithItsLastRecord(t *testing.T) {
	f := newFleet(t)
	renewal := ask("room")
	renewal.Newer = 1<<53 - 2
	lives := func(s fleet, life time.Duration) {
		l := s.lease(renewal)
		r := record(l, fmt.Sprint(life))
		r.Lifetime = life
		s.commit(l, roomtoken.Result{Record: r})
	}
	check := func(when string, want time.Duration) {
		t.Helper()
		if ttl := f.client.PTTL(t.Context(), f.key("room")).Val(); !near(ttl, want) {
			t.Errorf("%s: the room ends in %v, want %v", when, ttl, want)
		}
	}
	other, plain := f.with(keys(2)), f.with(redisstore.Config{AllowPlaintext: true})
	lives(f, 2*time.Hour)
	lives(other, 5*time.Hour)
	check("after the longest", 5*time.Hour)
	lives(plain, time.Hour)
	lives(f, 3*time.Hour)
	check("after others", 5*time.Hour)
	f.commit(f.lease(renewal), roomtoken.Result{})
	check("after a lease", 5*time.Hour)
	must(t, f.Reject(t.Context(), rejection("room", "5h0m0s")))
	check("without the longest", 3*time.Hour)
	if e := f.load("room"); what(e) != "record 3h0m0s" {
		t.Errorf("%s", what(e))
	}
}

// A process that cannot open what a lease ended with is woken, looks again, and finds the
// room free.
func TestWokenByAnotherGroup(t *testing.T) {
	f := newFleet(t)
	other := f.with(keys(2))
	w := f.wake()
	w.wait("")
	l := other.lease(ask("room"))
	a := waitingAsk("room")
	if e := f.acquire(a); what(e) != "busy" {
		t.Fatal(what(e))
	}
	other.commit(l, roomtoken.Result{Record: record(l, "theirs")})
	if got := w.wait("room"); !got.IsZero() {
		t.Errorf("woken with %+v", got)
	}
	if e := f.acquire(a); e.Lease.IsZero() {
		t.Errorf("then %s", what(e))
	}
}

// Where several records of one asker are damaged, it gets the lease all the same.
func TestAllRecordsAreDamaged(t *testing.T) {
	f := newFleet(t)
	both := f.with(keys(1, 2))
	f.publish("room", "one")
	f.with(keys(2)).publish("room", "two")
	for _, field := range f.fields("room") {
		f.set("room", field, f.client.HGet(t.Context(), f.key("room"), field).Val()+"x")
	}
	e := both.acquire(ask("room"))
	if what(e) != "lease, unreadable" || !damaged(e.Unreadable) {
		t.Fatalf("%s, %v", what(e), e.Unreadable)
	}
	if c := both.commit(e.Lease, roomtoken.Result{Record: record(e.Lease, "three")}); !c.Taken {
		t.Errorf("%+v", c)
	}
	if n := len(f.fields("room")); n != 1 {
		t.Errorf("%d records", n)
	}
	if e := both.acquire(ask("room")); what(e) != "record three" {
		t.Errorf("%s", what(e))
	}
}

// A record of others costs no command; one that is damaged costs one more.
func TestCommandsOfAnAsk(t *testing.T) {
	f := newFleet(t)
	other := f.with(keys(2))
	other.publish("theirs", "one")
	f.publish("damaged", "one")
	f.change("damaged", 48, 49, "x")
	f.publish("ours", "one")
	var calls commands
	client := newClient(t, shared)
	client.AddHook(&calls)
	must(t, client.Ping(t.Context()).Err()) // a new connection has commands of its own
	f.Store = newStore(t, client, redisstore.Config{Prefix: f.prefix, EncryptionKeys: [][]byte{testKey(1)}})
	for roomID, want := range map[string]int64{"unknown": 1, "ours": 1, "theirs": 1, "damaged": 2} {
		before := calls.sent.Load()
		f.acquire(ask(roomID))
		if n := calls.sent.Load() - before; n != want {
			t.Errorf("%s: %d commands, want %d", roomID, n, want)
		}
	}
}

// With one key, all that a room with a token takes is one field. A name of at most 14 bytes
// takes no more than one of seven.
func TestOneFieldPerRecord(t *testing.T) {
	f := newFleet(t)
	f.publish("room", "one")
	names, err := f.client.HKeys(t.Context(), f.key("room")).Result()
	if err != nil || len(names) != 1 || len(names[0]) != len("record")+4 || !strings.HasPrefix(names[0], "record") {
		t.Errorf("%q, %v", names, err)
	}
}
