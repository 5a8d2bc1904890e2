package demo

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/examples/quickstart/internal/format"
	"github.com/roomtoken/roomtoken/telnyx"
)

// describe returns the text for an event, or "" if the event is not shown.
func describe(e roomtoken.Event) (string, Level) {
	switch e.Kind {
	case roomtoken.EventCallBegun:
		return "", Info // the room's row shows calls in flight
	case roomtoken.EventCallEnded:
		return describeCall(e)
	case roomtoken.EventCallOverdue:
		return fmt.Sprintf("%v still running after %s", e.Call, format.Seconds(e.Duration)), Bad
	case roomtoken.EventTokenPublished:
		return fmt.Sprintf("token %d from %v, valid for %s", e.Generation, e.Call, format.Seconds(e.ExpiresAt.Sub(e.Time))), Good
	case roomtoken.EventFellBack:
		return "falls back to create: " + e.Reason, Warning
	case roomtoken.EventHeldBack:
		return fmt.Sprintf("no API calls for %s: %s", format.Seconds(e.Until.Sub(e.Time)), reason(e.Err)), Warning
	case roomtoken.EventTokenLost:
		return "has no token any more: " + reason(e.Err), Bad
	case roomtoken.EventRecovered:
		return "the API answers again after " + format.Seconds(e.Duration), Good
	case roomtoken.EventTokenInvalidated:
		return e.Kind.String(), Warning
	case roomtoken.EventRoomEvicted:
		return "evicted: " + e.Reason, Info
	default:
		return e.Kind.String(), Info
	}
}

func describeCall(e roomtoken.Event) (string, Level) {
	switch {
	case e.Err == nil:
		return "", Info // EventTokenPublished follows
	case errors.Is(e.Err, roomtoken.ErrRefreshRejected):
		return fmt.Sprintf("%v rejected: %s", e.Call, reason(e.Err)), Warning
	case e.Until.IsZero():
		return fmt.Sprintf("%v failed: %s", e.Call, reason(e.Err)), Bad
	default:
		return fmt.Sprintf("%v failed: %s, retry in %s", e.Call, reason(e.Err), format.Seconds(e.Until.Sub(e.Time))), Bad
	}
}

// reason returns a short text for an error.
func reason(err error) string {
	var apiError *telnyx.APIError
	if errors.As(err, &apiError) {
		return fmt.Sprintf("%d %s", apiError.StatusCode, http.StatusText(apiError.StatusCode))
	}
	if err == nil {
		return "unknown"
	}
	// The source's errors begin with the call and the room, which are shown anyway.
	if _, what, ok := strings.Cut(err.Error(), "…: "); ok {
		return what
	}
	return err.Error()
}
