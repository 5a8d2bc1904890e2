package demo

import (
	"fmt"
	"time"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/examples/quickstart/internal/format"
)

// Snapshot is the state of a run at one point in time.
type Snapshot struct {
	API      string    // which API the run uses
	Time     time.Time // on Demo.Clock
	Wall     time.Time // on Demo.Machine: the times in Stats and RoomStatus are on it
	Elapsed  time.Duration
	Duration time.Duration // of the run; 0 if it has no limit
	Status   string        // what is going on
	Level    Level         // of Status

	Rooms   []Room
	Entries []Entry // the newest of the event log, oldest first
	Total   int     // entries ever added to the event log
	Counts  Counts
	Stats   roomtoken.Stats
}

// Room is the state of a room.
type Room struct {
	ID      string
	Cached  bool                 // the Manager has it in memory
	OpensIn time.Duration        // when its callers arrive, if positive
	Status  roomtoken.RoomStatus // from the Manager
	Events  RoomEvents
	Waits   int // calls of Token that waited for the API
}

func (d *Demo) snapshot(manager *roomtoken.Manager) Snapshot {
	s := Snapshot{API: d.apiName, Time: d.Clock.Now(), Wall: d.Machine.Now(), Duration: d.config.Duration, Stats: manager.Stats()}
	s.Elapsed = s.Time.Sub(d.started)
	s.Counts, _ = d.counter.read()
	s.Entries, s.Total = d.events.newest()
	for _, r := range d.rooms {
		room := Room{ID: r.id, OpensIn: r.opens - s.Elapsed, Events: d.events.room(r.id), Waits: s.Counts.Waits[r.id]}
		room.Status, room.Cached = manager.Room(r.id)
		s.Rooms = append(s.Rooms, room)
	}
	s.Status, s.Level = s.describe(d.sceneAt(s.Elapsed))
	return s
}

// describe returns the status line: rooms without a token come first, then holds,
// the scene and other states of rooms.
func (s Snapshot) describe(sceneText string, sceneLevel Level) (string, Level) {
	var noToken, retrying, empty, waiters int
	var err error
	for _, r := range s.Rooms {
		waiters += r.Status.Waiters
		switch r.Status.State {
		case roomtoken.RoomFailing, roomtoken.RoomFailed, roomtoken.RoomStuck:
			noToken++
			err = r.Status.LastError
		case roomtoken.RoomRetrying:
			retrying++
		case roomtoken.RoomEmpty:
			empty++
		}
	}
	if sceneText != "" && waiters > 0 {
		sceneText += " (" + format.Callers(waiters) + " wait)"
	}
	hold := s.Stats.HeldUntil.Sub(s.Wall)
	switch {
	case noToken > 0 && err != nil:
		return fmt.Sprintf("%d of %d rooms have no token: %s", noToken, len(s.Rooms), reason(err)), Bad
	case s.Stats.RateLimited && hold > 0:
		return "rate limited: no API calls for " + format.Seconds(hold) + "; callers still get tokens from memory", Warning
	case sceneText != "":
		return sceneText, sceneLevel
	case retrying > 0:
		return "renewals fail and are retried; callers still get tokens from memory", Warning
	case empty > 0:
		return "rooms open: the callers of each room share one create call", Info
	default:
		return "all well: tokens are renewed before they expire, and callers never wait", Good
	}
}
