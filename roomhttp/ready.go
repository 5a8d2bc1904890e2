package roomhttp

import (
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/roomtoken/roomtoken"
)

// Ready returns a handler for readiness probes: it answers 200 while at least that share,
// 0 to 1, of the rooms in use has a token, and while no room is in use; otherwise, and
// after manager.Close, it answers 503. It panics if manager is nil or share is not from 0
// to 1.
//
// It goes by [roomtoken.Stats].States. Rooms that are valid or retrying have a token. Rooms
// that are failing, stuck or empty are in use without one; a room that is being warmed is
// empty. Idle rooms are not in use. Failed rooms do not count either, since anybody can
// mistype a room ID, except while the source refuses its credential or is probed
// ([roomtoken.Stats].Probing): then they count as rooms in use without a token.
func Ready(manager *roomtoken.Manager, share float64) http.Handler {
	switch {
	case manager == nil:
		panic("roomhttp: Ready needs a Manager, not nil")
	case !(share >= 0 && share <= 1): // NaN fails too
		panic(fmt.Sprintf("roomhttp: Ready needs a share from 0 to 1, not %v", share))
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status, text := http.StatusOK, "ready\n"
		closed := manager.Warm(r.Context()) != nil // without a room it does nothing else
		with, inUse := roomsInUse(manager.Stats())
		if closed || inUse > 0 && float64(with)/float64(inUse) < share {
			status, text = http.StatusServiceUnavailable, "not ready\n"
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	})
}

// roomsInUse returns how many rooms are in use, and how many of them have a token.
func roomsInUse(s roomtoken.Stats) (with, inUse int) {
	with = s.States[roomtoken.RoomValid] + s.States[roomtoken.RoomRetrying]
	inUse = with + s.States[roomtoken.RoomFailing] + s.States[roomtoken.RoomStuck] + s.States[roomtoken.RoomEmpty]
	refused := errors.Is(s.LastError, roomtoken.ErrUnauthorized) && !s.LastErrorAt.Before(s.LastSuccessAt)
	if refused || s.Probing {
		inUse += s.States[roomtoken.RoomFailed]
	}
	return with, inUse
}
