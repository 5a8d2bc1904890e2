package roomtoken

import (
	"errors"
	"fmt"
)

// maxRoomID is the length of the longest room ID, in bytes.
const maxRoomID = 1024

// checkRoomID returns an *Error that wraps ErrPermanent if the ID is empty or too
// long.
func checkRoomID(roomID string) error {
	switch {
	case roomID == "":
		return &Error{Err: Permanent(errors.New("the room ID is empty"))}
	case len(roomID) > maxRoomID:
		return &Error{RoomID: roomID, Err: Permanent(fmt.Errorf("a room ID has at most %d bytes, this one has %d", maxRoomID, len(roomID)))}
	default:
		return nil
	}
}
