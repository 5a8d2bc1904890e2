package statuspage

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
)

// The text has what the HTML has, a line each.
func TestText(t *testing.T) {
	v := fullView()
	v.query.page, v.matching = 2, 10
	text := string(v.text())
	for _, want := range []string{
		"2026-07-01 12:00:00 UTC  eu-1\n\nbad   1 room is without a token",
		"\nRooms retrying                         4\n",
		"\nRooms                                 29\n",
		"\nLast error                       0 s ago  no answer\n",
		"\n\nSince the start\nCreates                                0  0 failed\n",
		"\n\nThe last hour\nRooms by state              now 1 stuck",
		"\n\n8 to 14 of 10 rooms that match, of 29 in all, worst first; page 2 of 2\nSTATE     TIME LEFT",
		"\nretrying  2 min         -                       2 since 1 min             0 s ago         1 caller, 2 watchers    retrying-room  token 0123456789ab  refresh: no answer\n",
		"\nstuck     -             -                       -                         1 min ago       -                       stuck-room\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the text lacks %q:\n%s", want, text)
		}
	}
	if !strings.HasSuffix(text, "idle-room\n") {
		t.Errorf("the text does not end with its last room: %q", text[len(text)-80:])
	}
}

// The store is on the page of a process that has one.
func TestStore(t *testing.T) {
	v := fullView()
	if text := string(v.text()); strings.Contains(text, "store") {
		t.Errorf("there is no store, but the text has one:\n%s", text)
	}
	v.stats.StoreCalls, v.stats.StoreFailures, v.stats.Adopted, v.stats.LeasesLost = 1234, 5, 678, 9
	html, err := v.html()
	if err != nil {
		t.Fatal(err)
	}
	text := string(v.text())
	for _, want := range []struct{ label, value, more string }{
		{"Calls of the store", "1,234", "5 failed"},
		{"Tokens of other processes", "678", ""},
		{"Leases lost", "9", ""},
	} {
		more := ""
		if want.more != "" {
			more = " <small><bdi>" + want.more + "</bdi></small>"
		}
		if line := "<dt>" + want.label + "</dt><dd><b>" + want.value + "</b>" + more + "</dd>"; !strings.Contains(string(html), line) {
			t.Errorf("the HTML lacks %s", line)
		}
		if line := strings.TrimSpace(fmt.Sprintf("%-28s%12s  %s", want.label, want.value, want.more)); !strings.Contains(text, "\n"+line+"\n") {
			t.Errorf("the text lacks %q:\n%s", line, text)
		}
	}
}

// What is wrong is said first, the worst at the top; that nothing is wrong is said too.
func TestNotes(t *testing.T) {
	states := func(state roomtoken.RoomState, n int) (s roomtoken.Stats) {
		s.States[state], s.Rooms = n, n
		return s
	}
	overdue := states(roomtoken.RoomStuck, 1)
	overdue.CallsOverdue = 3
	for _, test := range []struct {
		stats  roomtoken.Stats
		closed bool
		want   string
	}{
		{roomtoken.Stats{}, false, "good: There are no rooms in memory: nobody has asked for a token."},
		{states(roomtoken.RoomValid, 5), false, "good: No room is in trouble."},
		{states(roomtoken.RoomEmpty, 5), false, "good: No room is in trouble."},
		{states(roomtoken.RoomFailing, 1200), false, "bad: 1,200 rooms are without a token because calls fail; they are retried."},
		{states(roomtoken.RoomFailing, 1), false, "bad: 1 room is without a token because calls fail; they are retried."},
		{states(roomtoken.RoomFailed, 1), false, "warn: 1 room is without a token because the source refuses it for good: it does not exist, or the credential may not use it."},
		{states(roomtoken.RoomRetrying, 2), false, "warn: 2 rooms still have a token, but their renewal fails."},
		{overdue, false, "bad: 1 room is without a token, and a call that does not return keeps others from beginning.\n" +
			"warn: 2 more calls have not returned although their time is up."},
		{
			roomtoken.Stats{HeldUntil: noon.Add(90 * time.Second), RateLimited: true},
			false,
			"bad: The source limits the rate of calls. Calls are held back until 12:01:30 UTC, for 1 min 30 s.",
		},
		{
			roomtoken.Stats{HeldUntil: noon.Add(3 * time.Second), Probing: true},
			false,
			"bad: The source fails or refuses its credential: one call at a time finds out whether it works again. Calls are held back until 12:00:03 UTC, for 3 s.",
		},
		{roomtoken.Stats{Probing: true, LastError: roomtoken.ErrRateLimited}, false, "bad: The source has limited the rate of calls: one call finds out whether it still does."},
		{roomtoken.Stats{Probing: true}, false, "bad: The source fails or refuses its credential: one call at a time finds out whether it works again."},
		{roomtoken.Stats{StoreDown: true}, false, "warn: The store does not answer: this process shares no tokens with others."},
		{roomtoken.Stats{HeldUntil: noon, RateLimited: true, StoreDown: true}, true, "warn: The manager is closed: it has no rooms any more."},
	} {
		v := &view{stats: test.stats, closed: test.closed, now: noon}
		var got []string
		for _, n := range v.notes() {
			got = append(got, n.Level+": "+n.Text)
		}
		if got := strings.Join(got, "\n"); got != test.want {
			t.Errorf("notes: %s\nwant %s", got, test.want)
		}
	}
}

// What happens next to a room.
func TestNextCall(t *testing.T) {
	v := &view{now: noon}
	for want, room := range map[string]roomtoken.RoomStatus{
		"":                      {},
		"create in flight":      {InFlight: roomtoken.CallCreate},
		"refresh in line":       {NextCall: roomtoken.CallRefresh, NextCallAt: noon.Add(-time.Second)},
		"refresh in 3 min 20 s": {NextCall: roomtoken.CallRefresh, NextCallAt: noon.Add(200 * time.Second)},
	} {
		if got := v.nextCall(&room); got != want {
			t.Errorf("next call of %+v: %q, want %q", room, got, want)
		}
	}
}

func TestPeriod(t *testing.T) {
	for every, want := range map[time.Duration]string{10 * time.Second: "The last hour", time.Second: "The last 6 min", time.Minute: "The last 6 h", 24 * time.Hour: "The last 360 d"} {
		if got := (&view{every: every}).period(); got != want {
			t.Errorf("period = %q, want %q", got, want)
		}
	}
}
