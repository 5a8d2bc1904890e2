package redisstore

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"reflect"

	"github.com/redis/go-redis/v9"

	"github.com/roomtoken/roomtoken/storeseal"
)

// DefaultPrefix is the Prefix of a Config without one.
const DefaultPrefix = "roomtoken:"

// Config configures a [Store].
//
// It prints without its keys, except where package fmt calls no methods: in an unexported
// field of another struct.
type Config struct {
	// Prefix is what the name of every key and channel begins with: at most 64 bytes, of
	// A-Z a-z 0-9 . _ : and -. Fleets with different prefixes share nothing. Defaults to
	// [DefaultPrefix].
	Prefix string

	// EncryptionKeys are the keys that records are encrypted with, 32 random bytes each. The
	// first one seals, all of them open. To replace a key, add the new one behind the old
	// one in all processes, then put it in front in all; when the last token from before
	// that has ended, remove the old one.
	EncryptionKeys [][]byte

	// AllowPlaintext stores tokens in the clear: who can read the server's memory, its
	// files or the traffic can use them, and so can who reads traces that show commands. It
	// is needed where there are no EncryptionKeys, and refused where there are.
	AllowPlaintext bool
}

// check returns what is wrong with the arguments of New, all of it.
func check(client redis.UniversalClient, c Config) error {
	var problems []error
	if v := reflect.ValueOf(client); !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
		problems = append(problems, errors.New("redisstore: the client is nil"))
	}
	if _, ok := client.(*redis.Ring); ok {
		problems = append(problems, errors.New("redisstore: the client is a Ring, which loses rooms when a server comes or goes; use a Client or a ClusterClient"))
	}
	if len(c.Prefix) > 64 {
		problems = append(problems, fmt.Errorf("redisstore: Config.Prefix has %d bytes, and must have at most 64", len(c.Prefix)))
	}
	for i := range len(c.Prefix) {
		if !prefixByte(c.Prefix[i]) {
			problems = append(problems, fmt.Errorf("redisstore: Config.Prefix contains %q, and may contain A-Z a-z 0-9 . _ : - only", c.Prefix[i]))
			break
		}
	}
	switch {
	case len(c.EncryptionKeys) == 0 && !c.AllowPlaintext:
		problems = append(problems, errors.New("redisstore: Config.EncryptionKeys is empty; set AllowPlaintext to store tokens in the clear"))
	case len(c.EncryptionKeys) > 0 && c.AllowPlaintext:
		problems = append(problems, errors.New("redisstore: Config has EncryptionKeys and AllowPlaintext; leave one of them out"))
	}
	return errors.Join(problems...)
}

func prefixByte(b byte) bool {
	return 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' || b == '.' || b == '_' || b == ':' || b == '-'
}

// sealer returns what seals and opens the records.
func (c Config) sealer() (*storeseal.Sealer, error) {
	if len(c.EncryptionKeys) == 0 {
		return storeseal.Plaintext(c.Prefix), nil
	}
	s, err := storeseal.New(c.Prefix, c.EncryptionKeys...)
	if err != nil {
		return nil, fmt.Errorf("redisstore: Config.EncryptionKeys: %w", err)
	}
	return s, nil
}

// String returns a description of c without the keys.
func (c Config) String() string {
	return fmt.Sprintf("redisstore.Config{Prefix: %q, EncryptionKeys: %d, AllowPlaintext: %t}", c.Prefix, len(c.EncryptionKeys), c.AllowPlaintext)
}

// Format implements [fmt.Formatter]. It writes the text of String for every verb.
func (c Config) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }

// LogValue implements [slog.LogValuer] with the text of String.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.String()) }

// MarshalText implements [encoding.TextMarshaler] with the text of String. It cannot be
// unmarshaled.
func (c Config) MarshalText() ([]byte, error) { return []byte(c.String()), nil }
