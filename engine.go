package roomtoken

import (
	"context"
	"time"

	"github.com/benbjohnson/clock"

	"github.com/roomtoken/roomtoken/internal/breaker"
	"github.com/roomtoken/roomtoken/internal/flight"
	"github.com/roomtoken/roomtoken/internal/monotime"
	"github.com/roomtoken/roomtoken/internal/pace"
	"github.com/roomtoken/roomtoken/internal/policy"
	"github.com/roomtoken/roomtoken/internal/queue"
	"github.com/roomtoken/roomtoken/internal/tokenpack"
	"github.com/roomtoken/roomtoken/internal/window"
)

// engine is the state machine behind a Manager: it knows where every room stands,
// and decides which room gets the next call. All rooms' deadlines are in one queue,
// for the earliest of which one goroutine waits, see schedule; rooms whose call may
// begin stand in further queues for a free slot, see dispatch.
//
// Its methods require mu to be held unless they say otherwise.
type engine struct {
	// These do not change.
	source  TokenSource
	config  Config // with its defaults
	clock   *monotime.Clock
	renewal policy.Renewal
	backoff policy.Backoff
	memory  time.Duration           // how long a room that never had a token is remembered
	observe func(Event)             // nil: nobody observes
	life    context.Context         //nolint:containedctx // ended by Close, and with it all calls
	end     context.CancelCauseFunc // ends life
	closing <-chan struct{}         // closed when life has ended
	woken   chan struct{}           // makes the scheduler look again; holds one

	cache   *cache           // read without mu, written with it
	flights flight.Group     // needs no lock
	packer  *tokenpack.Codec // of refresh tokens; needs no lock
	share   *sharing         // with a Store; else nil. Constant, see there

	// mu guards all that follows, and everything in rooms, calls and demands. Beside it
	// there are only callCtx.mu and the packer's, under which no other is taken. It is
	// never held over a call to a source, an observer, a logger or a consumer, nor over a
	// wait; what it is held over takes microseconds.
	mu     mutex
	closed bool
	rooms  int                // in the cache, orphaned ones not counted
	states [RoomStuck + 1]int // rooms by state

	waiting int                 // callers who wait
	watches map[*watch]struct{} // that rooms count

	queues    [queueCount]*queue.Queue[monotime.Time, *room] // each room stands in one at most
	lane      *queue.Queue[monotime.Time, *demand]           // of innocent rooms that wait for a call, newest first
	tokenless *queue.Queue[monotime.Time, *room]             // rooms without a token that can be evicted, by their last use
	evictable int                                            // rooms that can be evicted, with a token or without
	hand      position                                       // where the search for one goes on
	patience  *queue.Queue[monotime.Time, *waiters]          // cohorts by when the first of their members leaves

	calls       []*call                            // in flight, in no order
	callerCalls int                                // those of them that began for a caller
	sickCalls   int                                // those of them whose room was failing
	laneCalls   int                                // those of them in the lane
	overdue     int                                // those of them that are overdue
	deadlines   *queue.Queue[monotime.Time, *call] // those whose source has time, by when it is over
	freed       *worker                            // the worker whose call is ending; nil: none
	begun       uint64                             // calls, since NewManager
	latency     time.Duration                      // of the last call that got a token

	breaker breaker.Breaker
	window  window.Window
	pace    pace.Pace
	offered *room         // the next probe, see offerProbe; nil: none
	guarded bool          // calls are held back; watches have learned of it
	cause   string        // of what led to it, see causeOf
	outage  monotime.Time // when the present outage began; 0: there is none
	memo    memo          // failures of rooms that were evicted

	sleepUntil   monotime.Time // when the scheduler looks again
	plannedAhead time.Duration // how far the wall clock was ahead, at least, when rooms were planned
	walks
	wakeUntil  monotime.Time // see walks.waking
	reset      resetMark     // see walks.resetting
	reviewAt   monotime.Time // when the rooms in line are planned anew
	scheduling bool          // the scheduler's goroutine runs
	forgetting bool          // Close is about to drop the refresh tokens

	events     []Event // not delivered yet
	delivering bool    // a goroutine delivers events
	deliverer  string  // its name, see goroutine
	stats      Stats   // the counters
	waits      waitTimes

	progress broadcast // sent when a goroutine that Close waits for ends
}

// batch is how many rooms are handled before the lock is released, so that a million
// deadlines at once keep nobody waiting.
const batch = 256

// newEngine returns an engine whose scheduler is not running yet. config has its
// defaults, except for Clock.
func newEngine(source TokenSource, config Config, renewal policy.Renewal) *engine {
	backoff := policy.Backoff{Min: config.BackoffMin, Max: config.BackoffMax}
	e := &engine{
		source:     source,
		config:     config,
		clock:      monotime.New(config.Clock),
		renewal:    renewal,
		backoff:    backoff,
		memory:     config.IdleAfter,
		observe:    observer(config),
		woken:      make(chan struct{}, 1),
		cache:      newCache(),
		packer:     tokenpack.New(),
		breaker:    breaker.Breaker{Backoff: backoff},
		pace:       pace.Pace{Limit: config.CallsPerSecond},
		watches:    make(map[*watch]struct{}),
		deadlines:  queue.New[monotime.Time](func(c *call) *queue.Position { return &c.deadline }),
		scheduling: true,
	}
	if e.config.Clock == nil {
		e.config.Clock = clock.New()
	}
	if e.memory < 0 {
		e.memory = defaultIdleAfter
	}
	e.share = newSharing(e.config)
	e.emptyQueues()
	e.life, e.end = context.WithCancelCause(context.Background())
	e.closing = e.life.Done()
	return e
}

