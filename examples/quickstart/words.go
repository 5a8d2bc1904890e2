package main

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/telnyx"
)

// inWords says in plain words what an event means, or "" for one that says
// nothing new.
func inWords(e roomtoken.Event) (string, mood) {
	switch e.Kind {
	case roomtoken.EventCallBegun:
		return "", neutral // the view shows what is in flight
	case roomtoken.EventCallEnded:
		return callEnded(e)
	case roomtoken.EventCallOverdue:
		return fmt.Sprintf("%v has not returned after %s", e.Call, seconds(e.Duration)), alarm
	case roomtoken.EventTokenPublished:
		return fmt.Sprintf("token %d, by %v, good for %s", e.Generation, e.Call, seconds(e.ExpiresAt.Sub(e.Time))), good
	case roomtoken.EventFellBack:
		return "falls back to create: " + e.Reason, warning
	case roomtoken.EventHeldBack:
		return fmt.Sprintf("no call of any room for %s: %s", seconds(e.Until.Sub(e.Time)), reason(e.Err)), warning
	case roomtoken.EventRoomEvicted:
		return "dropped: " + e.Reason, neutral
	default:
		return e.Kind.String(), neutral
	}
}

func callEnded(e roomtoken.Event) (string, mood) {
	switch {
	case e.Err == nil:
		return "", neutral // the token is an event of its own
	case errors.Is(e.Err, roomtoken.ErrRefreshRejected):
		return fmt.Sprintf("%v refused: %s", e.Call, reason(e.Err)), warning
	case e.Until.IsZero():
		return fmt.Sprintf("%v failed: %s", e.Call, reason(e.Err)), alarm
	default:
		return fmt.Sprintf("%v failed: %s, next try in %s", e.Call, reason(e.Err), seconds(e.Until.Sub(e.Time))), alarm
	}
}

// reason is an error in a few words.
func reason(err error) string {
	var answer *telnyx.APIError
	if errors.As(err, &answer) {
		return fmt.Sprintf("%d %s", answer.StatusCode, http.StatusText(answer.StatusCode))
	}
	// The source's errors begin with the call and the room, which stand beside it.
	if _, what, ok := strings.Cut(err.Error(), "…: "); ok {
		return what
	}
	return err.Error()
}

// short is enough of a room ID to tell it from others.
func short(id string) string { return id[:min(8, len(id))] }

// seconds writes a time as a person would say it: 0.6 s, 24 s, 50 min.
func seconds(d time.Duration) string {
	switch {
	case d < 0:
		return "0 s"
	case d < 9950*time.Millisecond:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < 10*time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d < 10*time.Hour:
		return fmt.Sprintf("%.0f min", d.Minutes())
	default:
		return fmt.Sprintf("%.0f h", d.Hours())
	}
}

// roomsIn writes a number of rooms.
func roomsIn(n int) string {
	if n == 1 {
		return "1 room"
	}
	return fmt.Sprintf("%d rooms", n)
}

// count writes a number with its thousands apart: 31,402.
func count[N int | uint64 | time.Duration](n N) string {
	s := fmt.Sprintf("%d", n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
