package storeseal_test

import (
	"errors"
	"testing"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/storeseal"
)

// FuzzOpen gives Open bytes as they may stand in a store, and as they may stand behind a
// checksum that is right. What it takes for a record can be sealed and is then the same.
func FuzzOpen(f *testing.F) {
	both := sealers(f)
	for _, r := range []roomtoken.Record{full(), least(), most()} {
		for _, s := range both {
			f.Add("lobby", seal(f, s, "lobby", r))
		}
		const head = 1 + 8
		f.Add("lobby", seal(f, both["plain"], "lobby", r)[head:])
	}
	f.Add("", []byte{})
	f.Add("\xff", []byte{1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, roomID string, data []byte) {
		for _, sealed := range [][]byte{data, storeseal.ForgeBytes("p:", roomID, data)} {
			for kind, s := range both {
				r, err := s.Open(roomID, sealed)
				if err != nil {
					if !errors.Is(err, storeseal.ErrDamaged) && !errors.Is(err, storeseal.ErrNoKey) && !errors.Is(err, storeseal.ErrSchema) {
						t.Errorf("%s: %v", kind, err)
					}
					if !equal(r, roomtoken.Record{}) {
						t.Errorf("%s: an error with a record: %+v", kind, r)
					}
					continue
				}
				if r.Version == 0 || r.Token.IsZero() || r.Lifetime <= 0 || r.RefreshLifetime < 0 || r.RenewAge < 0 || r.HandOutAge < 0 || r.Refusals < 0 {
					t.Errorf("%s: opened %+v", kind, r)
				}
				again, err := s.Open(roomID, seal(t, s, roomID, r))
				if err != nil || !equal(again, r) {
					t.Errorf("%s: %+v is %+v when sealed again: %v", kind, r, again, err)
				}
			}
		}
	})
}
