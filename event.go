package roomtoken

import (
	"fmt"
	"strings"
	"time"
)

// EventKind is the kind of an [Event].
type EventKind uint8

// The kinds of events, each with the fields of Event that it sets beside Kind, Time
// and RoomID.
const (
	// EventCallBegun: a call to the source begins. Sets Call.
	EventCallBegun EventKind = iota + 1
	// EventCallOverdue: CallTimeout has passed and the source has not returned.
	// Callers who wait get the error. No other call for the room begins until this
	// one returns. Sets Call, Duration, Err.
	EventCallOverdue
	// EventCallEnded: a call returned. Sets Call and Duration; after a failure also
	// Err, Failures, and Until if the time of the next attempt is known.
	EventCallEnded
	// EventTokenPublished: callers get a new token from now on. Sets Call,
	// Fingerprint, ExpiresAt, Generation, Failures. A token that another process has got
	// comes with ReasonAdopted instead of Call.
	EventTokenPublished
	// EventFellBack: a create takes the place of a refresh. Sets Reason.
	EventFellBack
	// EventTokenInvalidated: a token was dropped because Invalidate was called, in this
	// process or in another. Sets Fingerprint.
	EventTokenInvalidated
	// EventRoomForgotten: Forget dropped a room.
	EventRoomForgotten
	// EventRoomEvicted: the Manager dropped a room. Sets Reason.
	EventRoomEvicted
	// EventHeldBack: calls wait until Until: all of them after a rate limit, else all but
	// those of rooms that have not failed. RoomID is the room whose call led to it; "" if
	// it was another process's. Sets Err, Until.
	EventHeldBack
	// EventTokenLost: a room in use has no token any more, because it could not be
	// renewed in time. Sets Err.
	EventTokenLost
	// EventRecovered: the source answers again after an outage, or after its credential
	// was refused; not after a rate limit alone. RoomID is the room whose call showed it.
	// Sets Duration, of the outage, and Rooms.
	EventRecovered
	// EventStoreDown: the Store does not answer, or takes no writes: tokens are not
	// shared. Once per outage. Sets Err and Until, the next try.
	EventStoreDown
	// EventStoreUp: the Store is back after EventStoreDown. Sets Duration, of the outage.
	EventStoreUp
	// EventLeaseLost: the Store refused the token of a call because another process had
	// got one meanwhile. Callers get the other one from now on. Sets Fingerprint, of the
	// token that was refused.
	EventLeaseLost
	// EventRecordUnreadable: what the Store has for a room is damaged, sealed with an
	// unknown key, or of a schema that this release does not know. It counts as absent.
	// Sets Err.
	EventRecordUnreadable
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
	EventTokenLost:        "token lost",
	EventRecovered:        "source is back",
	EventStoreDown:        "store is down",
	EventStoreUp:          "store is back",
	EventLeaseLost:        "lease lost",
	EventRecordUnreadable: "record unreadable",
}

// String returns the kind as text, such as "token published".
func (k EventKind) String() string {
	if int(k) < len(eventNames) && k > 0 {
		return eventNames[k]
	}
	return fmt.Sprintf("EventKind(%d)", uint8(k))
}

// Reasons for which a room was evicted or a create took the place of a refresh, and where
// a token came from (Event.Reason).
const (
	ReasonIdle            = "idle"                       // not asked for during IdleAfter, and its token has expired
	ReasonMaxRooms        = "MaxRooms reached"           // another room needed the space
	ReasonRefreshRejected = "refresh token rejected"     // the source refused the refresh token
	ReasonRefreshLapsed   = "refresh token lapsed"       // the refresh token expired before the renewal
	ReasonAdopted         = "adopted"                    // another process got the token
	ReasonRefreshFailing  = "refresh fails, trying both" // from the third consecutive failure on, create and refresh alternate
)

// Event is something that happened in a [Manager]. It holds no secret. Kind decides
// which fields are set; the others are zero.
type Event struct {
	Kind        EventKind
	Time        time.Time     // when it happened, on Config.Clock
	RoomID      string        // the room
	Call        CallKind      // the call
	Duration    time.Duration // how long the call took
	Err         error         // why the call failed
	Failures    int           // consecutive failed calls of the room; with a token, how many it ended
	Until       time.Time     // when the next attempt may begin
	Fingerprint string        // of the token, see Secret.Fingerprint
	ExpiresAt   time.Time     // when the token expires
	Generation  uint64        // how many tokens the room has had, including this one
	Reason      string        // why, one of the Reason constants
	Rooms       int           // how many rooms are without a token
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

// Events returns an observer for Config.OnEvent that calls each of fs in order. It
// skips nil functions. A panic in one of them does not keep the event from the
// others.
func Events(fs ...func(Event)) func(Event) {
	var observers []func(Event)
	for _, f := range fs {
		if f != nil {
			observers = append(observers, f)
		}
	}
	return func(e Event) { callAll(observers, e) }
}

func callAll(observers []func(Event), e Event) {
	if len(observers) == 0 {
		return
	}
	defer callAll(observers[1:], e) // whatever the first one does
	observers[0](e)
}
