package telnyx

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// redacted replaces credentials in texts.
	redacted = "[redacted]"

	// maxServerText limits each text from a response, in bytes.
	maxServerText = 300

	// maxOwnText limits the text of an error from this process, in bytes.
	maxOwnText = 1000
)

// minSecret is the length in bytes from which a credential is redacted. Shorter ones are
// no real ones, and replacing a key such as "test" would garble host names.
const minSecret = 8

// redactor is a list of credentials to redact.
type redactor []string

// clean makes an untrusted text fit for an error: valid UTF-8 on one line, truncated after
// limit bytes, with the credentials and everything else that looks like a JWT redacted.
//
// It looks for a credential at every position before it applies the limit, so that the
// limit cannot cut a credential in two and reveal the first part.
func (r redactor) clean(text string, limit int) string {
	var b strings.Builder
	space := true // b is empty or ends in a space
	for text != "" {
		if b.Len() >= limit {
			b.WriteString("…")
			break
		}
		if n := r.secretAt(text); n > 0 {
			b.WriteString(redacted)
			text, space = text[n:], false
			continue
		}
		char, size := utf8.DecodeRuneInString(text)
		text = text[size:]
		switch {
		case char != ' ' && unicode.IsPrint(char):
			b.WriteRune(char)
			space = false
		case !space: // white space, line breaks, escape sequences, direction marks
			b.WriteByte(' ')
			space = true
		}
	}
	return strings.TrimSuffix(b.String(), " ")
}

// secretAt returns the length of the longest credential at the beginning of text, or 0.
func (r redactor) secretAt(text string) int {
	n := 0
	for _, secret := range r {
		if len(secret) >= minSecret && len(secret) > n && strings.HasPrefix(text, secret) {
			n = len(secret)
		}
	}
	return max(n, jwtAt(text))
}

// jwtAt returns the length of a JWT, or part of one, at the beginning of text, or 0. "eyJ"
// is the base64url encoding of `{"`, with which the header of every JWT begins.
func jwtAt(text string) int {
	if !strings.HasPrefix(text, "eyJ") {
		return 0
	}
	n := strings.IndexFunc(text, func(c rune) bool {
		return !(c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '-' || c == '_' || c == '.')
	})
	if n < 0 {
		n = len(text)
	}
	if n < 16 { // more likely a word
		return 0
	}
	return n
}
