package roomtoken

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/roomtoken/roomtoken/internal/moment"
	"github.com/roomtoken/roomtoken/internal/queue"
)

// room is the state of one room. Manager.mu guards all of it.
//
// A room lives from the first that is heard of it until it is dropped: by
// Forget, by eviction, by Close. While a call of it is in flight it stays in the
// cache whatever happens, so that there is at most one room per ID and so at
// most one call.
type room struct {
	rec *record // its line in the cache; replaced as a whole, by Manager.show

	refresh     Secret // zero: none that is any good
	refreshMono int64  // its end on the monotonic clock; farFuture: not known
	refreshSec  int64  // its end in Unix time, see also refreshNsec
	lifetime    int64  // of the newest token, in ns; 0: there has been none
	renewLeft   int64  // the token is due for renewal when it has this much left, in ns

	nextAttempt int64    // monotonic: no call begins before
	longID      *string  // its ID, if it does not fit into a record; constant
	call        *call    // in flight
	crowd       *crowd   // those who wait or watch; nil: nobody
	trouble     *trouble // what went wrong since the last good token; nil: nothing

	generation  uint32 // tokens published
	refreshNsec uint32
	place       place          // the queue it stands in
	ghost       bool           // forgotten while its call runs, and not asked for since
	dropped     bool           // no longer in the cache
	queued      queue.Position // in that queue
	recency     queue.Position // in Manager.recency
}

// place names the queue that a room stands in.
type place uint8

const (
	nowhere    place = iota // a call is in flight, or there is nothing to do
	inTimers                // something is to be done at the key, a monotonic time
	inCallers               // its call may begin and somebody waits; key: since when
	inWarming               // the same, where nobody but Warm waits
	inRenewals              // its call may begin; key: when somebody would have to wait
)

// crowd is those who wait for a room's token and those who watch it.
type crowd struct {
	waiters  int
	warming  int // of the waiters, those of Warm: they let others go first
	watchers int
	forced   int             // waiters whom the present token does not serve, though it is valid
	ctx      context.Context //nolint:containedctx // the values of who came first, for the call
	changed  chan struct{}   // closed when there is news; made by the first who waits for it

	// epoch counts how often all waiters were let go at once. One who finds it
	// changed need not sign off.
	epoch atomic.Uint32

	// When a room is forgotten during its call, those who waited are set apart:
	// the call is theirs, and its token is theirs only.
	apart bool

	// What those get who were let go last, in epoch resultOf: a token, should they
	// not find it in the cache because the room is gone; or an error.
	resultOf uint32
	servedBy uint64 // the call that brought the last token
	spare    *record
	failed   error
}

// news returns a channel that is closed at the next change.
func (c *crowd) news() <-chan struct{} {
	if c.changed == nil {
		c.changed = make(chan struct{})
	}
	return c.changed
}

// tell wakes everybody.
func (c *crowd) tell() {
	if c.changed != nil {
		close(c.changed)
		c.changed = nil
	}
}

// dismiss wakes everybody and counts the waiters as gone: those who are not
// served come back by themselves.
func (c *crowd) dismiss() { c.dismissWith(nil, nil) }

// dismissWith dismisses with a result.
func (c *crowd) dismissWith(spare *record, failed error) {
	c.resultOf, c.spare, c.failed = c.epoch.Load(), spare, failed
	c.waiters, c.warming, c.forced = 0, 0, 0
	c.ctx = nil
	c.epoch.Add(1)
	c.tell()
}

// trouble is a room's memory of failures. It is kept apart because most rooms
// have none.
type trouble struct {
	failures  int      // passing failures in a row
	permanent int      // permanent failures in a row
	refusals  int      // tokens in a row that were invalidated before their renewal was due
	op        CallKind // the call that failed last
	err       error    // its error; nil: only refusals so far
	text      string   // err in words, taken when it was safe to ask for it
	rejected  Secret   // the token that was invalidated last
	lull      int64    // monotonic: without demand, no replacement of it before
}

// note keeps what a call that failed said last.
func (t *trouble) note(op CallKind, o outcome) { t.op, t.err, t.text = op, o.err, o.text }

// failures returns the number of passing failures in a row.
func (r *room) failures() int {
	if r.trouble == nil {
		return 0
	}
	return r.trouble.failures
}

