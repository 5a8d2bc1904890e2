package storeseal

import (
	"encoding/binary"
	"errors"
	"math"
	"time"

	"github.com/roomtoken/roomtoken"
)

const (
	maxLife = 100 * 365 * 24 * time.Hour // longer than any token lives
	maxTime = roomtoken.StoreTime(1 << 53)
)

// check returns why no store may have such a record, nil if one may. In what passes, no
// time overflows.
func check(r roomtoken.Record) error {
	switch {
	case r.Version == 0:
		return errors.New("it has no version")
	case r.Token.IsZero():
		return errors.New("it has no token")
	case r.Lifetime <= 0 || r.Lifetime > maxLife:
		return errors.New("its lifetime is not above 0, or more than 100 years")
	case r.Began < -maxTime || r.Began > maxTime:
		return errors.New("its beginning is too far away")
	case r.Refusals < 0 || r.Refusals > math.MaxInt32:
		return errors.New("its number of refusals is out of range")
	}
	for _, d := range []time.Duration{r.RefreshLifetime, r.RenewAge, r.HandOutAge} {
		if d < 0 || d > maxLife {
			return errors.New("one of its durations is negative, or more than 100 years")
		}
	}
	return nil
}

// encode returns the fields in the order of the struct: numbers as varints of package
// encoding/binary, durations in nanoseconds, texts behind their lengths.
func encode(r roomtoken.Record) []byte {
	token, refreshToken := r.Token.Reveal(), r.RefreshToken.Reveal()
	b := make([]byte, 0, 9*binary.MaxVarintLen64+len(token)+len(refreshToken))
	b = binary.AppendUvarint(b, r.Version)
	b = appendText(b, token)
	b = appendText(b, refreshToken)
	b = binary.AppendVarint(b, int64(r.Began))
	b = binary.AppendUvarint(b, uint64(r.Lifetime))
	b = binary.AppendUvarint(b, uint64(r.RefreshLifetime))
	b = binary.AppendUvarint(b, uint64(r.RenewAge))
	b = binary.AppendUvarint(b, uint64(r.HandOutAge))
	return binary.AppendUvarint(b, uint64(r.Refusals))
}

// decode returns the record that encode was given. What it returns for other bytes must be
// checked.
func decode(b []byte) (roomtoken.Record, error) {
	d := decoder{rest: b}
	r := roomtoken.Record{
		Version:         d.uint(math.MaxUint64),
		Token:           roomtoken.NewSecret(d.text()),
		RefreshToken:    roomtoken.NewSecret(d.text()),
		Began:           roomtoken.StoreTime(d.int()),
		Lifetime:        d.duration(),
		RefreshLifetime: d.duration(),
		RenewAge:        d.duration(),
		HandOutAge:      d.duration(),
		Refusals:        int(d.uint(math.MaxInt32)),
	}
	if d.failed || len(d.rest) > 0 {
		return roomtoken.Record{}, errors.New("its fields do not fill it")
	}
	return r, nil
}

// decoder takes fields from the front of rest. Once it has failed, they mean nothing.
type decoder struct {
	rest   []byte
	failed bool
}

// skip takes n bytes. What the functions of package binary return for bytes that are no
// number is not above 0.
func (d *decoder) skip(n int) []byte {
	if n <= 0 || n > len(d.rest) {
		d.failed, d.rest = true, nil
		return nil
	}
	taken := d.rest[:n]
	d.rest = d.rest[n:]
	return taken
}

// uint takes a number that is at most this one.
func (d *decoder) uint(most uint64) uint64 {
	v, n := binary.Uvarint(d.rest)
	if d.skip(n); v > most {
		d.failed = true
	}
	return v
}

func (d *decoder) int() int64 {
	v, n := binary.Varint(d.rest)
	d.skip(n)
	return v
}

func (d *decoder) duration() time.Duration {
	return time.Duration(d.uint(math.MaxInt64))
}

func (d *decoder) text() string {
	n := d.uint(MaxSize)
	if n == 0 || d.failed {
		return ""
	}
	return string(d.skip(int(n)))
}

// appendText appends a text behind its length.
func appendText(b []byte, text string) []byte {
	b = binary.AppendUvarint(b, uint64(len(text)))
	return append(b, text...)
}
