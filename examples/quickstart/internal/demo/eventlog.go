package demo

import (
	"slices"
	"sync"
	"time"

	"github.com/roomtoken/roomtoken"
)

// Level classifies what is shown.
type Level uint8

// The levels.
const (
	Info Level = iota
	Good
	Warning
	Bad
)

// Entry is a line of the event log.
type Entry struct {
	Time  time.Time
	Room  string // "" if it concerns the API
	Text  string
	Level Level
}

// maxEntries is the number of entries that the log keeps.
const maxEntries = 256

// eventLog keeps the newest entries, and counts events by room.
type eventLog struct {
	mu      sync.Mutex
	entries []Entry
	total   int // entries ever added
	rooms   map[string]RoomEvents
}

// RoomEvents summarizes the events of a room.
type RoomEvents struct {
	Calls, Failed, Fallbacks int
	Lifetime                 time.Duration // of the newest token
	Expires                  time.Time     // of the newest token, on Demo.Clock
}

// record counts an event that happened at now, on Demo.Clock, and adds an entry for it,
// unless it is of no interest.
func (l *eventLog) record(e roomtoken.Event, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	room := l.rooms[e.RoomID]
	switch e.Kind {
	case roomtoken.EventCallBegun:
		room.Calls++
	case roomtoken.EventCallEnded:
		if e.Err != nil {
			room.Failed++
		}
	case roomtoken.EventFellBack:
		room.Fallbacks++
	case roomtoken.EventTokenPublished:
		room.Lifetime = e.ExpiresAt.Sub(e.Time)
		room.Expires = now.Add(room.Lifetime)
	}
	if l.rooms == nil {
		l.rooms = make(map[string]RoomEvents)
	}
	l.rooms[e.RoomID] = room
	if text, level := describe(e); text != "" {
		l.addLocked(Entry{now, e.RoomID, text, level})
	}
}

// add adds an entry.
func (l *eventLog) add(e Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.addLocked(e)
}

// addLocked is add for callers that hold mu.
func (l *eventLog) addLocked(e Entry) {
	l.entries = append(l.entries, e)
	l.entries = l.entries[max(0, len(l.entries)-maxEntries):]
	l.total++
}

// newest returns the newest entries, oldest first, and the number of entries ever
// added.
func (l *eventLog) newest() (entries []Entry, total int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.entries), l.total
}

func (l *eventLog) room(id string) RoomEvents {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rooms[id]
}
