package redisstore_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/storeseal"
)

// soon returns an instant of the server's clock, as it stands in Redis.
func (f fleet) soon(d time.Duration) string {
	f.t.Helper()
	now, err := f.client.Time(f.t.Context()).Result()
	must(f.t, err)
	return fmt.Sprint(now.Add(d).UnixMicro())
}

// Nonsense in front of the record makes it absent, and is overwritten.
func TestNonsenseBesideTheRecord(t *testing.T) {
	version := func(with string) func(f fleet) { return func(f fleet) { f.change("room", 0, 16, with) } }
	ends := func(with string) func(f fleet) { return func(f fleet) { f.change("room", 16, 32, with) } }
	for name, change := range map[string]func(f fleet){
		"empty":             func(f fleet) { f.set("room", f.field("room"), "") },
		"cut":               func(f fleet) { f.set("room", f.field("room"), f.stored("room")[:47]) },
		"cut version":       version("179500000000000"),
		"text for version":  version("abcdefghijklmnop"),
		"negative version":  version("-000000000000005"),
		"fraction":          version("00000000000001.5"),
		"exponent":          version("0000000000001e15"),
		"spaces":            version("               5"),
		"hexadecimal":       version("0x00000000000010"),
		"nan":               version("             nan"),
		"no version":        version("0000000000000000"),
		"version too large": version("9007199254740992"),
		"text for end":      ends("tomorrow  -  soon"[:16]),
		"end in the past":   ends("0000000000000001"),
		"end too large":     ends("9007199254740992"),
		"too long":          func(f fleet) { f.set("room", f.field("room"), f.stored("room")+strings.Repeat("x", storeseal.MaxSize)) },
	} {
		f := newFleet(t)
		f.publish("room", "one")
		change(f)
		if e := f.load("room"); what(e) != "nothing" {
			t.Errorf("%s: loaded %s", name, what(e))
		}
		l := f.lease(ask("room"))
		if c := f.commit(l, roomtoken.Result{Record: record(l, "two")}); !c.Taken {
			t.Errorf("%s: %+v", name, c)
		}
		if e := f.acquire(ask("room")); what(e) != "record two" {
			t.Errorf("%s: then %s", name, what(e))
		}
	}
}

// A lease removes what is nonsense, under whichever name, also if nothing comes of it.
func TestLeaseRemovesNonsense(t *testing.T) {
	f := newFleet(t)
	f.publish("room", "one")
	f.change("room", 0, 1, "x")
	f.set("room", "record", "x", "recordnone", "x", "record of a longer name", "x")
	e := f.acquire(ask("room"))
	if what(e) != "lease" {
		t.Errorf("%s, %v", what(e), e.Unreadable)
	}
	f.commit(e.Lease, roomtoken.Result{})
	if n := f.client.Exists(t.Context(), f.key("room")).Val(); n != 0 {
		t.Errorf("%v stays", f.client.HGetAll(t.Context(), f.key("room")).Val())
	}
}

// More nonsense than a script can remove at a time is removed in the end.
func TestLeaseRemovesMuchNonsense(t *testing.T) {
	f := newFleet(t)
	for i := range 20 {
		var fields []any
		for j := range 1000 {
			fields = append(fields, fmt.Sprint("record", i, "-", j), "x")
		}
		f.set("room", fields...)
	}
	for range 11 {
		f.commit(f.lease(ask("room")), roomtoken.Result{})
	}
	if n := f.client.HLen(t.Context(), f.key("room")).Val(); n != 0 {
		t.Errorf("%d fields stay", n)
	}
}

// What stands in the clear cannot stretch or change what is sealed: the record is
// unreadable, and the asker gets the lease in the same call, which removes it.
func TestUnreadableRecords(t *testing.T) {
	for name, change := range map[string]func(f fleet){
		"version": func(f fleet) { f.change("room", 0, 16, f.soon(time.Hour)) },
		"largest": func(f fleet) { f.change("room", 0, 16, "9007199254740991") },
		"ends":    func(f fleet) { f.change("room", 16, 32, f.soon(24*time.Hour)) },
		"digest":  func(f fleet) { f.change("room", 32, 48, strings.Repeat("x", 16)) },
		"record":  func(f fleet) { f.change("room", 48, len(f.stored("room")), "\x01x") },
		"empty":   func(f fleet) { f.change("room", 48, len(f.stored("room")), "") },
		"other room": func(f fleet) {
			f.publish("other", "two")
			f.change("room", 48, len(f.stored("room")), f.stored("other")[48:])
		},
		"other value": func(f fleet) { f.publish("other", "two"); f.set("room", f.field("room"), f.stored("other")) },
	} {
		f := newFleet(t)
		f.publish("room", "one")
		change(f)
		if e := f.load("room"); what(e) != "unreadable" || !damaged(e.Unreadable) {
			t.Errorf("%s: loaded %s, %v", name, what(e), e.Unreadable)
		}
		look := ask("room")
		look.Look = true
		for range 2 {
			if e := f.acquire(look); what(e) != "unreadable" || !damaged(e.Unreadable) {
				t.Errorf("%s: a look got %s, %v", name, what(e), e.Unreadable)
			}
		}
		a := ask("room")
		e := f.acquire(a)
		if what(e) != "lease, unreadable" || !damaged(e.Unreadable) || e.Lease.Version != 0 {
			t.Errorf("%s: %s, %v, %+v", name, what(e), e.Unreadable, e.Lease)
			continue
		}
		if again := f.acquire(a); again.Lease != e.Lease {
			t.Errorf("%s: asked again: %+v, want %+v", name, again.Lease, e.Lease)
		}
		if other := f.acquire(ask("room")); what(other) != "busy" {
			t.Errorf("%s: another gets %s", name, what(other))
		}
		if c := f.commit(e.Lease, roomtoken.Result{Record: record(e.Lease, "three")}); !c.Taken {
			t.Errorf("%s: %+v", name, c)
		}
		if e := f.acquire(ask("room")); what(e) != "record three" {
			t.Errorf("%s: then %s", name, what(e))
		}
	}
}

