package redisstore_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/extra/redisstore"
	"github.com/roomtoken/roomtoken/storeseal"
)

func keys(ns ...byte) redisstore.Config {
	var c redisstore.Config
	for _, n := range ns {
		c.EncryptionKeys = append(c.EncryptionKeys, testKey(n))
	}
	return c
}

// A record that was changed in any byte, or cut anywhere, is unreadable. (Package storeseal
// tries each bit.)
func TestFlippedAndCutRecords(t *testing.T) {
	f := newFleet(t)
	f.publish("room", "one")
	value, field := f.stored("room"), f.field("room")
	head, sealed := value[:48], value[48:]
	for i := range sealed {
		flipped := []byte(sealed)
		flipped[i] ^= 0x40
		for _, changed := range []string{string(flipped), sealed[:i]} {
			f.set("room", field, head+changed)
			if e := f.load("room"); what(e) != "unreadable" {
				t.Errorf("byte %d of %d: %s", i, len(sealed), what(e))
			}
		}
	}
	f.set("room", field, value)
	if e := f.load("room"); what(e) != "record one" {
		t.Errorf("as it was: %s", what(e))
	}
}

func TestRecordsMovedBetweenPrefixes(t *testing.T) {
	f, other := newFleet(t), newFleet(t)
	f.publish("room", "one")
	for name, value := range f.client.HGetAll(t.Context(), f.key("room")).Val() {
		other.set("room", name, value)
	}
	if e := other.load("room"); what(e) != "unreadable" || !errors.Is(e.Unreadable, storeseal.ErrDamaged) {
		t.Errorf("%s, %v", what(e), e.Unreadable)
	}
}

// What is written at a step is found at the steps before and after it.
func TestRotation(t *testing.T) {
	f := newFleet(t)
	steps := []redisstore.Config{keys(1), keys(1, 2), keys(2, 1), keys(2)}
	for i, config := range steps {
		writer := f.with(config)
		roomID := fmt.Sprint(i)
		writer.publish(roomID, "one")
		for j := max(i-1, 0); j < min(i+2, len(steps)); j++ {
			reader := f.with(steps[j])
			if e := reader.load(roomID); what(e) != "record one" {
				t.Errorf("written at step %d, loaded at step %d: %s", i, j, what(e))
			}
			if e := reader.acquire(ask(roomID)); what(e) != "record one" {
				t.Errorf("written at step %d, asked for at step %d: %s", i, j, what(e))
			}
		}
	}
}

// While records are under both names, the newest is what counts, for who asks and who commits.
func TestRotationOfOneRoom(t *testing.T) {
	f := newFleet(t)
	old, added, first, last := f.with(keys(1)), f.with(keys(1, 2)), f.with(keys(2, 1)), f.with(keys(2))
	r := old.publish("room", "0")
	for i, s := range []fleet{added, first, added, first} {
		a := ask("room")
		a.Newer = r.Version
		l := s.lease(a)
		if l.Version != r.Version {
			t.Errorf("step %d: the lease was given on %d, want %d", i, l.Version, r.Version)
		}
		older := record(l, "older")
		older.Version = r.Version
		if c := s.commit(l, roomtoken.Result{Record: older}); c.Taken || !same(c.Newer, r) {
			t.Errorf("step %d: a record that is no newer: %+v", i, c)
		}
		a.ID += "b"
		l = s.lease(a)
		r = record(l, fmt.Sprint(i))
		if c := s.commit(l, roomtoken.Result{Record: r}); !c.Taken {
			t.Errorf("step %d: %+v", i, c)
		}
		for _, reader := range []fleet{added, first} {
			if e := reader.acquire(ask("room")); !same(e.Record, r) {
				t.Errorf("step %d: %s, want %d", i, what(e), i)
			}
			if e := reader.load("room"); !same(e.Record, r) {
				t.Errorf("step %d: loaded %s, want %d", i, what(e), i)
			}
		}
	}
	if e := last.acquire(ask("room")); !same(e.Record, r) {
		t.Errorf("without the old key: %s", what(e))
	}
}

// Who has none of the keys of a record is told so when it asks for the room, and gets the
// lease in the same call.
func TestWithoutTheKey(t *testing.T) {
	f := newFleet(t)
	f.publish("room", "one")
	other := f.with(keys(2))
	a := ask("room")
	for _, want := range []string{"lease, unreadable", "busy, unreadable"} {
		if e := other.acquire(a); what(e) != want || !errors.Is(e.Unreadable, storeseal.ErrNoKey) {
			t.Errorf("%s, %v; want %s", what(e), e.Unreadable, want)
		}
		a = ask("room")
	}
	if e := f.acquire(ask("room")); what(e) != "record one" {
		t.Errorf("with the key: %s", what(e))
	}
}

func TestUnknownSchema(t *testing.T) {
	f := newFleet(t)
	f.publish("room", "one")
	f.change("room", 48, 49, "\x7f")
	if e := f.acquire(ask("room")); what(e) != "lease, unreadable" || !errors.Is(e.Unreadable, storeseal.ErrSchema) {
		t.Errorf("%s, %v", what(e), e.Unreadable)
	}
}

// Nothing in Redis shows a token, nor does an error.
func TestNothingSecretInRedis(t *testing.T) {
	f := newFleet(t)
	const canary = "canary-token"
	f.publish("room", canary)
	f.acquire(ask("room"))
	must(t, f.Reject(t.Context(), rejection("other", canary)))
	for _, key := range f.client.Keys(t.Context(), "*"+f.prefix+"*").Val() {
		dump, err := f.client.Dump(t.Context(), key).Result()
		if err != nil || strings.Contains(dump, "canary") {
			t.Errorf("%s: %v, %q", key, err, dump)
		}
	}
	for key := range f.client.HGetAll(t.Context(), f.key("room")).Val() {
		if value := f.client.HGet(t.Context(), f.key("room"), key).Val(); strings.Contains(value, "canary") {
			t.Errorf("%s is %q", key, value)
		}
	}
}

// Any ID of 1 to 1,024 bytes is a room of its own.
func TestAnyRoomID(t *testing.T) {
	f := newFleet(t)
	ids := []string{
		"r", "{r}", "{}", "}{", "{", "a{b}c", "{}{x}", " ", "\x00", "\xff\xfe", "r\r\n*1", "é\u202e", "a:b", "news",
		strings.Repeat("x", 1024), strings.Repeat("\x00", 1024), strings.Repeat("x", 1023) + "y",
	}
	for i, id := range ids {
		f.publish(id, fmt.Sprint(i))
	}
	entries, err := f.Load(t.Context(), ids)
	must(t, err)
	for i, id := range ids {
		if e := entries[i]; what(e) != fmt.Sprint("record ", i) {
			t.Errorf("room %.20q: loaded %s", id, what(e))
		}
		if e := f.acquire(ask(id)); what(e) != fmt.Sprint("record ", i) {
			t.Errorf("room %.20q: %s", id, what(e))
		}
		must(t, f.Reject(t.Context(), roomtoken.Rejection{RoomID: id, Token: roomtoken.NewSecret("x").Digest(), Left: time.Hour}))
	}
	for i, r := range f.news("").Rejections {
		if r.RoomID != ids[i] {
			t.Errorf("the news have %.20q in the place of %.20q", r.RoomID, ids[i])
		}
	}
}
