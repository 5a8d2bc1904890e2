package storeseal_test

import (
	"bytes"
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/storeseal"
)

// In a rollout two releases share a store. The file has records as the first release sealed
// them; every release must open them. Never write it anew: a change that needs that needs
// another schema, and lines of its own.
func TestOpensRecordsOfTheFirstRelease(t *testing.T) {
	records := map[string]roomtoken.Record{"full": full(), "least": least()}
	sealers := map[string]*storeseal.Sealer{
		"encrypted": newSealer(t, "roomtoken:", testKey(7)),
		"plain":     storeseal.Plaintext("roomtoken:"),
	}
	text, err := os.ReadFile("testdata/records.txt")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.Fields(line)
		if len(fields) != 3 {
			t.Fatalf("line %q does not have 3 fields", line)
		}
		s, want := sealers[fields[0]], records[fields[1]]
		sealed, err := hex.DecodeString(fields[2])
		if s == nil || want.IsZero() || err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		seen++
		if got, err := s.Open("lobby", sealed); err != nil || !equal(got, want) {
			t.Errorf("%s %s: %+v, %v; want %+v", fields[0], fields[1], got, err, want)
		}
		if fields[0] == "plain" && !bytes.Equal(seal(t, s, "lobby", want), sealed) {
			t.Errorf("%s %s: is now sealed in another form: older releases may not read it", fields[0], fields[1])
		}
	}
	if seen != len(records)*len(sealers) {
		t.Errorf("%d records, want %d", seen, len(records)*len(sealers))
	}
}
