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
	sealed := f.client.HGet(t.Context(), f.key("room"), "record").Val()
	for i := range sealed {
		flipped := []byte(sealed)
		flipped[i] ^= 0x40
		for _, changed := range []string{string(flipped), sealed[:i]} {
			f.set("room", "record", changed)
			if e := f.load("room"); what(e) != "unreadable" {
				t.Errorf("byte %d of %d: %s", i, len(sealed), what(e))
			}
		}
	}
	f.set("room", "record", sealed)
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

func TestRotation(t *testing.T) {
	f := newFleet(t)
	steps := []redisstore.Config{keys(1), keys(1, 2), keys(2, 1), keys(2)}
	for i, config := range steps {
		writer := f.with(config)
		roomID := fmt.Sprint(i)
		writer.publish(roomID, "one")
		for j := max(i-1, 0); j < min(i+2, len(steps)); j++ {
			if e := f.with(steps[j]).load(roomID); what(e) != "record one" {
				t.Errorf("written at step %d, read at step %d: %s", i, j, what(e))
			}
		}
	}
	e := f.with(keys(1)).load("3")
	if what(e) != "unreadable" || !errors.Is(e.Unreadable, storeseal.ErrNoKey) {
		t.Errorf("without the key: %s, %v", what(e), e.Unreadable)
	}
}

// Processes without a common key overwrite each other's records, under the lease.
func TestNoCommonKey(t *testing.T) {
	f := newFleet(t)
	a, b, plain := f.with(keys(1)), f.with(keys(2)), f.with(redisstore.Config{AllowPlaintext: true})
	for i, s := range []fleet{a, b, plain, a} {
		l := s.acquire(ask("room")).Lease
		if c := s.commit(l, roomtoken.Result{Record: record(l, fmt.Sprint(i))}); !c.Taken {
			t.Fatalf("%d: %+v, %+v", i, l, c)
		}
		if e := s.acquire(ask("room")); what(e) != fmt.Sprint("record ", i) {
			t.Errorf("%d: %s", i, what(e))
		}
	}
}

// That the holder of a lease could not read the record is of no matter to others: neither to
// who comes too late, nor to the next holder.
func TestUnreadableToTheHolderOnly(t *testing.T) {
	f := newFleet(t)
	other := f.with(keys(2))
	lost := f.lease(ask("room"))
	f.client.HDel(t.Context(), f.key("room"), "lease")
	r := f.publish("room", "one")

	short := ask("room")
	short.TTL = time.Millisecond
	if e := other.acquire(short); what(e) != "lease, unreadable" {
		t.Fatalf("%s", what(e))
	}
	late := record(lost, "late")
	late.Version = r.Version + 1
	if c := f.commit(lost, roomtoken.Result{Record: late}); c.Taken || !same(c.Newer, r) {
		t.Errorf("too late: %+v", c)
	}
	a := ask("room")
	a.Newer = r.Version
	l := until(t, f, "lease", a).Lease
	old := record(l, "old")
	old.Version = r.Version - 1
	if c := f.commit(l, roomtoken.Result{Record: old}); c.Taken || !same(c.Newer, r) {
		t.Errorf("the next holder: %+v", c)
	}
}

func TestUnknownSchema(t *testing.T) {
	f := newFleet(t)
	f.publish("room", "one")
	f.set("room", "record", "\x7f and so on")
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