func damaged(err error) bool { return errors.Is(err, storeseal.ErrDamaged) }

// A failure in force is seen beside a record that cannot be read.
func TestUnreadableRecordWithFailure(t *testing.T) {
	f := newFleet(t)
	f.fail("room", time.Minute, roomtoken.Failure{Kind: roomtoken.FailureTransient})
	f.publish("other", "one")
	f.set("room", f.field("other"), f.stored("other"))
	if e := f.load("room"); what(e) != "failure, unreadable" {
		t.Errorf("loaded %s", what(e))
	}
	if e := f.acquire(ask("room")); what(e) != "failure, unreadable" {
		t.Errorf("%s", what(e))
	}
}

// A commit that came too late because of a record that cannot be read is told of none.
func TestUnreadableNewerRecord(t *testing.T) {
	f := newFleet(t)
	l := f.lease(ask("room"))
	f.client.HDel(t.Context(), f.key("room"), "lease")
	f.publish("room", "one")
	f.change("room", 48, 49, "x")
	if c := f.commit(l, roomtoken.Result{Record: record(l, "late")}); c.Taken || !c.Newer.IsZero() {
		t.Errorf("%+v", c)
	}
}

func TestLongLeaseOfAnother(t *testing.T) {
	f := newFleet(t)
	f.set("room", "lease", "somebody", "expiry", f.soon(101*time.Second), "since", f.soon(0), "base", 0)
	a := ask("room") // for 10 s
	a.Look = true
	if e := f.acquire(a); what(e) != "nothing" {
		t.Errorf("of more than ten times the asker's: %s", what(e))
	}
	f.set("room", "expiry", f.soon(99*time.Second))
	if e := f.acquire(a); what(e) != "busy" {
		t.Errorf("of less than ten times the asker's: %s", what(e))
	}
	for _, nonsense := range []string{"", "x", "-1", "9007199254740993"} {
		f.set("room", "expiry", nonsense)
		if e := f.acquire(a); what(e) != "nothing" {
			t.Errorf("expiry %q: %s", nonsense, what(e))
		}
	}
}

// Whoever has the ID of a lease whose other fields are nonsense gets it anew.
func TestNonsenseInTheLease(t *testing.T) {
	for _, name := range []string{"since", "base"} {
		f := newFleet(t)
		a := ask("room")
		f.lease(a)
		f.set("room", name, "x")
		if e := f.acquire(a); what(e) != "lease" || e.Lease.Granted != e.Now || e.Lease.Version != 0 {
			t.Errorf("%s: %s, %+v", name, what(e), e.Lease)
		}
	}
}

func TestNonsenseInTheFailure(t *testing.T) {
	f := newFleet(t)
	for _, field := range [][2]string{
		{"kind", "x"},
		{"kind", ""},
		{"count", "-1"},
		{"text", strings.Repeat("x", 1025)},
		{"notbef", f.soon(25 * time.Hour)},
		{"notbef", "x"},
		{"memory", f.soon(49 * time.Hour)},
		{"memory", "x"},
		{"memory", f.soon(-time.Second)},
	} {
		roomID := fmt.Sprint(field)
		f.fail(roomID, time.Minute, roomtoken.Failure{Kind: roomtoken.FailureTransient, Count: 1})
		f.set(roomID, field[0], field[1])
		if e := f.load(roomID); what(e) != "nothing" {
			t.Errorf("%.30q: loaded %s", field, what(e))
		}
		if e := f.acquire(ask(roomID)); what(e) != "lease" || e.Failure != (roomtoken.Failure{}) {
			t.Errorf("%.30q: %s, %+v", field, what(e), e.Failure)
		}
	}
	f.fail("room", time.Minute, roomtoken.Failure{Kind: roomtoken.FailureTransient, Count: 1})
	f.set("room", "kind", "300", "count", "99999999999")
	if e := f.load("room"); e.Failure.Kind != 255 || e.Failure.Count != 1<<31-1 {
		t.Errorf("too large: %+v", e.Failure)
	}
}

