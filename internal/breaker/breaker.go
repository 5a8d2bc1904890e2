// Package breaker is the circuit breaker in front of a source. It decides whose
// failure a failed call is, the room's, the credential's or the source's as a whole,
// and whether further calls may begin. It keeps no lock; time is an argument.
//
// Only witnesses count for more than their own room: distinct rooms that were not
// failing, whose call began after the last success or step. A room that fails again is
// no news, and 64 calls that time out together are one failure.
package breaker

import (
	"slices"
	"time"

	"github.com/roomtoken/roomtoken/internal/monotime"
	"github.com/roomtoken/roomtoken/internal/policy"
)

// State is what is wrong beyond single rooms.
type State uint8

// The states of a Breaker.
const (
	Open    State = iota // nothing: calls may begin
	Outage               // the source fails for all rooms: one probe per step
	Suspect              // the credential may be bad: one probe per step for the rooms that failed
	Refused              // the credential is refused: one probe per step for all rooms
)

// Verdict is what the end of a call says about the source.
type Verdict uint8

// The verdicts.
const (
	Success      Verdict = iota // it returned a token
	Answer                      // it is up, and nothing else: there is no such room, the refresh token is void
	Failure                     // a transient failure, a timeout included
	Denial                      // a permanent failure of unknown cause
	Unauthorized                // it refused the credential
)

// Number of distinct witnesses in a row, without a success between, after which a
// failure is not the rooms' own.
const (
	outageWitnesses  = 8
	suspectWitnesses = 8
	refusedWitnesses = 2
)

// laneGap is the least time between two calls in the lane of innocent rooms.
const laneGap = time.Second

// Call is what a Breaker has to know about a call.
type Call struct {
	Number  uint64 // identifies the call; not 0
	Room    string
	Began   monotime.Time
	Witness bool // its room was not failing
}

// Change is what the end of a call has changed.
type Change struct {
	Opened bool // calls come back
	Later  bool // calls, or the next probe, begin later than before
	Blamed bool // Err is the error of this call now
}

// Breaker is the state of a source. The zero Breaker with a Backoff is open.
type Breaker struct {
	Backoff policy.Backoff // of probes in an outage, and of rate limits that name no time

	state State
	err   error         // what led to state or to the rate limit
	step  int           // 1 with the first probe, one more after each that failed
	until monotime.Time // no probe begins before
	probe uint64        // the probe in flight; 0: none

	heldUntil monotime.Time // a rate limit: no call begins before
	limited   bool          // no call was answered since: one begins at a time
	limits    int           // consecutive rate limits that named no time

	lane   uint64        // the call in flight in the lane; 0: none
	laneAt monotime.Time // no further one begins before

	failing, denied, refused witnesses

	news   monotime.Time // the last success or step: calls that began before are no news
	worked monotime.Time // the last success
	opened monotime.Time // when calls came back last
	mended uint64        // successes that ended Suspect or Refused
}

// witnesses are distinct rooms in a row.
type witnesses []string

// add adds a room and reports whether there are enough.
func (w *witnesses) add(room string, enough int) bool {
	if slices.Contains(*w, room) {
		return false
	}
	*w = append(*w, room)
	return len(*w) >= enough
}

// State returns what is wrong beyond single rooms.
func (b *Breaker) State() State { return b.state }

// Err returns what led to the state or the rate limit, nil if calls may begin.
func (b *Breaker) Err() error { return b.err }

// Mended returns how many times a bad credential was mended.
func (b *Breaker) Mended() uint64 { return b.mended }

// Guarded reports whether calls may begin as probes only, or in the lane.
func (b *Breaker) Guarded() bool { return b.state != Open || b.limited }

// Held reports whether a rate limit is in force: no call at all begins.
func (b *Breaker) Held(now monotime.Time) bool { return now.Before(b.heldUntil) }

// Opens returns when the next probe may begin, 0 if it may begin now, or once the
// present one is answered, or if none is needed.
func (b *Breaker) Opens(now monotime.Time) monotime.Time {
	if at := max(b.until, b.heldUntil); b.Guarded() && at.After(now) {
		return at
	}
	return 0
}

// LaneOpens returns when the lane of innocent rooms may be used next, 0 if it may be
// now; ok is false if it is closed, or in use.
func (b *Breaker) LaneOpens(now monotime.Time) (at monotime.Time, ok bool) {
	if b.limited || b.state == Refused || b.lane != 0 {
		return 0, false
	}
	if b.laneAt.After(now) {
		return b.laneAt, true
	}
	return 0, true
}

// MayProbe reports whether a probe may begin.
func (b *Breaker) MayProbe(now monotime.Time) bool {
	return b.Guarded() && b.probe == 0 && b.Opens(now) == 0
}

// Older reports whether all that is known of the source is older than t.
func (b *Breaker) Older(t monotime.Time) bool { return b.news.Before(t) }

// BeganProbe notes that a call begins as the probe.
func (b *Breaker) BeganProbe(number uint64) { b.probe = number }

// BeganInLane notes that a call begins in the lane.
func (b *Breaker) BeganInLane(number uint64, now monotime.Time) {
	b.lane, b.laneAt = number, now.Add(laneGap)
}

// Innocent reports whether a room whose last failure was at that time has not failed
// since the source last worked.
func (b *Breaker) Innocent(failed monotime.Time) bool { return failed.Before(b.worked) }

