package telnyx

import (
	"fmt"
	"strings"
)

// isRoomID reports whether id is a UUID in its canonical form: 8-4-4-4-12
// hexadecimal digits of either case (RFC 9562, 4).
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

// badRoomID is the error for an id that is none. It quotes the beginning only:
// what stands in a wrong place may be a credential.
func badRoomID(op, id string) error {
	if id == "" {
		return fmt.Errorf("telnyx: %s: the room ID is empty; want a UUID", op)
	}
	return fmt.Errorf("telnyx: %s: room ID %q (%d bytes) is no UUID; want 8-4-4-4-12 hexadecimal digits", op, shortRoomID(id), len(id))
}

// shortRoomID is enough of an id to find it by.
func shortRoomID(id string) string {
	const enough = 8
	if len(id) <= enough {
		return id
	}
	return strings.ToValidUTF8(id[:enough], "") + "…"
}