// emptyQueues makes all queues anew.
func (e *engine) emptyQueues() {
	for id := timerQueue; id < queueCount; id++ {
		e.queues[id] = queue.New[monotime.Time](func(r *room) *queue.Position { return &r.position })
	}
	e.lane = queue.New[monotime.Time](func(d *demand) *queue.Position { return &d.lane })
	e.tokenless = queue.New[monotime.Time](func(r *room) *queue.Position { return &r.activity.tokenless })
	e.patience = queue.New[monotime.Time](func(k *waiters) *queue.Position { return &k.patience })
}

// lookUp returns the room, nil if it is not in memory.
func (e *engine) lookUp(roomID string) *room {
	if rec := e.cache.get(roomID); rec != nil {
		return rec.owner
	}
	return nil
}

// move takes the room out of its queue and puts it into another.
func (e *engine) move(r *room, to queueID, key monotime.Time) {
	if r.queue != to && r.queue != noQueue {
		e.queues[r.queue].Remove(r)
	}
	if !inLine(to) {
		e.share.leaveLine(r)
	}
	r.queue = to
	if to != noQueue {
		e.queues[to].Set(r, key)
	}
}

// release ends the wait of all who wait for a room, with a token or an error. With
// neither they start over.
func (e *engine) release(d *demand, token *record, err error) {
	if k := d.waiters; k != nil {
		e.patience.Remove(k)
		e.releaseCohort(k, token, err)
		d.waiters = nil
	}
}

// releaseCohort ends the wait of all in a cohort.
func (e *engine) releaseCohort(k *waiters, token *record, err error) {
	e.waiting -= k.count
	k.release(token, err)
}

// renew makes all who wait for a room look at it again.
func (e *engine) renew(d *demand) {
	if k := d.waiters; k != nil {
		e.patience.Remove(k)
		d.waiters = k.renew()
	}
}

// left returns how long the room's token lives from now on.
func (e *engine) left(r *room, now monotime.Reading) time.Duration {
	return e.clock.Left(r.rec.validity().expiry, now)
}

// valid reports whether the token may be handed out to a caller who needs it to live
// for atLeast. It needs no lock.
func (e *engine) valid(rec *record, now monotime.Reading, atLeast time.Duration) bool {
	return rec.validity().covers(e.clock, now, atLeast)
}

// validUntil returns the first instant at which the room's token is no longer handed
// out. It holds while the wall clock is not stepped.
func (e *engine) validUntil(r *room, now monotime.Reading) monotime.Time {
	return now.Mono.Add(e.left(r, now) - max(r.rec.margin-1, 0))
}

// renewalDue returns when the room's renewal is due. It holds while the wall clock is
// not stepped.
func (e *engine) renewalDue(r *room, now monotime.Reading) monotime.Time {
	if r.rec.text == "" {
		if r.failure() != nil {
			return r.failure().replaceAfter
		}
		return now.Mono
	}
	return now.Mono.Add(e.left(r, now) - r.renewLeft)
}

// refreshable reports whether the room has a refresh token that has not lapsed.
func (e *engine) refreshable(r *room, now monotime.Reading) bool {
	return r.refresh != "" && e.clock.Left(e.clock.Unpack(r.refreshUntil), now) > 0
}

// idle reports whether nobody has asked for the room for so long that it need not be
// kept fresh.
func (e *engine) idle(r *room, now monotime.Reading) bool { return !now.Mono.Before(e.idleAt(r, now)) }

// idleAt returns when the room is idle if nobody asks for it until then.
func (e *engine) idleAt(r *room, now monotime.Reading) monotime.Time {
	if e.config.IdleAfter <= 0 || r.demand() != nil {
		return monotime.Never
	}
	const aTick = time.Duration(1 << tickBits) // lastUsed is rounded down to one
	return r.lastUsed(now).Add(max(e.config.IdleAfter, aTick))
}

// sick reports whether the room's last call failed, and calls have not come back since
// from an outage.
func (e *engine) sick(r *room) bool {
	return r.failure().total() > 0 && !e.breaker.Forgiven(r.failure().at)
}

// innocent reports whether the room has not failed since the source last worked.
func (e *engine) innocent(r *room) bool {
	return r.failure().total() == 0 || e.breaker.Innocent(r.failure().at)
}

// mend lets a room try again whose permanent failure was the credential's, once the
// credential has been mended. The room counts as failing until a call has got a token.
func (e *engine) mend(r *room) {
	if f := r.failure(); f != nil && f.permanent > 0 && !f.own && f.mended != e.breaker.Mended() {
		f.permanent, f.mended = 1, e.breaker.Mended()
		r.setNextAttempt(f.asked)
		e.share.retry(r)
	}
}

// permanentlyFailed reports whether callers are answered with the permanent failure of
// their room.
func (e *engine) permanentlyFailed(r *room, now monotime.Reading) bool {
	f := r.failure()
	return f != nil && f.permanent > 0 && now.Mono.Before(r.nextAttempt())
}

// nextAllowed returns when the next call for the room may begin at the earliest, as far
// as backoff, rate limits and probes go; 0: now.
func (e *engine) nextAllowed(r *room, now monotime.Reading) monotime.Time {
	next := r.nextAttempt()
	if r.pending() != nil {
		next = max(next, r.failure().handOutAfter)
	}
	if e.breaker.Held(now.Mono) || e.breaker.Guarded() && (!e.innocent(r) || e.breaker.State() == breaker.Refused) {
		next = max(next, e.breaker.Opens(now.Mono))
	}
	return next
}

// wakeScheduler makes the scheduler look again. It never blocks and needs no lock.
func (e *engine) wakeScheduler() {
	select {
	case e.woken <- struct{}{}:
	default:
	}
}
