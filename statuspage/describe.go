package statuspage

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/roomtoken/roomtoken"
)

// note is a sentence on how things stand.
type note struct {
	Level string // good, warn or bad
	Text  string
}

// The levels of a note.
const (
	good = "good"
	warn = "warn"
	bad  = "bad"
)

// notes says how things stand, the worst first.
func (v *view) notes() []note {
	var notes []note
	add := func(n int, level, one, many string) {
		switch {
		case n == 1:
			notes = append(notes, note{level, "1 " + one})
		case n > 1:
			notes = append(notes, note{level, count(n) + " " + many})
		}
	}
	s := &v.stats
	add(s.States[roomtoken.RoomStuck], bad, "room is without a token, and a call that does not return keeps others from beginning.",
		"rooms are without a token, and calls that do not return keep others from beginning.")
	add(s.States[roomtoken.RoomFailing], bad, "room is without a token because calls fail; they are retried.",
		"rooms are without a token because calls fail; they are retried.")
	if hold := v.hold(); hold != "" {
		notes = append(notes, note{bad, hold})
	}
	add(s.States[roomtoken.RoomFailed], warn, "room is without a token because the source refuses it for good: it does not exist, or the credential may not use it.",
		"rooms are without a token because the source refuses them for good: they do not exist, or the credential may not use them.")
	add(s.States[roomtoken.RoomRetrying], warn, "room still has a token, but its renewal fails.", "rooms still have a token, but their renewal fails.")
	add(s.CallsOverdue-s.States[roomtoken.RoomStuck], warn, "more call has not returned although its time is up.", "more calls have not returned although their time is up.")
	if s.StoreDown && !v.closed {
		notes = append(notes, note{warn, "The store does not answer: this process shares no tokens with others."})
	}
	switch {
	case v.closed:
		notes = append(notes, note{warn, "The manager is closed: it has no rooms any more."})
	case len(notes) > 0:
	case s.Rooms == 0:
		notes = append(notes, note{good, "There are no rooms in memory: nobody has asked for a token."})
	default:
		notes = append(notes, note{good, "No room is in trouble."})
	}
	return notes
}

// hold says what holds calls back, "" if nothing does.
func (v *view) hold() string {
	s := &v.stats
	if v.closed || !held(*s) {
		return ""
	}
	text := "The source fails or refuses its credential: one call at a time finds out whether it works again."
	switch {
	case s.RateLimited:
		text = "The source limits the rate of calls."
	case errors.Is(s.LastError, roomtoken.ErrRateLimited):
		text = "The source has limited the rate of calls: one call finds out whether it still does."
	}
	if !s.HeldUntil.IsZero() {
		text += fmt.Sprintf(" Calls are held back until %s UTC, for %s.", clockTime(s.HeldUntil), span(s.HeldUntil.Sub(v.now)))
	}
	return text
}

// period says how far back the charts go.
func (v *view) period() string {
	if v.every == defaultEvery {
		return "The last hour"
	}
	return "The last " + span(maxSamples*v.every)
}

// total is one of the numbers of the Stats, with what belongs to it.
type total struct {
	Label, Value, More string
}

