package telnyx

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// redacted stands wherever a credential would be printed.
	redacted = "[redacted]"

	// maxServerText bounds each text that a server put into an answer, in bytes.
	maxServerText = 300

	// maxOwnText bounds the text of an error from this side of the connection.
	maxOwnText = 1000
)

// redactor is a list of credentials that must not be printed. Empty ones are
// ignored.
type redactor []string

// clean makes somebody else's text fit for an error: at most limit bytes and an
// ellipsis, valid UTF-8 on one line, without the credentials and without
// anything else that looks like a JWT.
//
// It goes from left to right and looks for a credential at every step, so that
// none is cut in half and shown by the limit.
func (r redactor) clean(text string, limit int) string {
	var b strings.Builder
	space := true // what is written so far ends in one, or is empty
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

// secretAt returns the length of the longest credential that text begins with,
// 0 if none.
func (r redactor) secretAt(text string) int {
	n := 0
	for _, secret := range r {
		if len(secret) > n && strings.HasPrefix(text, secret) {
			n = len(secret)
		}
	}
	return max(n, jwtAt(text))
}

// jwtAt returns the length of what looks like a JWT, whole or cut short, at the
// beginning of text. "eyJ" is how base64url spells the `{"` of its header.
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
	if n < 16 { // a word
		return 0
	}
	return n
}
