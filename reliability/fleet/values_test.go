package fleet_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
)

// prefix is that of the keys of tests that change them.
const prefix = "fleet:"

// fields returns what the server has of a room.
func (s *server) fields(room string) map[string]string {
	s.t.Helper()
	fields, err := s.HGetAll(context.Background(), prefix+"{}"+room).Result()
	s.check(err)
	if len(fields) == 0 {
		s.t.Errorf("the server has nothing of room %q", room)
	}
	return fields
}

// recordField returns the name of the field that has the record of a room, "" if there is
// none. All processes of the test have the same key.
func recordField(fields map[string]string) string {
	for name := range fields {
		if strings.HasPrefix(name, "record") {
			return name
		}
	}
	return ""
}

// damage is a way to change what the server has of a room.
type damage struct {
	do     func(s *server, key string, fields map[string]string)
	absent bool // the record is told to be unreadable
	intact bool // the record can be read all the same
}

// damages are those that somebody can do who can write to the server.
func damages() map[string]damage {
	set := func(of func(fields map[string]string) []any) func(s *server, key string, fields map[string]string) {
		return func(s *server, key string, fields map[string]string) {
			s.do(append([]any{"HSET", key}, of(fields)...)...)
		}
	}
	nonsense := func(names ...string) func(s *server, key string, fields map[string]string) {
		return set(func(map[string]string) (args []any) {
			for _, name := range names {
				args = append(args, name, "\xff nonsense \x00")
			}
			return args
		})
	}
	// The record is in one field: 16 digits version, 16 digits end, 16 bytes digest, and what
	// is sealed: the schema, 4 bytes that name the key, and so on.
	const version, ends, digest, sealed, name = 0, 16, 32, 48, 49
	put := func(at int, with string) func(s *server, key string, fields map[string]string) {
		return set(func(f map[string]string) []any {
			field := recordField(f)
			v := f[field]
			return []any{field, v[:at] + with + v[at+len(with):]}
		})
	}
	record := func(of func(v string) string) func(s *server, key string, fields map[string]string) {
		return set(func(f map[string]string) []any {
			field := recordField(f)
			return []any{field, of(f[field])}
		})
	}
	all := map[string]damage{
		"the record is cut":               {do: record(func(v string) string { return v[:len(v)/2] }), absent: true},
		"nothing is sealed":               {do: record(func(v string) string { return v[:sealed] }), absent: true},
		"the record is empty":             {do: record(func(string) string { return "" })},
		"the record is of another room":   {do: func(s *server, key string, _ map[string]string) { s.copyRecord("donor", key) }, absent: true},
		"the record is of another prefix": {do: func(s *server, key string, _ map[string]string) { s.copyKey("other:{}donor", key) }, absent: true},
		"the record is of another key": {do: func(s *server, key string, f map[string]string) {
			field := recordField(f)
			s.do("HSET", key, "recordnone", f[field])
			s.do("HDEL", key, field)
		}, absent: true},
		"the schema is unknown":     {do: put(sealed, "\x63"), absent: true},
		"the key's name is unknown": {do: put(name, "none"), absent: true},
		"the key is a string":       {do: func(s *server, key string, _ map[string]string) { s.do("DEL", key); s.do("SET", key, "nonsense") }},
		"the key is a list":         {do: func(s *server, key string, _ map[string]string) { s.do("DEL", key); s.do("RPUSH", key, "nonsense") }},
		"the version is another":    {do: put(version, "9007199254740991"), absent: true},
		"the version is nonsense":   {do: put(version, "\xff nonsense \x00")},
		"the digest is another":     {do: put(digest, "0123456789abcdef"), absent: true},
		"the end is later":          {do: put(ends, "9007199254740991"), absent: true},
		"the end is nonsense":       {do: put(ends, "\xff nonsense \x00")},
		"a lease of a thousand years": {do: func(s *server, key string, f map[string]string) {
			s.do("HSET", key, "lease", "me", "expiry", "9007199254740991")
			s.do("HDEL", key, recordField(f))
		}},
		"a failure of a thousand years": {do: func(s *server, key string, f map[string]string) {
			s.do("HSET", key, "kind", "2", "count", "9", "text", "no", "notbef", "9007199254740991", "memory", "9007199254740991")
			s.do("HDEL", key, recordField(f))
		}},
		"nonsense beside the record": {do: nonsense("lease", "expiry", "since", "base", "kind", "count", "text", "notbef", "memory", "streak", "tombs", "boxes", "recordnone"), intact: true},
		"nonsense in all fields": {do: set(func(f map[string]string) (args []any) {
			for _, name := range []string{recordField(f), "lease", "expiry", "since", "base", "kind", "count", "text", "notbef", "memory", "streak", "tombs", "boxes"} {
				args = append(args, name, "\xff nonsense \x00")
			}
			return args
		})},
		"a very long record":               {do: record(func(v string) string { return v + string(make([]byte, 1<<20)) })},
		"a very long list of those asleep": {do: set(func(map[string]string) []any { return []any{"boxes", string(make([]byte, 1<<20))} }), intact: true},
	}
	for _, at := range []int{0, 1, 5, 17, 40, -1} {
		all[fmt.Sprintf("byte %d of what is sealed is flipped", at)] = damage{absent: true, do: record(func(v string) string {
			b := []byte(v)
			of := b[sealed:]
			of[(at+len(of))%len(of)] ^= 1
			return string(b)
		})}
	}
	return all
}

// copyRecord gives a room the record of another.
func (s *server) copyRecord(room, key string) {
	f := s.fields(room)
	s.do("HSET", key, recordField(f), f[recordField(f)])
}

