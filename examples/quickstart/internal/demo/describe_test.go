package demo

import (
	"errors"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
)

func TestDescribe(t *testing.T) {
	at := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		event roomtoken.Event
		want  string
	}{
		{roomtoken.Event{Kind: roomtoken.EventCallBegun, Call: roomtoken.CallCreate}, ""},
		{roomtoken.Event{Kind: roomtoken.EventCallEnded, Call: roomtoken.CallCreate}, ""},
		{roomtoken.Event{Kind: roomtoken.EventCallEnded, Call: roomtoken.CallRefresh, Err: errors.New("no route"), Until: at.Add(612 * time.Millisecond)}, "refresh failed: no route, retry in 0.6 s"},
		{roomtoken.Event{Kind: roomtoken.EventCallEnded, Call: roomtoken.CallCreate, Err: roomtoken.Permanent(errors.New("no such room"))}, "create failed: no such room"},
		{roomtoken.Event{Kind: roomtoken.EventCallEnded, Call: roomtoken.CallRefresh, Err: roomtoken.ErrRefreshRejected}, "refresh rejected: roomtoken: refresh token rejected"},
		{roomtoken.Event{Kind: roomtoken.EventCallOverdue, Call: roomtoken.CallCreate, Duration: 10 * time.Second}, "create still running after 10 s"},
		{roomtoken.Event{Kind: roomtoken.EventTokenPublished, Call: roomtoken.CallCreate, Generation: 3, ExpiresAt: at.Add(39 * time.Second)}, "token 3 from create, valid for 39 s"},
		{roomtoken.Event{Kind: roomtoken.EventFellBack, Reason: roomtoken.ReasonRefreshLapsed}, "falls back to create: " + roomtoken.ReasonRefreshLapsed},
		{roomtoken.Event{Kind: roomtoken.EventHeldBack, Err: roomtoken.ErrRateLimited, Until: at.Add(5 * time.Second)}, "no API calls for 5.0 s: roomtoken: rate limited"},
		{roomtoken.Event{Kind: roomtoken.EventRoomEvicted, Reason: roomtoken.ReasonIdle}, "evicted: idle"},
		{roomtoken.Event{Kind: roomtoken.EventTokenInvalidated}, "token invalidated"},
		{roomtoken.Event{Kind: roomtoken.EventTokenLost, Err: errors.New("telnyx: refresh for room 0ccc7b54…: no response: EOF")}, "has no token any more: no response: EOF"},
		{roomtoken.Event{Kind: roomtoken.EventTokenLost}, "has no token any more: unknown"},
		{roomtoken.Event{Kind: roomtoken.EventRecovered, Duration: 90 * time.Second, Rooms: 3}, "the API answers again after 90 s"},
		{roomtoken.Event{Kind: roomtoken.EventRoomForgotten}, "room forgotten"},
	} {
		tt.event.Time = at
		if got, _ := describe(tt.event); got != tt.want {
			t.Errorf("%v: got %q, want %q", tt.event, got, tt.want)
		}
	}
}