// totals are the numbers of the Stats in groups: first what is, then what was since the
// Manager was made.
func (v *view) totals() (gauges, counters []total) {
	s := &v.stats
	overdue := ""
	if s.CallsOverdue > 0 {
		overdue = count(s.CallsOverdue) + " overdue"
	}
	gauges = []total{
		{"Rooms", count(s.Rooms), ""},
		{"Callers who wait", count(s.Waiters), ""},
		{"Watches", count(s.Watchers), ""},
		{"Calls in flight", count(s.CallsInFlight), overdue},
		{"Calls in line", count(s.CallsQueued), ""},
		{"Calls allowed at a time", count(s.Window), ""},
		{"Last success", v.ago(s.LastSuccessAt), ""},
		{"Last error", v.ago(s.LastErrorAt), printableError(s.LastError)},
	}
	counters = []total{
		{"Creates", count(s.Creates), count(s.CreateFailures) + " failed"},
		{"Refreshes", count(s.Refreshes), count(s.RefreshFailures) + " failed"},
		{"Fallbacks to create", count(s.Fallbacks), ""},
		{"Callers who had to wait", count(s.Misses), count(s.WaitFailures) + " got no token"},
		{"Lapses of rooms in use", count(s.Lapses), ""},
		{"Tokens invalidated", count(s.Invalidations), ""},
		{"Rooms evicted", count(s.Evictions), ""},
		{"Events dropped", count(s.EventsDropped), ""},
		{"Observer panics", count(s.ObserverPanics), ""},
	}
	if s.StoreCalls > 0 {
		counters = append(counters,
			total{"Calls of the store", count(s.StoreCalls), count(s.StoreFailures) + " failed"},
			total{"Tokens of other processes", count(s.Adopted), ""},
			total{"Leases lost", count(s.LeasesLost), ""})
	}
	return gauges, counters
}

// ago returns how long ago t was, "never" for the zero time.
func (v *view) ago(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return span(v.now.Sub(t)) + " ago"
}

// caption says which rooms there are below it.
func (v *view) caption() string {
	of := "of " + some(v.matching, "room")
	if v.matching < v.total {
		of = fmt.Sprintf("of %s that match, of %s in all", some(v.matching, "room"), count(v.total))
	}
	if len(v.rooms) == 0 {
		return "none " + of
	}
	first := (v.query.page - 1) * v.query.per
	return fmt.Sprintf("%s to %s %s, %s", count(first+1), count(first+len(v.rooms)), of, orderOf(v.query.sort).label)
}

// row is a room as people read it. What has no value is "".
type row struct {
	RoomID   string
	Token    string // its fingerprint
	State    string
	Left     string
	LeftMS   int64
	LifeMS   int64 // the token's lifetime, more than 0
	LowMS    int64 // below it, the token should have been renewed
	Next     string
	Failures string
	Since    string // of the failures
	Error    string
	Used     string
	Waiting  string // who waits and watches
}

// rows are the rooms of the page.
func (v *view) rows() []row {
	rows := make([]row, len(v.rooms))
	for i := range v.rooms {
		rows[i] = v.row(&v.rooms[i])
	}
	return rows
}

func (v *view) row(room *roomtoken.RoomStatus) row {
	r := row{
		RoomID: printable(room.RoomID),
		State:  room.State.String(),
		Next:   v.nextCall(room),
		Used:   v.ago(room.LastUsed),
	}
	if !room.ExpiresAt.IsZero() {
		life := max(room.ExpiresAt.Sub(room.IssuedAt), time.Millisecond)
		r.Left = span(left(room, v.now))
		r.LeftMS, r.LifeMS, r.LowMS = left(room, v.now).Milliseconds(), life.Milliseconds(), life.Milliseconds()*3/10
		r.Token = room.Fingerprint
	}
	if room.Failures > 0 {
		r.Failures = count(room.Failures)
		r.Since = "since " + span(v.now.Sub(room.FailingSince))
	}
	if r.Error = printableError(room.LastError); room.LastFailure != 0 {
		r.Error = room.LastFailure.String() + ": " + r.Error
	}
	var waiting []string
	if room.Waiters > 0 {
		waiting = append(waiting, some(room.Waiters, "caller"))
	}
	if room.Watchers > 0 {
		waiting = append(waiting, some(room.Watchers, "watcher"))
	}
	r.Waiting = strings.Join(waiting, ", ")
	return r
}

// nextCall says what happens next to a room.
func (v *view) nextCall(room *roomtoken.RoomStatus) string {
	wait := room.NextCallAt.Sub(v.now)
	switch {
	case room.InFlight != 0:
		return room.InFlight.String() + " in flight"
	case room.NextCall == 0:
		return ""
	case wait <= 0:
		return room.NextCall.String() + " in line"
	default:
		return room.NextCall.String() + " in " + span(wait)
	}
}
