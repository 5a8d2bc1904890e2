package telnyxtest

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

// The errors of [Server.Verify].
var (
	ErrInvalid = errors.New("telnyxtest: invalid token") // not a client token of this server for this room
	ErrExpired = errors.New("telnyxtest: token expired") // or not valid yet, if the clock was set back
	ErrRevoked = errors.New("telnyxtest: token revoked") // see Server.RevokeTokens
)

// The two kinds of token: the values of the claim typ.
const (
	typAccess  = "access"
	typRefresh = "refresh"
)

// jwtHeader is the header of every token. Its alg is "Ed25519", as in the example in
// Telnyx's API document, not "EdDSA" as in RFC 8037.
var jwtHeader = encode([]byte(`{"alg":"Ed25519","typ":"JWT"}`))

// claims are the claims of the example in the API document, in its order.
type claims struct {
	Audience      string  `json:"aud"`
	ExpiresAt     int64   `json:"exp"`
	Grants        []grant `json:"grants"`
	GrantsVersion string  `json:"grants_version"`
	IssuedAt      int64   `json:"iat"`
	Issuer        string  `json:"iss"`
	ID            string  `json:"jti"`
	NotBefore     int64   `json:"nbf"`
	Subject       string  `json:"sub"`
	Type          string  `json:"typ"`
}

type grant struct {
	Actions   []string `json:"actions"`
	Resources []string `json:"resources"`
	Subjects  []string `json:"subjects"`
}

func resource(room string) string { return "telnyx:video:rooms:" + room }

// issuer mints and checks tokens. It stores none: it recognizes a token by its signature,
// and a revoked one by the serial number in its jti.
type issuer struct {
	key  ed25519.PrivateKey
	salt [8]byte // the first 8 bytes of every jti
	user string  // the subject of the grants: the owner of the account, not a participant

	mu      sync.Mutex
	serial  uint64                // of the newest token
	revoked map[revocation]uint64 // the largest revoked serial
}

// revocation identifies the tokens of one kind of one room, or of all rooms if room is "".
type revocation struct{ typ, room string }

func newIssuer() *issuer {
	i := &issuer{revoked: make(map[revocation]uint64)}
	// These two never return an error: crypto/rand crashes the program instead.
	_, i.key, _ = ed25519.GenerateKey(nil)
	_, _ = rand.Read(i.salt[:])
	i.user = i.jti(0)
	return i
}

// mint returns a token and its expiry, which is issued plus ttl, both truncated to whole
// seconds.
func (i *issuer) mint(typ, room string, issued time.Time, ttl time.Duration) (string, time.Time) {
	i.mu.Lock()
	i.serial++
	serial := i.serial
	i.mu.Unlock()

	iat := issued.Unix()
	exp := iat + int64(ttl/time.Second)
	payload, err := json.Marshal(claims{
		Audience: "telnyx_access_token",
		Grants: []grant{{
			Actions:   []string{"join"},
			Resources: []string{resource(room)},
			Subjects:  []string{"telnyx:users:" + i.user},
		}},
		GrantsVersion: "1.0.0",
		Issuer:        "telnyx_access_token",
		IssuedAt:      iat,
		NotBefore:     iat - 1,
		ExpiresAt:     exp,
		ID:            i.jti(serial),
		Subject:       "null", // the string "null", as in the example
		Type:          typ,
	})
	if err != nil {
		panic(err) // cannot happen: strings and numbers only
	}
	return i.sign(string(payload)), time.Unix(exp, 0).UTC()
}

// sign returns a JWT with the payload.
func (i *issuer) sign(payload string) string {
	signed := jwtHeader + "." + encode([]byte(payload))
	return signed + "." + encode(ed25519.Sign(i.key, []byte(signed)))
}

// check returns nil if this issuer minted the token, for this kind and room, and if it is
// valid at now and not revoked.
func (i *issuer) check(token, typ, room string, now time.Time) error {
	signed, signature, ok := cutLast(token, ".")
	if !ok {
		return fmt.Errorf("%w: not a JWT", ErrInvalid)
	}
	if !ed25519.Verify(i.key.Public().(ed25519.PublicKey), []byte(signed), decode(signature)) {
		return fmt.Errorf("%w: not signed by this server", ErrInvalid)
	}
	// The signature is this issuer's, so the token is well-formed from here on.
	var c claims
	_, payload, _ := strings.Cut(signed, ".")
	if err := json.Unmarshal(decode(payload), &c); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	at := now.Unix() // rounds down: a time counts once it is reached
	switch {
	case c.Type != typ:
		return fmt.Errorf("%w: typ is %q, want %q", ErrInvalid, c.Type, typ)
	case c.Grants[0].Resources[0] != resource(room):
		return fmt.Errorf("%w: it is for %s", ErrInvalid, c.Grants[0].Resources[0])
	case at >= c.ExpiresAt:
		return fmt.Errorf("%w: at %v, %v ago", ErrExpired, stamp(time.Unix(c.ExpiresAt, 0)), now.Sub(time.Unix(c.ExpiresAt, 0)))
	case at < c.NotBefore:
		return fmt.Errorf("%w: not valid before %v", ErrExpired, stamp(time.Unix(c.NotBefore, 0)))
	case i.isRevoked(c):
		return ErrRevoked
	}
	return nil
}

// revoke revokes all tokens of the kind that were minted so far, for the rooms, or for all
// rooms if there are none.
func (i *issuer) revoke(typ string, rooms []string) {
	if len(rooms) == 0 {
		rooms = []string{""}
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, room := range rooms {
		i.revoked[revocation{typ, strings.ToLower(room)}] = i.serial
	}
}

func (i *issuer) isRevoked(c claims) bool {
	room := strings.TrimPrefix(c.Grants[0].Resources[0], resource(""))
	serial := serialOf(c.ID)
	i.mu.Lock()
	defer i.mu.Unlock()
	return serial <= max(i.revoked[revocation{c.Type, room}], i.revoked[revocation{c.Type, ""}])
}

// jti returns a UUID of version 8 (RFC 9562, 5.8: custom layout) with a serial number in it.
func (i *issuer) jti(serial uint64) string {
	id := append(i.salt[:], 0, 0, 0, 0, 0, 0, 0, 0)
	id[6] = id[6]&0x0f | 0x80
	binary.BigEndian.PutUint64(id[8:], serial|1<<63)
	s := hex.EncodeToString(id)
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}

// serialOf is the inverse of jti.
func serialOf(jti string) uint64 {
	tail, err := hex.DecodeString(strings.ReplaceAll(jti[19:], "-", ""))
	if err != nil {
		panic(err) // cannot happen: the jti is signed by this issuer
	}
	return binary.BigEndian.Uint64(tail) &^ (1 << 63)
}

// stamp formats a time as the API does: UTC, whole seconds, with Z.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// base64url is strict: a token with its trailing padding bits changed is another token.
var base64url = base64.RawURLEncoding.Strict()

func encode(b []byte) string { return base64url.EncodeToString(b) }

// decode returns nil if s is not base64url, which no signature matches.
func decode(s string) []byte {
	b, err := base64url.DecodeString(s)
	if err != nil {
		return nil
	}
	return b
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}
