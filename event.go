package roomtoken

import (
	"fmt"
	"strings"
	"time"

	"github.com/roomtoken/roomtoken/internal/policy"
)

// EventKind says what an [Event] tells.
type EventKind uint8

// The kinds of events, and which fields of Event each fills beside Kind, Time
// and RoomID.
const (
	// EventCallBegun: a call to the source begins. Call.
	EventCallBegun EventKind = iota + 1
	// EventCallOverdue: CallTimeout has passed and the source has not returned. Those
	// who wait get the error; the call keeps its room's place until it returns.
	// Call, Duration, Err.
	EventCallOverdue
	// EventCallEnded: the call returned. Call, Duration; with a failure Err, Failures,
	// and Until where the time of the next attempt is known.
	EventCallEnded
	// EventTokenPublished: callers get a new token from now on. Call, Fingerprint,
	// ExpiresAt, Generation, Failures.
	EventTokenPublished
	// EventFellBack: a create takes the place of a refresh. Reason.
	EventFellBack
	// EventTokenInvalidated: a token was dropped by Invalidate. Fingerprint.
	EventTokenInvalidated
	// EventRoomForgotten: a room was dropped by Forget.
	EventRoomForgotten
	// EventRoomEvicted: a room was let go. Reason.
	EventRoomEvicted
	// EventHeldBack: no call of any room begins before Until; RoomID is the room whose
	// call led to it. Err, Until.
	EventHeldBack
)

var eventNames = [...]string{
	EventCallBegun:        "call begun",
	EventCallOverdue:      "call overdue",
	EventCallEnded:        "call ended",
	EventTokenPublished:   "token published",
	EventFellBack:         "fell back to create",
	EventTokenInvalidated: "token invalidated",
	EventRoomForgotten:    "room forgotten",
	EventRoomEvicted:      "room evicted",
	EventHeldBack:         "calls held back",
}

// String returns the kind in words: "token published".
func (k EventKind) String() string {
	if int(k) < len(eventNames) && k > 0 {
		return eventNames[k]
	}
	return fmt.Sprintf("EventKind(%d)", uint8(k))
}

// CallKind is one of the two calls of a [TokenSource].
type CallKind uint8

// The calls of a [TokenSource]; the zero CallKind is none.
const (
	CallCreate  = CallKind(policy.Create)
	CallRefresh = CallKind(policy.Refresh)
)

// String returns "create", "refresh" or "none".
func (k CallKind) String() string {
	switch k {
	case CallCreate:
		return "create"
	case CallRefresh:
		return "refresh"
	case 0:
		return "none"
	default:
		return fmt.Sprintf("CallKind(%d)", uint8(k))
	}
}

// Why a room was evicted or a create took a refresh's place (Event.Reason).
const (
	ReasonIdle            = "idle"                       // not asked for during IdleAfter, and its token has run out
	ReasonMaxRooms        = "MaxRooms reached"           // the place was needed for another room
	ReasonRefreshRejected = "refresh token rejected"     // the source refused the refresh token
	ReasonRefreshLapsed   = "refresh token lapsed"       // it ran out before the renewal
	ReasonRefreshFailing  = "refresh fails, trying both" // from the third failure on, create and refresh alternate
)

// Event is one thing that happened in a [Manager]. It holds no secret. Which
// fields are set depends on Kind; the others are zero.
type Event struct {
	Kind        EventKind
	Time        time.Time     // when it happened, on Config.Clock
	RoomID      string        // the room
	Call        CallKind      // which call
	Duration    time.Duration // how long the call took
	Err         error         // why the call failed
	Failures    int           // failed calls of the room in a row; with a token, how many it put an end to
	Until       time.Time     // when the next attempt may begin
	Fingerprint string        // of the token, see Secret.Fingerprint
	ExpiresAt   time.Time     // end of the token
	Generation  uint64        // how many tokens the room has had, this one included
	Reason      string        // why, one of the Reason constants
}

// String returns the event as a line of text.
func (e Event) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s room=%q", e.Kind, shorten(e.RoomID))
	if e.Call != 0 {
		fmt.Fprintf(&b, " call=%v", e.Call)
	}
	if e.Duration != 0 {
		fmt.Fprintf(&b, " duration=%v", e.Duration)
	}
	if e.Reason != "" {
		fmt.Fprintf(&b, " reason=%q", e.Reason)
	}
	if e.Failures != 0 {
		fmt.Fprintf(&b, " failures=%d", e.Failures)
	}
	if e.Fingerprint != "" {
		fmt.Fprintf(&b, " token=%s", e.Fingerprint)
	}
	if !e.ExpiresAt.IsZero() {
		fmt.Fprintf(&b, " expires=%s", e.ExpiresAt.Format(time.RFC3339))
	}
	if !e.Until.IsZero() {
		fmt.Fprintf(&b, " until=%s", e.Until.Format(timeFormat))
	}
	if e.Err != nil {
		fmt.Fprintf(&b, " err=%q", e.Err.Error())
	}
	return b.String()
}

// Events returns an observer for Config.OnEvent that calls each of fs in order.
// A nil among them is passed over; a panic in one does not keep the event from
// the others.
func Events(fs ...func(Event)) func(Event) {
	var observers []func(Event)
	for _, f := range fs {
		if f != nil {
			observers = append(observers, f)
		}
	}
	return func(e Event) { tellAll(observers, e) }
}

func tellAll(observers []func(Event), e Event) {
	if len(observers) == 0 {
		return
	}
	defer tellAll(observers[1:], e) // whatever the first does
	observers[0](e)
}