// troubles returns the room's memory of failures, made if need be.
func (r *room) troubles() *trouble {
	if r.trouble == nil {
		r.trouble = &trouble{}
	}
	return r.trouble
}

// failedForGood reports whether a permanent failure is to be answered.
func (r *room) failedForGood(now moment.Moment) bool {
	return r.trouble != nil && r.trouble.permanent > 0 && now.Mono < r.nextAttempt
}

// tell wakes those who wait or watch.
func (r *room) tell() {
	if r.crowd != nil {
		r.crowd.tell()
	}
}

// join returns the room's crowd, made if need be.
func (r *room) join() *crowd {
	if r.crowd == nil {
		r.crowd = &crowd{}
	}
	return r.crowd
}

// left returns how long the room's token lives from now on, in ns.
func (m *Manager) left(r *room, now moment.Moment) int64 { return r.rec.end().left(now, m.base) }

// serves reports whether the room's token may be handed out to one who needs it
// for so long.
func (m *Manager) serves(rec *record, now moment.Moment, atLeast time.Duration) bool {
	return rec.end().serves(now, m.base, atLeast)
}

// refreshable reports whether there is a refresh token that has not lapsed.
func (m *Manager) refreshable(r *room, now moment.Moment) bool {
	return !r.refresh.IsZero() && timeLeft(r.refreshMono, r.refreshSec, r.refreshNsec, now, m.base) > 0
}

// refreshExpiry returns the refresh token's end as the source gave it, the zero
// time if it gave none.
func (r *room) refreshExpiry() time.Time {
	if r.refreshMono == farFuture {
		return time.Time{}
	}
	return time.Unix(r.refreshSec, int64(r.refreshNsec)).UTC()
}

// forgetRefresh drops the refresh token.
func (r *room) forgetRefresh() {
	r.refresh, r.refreshMono, r.refreshSec, r.refreshNsec = Secret{}, 0, 0, 0
}

// forgetSecrets drops everything that is or holds a credential, but the token.
func (r *room) forgetSecrets() {
	r.forgetRefresh()
	r.trouble = nil
	if r.crowd != nil {
		r.crowd.ctx, r.crowd.spare, r.crowd.failed = nil, nil, nil
	}
}

// wanted reports whether somebody waits for a call. usable: the room has a valid
// token.
func (r *room) wanted(usable bool) bool {
	c := r.crowd
	return c != nil && (c.forced > 0 || !usable && (c.waiters > 0 || c.watchers > 0))
}

// line returns the queue for those rooms for which somebody waits: inWarming if that
// is only Warm and the room is new. A million rooms that are warmed must not keep a
// caller waiting.
func (r *room) line() place {
	if c := r.crowd; r.place != inCallers && r.lifetime == 0 && c.watchers == 0 && c.warming == c.waiters {
		return inWarming
	}
	return inCallers
}

// idle reports whether nobody has asked for the room for so long that it need
// not be kept fresh.
func (m *Manager) idle(r *room, now moment.Moment) bool {
	return m.config.IdleAfter > 0 && r.crowd == nil &&
		now.Mono-r.lastUsed() >= max(int64(m.config.IdleAfter), 1<<tickBits) // it was cut to a tick
}

// lastUsed returns when the room was last asked for: monotonic, to the tick.
func (r *room) lastUsed() int64 { return int64(r.rec.lastUsed.Load()&^dormantMark) << tickBits }

// used notes that the room is asked for.
func (r *room) used(now moment.Moment) { r.rec.lastUsed.Store(tick(now)) }

// dormant reports whether the room's renewal was skipped because it is idle: then
// the next hit starts it.
func (r *room) dormant() bool { return r.rec.lastUsed.Load()&dormantMark != 0 }

// fallDormant marks the room as dormant, unless a hit came between since it was
// found idle. Caller must hold mu.
func (m *Manager) fallDormant(r *room, now moment.Moment) bool {
	last := r.rec.lastUsed.Load()
	return m.idle(r, now) && r.rec.lastUsed.CompareAndSwap(last, last|dormantMark)
}

// What record.lastUsed consists of: a mark, and a time in ticks of 0.54 s. A tick
// is a power of two because a hit counts in them; 31 bits of them are 36 years.
const (
	tickBits    = 29
	dormantMark = 1 << 31
)

// tick returns the monotonic time in whole ticks.
func tick(now moment.Moment) uint32 { return uint32(now.Mono>>tickBits) &^ dormantMark }
