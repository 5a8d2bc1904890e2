package storeseal

import "errors"

// Errors that [Sealer.Open] wraps. To a Store each means that there is no record, see
// Entry.Unreadable of [roomtoken.Entry].
var (
	// ErrNoKey means that the record is sealed with a key that the Sealer does not have.
	ErrNoKey = errors.New("storeseal: no key opens the record")

	// ErrDamaged means that the bytes are not what Seal returned for this prefix and room:
	// they were changed, cut, or taken from another room.
	ErrDamaged = errors.New("storeseal: the record is damaged, or of another room or prefix")

	// ErrSchema means that the Sealer does not read records of this schema: it is of a
	// later release, or the record is in the clear and the Sealer has keys.
	ErrSchema = errors.New("storeseal: records of this schema are not supported")
)
