package telnyxtest

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"strings"
)

// The headers of the two kinds of JWT, as in the examples in Telnyx's API document. The
// alg of the first is "Ed25519" there, not "EdDSA" as in RFC 8037.
const (
	ed25519Header = `{"alg":"Ed25519","typ":"JWT"}`
	hs512Header   = `{"alg":"HS512","typ":"JWT"}`
)

// signer signs JWTs with keys of its own.
type signer struct {
	ed25519 ed25519.PrivateKey
	hs512   [64]byte
}

func newSigner() *signer {
	s := new(signer)
	// These two never return an error: crypto/rand crashes the program instead.
	_, s.ed25519, _ = ed25519.GenerateKey(nil)
	_, _ = rand.Read(s.hs512[:])
	return s
}

// sign returns a JWT, always the same one for the same header and payload.
func (s *signer) sign(header, payload string) string {
	signed := encode(header) + "." + encode(payload)
	if header != hs512Header {
		return signed + "." + encode(string(ed25519.Sign(s.ed25519, []byte(signed))))
	}
	mac := hmac.New(sha512.New, s.hs512[:])
	mac.Write([]byte(signed))
	return signed + "." + encode(string(mac.Sum(nil)))
}

// open returns the payload of a JWT that sign has returned. An error wraps [ErrInvalid].
func (s *signer) open(token string) (payload string, err error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return "", fmt.Errorf("%w: not a JWT", ErrInvalid)
	}
	payload = decode(parts[1])
	if token != s.sign(decode(parts[0]), payload) {
		return "", fmt.Errorf("%w: not signed by this server", ErrInvalid)
	}
	return payload, nil
}

func encode(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// decode returns "" if s is not base64url.
func decode(s string) string {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return ""
	}
	return string(b)
}
