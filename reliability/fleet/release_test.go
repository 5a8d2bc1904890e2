package fleet_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden file of this release")

// goldenLifetime is how long the tokens of the golden file live, from when it was written.
const goldenLifetime = 50 * 365 * 24 * time.Hour

// Workers of this release read what those of the first release with a store have written:
// the hashes in testdata, which a worker of that release left behind on its server, tokens
// that live for 50 years. A release that changes what is stored keeps the file, and adds one
// of its own.
func TestRecordsOfAnEarlierRelease(t *testing.T) {
	t.Parallel()
	golden := filepath.Join("testdata", "records1.json")
	names := []string{"lobby", "{braces}", "\x00\xff"}
	type room struct {
		ID     []byte
		Token  string
		Fields [][2][]byte // names, which need not be text, and values
	}
	s := startRedis(t)
	f := newFleet(t, goldenLifetime, s.addr)
	f.settings.Prefix = prefix
	if *update {
		var all []room
		tokens := f.start().tokens(names...)
		for i, name := range names {
			r := room{ID: []byte(name), Token: tokens[i]}
			f.eventually("the record is stored", func() bool { return recordField(s.fields(name)) != "" })
			for field, value := range s.fields(name) {
				r.Fields = append(r.Fields, [2][]byte{[]byte(field), []byte(value)})
			}
			all = append(all, r)
		}
		text, err := json.MarshalIndent(all, "", "\t")
		f.must(err)
		f.must(os.WriteFile(golden, append(text, '\n'), 0o600))
		return
	}
	text, err := os.ReadFile(golden)
	f.must(err)
	var all []room
	f.must(json.Unmarshal(text, &all))
	for _, r := range all {
		for _, field := range r.Fields {
			s.do("HSET", prefix+"{}"+string(r.ID), field[0], field[1])
		}
		f.issuer.know(string(r.ID), r.Token)
	}
	f.startAll(2)
	for i, token := range f.same(names...) {
		if token != all[i].Token {
			t.Errorf("room %q: got %q, want %q of the golden file", names[i], token, all[i].Token)
		}
	}
	if creates, refreshes := f.issuer.calls(names...); creates+refreshes > 0 {
		t.Errorf("%d creates and %d refreshes", creates, refreshes)
	}
	// The refresh token is good, too: callers who want another token get it by a refresh.
	for _, got := range call[[]answer](f.workers[0], "Tokens", Ask{Rooms: names, AtLeast: goldenLifetime - time.Minute}) {
		if got.Err != "" {
			t.Error(got.Err)
		}
	}
	if creates, refreshes := f.issuer.calls(names...); creates > 0 || refreshes != len(names) {
		t.Errorf("%d creates and %d refreshes, want a refresh of each room", creates, refreshes)
	}
}
