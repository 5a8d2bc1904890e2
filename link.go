package roomtoken

import "github.com/roomtoken/roomtoken/internal/monotime"

// linkFailures is after how many failures in a row of its calls the store counts as down.
const linkFailures = 3

// link is the circuit breaker in front of the store. While it is open nothing waits for
// the store; the look at the news tries whether it answers again.
type link struct {
	failures int           // in a row; those that overlap are one
	counted  monotime.Time // the last of them: a call that began before is no news
	down     bool

	refusals int           // answers in a row that the store takes no writes
	refused  StoreTime     // the last of them
	told     bool          // EventStoreDown was reported, and EventStoreUp not yet
	since    monotime.Time // the first failure in a row
}

// failed notes that a call failed, or was given up, and how often that counts. It reports
// whether the store counts as down from now on.
func (l *link) failed(began, now monotime.Time, times int) (opened bool) {
	if l.failures > 0 && began.Before(l.counted) {
		return false
	}
	if l.failures == 0 && l.refusals == 0 {
		l.since = now
	}
	l.failures += times
	l.counted = now
	opened = !l.down && l.failures >= linkFailures
	l.down = l.down || opened
	return opened
}

// answered notes that a call was answered. It reports whether the store was down.
func (l *link) answered() (closed bool) {
	closed = l.down
	l.failures, l.down = 0, false
	return closed
}

// tookNoWrites notes an answer that says so. It reports whether that has come as often as
// to be told.
func (l *link) tookNoWrites(at StoreTime, now monotime.Time) bool {
	l.refused = at
	if l.refusals == 0 {
		l.since = now
	}
	l.refusals++
	return l.refusals >= linkFailures
}
