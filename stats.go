package roomtoken

import (
	"fmt"
	"iter"
	"time"

	"github.com/roomtoken/roomtoken/internal/moment"
	"github.com/roomtoken/roomtoken/internal/policy"
)

// RoomState says in a word how a room is.
type RoomState uint8

// The states of a room, the worst that applies.
const (
	// RoomEmpty has no token, and nothing has failed: it is new, or its token was
	// invalidated.
	RoomEmpty RoomState = iota + 1
	// RoomValid has a token that is handed out.
	RoomValid
	// RoomRetrying has a token that is handed out, but its renewal has failed and
	// is tried again.
	RoomRetrying
	// RoomIdle has a token that is handed out, but is no longer renewed because
	// nobody asks for it.
	RoomIdle
	// RoomFailing has no token, because calls fail; they are tried again.
	RoomFailing
	// RoomFailed has no token, and the source says that the same call again
	// cannot help.
	RoomFailed
	// RoomStuck has no token, and a call that has not returned though its time is
	// over keeps all others from beginning.
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

// String returns the state in a word: "valid".
func (s RoomState) String() string {
	if int(s) < len(stateNames) && s > 0 {
		return stateNames[s]
	}
	return fmt.Sprintf("RoomState(%d)", uint8(s))
}

// RoomStatus is what an operator asks about one room. It holds no secret.
type RoomStatus struct {
	RoomID string
	State  RoomState

	Fingerprint      string    // of the token, see Secret.Fingerprint; "": it has none
	ExpiresAt        time.Time // end of the token; zero: it has none
	RefreshExpiresAt time.Time // end of the refresh token; zero: it has none, or its end is unknown
	HasRefreshToken  bool      // there is a refresh token that was neither refused nor has lapsed
	Generation       uint64    // tokens the room has had

	NextCall   CallKind  // which call is next; 0: none is planned
	NextCallAt time.Time // when it may begin; in the past: it waits for a slot or a hold
	InFlight   CallKind  // which call is in flight; 0: none

	Failures    int       // failed calls in a row
	LastFailure CallKind  // the call that failed last since the newest token; 0: none
	LastError   error     // its error
	LastUsed    time.Time // when the room was last asked for, rounded down to half a second (0.54 s)
	Waiters     int       // callers who wait for its token
	Watchers    int       // watches that are on
}

// Stats is what an operator asks about a [Manager] as a whole. The counters
// count from NewManager on.
type Stats struct {
	Rooms int // in memory

	Misses uint64 // calls of Token and its kin that found no token to hand out at once

	Creates         uint64 // calls begun
	CreateFailures  uint64 // calls ended without a token; included: grants that cannot be used
	Refreshes       uint64
	RefreshFailures uint64 // included: refresh tokens refused
	Fallbacks       uint64 // creates in place of a refresh

	Invalidations uint64 // tokens dropped by Invalidate
	Evictions     uint64 // rooms let go: idle, or MaxRooms reached

	CallsInFlight int // calls to the source that have not returned
	CallsOverdue  int // those of them whose CallTimeout has passed
	CallsQueued   int // calls that wait for a slot or the end of a hold

	// HeldUntil is the end of a rate limit or of a probe's backoff, before which
	// no call begins. Zero: nothing is held.
	HeldUntil time.Time
	// RateLimited says that HeldUntil comes from a rate limit.
	RateLimited bool
	// Probing says that the source has failed for many rooms in a row, or that a
	// hold has ended: one call at a time tries whether it is there.
	Probing bool

	EventsDropped  uint64 // because OnEvent or Logger was too slow
	ObserverPanics uint64 // contained
}

// Stats returns the counters and gauges at this moment. Safe for concurrent use;
// its cost does not depend on the number of rooms.
func (m *Manager) Stats() Stats {
	m.lock()
	defer m.unlock()
	s := m.stats
	s.Rooms = m.rooms
	s.CallsInFlight = len(m.calls)
	for c := range m.calls {
		if c.overdue {
			s.CallsOverdue++
		}
	}
	s.CallsQueued = m.queues[inCallers].Len() + m.queues[inWarming].Len() + m.queues[inRenewals].Len()
	now := m.clock.Now()
	if opens := m.account.opens(now.Mono); opens > 0 {
		s.HeldUntil = m.clock.Time(now, opens)
		s.RateLimited = m.account.limited
	}
	s.Probing = m.account.guarded
	return s
}

// Room returns the status of a room; ok is false if it is not in memory. It does
// not count as asking for the room. Safe for concurrent use.
func (m *Manager) Room(roomID string) (status RoomStatus, ok bool) {
	m.lock()
	defer m.unlock()
	r := m.lookUp(roomID)
	if r == nil || r.ghost {
		return RoomStatus{}, false
	}
	return m.status(r, m.clock.Now()), true
}

// Rooms yields the status of every room in memory, in no order, each as it is at
// the moment it is yielded. Rooms that come or go meanwhile may be missing. It
// holds no lock while the consumer runs. Safe for concurrent use.
func (m *Manager) Rooms() iter.Seq[RoomStatus] {
	return func(yield func(RoomStatus) bool) {
		for rec := range m.cache.all {
			if status, ok := m.statusOf(rec.owner); ok && !yield(status) {
				return
			}
		}
	}
}

// statusOf returns the room's status unless it is no longer in memory.
func (m *Manager) statusOf(r *room) (RoomStatus, bool) {
	m.lock()
	defer m.unlock()
	if r.dropped || r.ghost || m.closed {
		return RoomStatus{}, false
	}
	return m.status(r, m.clock.Now()), true
}

// status describes the room. Caller must hold mu.
func (m *Manager) status(r *room, now moment.Moment) RoomStatus {
	valid := m.serves(r.rec, now, 0)
	s := RoomStatus{
		RoomID:          r.rec.roomID(),
		State:           m.state(r, now, valid),
		HasRefreshToken: m.refreshable(r, now),
		Generation:      uint64(r.generation),
		LastUsed:        m.clock.Time(now, r.lastUsed()),
	}
	if r.rec.text != "" {
		s.Fingerprint, s.ExpiresAt = r.rec.secret().Fingerprint(), r.rec.token().ExpiresAt
	}
	if !r.refresh.IsZero() {
		s.RefreshExpiresAt = r.refreshExpiry()
	}
	if t := r.trouble; t != nil {
		s.Failures, s.LastFailure, s.LastError = t.failures+t.permanent, t.op, t.err
	}
	if c := r.crowd; c != nil {
		s.Waiters, s.Watchers = c.waiters, c.watchers
	}
	if r.call != nil {
		s.InFlight = r.call.op
		return s
	}
	if next, planned := m.nextCall(r, now, valid); planned {
		s.NextCallAt = m.clock.Time(now, next)
		s.NextCall = CallKind(policy.Which(m.refreshable(r, moment.Moment{
			Mono: max(next, now.Mono), Wall: max(next, now.Mono) + now.Ahead(),
		}), r.failures()))
	}
	return s
}

// nextCall returns when the room's next call may begin, a monotonic time;
// planned is false if none will without somebody asking.
func (m *Manager) nextCall(r *room, now moment.Moment, valid bool) (at int64, planned bool) {
	at = max(r.nextAttempt, m.account.opens(now.Mono))
	switch {
	case r.wanted(valid):
		return max(at, now.Mono), true
	case r.lifetime == 0 || r.dormant():
		return 0, false
	default:
		return max(at, m.due(r, now)), true
	}
}

// state says how the room is.
func (m *Manager) state(r *room, now moment.Moment, valid bool) RoomState {
	failing := r.trouble != nil && r.trouble.err != nil
	switch {
	case valid && r.dormant():
		return RoomIdle
	case valid && failing:
		return RoomRetrying
	case valid:
		return RoomValid
	case r.call != nil && r.call.overdue:
		return RoomStuck
	case r.failedForGood(now):
		return RoomFailed
	case failing:
		return RoomFailing
	default:
		return RoomEmpty
	}
}
