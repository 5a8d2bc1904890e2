package storeseal

import "github.com/roomtoken/roomtoken"

// Encode returns a record as it is inside of a sealed one.
var Encode = encode

// Forge returns a record in the clear without checking it.
func Forge(prefix, roomID string, r roomtoken.Record) []byte {
	return ForgeBytes(prefix, roomID, encode(r))
}

// ForgeBytes returns a sealed record in the clear that has these bytes in the place of a
// record.
func ForgeBytes(prefix, roomID string, encoded []byte) []byte {
	return sealPlain(Plaintext(prefix).context(schemaPlain, roomID), encoded)
}

// Collide returns two Sealers whose keys have one name.
func Collide(a, b []byte) (first, second *Sealer) {
	first, _ = New("p:", a)
	second, _ = New("p:", b)
	second.keys()[0].name = first.keys()[0].name
	return first, second
}

// Merge returns a Sealer with the keys of both.
func Merge(a, b *Sealer) *Sealer {
	keys := append(a.keys()[:1:1], b.keys()...)
	return &Sealer{prefix: a.prefix, keys: func() []key { return keys }}
}

// Secrets returns what a Sealer must not show.
func Secrets(s *Sealer) (secrets [][]byte) {
	for _, k := range s.keys() {
		secrets = append(secrets, k.secret)
	}
	return secrets
}
