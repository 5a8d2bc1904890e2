package roomtoken

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"time"
)

// Token is a bearer credential and the time, on this machine's wall clock, from which
// it must not be used. It may be copied.
//
// JSON and every other encoding redact Value. To send a token to a client, or to store
// it, put the result of [Secret.Reveal] into a struct of your own.
type Token struct {
	// Value is the credential itself. It prints as "[redacted]"; use
	// [Secret.Reveal] where it has to leave the process.
	Value Secret

	// ExpiresAt is the first moment at which the token must not be used. A [Manager]
	// passes on what the source has put into its [Grant], in UTC.
	ExpiresAt time.Time
}

// IsZero reports whether the token holds no credential.
func (t Token) IsZero() bool { return t.Value.IsZero() }

// redacted is printed in place of the value of a [Secret].
const redacted = "[redacted]"

// Secret holds a credential and does not show it. Every verb of package fmt, log/slog,
// encoding/json, and every encoder that honours [encoding.TextMarshaler] print
// "[redacted]" in its place. [Secret.Reveal] is the only way to get the value.
//
// The zero Secret is empty. Secrets are immutable, safe for concurrent use, and
// cannot be compared with ==; use [Secret.Equal].
type Secret struct {
	_ [0]func() // forbids ==, which would compare addresses

	// The value is behind a pointer because fmt cannot call the methods of a Secret in
	// an unexported field of somebody else's struct: it prints this address then, and
	// not the value.
	value *string
}

// NewSecret returns a Secret that holds value. If value is empty, it is the zero
// Secret.
func NewSecret(value string) Secret { return secretIn(&value) }

// secretIn returns the Secret that value points to. It keeps alive what value is in.
func secretIn(value *string) Secret {
	if *value == "" {
		return Secret{}
	}
	return Secret{value: value}
}

// Reveal returns the value, "" for the zero Secret.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// Fingerprint returns a short name for the value that is fit for logs: the first 48
// bits of its SHA-256, in hexadecimal. It is the same in every process. It cannot be
// reversed for values that are hard to guess, as tokens are. The fingerprint of the
// zero Secret is "".
func (s Secret) Fingerprint() string {
	if s.IsZero() {
		return ""
	}
	sum := sha256.Sum256([]byte(*s.value))
	return hex.EncodeToString(sum[:6])
}

// Equal reports whether both hold the same value. The time it takes depends only on
// their lengths.
func (s Secret) Equal(other Secret) bool {
	return subtle.ConstantTimeCompare([]byte(s.Reveal()), []byte(other.Reveal())) == 1
}

// IsZero reports whether the Secret is empty.
func (s Secret) IsZero() bool { return s.value == nil }

// Format implements [fmt.Formatter]: "[redacted]" for every verb and flag.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// String returns "[redacted]".
func (s Secret) String() string { return redacted }

// LogValue implements [slog.LogValuer]: "[redacted]".
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText implements [encoding.TextMarshaler]: "[redacted]". A Secret cannot be
// stored by an encoder and read back.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalJSON implements json.Marshaler: the string "[redacted]".
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }
