// Package jwt makes tokens like those in the examples of Telnyx's API document: the same
// claims, in the same order, of the same size, and no two alike. Their signatures are random
// bytes, which only Telnyx could tell from real ones.
package jwt

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"strconv"
	"time"
)

// The values of the claim typ.
const (
	Access  = "access"
	Refresh = "refresh"
)

// New returns a token of the type for a room. It allocates nothing but the token, so that
// this is all that the garbage collector has to do for it.
func New(typ, room string, issued, expires time.Time) string {
	var random [16 + 64]byte // the jti and the signature
	for i := 0; i < len(random); i += 8 {
		binary.LittleEndian.PutUint64(random[i:], rand.Uint64())
	}
	id, signature := random[:16], random[16:]
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80 // a UUID of version 4

	var claims, token [768]byte
	c := append(claims[:0], `{"aud":"telnyx_access_token","exp":`...)
	c = strconv.AppendInt(c, expires.Unix(), 10)
	c = append(c, `,"grants":[{"actions":["join"],"resources":["telnyx:video:rooms:`...)
	c = append(c, room...)
	c = append(c, `"],"subjects":["telnyx:users:782b2cbe-8466-4e3f-a4d3-9781eb577e50"]}],"grants_version":"1.0.0","iat":`...)
	c = strconv.AppendInt(c, issued.Unix(), 10)
	c = append(c, `,"iss":"telnyx_access_token","jti":"`...)
	for i, part := range [...][]byte{id[:4], id[4:6], id[6:8], id[8:10], id[10:]} {
		if i > 0 {
			c = append(c, '-')
		}
		c = hex.AppendEncode(c, part)
	}
	c = append(c, `","nbf":`...)
	c = strconv.AppendInt(c, issued.Unix()-1, 10)
	c = append(c, `,"sub":"null","typ":"`...)
	c = append(c, typ...)
	c = append(c, `"}`...)

	t := base64.RawURLEncoding.AppendEncode(token[:0], []byte(`{"alg":"Ed25519","typ":"JWT"}`))
	t = append(t, '.')
	t = base64.RawURLEncoding.AppendEncode(t, c)
	t = append(t, '.')
	return string(base64.RawURLEncoding.AppendEncode(t, signature))
}
