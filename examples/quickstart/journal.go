package main

import (
	"slices"
	"sync"
	"time"

	"github.com/roomtoken/roomtoken"
)

// mood is how something is to be taken.
type mood uint8

const (
	neutral mood = iota
	good
	warning
	alarm
)

// entry is one thing that happened.
type entry struct {
	at   time.Time
	room string // "": it is about the API
	text string
	mood mood
}

// kept is how many entries the journal remembers.
const kept = 256

// journal listens to the Manager's events, and writes up in plain words what a
// person wants to know.
type journal struct {
	mu      sync.Mutex
	entries []entry // the newest
	written int     // all there were
	rooms   map[string]roomLog
}

// roomLog is what the journal knows of a room beyond its RoomStatus.
type roomLog struct {
	calls, failed, fallbacks int
	lifetime                 time.Duration // of the newest token
}

// observe is the Manager's observer, Config.OnEvent.
func (j *journal) observe(e roomtoken.Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	log := j.rooms[e.RoomID]
	switch e.Kind {
	case roomtoken.EventCallBegun:
		log.calls++
	case roomtoken.EventCallEnded:
		if e.Err != nil {
			log.failed++
		}
	case roomtoken.EventFellBack:
		log.fallbacks++
	case roomtoken.EventTokenPublished:
		log.lifetime = e.ExpiresAt.Sub(e.Time)
	}
	if j.rooms == nil {
		j.rooms = make(map[string]roomLog)
	}
	j.rooms[e.RoomID] = log
	if text, mood := inWords(e); text != "" {
		j.write(entry{e.Time, e.RoomID, text, mood})
	}
}

// note enters something that happened to the API.
func (j *journal) note(at time.Time, text string, m mood) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.write(entry{at: at, text: text, mood: m})
}

// write adds an entry. Caller must hold mu.
func (j *journal) write(e entry) {
	j.entries = append(j.entries, e)
	j.entries = j.entries[max(0, len(j.entries)-kept):]
	j.written++
}

// newest returns the entries, oldest first, and how many there have been in all.
func (j *journal) newest() (entries []entry, written int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.entries), j.written
}

func (j *journal) room(id string) roomLog {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.rooms[id]
}
