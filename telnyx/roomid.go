package telnyx

import (
	"fmt"
	"strings"

	"github.com/roomtoken/roomtoken"
)

// isRoomID reports whether id is a UUID in canonical form: 8-4-4-4-12 hexadecimal digits
// in either case (RFC 9562, 4).
func isRoomID(id string) bool {
	if len(id) != 36 {
		return false
	}
	for i := range len(id) {
		switch c := id[i]; {
		case i == 8 || i == 13 || i == 18 || i == 23:
			if c != '-' {
				return false
			}
		case '0' <= c && c <= '9', 'a' <= c && c <= 'f', 'A' <= c && c <= 'F':
		default:
			return false
		}
	}
	return true
}

// badRoomID returns the error for an id that is not a room ID, which wraps sentinel. It
// quotes only the beginning: a misplaced value may be a credential.
func badRoomID(kind roomtoken.CallKind, id string, sentinel error) error {
	text := "telnyx: " + kind.String() + ": the room ID is empty; want a UUID"
	if id != "" {
		text = fmt.Sprintf("telnyx: %s: room ID %q (%d bytes) is not a UUID; want 8-4-4-4-12 hexadecimal digits", kind, shortRoomID(id), len(id))
	}
	return &callError{text: text, wrapped: func() []error { return []error{sentinel} }}
}

// shortRoomID returns the beginning of an id, enough to find the room by.
func shortRoomID(id string) string {
	const enough = 8
	if len(id) <= enough {
		return id
	}
	return strings.ToValidUTF8(id[:enough], "") + "…"
}
