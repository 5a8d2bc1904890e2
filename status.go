package roomtoken

import (
	"fmt"
	"time"

	"github.com/roomtoken/roomtoken/internal/monotime"
)

// RoomState is the state of a room in a word.
type RoomState uint8

// The states of a room, the worst one that applies.
const (
	// RoomEmpty has no token, and nothing has failed: it is new, or its token was
	// invalidated.
	RoomEmpty RoomState = iota + 1
	// RoomValid has a token that is handed out.
	RoomValid
	// RoomRetrying has a token that is handed out, but its renewal has failed and is
	// retried.
	RoomRetrying
	// RoomIdle has a token that is handed out, but is no longer renewed because nobody
	// asks for it.
	RoomIdle
	// RoomFailing has no token because calls fail; they are retried.
	RoomFailing
	// RoomFailed has no token, and the source says that repeating the call cannot
	// help.
	RoomFailed
	// RoomStuck has no token, and a call that has not returned within its time keeps
	// others from beginning.
	RoomStuck
)

var stateNames = [...]string{
	RoomEmpty:    "empty",
	RoomValid:    "valid",
	RoomRetrying: "retrying",
	RoomIdle:     "idle",
	RoomFailing:  "failing",
	RoomFailed:   "failed",
	RoomStuck:    "stuck",
}

// String returns the state in a word, such as "valid".
func (s RoomState) String() string {
	if int(s) < len(stateNames) && s > 0 {
		return stateNames[s]
	}
	return fmt.Sprintf("RoomState(%d)", uint8(s))
}

// RoomStatus describes one room to an operator. It holds no secret.
type RoomStatus struct {
	RoomID string
	State  RoomState

	Fingerprint      string    // of the token, see Secret.Fingerprint; "": it has none
	ExpiresAt        time.Time // when the token expires; zero: it has none
	RefreshExpiresAt time.Time // when the refresh token expires; zero: it has none, or that is unknown
	HasRefreshToken  bool      // it has a refresh token that has neither been refused nor lapsed
	Generation       uint64    // tokens the room has had

	NextCall   CallKind  // the next call; 0: none is planned
	NextCallAt time.Time // when it may begin; in the past: it waits for a slot or the end of a hold
	InFlight   CallKind  // the call in flight; 0: none

	Failures    int       // consecutive failed calls
	LastFailure CallKind  // the call that failed last since the newest token; 0: none
	LastError   error     // the error of that call
	LastUsed    time.Time // when the room was last asked for, rounded down to 0.54 s
	Waiters     int       // callers who wait for its token
	Watchers    int       // watches in progress
}

// statistics is Manager.Stats. It takes the lock.
func (e *engine) statistics() Stats {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.stats
	s.Rooms = e.rooms
	s.CallsInFlight = len(e.calls)
	for c := range e.calls {
		if c.overdue {
			s.CallsOverdue++
		}
	}
	s.CallsQueued = e.queues[callerQueue].Len() + e.queues[warmQueue].Len() + e.queues[renewalQueue].Len()
	now := e.clock.Now()
	if opens := e.account.opens(now.Mono); opens > 0 {
		s.HeldUntil = e.clock.Time(now, opens)
		s.RateLimited = e.account.limited
	}
	s.Probing = e.account.guarded
	return s
}

// room is Manager.Room. It takes the lock.
func (e *engine) room(roomID string) (RoomStatus, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	r := e.lookUp(roomID)
	if r == nil || r.orphaned {
		return RoomStatus{}, false
	}
	return e.status(r, e.clock.Now()), true
}

// allRooms is Manager.Rooms. It takes the lock, but not while the consumer runs.
func (e *engine) allRooms(yield func(RoomStatus) bool) {
	for rec := range e.cache.all {
		if status, ok := e.statusOf(rec.owner); ok && !yield(status) {
			return
		}
	}
}

// statusOf returns the room's status, unless the room is no longer in memory. It takes
// the lock.
func (e *engine) statusOf(r *room) (RoomStatus, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if r.dropped || r.orphaned || e.closed {
		return RoomStatus{}, false
	}
	return e.status(r, e.clock.Now()), true
}

// status describes the room.
func (e *engine) status(r *room, now monotime.Reading) RoomStatus {
	valid := e.valid(r.rec, now, 0)
	s := RoomStatus{
		RoomID:           r.rec.roomID(),
		State:            state(r, now, valid),
		RefreshExpiresAt: r.refreshToken().ExpiresAt,
		HasRefreshToken:  e.refreshable(r, now),
		Generation:       uint64(r.generation),
		LastUsed:         e.clock.Time(now, r.lastUsed()),
	}
	if r.rec.text != "" {
		s.Fingerprint, s.ExpiresAt = r.rec.secret().Fingerprint(), r.rec.token().ExpiresAt
	}
	if f := r.failure; f != nil {
		s.Failures, s.LastFailure, s.LastError = f.total(), f.lastCall, f.lastErr
	}
	if d := r.demand; d != nil {
		s.Watchers = d.watchers
		if d.waiters != nil {
			s.Waiters = d.waiters.count
		}
	}
	if r.call != nil {
		s.InFlight = r.call.kind
		return s
	}
	if next, planned := e.nextCall(r, now, valid); planned {
		s.NextCallAt = e.clock.Time(now, next)
		then := max(next, now.Mono)
		s.NextCall = nextKind(e.refreshable(r, monotime.Reading{
			Mono: then, Wall: now.Wall + monotime.WallTime(then.Sub(now.Mono)),
		}), r)
	}
	return s
}

// nextCall returns when the room's next call may begin; planned is false if none will
// unless somebody asks.
func (e *engine) nextCall(r *room, now monotime.Reading, valid bool) (at monotime.Time, planned bool) {
	at = max(r.nextAttempt, e.account.opens(now.Mono))
	switch {
	case r.wanted(valid):
		return max(at, now.Mono), true
	case r.lifetime == 0 || r.dormant():
		return 0, false
	default:
		return max(at, e.renewalDue(r, now)), true
	}
}

// state returns the state of the room.
func state(r *room, now monotime.Reading, valid bool) RoomState {
	failing := r.failure.hasFailed()
	switch {
	case valid && r.dormant():
		return RoomIdle
	case valid && failing:
		return RoomRetrying
	case valid:
		return RoomValid
	case r.call != nil && r.call.overdue:
		return RoomStuck
	case r.failedPermanently(now):
		return RoomFailed
	case failing:
		return RoomFailing
	default:
		return RoomEmpty
	}
}
