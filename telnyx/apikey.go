package telnyx

import (
	"errors"
	"strings"
)

// checkAPIKey returns an error unless key can be sent in an Authorization header. The
// error completes a sentence that begins with the origin of the key. It does not quote
// the key, which is a secret even if it has a trailing newline.
func checkAPIKey(key string) error {
	if key == "" {
		return errors.New("is empty")
	}
	if strings.ContainsFunc(key, isNotTokenChar) {
		return errors.New("contains white space, control or non-ASCII characters")
	}
	return nil
}

// isNotTokenChar reports whether r is not a visible ASCII character. Bearer tokens have
// no others (RFC 6750, 2.1).
func isNotTokenChar(r rune) bool { return r <= ' ' || r > '~' }

func isControl(r rune) bool { return r < ' ' || r == 0x7f }
