package tokenpack

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	mathrand "math/rand/v2"
)

// tokens mints tokens like those of a source, the same in each run.
type tokens struct {
	rng    *mathrand.Rand
	header string
	claims func(t *tokens) string
	sign   func(text []byte) []byte
}

func (t *tokens) mint() string {
	text := encode(t.header) + "." + encode(t.claims(t))
	return text + "." + base64.RawURLEncoding.EncodeToString(t.sign([]byte(text)))
}

func encode(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

func (t *tokens) bytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(t.rng.Uint32())
	}
	return b
}

func (t *tokens) uuid() string {
	b := t.bytes(16)
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func newTokens(header string, claims func(*tokens) string, sign func([]byte) []byte) *tokens {
	return &tokens{newRand(1), header, claims, sign}
}

func newRand(seed uint64) *mathrand.Rand { return mathrand.New(mathrand.NewPCG(seed, 2)) }

const (
	account = "782b2cbe-8466-4e3f-a4d3-9781eb577e50"
	epoch   = 1_782_900_000
)

// roomClaims are those of a refresh token for a room, as in the example of Telnyx's API
// document.
func roomClaims(t *tokens) string {
	iat := epoch + t.rng.IntN(1_000_000)
	return fmt.Sprintf(`{"aud":"telnyx_access_token","exp":%d,"grants":[{"actions":["join"],`+
		`"resources":["telnyx:video:rooms:%s"],"subjects":["telnyx:users:%s"]}],"grants_version":"1.0.0",`+
		`"iat":%d,"iss":"telnyx_access_token","jti":"%s","nbf":%d,"sub":"null","typ":"refresh"}`,
		iat+3600, t.uuid(), account, iat, t.uuid(), iat-1)
}

// telephonyClaims are those of the other example in that document: with an opaque value.
func telephonyClaims(t *tokens) string {
	iat := epoch + t.rng.IntN(1_000_000)
	return fmt.Sprintf(`{"aud":"telnyx_telephony","exp":%d,"iat":%d,"iss":"telnyx_telephony","jti":"%s","nbf":%d,`+
		`"sub":"%s","tel_token":"%s","typ":"access"}`,
		iat+2_419_200, iat, t.uuid(), iat-1, t.uuid(), base64.URLEncoding.EncodeToString(t.bytes(94)))
}

var (
	edKey   = ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	hmacKey = []byte("a key for tests only")
)

func roomTokens() *tokens {
	return newTokens(`{"alg":"Ed25519","typ":"JWT"}`, roomClaims, func(text []byte) []byte {
		return ed25519.Sign(edKey, text)
	})
}

func hs512Tokens() *tokens {
	return newTokens(`{"alg":"HS512","typ":"JWT"}`, telephonyClaims, func(text []byte) []byte {
		mac := hmac.New(sha512.New, hmacKey)
		mac.Write(text)
		return mac.Sum(nil)
	})
}

// rs256Tokens have random bytes for signatures: real ones take long to make.
func rs256Tokens() *tokens {
	t := newTokens(`{"alg":"RS256","kid":"f3a1c9d27b6e4580","typ":"JWT"}`, roomClaims, nil)
	t.sign = func([]byte) []byte { return t.bytes(256) }
	return t
}
