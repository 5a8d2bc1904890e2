package redisstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/extra/redisstore"
	"github.com/roomtoken/roomtoken/storeseal"
)

// testKey returns a key, another one for each n.
func testKey(n byte) []byte { return bytes.Repeat([]byte{n}, 32) }

// fleet is a store with a client beside it, to look at what is in Redis.
type fleet struct {
	*redisstore.Store
	t      testing.TB
	prefix string
	client redis.UniversalClient
}

// newFleet returns a store on the shared server, with a prefix of its own.
func newFleet(t testing.TB) fleet {
	t.Helper()
	return fleetOn(t, newClient(t, shared))
}

func fleetOn(t testing.TB, client redis.UniversalClient) fleet {
	t.Helper()
	prefix := prefixOf(t)
	return fleet{newStore(t, client, redisstore.Config{Prefix: prefix, EncryptionKeys: [][]byte{testKey(1)}}), t, prefix, client}
}

// with returns another store with the same prefix.
func (f fleet) with(config redisstore.Config) fleet {
	f.t.Helper()
	config.Prefix = f.prefix
	f.Store = newStore(f.t, f.client, config)
	return f
}

func newStore(t testing.TB, client redis.UniversalClient, config redisstore.Config) *redisstore.Store {
	t.Helper()
	s, err := redisstore.New(client, config)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// key returns the key of a room.
func (f fleet) key(roomID string) string { return f.prefix + "{}" + roomID }

// set changes clear fields of a room.
func (f fleet) set(roomID string, fields ...any) {
	f.t.Helper()
	must(f.t, f.client.HSet(f.t.Context(), f.key(roomID), fields...).Err())
}

// field returns the name of the field of a room that has its only record.
func (f fleet) field(roomID string) string {
	f.t.Helper()
	fields := f.fields(roomID)
	if len(fields) != 1 {
		f.t.Fatalf("room %q has %d records: %q", roomID, len(fields), fields)
	}
	return fields[0]
}

// fields returns the names of the fields of a room that have records.
func (f fleet) fields(roomID string) (names []string) {
	f.t.Helper()
	all, err := f.client.HKeys(f.t.Context(), f.key(roomID)).Result()
	must(f.t, err)
	for _, name := range all {
		if strings.HasPrefix(name, "record") {
			names = append(names, name)
		}
	}
	return names
}

// stored returns the only record of a room as it stands in Redis: 16 digits version, 16 digits
// end, 16 bytes digest, and the sealed record.
func (f fleet) stored(roomID string) string {
	f.t.Helper()
	return f.client.HGet(f.t.Context(), f.key(roomID), f.field(roomID)).Val()
}

// change puts something in the place of the only record of a room from one byte to another.
func (f fleet) change(roomID string, from, to int, with string) {
	f.t.Helper()
	v := f.stored(roomID)
	f.set(roomID, f.field(roomID), v[:from]+with+v[to:])
}

var asks atomic.Int64

// ask returns an ask for a lease of 10 s.
func ask(roomID string) roomtoken.Ask {
	return roomtoken.Ask{RoomID: roomID, ID: fmt.Sprintf("ask-%d", asks.Add(1)), TTL: 10 * time.Second}
}

// acquire asks for a room and fails the test on an error.
func (f fleet) acquire(a roomtoken.Ask) roomtoken.Entry {
	f.t.Helper()
	e, err := f.Acquire(f.t.Context(), a)
	if err != nil {
		f.t.Fatal(err)
	}
	if e.Now == 0 {
		f.t.Error("an Entry without Now")
	}
	return e
}

// lease asks for a room and fails the test if it does not get the lease. There may be records
// of processes with other keys.
func (f fleet) lease(a roomtoken.Ask) roomtoken.Lease {
	f.t.Helper()
	e := f.acquire(a)
	if errors.Is(e.Unreadable, storeseal.ErrNoKey) {
		e.Unreadable = nil
	}
	if what(e) != "lease" {
		f.t.Fatalf("no lease: %s", what(e))
	}
	return e.Lease
}

// commit ends a lease and fails the test on an error.
func (f fleet) commit(l roomtoken.Lease, r roomtoken.Result) roomtoken.Committed {
	f.t.Helper()
	c, err := f.Commit(f.t.Context(), l, r)
	if err != nil {
		f.t.Fatal(err)
	}
	if c.Now == 0 {
		f.t.Error("a Committed without Now")
	}
	return c
}

// record returns a record for a lease.
func record(l roomtoken.Lease, token string) roomtoken.Record {
	return roomtoken.Record{
		Version:      max(l.Version+1, uint64(l.Granted)),
		Token:        roomtoken.NewSecret(token),
		RefreshToken: roomtoken.NewSecret("refresh " + token),
		Began:        l.Granted,
		Lifetime:     time.Hour,
		RenewAge:     50 * time.Minute,
		HandOutAge:   59 * time.Minute,
		Refusals:     2,
	}
}

// publish commits a record for a room that is free.
func (f fleet) publish(roomID, token string) roomtoken.Record {
	f.t.Helper()
	a := ask(roomID)
	a.Newer = 1<<53 - 2
	l := f.lease(a)
	r := record(l, token)
	if c := f.commit(l, roomtoken.Result{Record: r}); !c.Taken {
		f.t.Fatalf("not taken: %+v", c)
	}
	return r
}

// fail commits a failure for a room that is free.
func (f fleet) fail(roomID string, notBefore time.Duration, failure roomtoken.Failure) {
	f.t.Helper()
	if c := f.commit(f.lease(ask(roomID)), roomtoken.Result{Failure: failure, NotBefore: notBefore}); !c.Taken {
		f.t.Fatalf("not taken: %+v", c)
	}
}

// load looks up one room.
func (f fleet) load(roomID string) roomtoken.Entry {
	f.t.Helper()
	entries, err := f.Load(f.t.Context(), []string{roomID})
	if err != nil {
		f.t.Fatal(err)
	}
	return entries[0]
}

// news reads the news and fails the test on an error.
func (f fleet) news(since string) roomtoken.News {
	f.t.Helper()
	n, err := f.News(f.t.Context(), since)
	if err != nil {
		f.t.Fatal(err)
	}
	return n
}

// what names the parts of an Entry that are set.
func what(e roomtoken.Entry) string {
	var parts []string
	for _, part := range []struct {
		name string
		set  bool
	}{
		{"record " + e.Record.Token.Reveal(), !e.Record.IsZero()},
		{"lease", !e.Lease.IsZero()},
		{"busy", e.Busy != 0},
		{"failure", e.NotBefore != 0},
		{"degraded", e.Degraded != nil},
		{"unreadable", e.Unreadable != nil},
	} {
		if part.set {
			parts = append(parts, part.name)
		}
	}
	if len(parts) == 0 {
		return "nothing"
	}
	return strings.Join(parts, ", ")
}

func same(a, b roomtoken.Record) bool {
	secrets := a.Token.Equal(b.Token) && a.RefreshToken.Equal(b.RefreshToken)
	a.Token, a.RefreshToken, b.Token, b.RefreshToken = roomtoken.Secret{}, roomtoken.Secret{}, roomtoken.Secret{}, roomtoken.Secret{}
	return secrets && fmt.Sprint(a) == fmt.Sprint(b)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// near reports whether a duration is at most that, and not a second less. Keys end at whole
// milliseconds.
func near(got, want time.Duration) bool {
	return got <= want+time.Millisecond && got > want-time.Second
}

// commands counts the commands that a client sends.
type commands struct {
	sent atomic.Int64
	eval atomic.Int64 // EVAL among them
	told atomic.Int64 // PUBLISH among them
	key  string
	keys atomic.Int64 // scripts for that key among them
}

func (c *commands) count(cmd redis.Cmder) {
	c.sent.Add(1)
	switch cmd.Name() {
	case "eval":
		c.eval.Add(1)
	case "publish":
		c.told.Add(1)
	}
	if args := cmd.Args(); len(args) > 3 && args[3] == c.key {
		c.keys.Add(1)
	}
}

func (c *commands) DialHook(next redis.DialHook) redis.DialHook { return next }

func (c *commands) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		c.count(cmd)
		return next(ctx, cmd)
	}
}

func (c *commands) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		for _, cmd := range cmds {
			c.count(cmd)
		}
		return next(ctx, cmds)
	}
}

// eventually waits until something of a server is so.
func eventually(t testing.TB, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !so(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not so after 20 s: %s", what)
		}
	}
}