func TestNonsenseInTombstones(t *testing.T) {
	f := newFleet(t)
	f.publish("room", "one")
	good := strings.Repeat("x", 16) + f.soon(time.Hour)
	for _, nonsense := range []string{"x", strings.Repeat("x", 32), strings.Repeat(good, 17), good + "x"} {
		f.set("room", "tombs", nonsense, "streak", "x")
		must(t, f.Reject(t.Context(), rejection("room", "other")))
		if n := f.client.HStrLen(t.Context(), f.key("room"), "tombs").Val(); n > 2*32 {
			t.Errorf("%.40q: %d bytes", nonsense, n)
		}
	}
	must(t, f.Reject(t.Context(), rejection("room", "one")))
	if e := f.acquire(ask("room")); what(e) != "lease" || e.Refusals != 1 {
		t.Errorf("%s, %d refusals", what(e), e.Refusals)
	}
}

// A key of another type counts as absent, and is overwritten.
func TestKeysOfAnotherType(t *testing.T) {
	f := newFleet(t)
	put := func(key string) { must(t, f.client.Set(t.Context(), key, "text", 0).Err()) }
	put(f.key("room"))
	if e := f.load("room"); what(e) != "nothing" {
		t.Errorf("loaded %s", what(e))
	}
	l := f.lease(ask("room"))
	put(f.key("room"))
	r := record(l, "one")
	if c := f.commit(l, roomtoken.Result{Record: r}); !c.Taken {
		t.Errorf("%+v", c)
	}
	if e := f.acquire(ask("room")); what(e) != "record one" {
		t.Errorf("%s", what(e))
	}
	put(f.key("room"))
	must(t, f.Reject(t.Context(), rejection("room", "two")))

	put(f.log())
	put(f.hold())
	if n := f.news(""); len(n.Rejections) != 0 || n.Hold != (roomtoken.Hold{}) {
		t.Errorf("%+v", n)
	}
	must(t, f.Reject(t.Context(), rejection("room", "three")))
	must(t, f.Hold(t.Context(), 0, roomtoken.Failure{}))
	must(t, f.Hold(t.Context(), time.Minute, roomtoken.Failure{}))
	if n := f.news(""); rooms(n.Rejections) != "room" || n.Hold.Wait != time.Minute {
		t.Errorf("%+v", n)
	}
}

func TestNonsenseInTheNews(t *testing.T) {
	f := newFleet(t)
	for _, values := range [][]any{
		{"x", "y"},
		{"room", "a", "token", "short", "ends", f.soon(time.Hour), "row", "0"},
		{"room", "a", "token", "0123456789abcdef", "ends", "x", "row", "0"},
		{"room", "a", "token", "0123456789abcdef", "ends", f.soon(time.Hour), "row", "99999999999"},
	} {
		must(t, f.client.Do(t.Context(), append([]any{"XADD", f.log(), "*"}, values...)...).Err())
	}
	must(t, f.Reject(t.Context(), rejection("b", "one")))
	if n := f.news(""); rooms(n.Rejections) != "b" {
		t.Errorf("%+v", n)
	}

	for _, fields := range [][]any{
		{"until", "x"},
		{"wait", "x"},
		{"wait", (25 * time.Hour).Microseconds(), "until", f.soon(25 * time.Hour)},
		{"until", f.soon(23 * time.Hour)},
	} {
		must(t, f.client.Del(t.Context(), f.hold()).Err())
		must(t, f.Hold(t.Context(), time.Minute, roomtoken.Failure{Kind: roomtoken.FailureRateLimited}))
		must(t, f.client.HSet(t.Context(), f.hold(), fields...).Err())
		if h := f.news("").Hold; h != (roomtoken.Hold{}) {
			t.Errorf("%v: %+v", fields, h)
		}
	}
	must(t, f.client.HSet(t.Context(), f.hold(), "until", f.soon(25*time.Hour)).Err())
	must(t, f.Hold(t.Context(), time.Minute, roomtoken.Failure{Kind: roomtoken.FailureRateLimited, Text: "429"}))
	if h := f.news("").Hold; h.Wait != time.Minute || h.Failure.Text != "429" {
		t.Errorf("over one of more than a day: %+v", h)
	}
	must(t, f.client.HSet(t.Context(), f.hold(), "text", strings.Repeat("x", 1025), "over", "x").Err())
	if h := f.news("").Hold; h.Wait != time.Minute || h.Over || h.Failure != (roomtoken.Failure{}) {
		t.Errorf("with a text that is too long: %+v", h)
	}
}
