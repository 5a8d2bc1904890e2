package storeseal

import (
	"bytes"
	"crypto/sha256"
	"fmt"
)

const sumSize = 8

// sealPlain returns the schema, a checksum, and encoded as it is.
func sealPlain(context, encoded []byte) []byte {
	sealed := make([]byte, 0, 1+sumSize+len(encoded))
	sealed = append(sealed, schemaPlain)
	sealed = append(sealed, checksum(context, encoded)...)
	return append(sealed, encoded...)
}

// openPlain returns what sealPlain was given.
func openPlain(context, sealed []byte) ([]byte, error) {
	if len(sealed) < 1+sumSize {
		return nil, fmt.Errorf("%w: it has %d bytes", ErrDamaged, len(sealed))
	}
	encoded := sealed[1+sumSize:]
	if !bytes.Equal(sealed[1:1+sumSize], checksum(context, encoded)) {
		return nil, ErrDamaged
	}
	return encoded, nil
}

// checksum finds damage, and records that were moved. The length keeps the context and
// the record apart.
func checksum(context, encoded []byte) []byte {
	hash := sha256.New()
	hash.Write(appendText(nil, string(context)))
	hash.Write(encoded)
	return hash.Sum(nil)[:sumSize]
}
