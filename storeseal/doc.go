// Package storeseal is for those who implement a [roomtoken.Store]: it turns a
// [roomtoken.Record] into bytes that may be kept where others can read them, and back.
//
//	sealer, err := storeseal.New("myapp:", newKey, oldKey)
//	sealed, err := sealer.Seal("lobby", record)
//	record, err = sealer.Open("lobby", sealed)
//
// All fields of the record are inside: what a store keeps beside the bytes, to look rooms
// up by, cannot change what Open returns. The bytes are bound to the prefix and the room,
// so that they open nowhere else.
//
// # Format
//
// The first byte is the schema. Schema 1 is encrypted:
//
//	1, 4 bytes that name the key, 12 bytes nonce, ciphertext and tag of AES-256-GCM
//
// The AES key is derived from the configured key by HKDF-SHA256 (RFC 5869), for each
// prefix and room another one: a random nonce must not be used for more than 2^32 values
// of one key (NIST SP 800-38D, 8.3), which a fleet with a single key would reach in weeks.
// Schema, prefix and room ID are the additional data. The name is derived from the
// configured key too, and does not reveal it.
//
// Schema 2 is in the clear, for stores that need no secrecy:
//
//	2, the first 8 bytes of the SHA-256 of schema, prefix, room ID and record, record
//
// The checksum finds damage. It keeps nobody from writing records of their own.
package storeseal
