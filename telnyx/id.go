package telnyx

import (
	"errors"
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/roomtoken/roomtoken"
)

// ParseRoomID returns a room ID in lower case. s must be a UUID in its 36-byte form, in
// either case (RFC 9562, 4). For anything else the error wraps [roomtoken.ErrRoomNotFound].
//
// A Manager takes two spellings of one UUID for two rooms, so pass IDs that come from
// outside through ParseRoomID.
func ParseRoomID(s string) (string, error) {
	id, err := roomIDs.parse(s)
	if err != nil {
		return "", wrapping("telnyx: "+err.Error(), roomtoken.ErrRoomNotFound)
	}
	return id, nil
}

// idFormat is a format of IDs.
type idFormat struct {
	noun string // what an ID names, for errors
	want string
	ok   func(id string) bool
	fold bool // IDs that differ in case only are the same
}

var (
	roomIDs       = idFormat{"room", "a UUID: 8-4-4-4-12 hexadecimal digits", isUUID, true}
	credentialIDs = idFormat{"credential", "1 to 64 letters, digits, hyphens and underscores", isCredentialID, false}
)

// parse returns id as it is sent. The error quotes only the beginning of id: a misplaced
// value may be a credential.
func (f idFormat) parse(id string) (string, error) {
	switch {
	case id == "":
		return "", fmt.Errorf("the %s ID is empty; want %s", f.noun, f.want)
	case !f.ok(id):
		return "", fmt.Errorf("%s ID %q (%d bytes) is not %s", f.noun, shortID(id), len(id), f.want)
	case f.fold:
		return strings.ToLower(id), nil
	}
	return id, nil
}

func isUUID(id string) bool {
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

// isCredentialID reports whether id can be the ID of a telephony credential. Telnyx does
// not document their format; those in its examples are UUIDs.
func isCredentialID(id string) bool {
	return id != "" && len(id) <= 64 && strings.Trim(id, base64URLAlphabet) == ""
}

// shortID returns the beginning of an ID, enough to find it by.
func shortID(id string) string {
	const enough = 8
	if len(id) <= enough {
		return id
	}
	return strings.ToValidUTF8(id[:enough], "") + "…"
}

// id returns the ID that key stands for. Its errors complete a sentence.
func (c *client) id(key string) (string, error) {
	if c.toID == nil {
		return c.ids.parse(key)
	}
	id, err := c.mapKey(key)
	if err != nil {
		return "", err
	}
	if id, err = c.ids.parse(id); err != nil {
		return "", fmt.Errorf("Config.RoomID, for key %q: %w", shortID(key), err)
	}
	return id, nil
}

// mapKey calls Config.RoomID. A panic in it becomes an error.
func (c *client) mapKey(key string) (id string, err error) {
	defer func() {
		if value := recover(); value != nil {
			text := fmt.Sprintf("Config.RoomID panicked for key %q: %s", shortID(key), c.keys.known.redactor().clean(fmt.Sprint(value), maxOwnText))
			err = wrapping(text, &roomtoken.PanicError{Value: value, Stack: debug.Stack()})
		}
	}()
	if id, err = c.toID(key); err != nil {
		text := fmt.Sprintf("Config.RoomID failed for key %q: %s", shortID(key), c.keys.known.redactor().clean(err.Error(), maxOwnText))
		if errors.Is(err, roomtoken.ErrUnauthorized) || errors.Is(err, roomtoken.ErrRateLimited) {
			err = nil // a key says nothing about the source: keep the text only
		}
		return "", wrapping(text, err)
	}
	return id, nil
}