// Forgiven reports whether a room whose last failure was at that time counts as not
// failing, because calls have come back since.
func (b *Breaker) Forgiven(failed monotime.Time) bool { return failed.Before(b.opened) }

// Left notes that a call says nothing any more, or nothing yet: it is overdue, or was
// ended by the Manager itself. The next probe may begin.
func (b *Breaker) Left(number uint64) (wasProbe bool) {
	if b.lane == number {
		b.lane = 0
	}
	if b.probe != number {
		return false
	}
	b.probe = 0
	return true
}

// Ended notes the end of a call, or that it is overdue, which is a failure. inUse is
// the number of rooms in use.
func (b *Breaker) Ended(c Call, v Verdict, err error, now monotime.Time, inUse int) Change {
	wasProbe := b.Left(c.Number)
	news := !c.Began.Before(b.news)
	switch v {
	case Success:
		if b.state == Suspect || b.state == Refused {
			b.mended++
		}
		b.worked, b.news = now, now
		b.failing, b.denied, b.refused = nil, nil, nil
		return b.answered(c, Open, now)
	case Failure:
		switch {
		case wasProbe:
			return b.stepUp(err, now)
		case b.state == Open && c.Witness && news && b.failing.add(c.Room, min(outageWitnesses, inUse)):
			return b.enter(Outage, err, now)
		}
		return Change{}
	case Unauthorized:
		switch {
		case wasProbe && b.state == Refused:
			return b.stepUp(err, now)
		case b.state != Refused && news && b.refused.add(c.Room, refusedWitnesses):
			return b.enter(Refused, err, now)
		}
	case Denial:
		if b.state == Open && c.Witness && news && b.denied.add(c.Room, suspectWitnesses) {
			return b.enter(Suspect, err, now)
		}
	case Answer:
	}
	// The source is up, which ends an outage and no more.
	if wasProbe && (b.state == Suspect || b.state == Refused) {
		change := b.answered(c, b.state, now)
		later := b.stepUp(err, now)
		change.Later, change.Blamed = later.Later, later.Blamed
		return change
	}
	if b.state == Outage {
		return b.answered(c, Open, now)
	}
	return b.answered(c, b.state, now)
}

// answered notes that the source has answered a call, which leaves it in a state.
func (b *Breaker) answered(c Call, to State, now monotime.Time) (change Change) {
	guarded := b.Guarded()
	if b.limited && !c.Began.Before(b.heldUntil) { // a call that began before a rate limit does not lift it
		b.limited, b.limits = false, 0
	}
	b.state = to
	if guarded && !b.Guarded() {
		b.err, b.step, b.until, b.opened = nil, 0, 0, now
		change.Opened = true
	}
	return change
}

// enter goes to a worse state.
func (b *Breaker) enter(s State, err error, now monotime.Time) Change {
	b.state, b.step = s, 0
	b.failing, b.denied, b.refused = nil, nil, nil
	return b.stepUp(err, now)
}

// stepUp waits for the next probe, longer than before.
func (b *Breaker) stepUp(err error, now monotime.Time) Change {
	b.step++
	backoff := b.Backoff
	if b.state == Suspect || b.state == Refused {
		backoff = policy.Credential
	}
	b.until = now.Add(backoff.Wait(b.step))
	b.news = now
	if b.state == Refused && b.step > 1 { // who is refused learns of the credential, whatever a probe said
		return Change{Later: true}
	}
	b.err = err
	return Change{Later: true, Blamed: true}
}

// RateLimited notes that a call met a rate limit that asks for a wait, 0 if it names
// none.
func (b *Breaker) RateLimited(c Call, err error, wait time.Duration, now monotime.Time) Change {
	b.Left(c.Number)
	if wait == 0 {
		if c.Began.Before(b.heldUntil) {
			return Change{} // it began before a limit that is known: no news
		}
		b.limits++
		wait = b.Backoff.Wait(b.limits)
	}
	if b.state == Outage { // it is up
		b.state, b.step, b.until = Open, 0, 0
	}
	return b.Told(err, now.Add(wait))
}

// Told notes a rate limit, of another process or of this one, that holds calls back until
// the given time.
func (b *Breaker) Told(err error, until monotime.Time) Change {
	before := b.heldUntil
	b.heldUntil = max(before, until)
	b.limited = true
	blamed := b.state != Refused
	if blamed {
		b.err = err
	}
	return Change{Later: b.heldUntil.After(before), Blamed: blamed}
}

// Lifted notes that a call of another process was answered after the rate limit.
func (b *Breaker) Lifted(now monotime.Time) Change {
	if !b.limited {
		return Change{}
	}
	b.heldUntil = min(b.heldUntil, now)
	return b.answered(Call{Began: now}, b.state, now)
}

// HeldUntil returns the end of the last rate limit.
func (b *Breaker) HeldUntil() monotime.Time { return b.heldUntil }

// Limited reports whether no call was answered since a rate limit.
func (b *Breaker) Limited() bool { return b.limited }

// Reset forgets everything but the calls in flight.
func (b *Breaker) Reset(now monotime.Time) {
	*b = Breaker{Backoff: b.Backoff, probe: b.probe, lane: b.lane, news: now, worked: now, opened: now, mended: b.mended + 1}
}
