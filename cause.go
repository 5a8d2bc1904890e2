package roomtoken

import (
	"fmt"
	"strings"
	"unicode"
)

// causeOf returns what is the same in all attempts of one outage: the type of the
// innermost error, and its text without what tells one attempt from another, such as the
// call, request IDs, times and numbers. A Watch yields a failure again only if its cause
// is a different one.
func causeOf(err error) string {
	inner := innermost(err)
	words := strings.FieldsFunc(inner.Error(), func(c rune) bool {
		return unicode.IsSpace(c) || strings.ContainsRune("()[]{}<>\"',;", c)
	})
	kept := words[:0]
	for _, w := range words {
		switch {
		case strings.ContainsFunc(w, unicode.IsDigit) && len(w) > 3: // a status code stays
		case strings.Trim(w, ":") == CallCreate.String(), strings.Trim(w, ":") == CallRefresh.String():
		default:
			kept = append(kept, w)
		}
	}
	return fmt.Sprintf("%T %s", inner, strings.Join(kept, " "))
}

// innermost returns the error at the end of err's chain, along the first branches.
func innermost(err error) error {
	for {
		var next error
		switch e := err.(type) { //nolint:errorlint // it walks the tree
		case interface{ Unwrap() error }:
			next = e.Unwrap()
		case interface{ Unwrap() []error }:
			if branches := e.Unwrap(); len(branches) > 0 {
				next = branches[0]
			}
		}
		if next == nil {
			return err
		}
		err = next
	}
}
