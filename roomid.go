package roomtoken

import (
	"errors"
	"fmt"
)

// maxRoomID is the length of the longest room ID, in bytes.
const maxRoomID = 1024

// checkRoomID returns an error that wraps ErrPermanent if the ID is empty or too
// long.
func checkRoomID(roomID string) error {
	switch {
	case roomID == "":
		return Permanent(errors.New("roomtoken: the room ID is empty"))
	case len(roomID) > maxRoomID:
		return Permanent(fmt.Errorf("roomtoken: room %q: a room ID has at most %d bytes, this one has %d",
			shorten(roomID), maxRoomID, len(roomID)))
	default:
		return nil
	}
}
