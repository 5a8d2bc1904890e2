package telnyxtest

import (
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

// The errors of [Server.Verify] and [Server.VerifyCredential].
var (
	ErrInvalid = errors.New("telnyxtest: invalid token") // not a token of this server for this room or credential
	ErrExpired = errors.New("telnyxtest: token expired") // or not valid yet, if the clock was set back
	ErrRevoked = errors.New("telnyxtest: token revoked") // see Server.RevokeTokens and Server.RemoveRooms
)

// kind is what a token is good for.
type kind uint8

const (
	clientToken kind = iota
	refreshToken
	credentialToken
)

func (k kind) String() string {
	return [...]string{"client token", "refresh token", "credential token"}[k]
}

// claims are those of the examples in the API document, in their order. Tokens of rooms
// have grants; tokens of telephony credentials have a tel_token.
type claims struct {
	Audience      string  `json:"aud"`
	ExpiresAt     int64   `json:"exp"`
	Grants        []grant `json:"grants,omitempty"`
	GrantsVersion string  `json:"grants_version,omitempty"`
	IssuedAt      int64   `json:"iat"`
	Issuer        string  `json:"iss"`
	ID            string  `json:"jti"`
	NotBefore     int64   `json:"nbf"`
	Subject       string  `json:"sub"`
	TelToken      string  `json:"tel_token,omitempty"`
	Type          string  `json:"typ"`
}

type grant struct {
	Actions   []string `json:"actions"`
	Resources []string `json:"resources"`
	Subjects  []string `json:"subjects"`
}

const (
	resourcePrefix = "telnyx:video:rooms:"

	// The values of the claims aud and iss.
	roomsIssuer     = "telnyx_access_token"
	telephonyIssuer = "telnyx_telephony"

	// The values of the claim typ.
	typAccess  = "access"
	typRefresh = "refresh"
)

// describe returns what the claims say: the kind of the token, and the ID of its room or
// telephony credential.
func (c claims) describe() (k kind, id string) {
	switch {
	case c.Audience == telephonyIssuer:
		return credentialToken, c.Subject
	case c.Type == typRefresh:
		k = refreshToken
	default:
		k = clientToken
	}
	return k, strings.TrimPrefix(c.Grants[0].Resources[0], resourcePrefix)
}

// issuer mints and checks tokens. It stores none: it recognizes a token by its signature,
// and a revoked one by the serial number in its jti. It takes IDs as they are: those of
// rooms must be in lower case.
type issuer struct {
	*signer
	salt [8]byte // the first 8 bytes of every jti
	user string  // the subject of the grants: the owner of the account, not a participant

	mu      sync.Mutex
	serial  uint64                // of the newest token
	revoked map[revocation]uint64 // the largest revoked serial
}

// revocation identifies the tokens of one kind for one ID, or for all IDs if id is "".
type revocation struct {
	kind kind
	id   string
}

func newIssuer() *issuer {
	i := &issuer{signer: newSigner(), revoked: make(map[revocation]uint64)}
	_, _ = rand.Read(i.salt[:]) // never fails
	i.user = i.jti(0)
	return i
}

// mint returns a token and its expiry, which is issued plus ttl, both truncated to whole
// seconds.
func (i *issuer) mint(k kind, id string, issued time.Time, ttl time.Duration) (string, time.Time) {
	i.mu.Lock()
	i.serial++
	serial := i.serial
	i.mu.Unlock()

	iat := issued.Unix()
	exp := iat + int64(ttl/time.Second)
	c := claims{ExpiresAt: exp, IssuedAt: iat, ID: i.jti(serial), NotBefore: iat - 1, Type: typAccess}
	header := ed25519Header
	if k == credentialToken {
		header = hs512Header
		c.Audience, c.Issuer = telephonyIssuer, telephonyIssuer
		c.Subject = id // a UUID in the example, of which the document does not say what it is
		var opaque [94]byte
		_, _ = rand.Read(opaque[:]) // never fails
		c.TelToken = base64.URLEncoding.EncodeToString(opaque[:])
	} else {
		c.Audience, c.Issuer = roomsIssuer, roomsIssuer
		c.Subject = "null" // the string "null", as in the example
		c.GrantsVersion = "1.0.0"
		c.Grants = []grant{{
			Actions:   []string{"join"},
			Resources: []string{resourcePrefix + id},
			Subjects:  []string{"telnyx:users:" + i.user},
		}}
	}
	if k == refreshToken {
		c.Type = typRefresh
	}
	payload, err := json.Marshal(c)
	if err != nil {
		panic(err) // cannot happen: strings and numbers only
	}
	return i.sign(header, string(payload)), time.Unix(exp, 0).UTC()
}

// check returns nil if this issuer minted the token, of this kind and for this ID, and if
// it is valid at now and not revoked.
func (i *issuer) check(token string, k kind, id string, now time.Time) error {
	payload, err := i.open(token)
	if err != nil {
		return err
	}
	var c claims
	if err := json.Unmarshal([]byte(payload), &c); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	// The signature is this issuer's, so the claims are complete.
	gotKind, gotID := c.describe()
	at := now.Unix() // rounds down: a time counts once it is reached
	switch {
	case gotKind != k:
		return fmt.Errorf("%w: it is a %s, want a %s", ErrInvalid, gotKind, k)
	case gotID != id:
		return fmt.Errorf("%w: it is for %s", ErrInvalid, gotID)
	case at >= c.ExpiresAt:
		return fmt.Errorf("%w: at %v, %v ago", ErrExpired, stamp(time.Unix(c.ExpiresAt, 0)), now.Sub(time.Unix(c.ExpiresAt, 0)))
	case at < c.NotBefore:
		return fmt.Errorf("%w: not valid before %v", ErrExpired, stamp(time.Unix(c.NotBefore, 0)))
	case i.isRevoked(k, id, serialOf(c.ID)):
		return ErrRevoked
	}
	return nil
}

// revoke revokes all tokens of the kind that were minted so far, for the IDs, or for all
// IDs if there are none.
func (i *issuer) revoke(k kind, ids []string) {
	if len(ids) == 0 {
		ids = []string{""}
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, id := range ids {
		i.revoked[revocation{k, id}] = i.serial
	}
}

func (i *issuer) isRevoked(k kind, id string, serial uint64) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return serial <= max(i.revoked[revocation{k, id}], i.revoked[revocation{k, ""}])
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
