package redisstore

import (
	"fmt"
	"strings"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/storeseal"
)

// maxNumber is the largest number that the scripts count with.
const maxNumber = 1<<53 - 1

// stored is a record as it stands in Redis: sealed, and what the scripts go by in the
// clear. Version 0: there is none.
type stored struct {
	version uint64
	digest  string
	ends    roomtoken.StoreTime
	sealed  string
}

// stored takes a record.
func (a *answer) stored() stored {
	return stored{version: a.number(maxNumber), digest: a.text(), ends: a.time(), sealed: a.text()}
}

// seal returns the record of a room as it is stored.
func (s *Store) seal(roomID string, r roomtoken.Record) (stored, error) {
	if r.Version > maxNumber || r.Ends() < 0 || r.Ends() > maxNumber {
		return stored{}, fmt.Errorf("redisstore: version %d, which ends at %d, is beyond what can be stored", r.Version, r.Ends())
	}
	sealed, err := s.sealer.Seal(roomID, r)
	if err != nil {
		return stored{}, fmt.Errorf("redisstore: %w", err)
	}
	digest := r.Token.Digest()
	return stored{version: r.Version, digest: string(digest[:]), ends: r.Ends(), sealed: string(sealed)}, nil
}

// open returns the record of a room, or why it counts as absent. What stands in the clear
// must be what is sealed.
func (s *Store) open(roomID string, stored stored) (roomtoken.Record, error) {
	r, err := s.sealer.Open(roomID, []byte(stored.sealed))
	if err != nil {
		return roomtoken.Record{}, err
	}
	digest := r.Token.Digest()
	if r.Version != stored.version || string(digest[:]) != stored.digest || r.Ends() != stored.ends {
		return roomtoken.Record{}, fmt.Errorf("%w: version, digest or end beside it are not its own", storeseal.ErrDamaged)
	}
	return r, nil
}

// failureArgs returns a failure as the scripts take it.
func failureArgs(f roomtoken.Failure) []any {
	const maxText = 1024
	text := f.Text
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "")
	}
	return []any{int(f.Kind), max(f.Count, 0), text}
}
