package fleet_test

import (
	"context"
	"fmt"
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
	all := map[string]damage{
		"the record is cut":               {do: set(func(f map[string]string) []any { return []any{"record", f["record"][:len(f["record"])/2]} }), absent: true},
		"the record is empty":             {do: set(func(map[string]string) []any { return []any{"record", ""} }), absent: true},
		"the record is of another room":   {do: func(s *server, key string, _ map[string]string) { s.copyFields("donor", key) }, absent: true},
		"the record is of another prefix": {do: func(s *server, key string, _ map[string]string) { s.copyKey("other:{}donor", key) }, absent: true},
		"the schema is unknown":           {do: set(func(f map[string]string) []any { return []any{"record", "\x63" + f["record"][1:]} }), absent: true},
		"the key's name is unknown":       {do: set(func(f map[string]string) []any { return []any{"record", f["record"][:1] + "none" + f["record"][5:]} }), absent: true},
		"the key is a string":             {do: func(s *server, key string, _ map[string]string) { s.do("DEL", key); s.do("SET", key, "nonsense") }},
		"the key is a list":               {do: func(s *server, key string, _ map[string]string) { s.do("DEL", key); s.do("RPUSH", key, "nonsense") }},
		"the version is another":          {do: set(func(f map[string]string) []any { return []any{"version", "9007199254740991"} }), absent: true},
		"the version is nonsense":         {do: nonsense("version")},
		"the digest is another":           {do: set(func(map[string]string) []any { return []any{"digest", "0123456789abcdef"} }), absent: true},
		"the digest is nonsense":          {do: nonsense("digest")},
		"the end is later":                {do: set(func(f map[string]string) []any { return []any{"ends", "9007199254740991"} }), absent: true},
		"the end is nonsense":             {do: nonsense("ends")},
		"a lease of a thousand years": {do: set(func(map[string]string) []any {
			return []any{"lease", "me", "expiry", "9007199254740991", "version", "0"}
		})},
		"a failure of a thousand years": {do: set(func(map[string]string) []any {
			return []any{"kind", "2", "count", "9", "text", "no", "notbef", "9007199254740991", "memory", "9007199254740991", "version", "0"}
		})},
		"nonsense beside the record":       {do: nonsense("lease", "expiry", "since", "base", "skip", "kind", "count", "text", "notbef", "memory", "streak", "tombs", "boxes"), intact: true},
		"nonsense in all fields":           {do: nonsense("version", "record", "digest", "ends", "lease", "expiry", "since", "base", "skip", "kind", "count", "text", "notbef", "memory", "streak", "tombs", "boxes")},
		"a very long record":               {do: set(func(map[string]string) []any { return []any{"record", string(make([]byte, 1<<20))} })},
		"a very long list of those asleep": {do: set(func(map[string]string) []any { return []any{"boxes", string(make([]byte, 1<<20))} }), intact: true},
	}
	for _, at := range []int{0, 1, 5, 17, 40, -1} {
		all[fmt.Sprintf("byte %d of the record is flipped", at)] = damage{absent: true, do: set(func(f map[string]string) []any {
			b := []byte(f["record"])
			b[(at+len(b))%len(b)] ^= 1
			return []any{"record", string(b)}
		})}
	}
	return all
}

// copyFields gives a room the record of another, with all that stands beside it.
func (s *server) copyFields(room, key string) {
	f := s.fields(room)
	s.do("HSET", key, "version", f["version"], "record", f["record"], "digest", f["digest"], "ends", f["ends"])
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
			if s.Exists(context.Background(), prefix+"{}"+room).Val() == 0 || s.fields(room)["record"] == "" {
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

// Processes without a common key cannot read what the others have stored. So they make more
// calls, but nobody fails, and nobody gets a token of another room.
func TestProcessesWithoutACommonKey(t *testing.T) {
	t.Parallel()
	f := newFleet(t, lifetime, startRedis(t).addr)
	for i := range byte(4) {
		f.settings.Keys = [][]byte{key(i % 2)}
		f.start()
	}
	all := rooms(20)
	before := f.allTokens(all...)
	most := len(f.workers) * len(all)
	if creates, refreshes := f.issuer.calls(all...); creates < 2*len(all) || creates > most || refreshes > 0 {
		t.Errorf("%d creates and %d refreshes, want two to four creates for each of %d rooms", creates, refreshes, len(all))
	}
	f.eventually("all are renewed", func() bool {
		for i, tokens := range f.allTokens(all...) {
			for j, token := range tokens {
				if token == before[i][j] {
					return false
				}
			}
		}
		return true
	})
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
