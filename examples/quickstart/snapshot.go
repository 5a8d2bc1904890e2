package main

import (
	"fmt"
	"time"

	"github.com/roomtoken/roomtoken"
)

// snapshot is all that a view shows, at one moment.
type snapshot struct {
	where   string
	time    time.Time
	elapsed time.Duration
	length  time.Duration // 0: until Ctrl-C
	now     string        // what is going on
	mood    mood

	rooms   []roomRow
	entries []entry // of the journal, oldest first
	written int     // entries there were in all
	counts  counts
	stats   roomtoken.Stats
}

// roomRow is what is known of a room.
type roomRow struct {
	id      string
	known   bool                 // the Manager has it in memory
	opensIn time.Duration        // more than 0: nobody has asked for it yet
	status  roomtoken.RoomStatus // what the Manager says
	log     roomLog              // what its events said
	waits   int                  // calls of Token that waited for the API
}

// look takes a snapshot.
func (s *stage) look(manager *roomtoken.Manager) snapshot {
	v := snapshot{where: s.where, time: s.clock.Now(), length: s.length, stats: manager.Stats()}
	v.elapsed = v.time.Sub(s.started)
	v.counts, _ = s.tally.read()
	v.entries, v.written = s.journal.newest()
	for _, r := range s.rooms {
		row := roomRow{id: r.id, opensIn: r.opens - v.elapsed, log: s.journal.room(r.id), waits: v.counts.Waits[r.id]}
		row.status, row.known = manager.Room(r.id)
		v.rooms = append(v.rooms, row)
	}
	v.now, v.mood = v.situation(s.scene(v.elapsed))
	return v
}

// situation says what is going on, in a line: the worst that the rooms show,
// what the scene says, or that all is well.
func (v snapshot) situation(scene string, m mood) (string, mood) {
	var without, late, fresh int
	var err error
	for _, r := range v.rooms {
		switch r.status.State {
		case roomtoken.RoomFailing, roomtoken.RoomFailed, roomtoken.RoomStuck:
			without++
			err = r.status.LastError
		case roomtoken.RoomRetrying:
			late++
		case roomtoken.RoomEmpty:
			fresh++
		}
	}
	hold := v.stats.HeldUntil.Sub(v.time)
	switch {
	case without > 0 && err != nil:
		return fmt.Sprintf("%d of %d rooms have no token: %s", without, len(v.rooms), reason(err)), alarm
	case v.stats.RateLimited && hold > 0:
		return "rate limit: no call of any room for " + seconds(hold) + ", and nobody notices", warning
	case scene != "":
		return scene, m
	case late > 0:
		return "renewals fail and are tried again, callers get the tokens in memory", warning
	case fresh > 0:
		return "rooms open: the callers of each share one create", neutral
	default:
		return "all quiet: tokens are renewed before they expire, and callers never wait", good
	}
}

// waited is how many of the tokens were not in memory when they were asked for.
func (c counts) waited(stats roomtoken.Stats) uint64 { return min(stats.Misses, c.Answered) }
