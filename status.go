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
	IssuedAt         time.Time // when the token's lifetime began; zero: it has none
	ExpiresAt        time.Time // when the token expires; zero: it has none
	RefreshExpiresAt time.Time // when the refresh token expires; zero: it has none, or that is unknown
	HasRefreshToken  bool      // it has a refresh token that has neither been refused nor lapsed
	Generation       uint64    // tokens the room has had

	NextCall   CallKind  // the next call; 0: none is planned
	NextCallAt time.Time // when it may begin; in the past: it waits for a slot or the end of a hold
	InFlight   CallKind  // the call in flight; 0: none

	Failures     int       // consecutive failed calls
	FailingSince time.Time // when the first of them failed; zero: none has
	LastFailure  CallKind  // the call that failed last since the newest token; 0: none
	LastError    error     // the error of that call, or what holds all calls back from a room without a token
	LastUsed     time.Time // when the room was last asked for, rounded down to 0.54 s
	Waiters      int       // callers who wait for its token
	Watchers     int       // watches in progress
}

// statistics is Manager.Stats. It takes the lock.
func (e *engine) statistics() Stats {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.stats
	s.Rooms = e.rooms
	s.CallsInFlight = len(e.calls)
	if e.share != nil {
		s.CallsInFlight -= e.share.asking
		s.StoreDown = e.share.link.down
	}
	s.CallsOverdue = e.overdue
	s.CallsQueued = e.queued()
	now := e.clock.Now()
	if opens := e.breaker.Opens(now.Mono); opens > 0 {
		s.HeldUntil = e.clock.Time(now, opens)
		s.RateLimited = e.breaker.Held(now.Mono)
	}
	s.Probing = e.breaker.Guarded()
	s.States = e.states
	s.Waits, s.WaitFailures = e.waits.histogram(), e.waits.failures.Load()
	s.Waiters, s.Watchers = e.waiting, len(e.watches)
	s.Window = e.window.Size(e.config.MaxConcurrentCalls)
	return s
}

// room is Manager.Room. It takes the lock.
func (e *engine) room(roomID string) (RoomStatus, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	r := e.lookUp(roomID)
	if r == nil || r.life != alive {
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

// scanBatch is how many rooms Scan looks at per lock.
const scanBatch = 64

// scan is Manager.Scan. It takes the lock, but not while the consumer runs.
func (e *engine) scan(yield func(*RoomStatus) bool) {
	at := e.cache.cursor()
	batch := make([]RoomStatus, 0, scanBatch)
	for more := true; more; {
		batch, more = e.scanSome(at, batch[:0])
		for i := range batch {
			if !yield(&batch[i]) {
				return
			}
		}
	}
}

// scanSome appends the statuses of the next rooms; more is false at the end. It takes the
// lock.
func (e *engine) scanSome(at *cursor, batch []RoomStatus) (_ []RoomStatus, more bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.clock.Now()
	for range scanBatch {
		rec := at.next()
		if rec == nil || e.closed {
			return batch, false
		}
		if r := rec.owner; r.life == alive {
			batch = append(batch, e.statusWithoutFingerprint(r, now))
		}
	}
	return batch, true
}

// statusOf returns the room's status, unless the room is no longer in memory. It takes
// the lock.
func (e *engine) statusOf(r *room) (RoomStatus, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if r.life != alive || e.closed {
		return RoomStatus{}, false
	}
	return e.status(r, e.clock.Now()), true
}

// status describes the room.
func (e *engine) status(r *room, now monotime.Reading) RoomStatus {
	s := e.statusWithoutFingerprint(r, now)
	s.Fingerprint = r.rec.secret().Fingerprint()
	return s
}

// statusWithoutFingerprint describes the room, without hashing its token.
func (e *engine) statusWithoutFingerprint(r *room, now monotime.Reading) RoomStatus {
	valid := e.valid(r.rec, now, 0)
	s := RoomStatus{
		RoomID:           r.rec.roomID(),
		State:            e.state(r, now),
		RefreshExpiresAt: r.refreshExpiresAt(),
		HasRefreshToken:  e.refreshable(r, now),
		Generation:       uint64(r.generation),
		LastUsed:         e.clock.Time(now, r.lastUsed(now)),
	}
	if r.rec.text != "" {
		s.ExpiresAt = r.rec.token().ExpiresAt
		s.IssuedAt = s.ExpiresAt.Add(-r.lifetime)
	}
	if f := r.failure(); f != nil {
		s.Failures, s.LastFailure = f.total(), f.lastCall
		if s.Failures > 0 {
			s.FailingSince = e.clock.Time(now, f.since)
		}
	}
	if r.failure().hasFailed() || !valid {
		s.LastError = e.lastErr(r)
	}
	if d := r.demand(); d != nil {
		s.Watchers = len(d.watches)
		if d.waiters != nil {
			s.Waiters = d.waiters.count
		}
	}
	if r.call() != nil && r.call().phase == running {
		s.InFlight = r.call().kind
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
	at = e.nextAllowed(r, now)
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
func (e *engine) state(r *room, now monotime.Reading) RoomState {
	failed := r.failure().hasFailed()
	switch valid := e.valid(r.rec, now, 0); {
	case valid && r.dormant():
		return RoomIdle
	case valid && failed:
		return RoomRetrying
	case valid:
		return RoomValid
	case r.call() != nil && r.call().overdue:
		return RoomStuck
	case r.failure() != nil && r.failure().permanent > 0:
		return RoomFailed
	case failed || r.rec.text != "": // the token could not be renewed in time
		return RoomFailing
	default:
		return RoomEmpty
	}
}

// hasToken reports whether rooms in that state have a token that is handed out.
func (s RoomState) hasToken() bool { return s == RoomValid || s == RoomRetrying || s == RoomIdle }
