package statuspage

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// printable returns s with every character that does not print as a Go escape: control
// and bidirectional characters, line separators, and bytes that are no UTF-8. So an ID
// stays on its line and cannot reorder what stands beside it. A backslash stays as it is.
func printable(s string) string {
	if !strings.ContainsFunc(s, unprintable) {
		return s
	}
	b := make([]byte, 0, len(s)+16)
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			b = fmt.Appendf(b, `\x%02x`, s[i])
		case r != utf8.RuneError && unprintable(r):
			quoted := strconv.QuoteRuneToASCII(r)
			b = append(b, quoted[1:len(quoted)-1]...)
		default:
			b = append(b, s[i:i+size]...)
		}
		i += size
	}
	return string(b)
}

// unprintable reports whether r needs an escape. U+FFFD is printable, but also stands for
// a byte that is no UTF-8. Some characters count as printable and show nothing.
func unprintable(r rune) bool {
	return r == utf8.RuneError || !strconv.IsPrint(r) || unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) || r == '\u2800'
}

// maxErrorText is how many bytes of an error are shown.
const maxErrorText = 300

// errorText returns the text of an error, "" for nil. An Error method that panics is
// contained.
func errorText(err error) string {
	if err == nil {
		return ""
	}
	return fmt.Sprint(err)
}

// cutError cuts the text of an error to maxErrorText bytes, and reports whether it was
// longer.
func cutError(text string) (string, bool) {
	if len(text) <= maxErrorText {
		return text, false
	}
	n := maxErrorText
	for n > maxErrorText-utf8.UTFMax && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n], true
}

// printableError returns the text of an error for people, see printable.
func printableError(err error) string {
	text, cut := cutError(errorText(err))
	if cut {
		return printable(text) + "…"
	}
	return printable(text)
}