func (s *server) copyKey(from, to string) { s.do("COPY", from, to, "REPLACE") }

// Whatever somebody does to what is stored, all get a token of their own room: the one that
// is stored, or one that a create has brought.
func TestValuesThatAreNotAsTheyWereWritten(t *testing.T) {
	t.Parallel()
	s := startRedis(t)
	f := newFleet(t, time.Hour, s.addr)
	f.settings.Prefix = "other:"
	f.start().tokens("donor")
	f.settings.Prefix = prefix
	writer := f.start()
	writer.tokens("donor")
	f.workers = []*process{writer}
	all := damages()
	var names []string
	for name := range all {
		names = append(names, name)
	}
	before := writer.tokens(names...)
	f.eventually("all records are stored", func() bool {
		for _, room := range names {
			if s.Exists(context.Background(), prefix+"{}"+room).Val() == 0 || recordField(s.fields(room)) == "" {
				return false
			}
		}
		return true
	})
	for name, d := range all {
		d.do(s, prefix+"{}"+name, s.fields(name))
	}
	reader := f.start()
	after := reader.tokens(names...)
	absent := 0
	for i, name := range names {
		creates, _ := f.issuer.calls(name)
		switch d := all[name]; {
		case d.intact && (after[i] != before[i] || creates != 1):
			t.Errorf("%s: got %q after %d creates, want the token that is stored", name, after[i], creates)
		case !d.intact && (after[i] == before[i] || creates != 2):
			t.Errorf("%s: got %q after %d creates, want another token after two", name, after[i], creates)
		case d.absent:
			absent++
		}
	}
	if n := reader.stats().count(roomtoken.EventRecordUnreadable); n != absent {
		t.Errorf("%d records were told to be unreadable, want %d", n, absent)
	}
	if n := reader.stats().StoreFailures; n != 0 {
		t.Errorf("%d failures of the store", n)
	}
	// What was damaged is overwritten: another process finds it.
	third := f.start().tokens(names...)
	for i, name := range names {
		if third[i] != after[i] {
			t.Errorf("%s: a third process got %q, want %q", name, third[i], after[i])
		}
	}
}

// Processes without a common key share nothing but the lease: each group of them makes one
// call for each room and renewal, and spends no refresh token twice.
func TestProcessesWithoutACommonKey(t *testing.T) {
	t.Parallel()
	const groups, n = 2, 20
	f := newFleet(t, 16*time.Second, startRedis(t).addr)
	for i := range byte(2 * groups) {
		f.settings.Keys = [][]byte{key(i % groups)}
		f.start()
	}
	all := rooms(n)
	// separate returns whether the processes of each group have the same tokens, and no others do.
	separate := func(tokens [][]string) bool {
		for j := range all {
			if tokens[0][j] != tokens[2][j] || tokens[1][j] != tokens[3][j] || tokens[0][j] == tokens[1][j] {
				return false
			}
		}
		return true
	}
	if !separate(f.allTokens(all...)) {
		t.Error("a group does not have one token for each room, or has those of the other")
	}
	if creates, refreshes := f.issuer.calls(all...); creates != groups*n || refreshes != 0 {
		t.Fatalf("%d creates and %d refreshes, want one create of each group for %d rooms", creates, refreshes, n)
	}
	for generation := range 2 {
		f.eventually("a renewal of all", func() bool { return f.issuer.renewed(generation, all...) >= groups*n })
	}
	f.eventually("one token for each room and group", func() bool { return separate(f.allTokens(all...)) })
	creates, _ := f.issuer.calls(all...)
	if first, second := f.issuer.renewed(0, all...), f.issuer.renewed(1, all...); creates != groups*n || first != groups*n || second != groups*n {
		t.Errorf("%d creates, %d and %d refreshes in the first two renewals, want one of each group for %d rooms", creates, first, second, n)
	}
	if twice := f.issuer.spentTwice(); len(twice) > 0 {
		t.Errorf("the refresh tokens of %d rooms were spent twice", len(twice))
	}
}

// Keys are replaced process by process without a call. The old one is removed when all records
// have been replaced since the new one seals.
func TestRotation(t *testing.T) {
	t.Parallel()
	const lifetime = time.Hour
	f := newFleet(t, lifetime, startRedis(t).addr)
	all := rooms(20)
	roll := func(keys ...[]byte) {
		t.Helper()
		f.settings.Keys = keys
		for range 3 {
			f.start()
			f.same(all...)
			if len(f.workers) > 3 {
				f.workers[0].close()
				f.workers = f.workers[1:]
			}
		}
	}
	roll(key(1))
	roll(key(1), key(2))
	roll(key(2), key(1))
	time.Sleep(5 * time.Second) // so that no token is good for those who want a new one
	f.workers = f.workers[2:]
	for _, got := range call[[]answer](f.workers[0], "Tokens", Ask{Rooms: all, AtLeast: lifetime - 5*time.Second}) {
		if got.Err != "" {
			t.Fatal(got.Err)
		}
	}
	roll(key(2))
	if creates, refreshes := f.issuer.calls(all...); creates != len(all) || refreshes != len(all) {
		t.Errorf("%d creates and %d refreshes for %d rooms, want that nothing but the new tokens cost calls", creates, refreshes, len(all))
	}
	for _, p := range f.workers {
		if n := p.stats().count(roomtoken.EventRecordUnreadable); n > 0 {
			t.Errorf("%s: %d records were unreadable", p.name, n)
		}
	}
}
