package storeseal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
)

const (
	nameSize  = 4
	nonceSize = 12
	tagSize   = 16
)

// key is a configured key. Only what is derived from it is kept.
type key struct {
	secret []byte // the pseudorandom key of HKDF
	name   [nameSize]byte
}

func newKey(configured []byte) (k key, err error) {
	k.secret, err = hkdf.Extract(sha256.New, configured, []byte("roomtoken/storeseal"))
	var name []byte
	if err == nil {
		name, err = hkdf.Expand(sha256.New, k.secret, "name", nameSize)
	}
	copy(k.name[:], name)
	return k, err
}

// aead returns the cipher for the records of one room. It fails only where the
// cryptographic module of the program does.
func (k key) aead(context []byte) (aead cipher.AEAD, err error) {
	roomKey, err := hkdf.Expand(sha256.New, k.secret, "room "+string(context), KeySize)
	var block cipher.Block
	if err == nil {
		block, err = aes.NewCipher(roomKey)
	}
	if err == nil {
		aead, err = cipher.NewGCM(block)
	}
	return aead, err
}

// seal returns the schema, the name of the key, the nonce, and encoded encrypted.
func (k key) seal(context, encoded []byte) ([]byte, error) {
	aead, err := k.aead(context)
	if err != nil {
		return nil, fmt.Errorf("storeseal: no cipher: %w", err)
	}
	const head = 1 + nameSize + nonceSize
	sealed := make([]byte, head, head+len(encoded)+tagSize)
	sealed[0] = schemaEncrypted
	copy(sealed[1:], k.name[:])
	nonce := sealed[1+nameSize:]
	_, _ = rand.Read(nonce) // never fails
	return aead.Seal(sealed, nonce, encoded, context), nil
}

// openEncrypted returns what seal was given. More than one key may have the name.
func openEncrypted(keys []key, context, sealed []byte) ([]byte, error) {
	const head = 1 + nameSize + nonceSize
	if len(sealed) < head {
		return nil, fmt.Errorf("%w: it has %d bytes", ErrDamaged, len(sealed))
	}
	err := ErrNoKey
	for _, k := range keys {
		if k.name != [nameSize]byte(sealed[1:]) {
			continue
		}
		aead, problem := k.aead(context)
		if problem != nil {
			return nil, fmt.Errorf("%w: no cipher: %w", ErrNoKey, problem)
		}
		encoded, problem := aead.Open(nil, sealed[1+nameSize:head], sealed[head:], context)
		if problem == nil {
			return encoded, nil
		}
		err = ErrDamaged
	}
	return nil, err
}
