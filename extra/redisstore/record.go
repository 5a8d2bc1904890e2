package redisstore

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/storeseal"
)

// maxNumber is the largest number that the scripts count with.
const maxNumber = 1<<53 - 1

// stored is a record as it stands in Redis, see lua/record.lua: what the scripts go by in
// the clear, and all of it sealed. "" is none.
type stored string

// headSize is the length of what stands in the clear.
const headSize = 16 + 16 + 16

// head returns what stands in the clear.
func head(r roomtoken.Record) string {
	digest := r.Token.Digest()
	return fmt.Sprintf("%016d%016d%s", r.Version, r.Ends(), digest[:])
}

// version returns the version that stands in the clear, 0 if there is none.
func (v stored) version() uint64 {
	n, _ := strconv.ParseUint(string(v[:min(len(v), 16)]), 10, 53)
	return n
}

// stored takes a record, which may be none.
func (a *answer) stored() stored {
	v := stored(a.text())
	a.failed = a.failed || v != "" && len(v) < headSize
	return v
}

// seal returns the record of a room as it is stored.
func (s *Store) seal(roomID string, r roomtoken.Record) (stored, error) {
	if r.Version > maxNumber || r.Ends() < 0 || r.Ends() > maxNumber {
		return "", fmt.Errorf("redisstore: version %d, which ends at %d, is beyond what can be stored", r.Version, r.Ends())
	}
	sealed, err := s.sealer.Seal(roomID, r)
	if err != nil {
		return "", fmt.Errorf("redisstore: %w", err)
	}
	return stored(head(r) + string(sealed)), nil
}

// open returns the record of a room, or why it counts as absent. What stands in the clear
// must be what is sealed.
func (s *Store) open(roomID string, v stored) (roomtoken.Record, error) {
	if len(v) < headSize {
		return roomtoken.Record{}, fmt.Errorf("%w: it has %d bytes", storeseal.ErrDamaged, len(v))
	}
	r, err := s.sealer.Open(roomID, []byte(v[headSize:]))
	if err != nil {
		return roomtoken.Record{}, err
	}
	if head(r) != string(v[:headSize]) {
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
