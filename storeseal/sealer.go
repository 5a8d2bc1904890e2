package storeseal

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/roomtoken/roomtoken"
)

const (
	// KeySize is the length of a key, in bytes.
	KeySize = 32

	// MaxSize is the length of the longest sealed record, in bytes. Seal returns nothing
	// longer, and Open reads nothing longer.
	MaxSize = 64 << 10
)

// The schemas, in the first byte of a sealed record.
const (
	schemaEncrypted = 1
	schemaPlain     = 2
)

// Sealer seals records, and opens them. It is safe for concurrent use. It prints without
// its keys, also as a field of another struct. The zero Sealer seals and opens nothing.
type Sealer struct {
	prefix string
	plain  bool

	// The keys are behind a function because fmt cannot call the methods of a Sealer in an
	// unexported field of somebody else's struct: it prints the fields then, but follows no
	// function. (It does follow pointers, for a verb that does not fit.)
	keys func() []key
}

// New returns a Sealer for the records of a store, or of the part of it that prefix names.
// Each key has [KeySize] random bytes. The first one seals, all of them open: to replace a
// key, add the new one behind the old one everywhere, then put it in front everywhere,
// then remove the old one.
//
// The error names each key that cannot be used by its index, and shows none.
func New(prefix string, keys ...[]byte) (*Sealer, error) {
	if len(keys) == 0 {
		return nil, errors.New("storeseal: there is no key")
	}
	var problems []error
	derived := make([]key, 0, len(keys))
	for i, k := range keys {
		if len(k) != KeySize {
			problems = append(problems, fmt.Errorf("storeseal: key %d has %d bytes, it needs %d", i, len(k), KeySize))
			continue
		}
		for j := range i {
			if bytes.Equal(k, keys[j]) {
				problems = append(problems, fmt.Errorf("storeseal: key %d is the same as key %d", i, j))
				break
			}
		}
		d, err := newKey(k)
		if err != nil {
			problems = append(problems, err)
		}
		derived = append(derived, d)
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return &Sealer{prefix: prefix, keys: func() []key { return derived }}, nil
}

// Plaintext returns a Sealer without keys. It keeps records in the clear, and finds out
// whether they were damaged. It opens no encrypted record.
func Plaintext(prefix string) *Sealer { return &Sealer{prefix: prefix, plain: true} }

// Names returns the name of each key, in their order: the 4 bytes behind the schema of what
// that key seals. Where records are in the clear it is one empty name. A Store that keeps a
// record of a room for each name lets processes without a common key use it side by side.
// Names do not reveal keys; in rare cases two keys have the same.
func (s *Sealer) Names() []string {
	if s.plain {
		return []string{""}
	}
	if s.keys == nil {
		return nil
	}
	names := make([]string, 0, len(s.keys()))
	for _, k := range s.keys() {
		names = append(names, string(k.name[:]))
	}
	return names
}

// Seal returns the record as bytes, for [Sealer.Open] with the same room ID. They differ
// each time, unless they are in the clear. It fails for a record that Open would not
// accept: one without a version, token or lifetime, or longer than [MaxSize].
func (s *Sealer) Seal(roomID string, r roomtoken.Record) ([]byte, error) {
	if err := check(r); err != nil {
		return nil, fmt.Errorf("storeseal: not a record: %w", err)
	}
	encoded := encode(r)
	var sealed []byte
	switch {
	case s.plain:
		sealed = sealPlain(s.context(schemaPlain, roomID), encoded)
	case s.keys != nil:
		var err error
		if sealed, err = s.keys()[0].seal(s.context(schemaEncrypted, roomID), encoded); err != nil {
			return nil, err
		}
	default:
		return nil, errors.New("storeseal: a Sealer is made by New or Plaintext")
	}
	if len(sealed) > MaxSize {
		return nil, fmt.Errorf("storeseal: the record has %d bytes sealed, and must have at most %d", len(sealed), MaxSize)
	}
	return sealed, nil
}

// Open returns the record that was sealed for that room. Its errors wrap [ErrNoKey],
// [ErrDamaged] or [ErrSchema].
func (s *Sealer) Open(roomID string, sealed []byte) (roomtoken.Record, error) {
	encoded, err := s.open(roomID, sealed)
	if err != nil {
		return roomtoken.Record{}, err
	}
	r, err := decode(encoded)
	if err == nil {
		err = check(r)
	}
	if err != nil {
		return roomtoken.Record{}, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return r, nil
}

// open returns the encoded record.
func (s *Sealer) open(roomID string, sealed []byte) ([]byte, error) {
	switch {
	case len(sealed) == 0:
		return nil, fmt.Errorf("%w: it is empty", ErrDamaged)
	case len(sealed) > MaxSize:
		return nil, fmt.Errorf("%w: it has %d bytes, more than %d", ErrDamaged, len(sealed), MaxSize)
	}
	schema := sealed[0]
	switch {
	case schema == schemaPlain && s.plain:
		return openPlain(s.context(schema, roomID), sealed)
	case schema == schemaPlain && s.keys != nil:
		return nil, fmt.Errorf("%w: it is in the clear, and there are keys", ErrSchema)
	case schema == schemaEncrypted && s.keys != nil:
		return openEncrypted(s.keys(), s.context(schema, roomID), sealed)
	case schema == schemaEncrypted:
		return nil, fmt.Errorf("%w: it is encrypted, and there are no keys", ErrNoKey)
	default:
		return nil, fmt.Errorf("%w: it has schema %d", ErrSchema, schema)
	}
}

// context names the place of a record: no two places have the same.
func (s *Sealer) context(schema byte, roomID string) []byte {
	c := make([]byte, 0, 16+len(s.prefix)+len(roomID))
	c = append(c, schema)
	c = appendText(c, s.prefix)
	return append(c, roomID...)
}

// Format implements [fmt.Formatter]: the same as String for every verb and flag.
func (s Sealer) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// String returns the prefix, and how many keys there are.
func (s Sealer) String() string {
	switch {
	case s.plain:
		return fmt.Sprintf("storeseal.Sealer(%q, plaintext)", s.prefix)
	case s.keys != nil:
		return fmt.Sprintf("storeseal.Sealer(%q, keys: %d)", s.prefix, len(s.keys()))
	default:
		return "storeseal.Sealer(none)"
	}
}
