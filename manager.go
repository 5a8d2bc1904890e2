package roomtoken

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"time"

	"github.com/benbjohnson/clock"

	"github.com/roomtoken/roomtoken/internal/flight"
	"github.com/roomtoken/roomtoken/internal/moment"
	"github.com/roomtoken/roomtoken/internal/policy"
	"github.com/roomtoken/roomtoken/internal/queue"
)

// Manager keeps the tokens of many rooms fresh and hands them out. Most callers
// want [Manager.Token], those who hold a long connection [Manager.Watch].
//
// All methods are safe for concurrent use. A Manager must be closed when it is
// no longer used.
type Manager struct {
	// What a hit needs, beside the rest: none of it changes, but for what is in the
	// cache, which is read without mu and written with it.
	clock *moment.Clock
	base  unixTime
	cache *cache

	// All else is behind a pointer because fmt walks a struct by reflection where
	// it calls no method (a Manager under %w): then it prints this address.
	*core
}

// core is what a Manager consists of beyond what a hit needs.
type core struct {
	source  TokenSource
	config  Config // with its defaults
	renewal policy.Renewal
	backoff policy.Backoff
	memory  time.Duration // how long a room that never had a token is remembered
	observe func(Event)   // nil: nobody

	flights flight.Group
	life    context.Context         //nolint:containedctx // ended by Close, and with it all calls
	end     context.CancelCauseFunc // ends life
	closing <-chan struct{}         // closed when life has ended
	atOnce  chan struct{}           // closed: for those who need not wait
	wake    chan struct{}           // makes the scheduler look again; holds one

	// mu guards all that follows and everything in rooms, calls and crowds. It is
	// never held over a call to a source, an observer, a logger or a consumer, nor
	// over a wait; what it is held over takes microseconds. It is the only lock.
	mu     sync.Mutex
	closed bool
	rooms  int // in the cache, ghosts not counted

	queues      [inRenewals + 1]*queue.Queue[*room] // by place; each room stands in one at most
	recency     *queue.Queue[*room]                 // rooms that can be let go, see rank
	ranked      int                                 // rooms ranked anew since one was let go
	calls       map[*call]struct{}                  // in flight
	callerCalls int                                 // those of them that began for a caller
	started     uint64                              // calls begun, ever
	account     account

	sleepUntil   int64   // monotonic: when the scheduler looks again
	plannedAhead int64   // how far the wall clock was ahead, at least, when rooms were planned
	sweep        *cursor // planning all rooms anew; nil: not now
	scheduling   bool    // the scheduler's goroutine runs
	forgetting   bool    // Close is about to drop the refresh tokens

	events   []Event // not told yet
	telling  bool    // a goroutine tells events
	teller   string  // its name, see goroutine
	stats    Stats   // its counters
	progress signal  // told when a goroutine that Close waits for ends
	holds    signal  // told when all calls are held back, or for longer
}

// signal wakes those who wait for something to end.
type signal struct{ c chan struct{} }

func (s *signal) wait() <-chan struct{} {
	if s.c == nil {
		s.c = make(chan struct{})
	}
	return s.c
}

func (s *signal) tell() {
	if s.c != nil {
		close(s.c)
		s.c = nil
	}
}

// NewManager returns a Manager that gets its tokens from source. The error names
// every field of config that cannot be.
//
// It starts one goroutine, which [Manager.Close] ends.
func NewManager(source TokenSource, config Config) (*Manager, error) {
	if source == nil {
		return nil, errors.New("roomtoken: NewManager needs a TokenSource, not nil")
	}
	m := &Manager{
		clock: moment.New(config.Clock),
		cache: newCache(),
		core: &core{
			source:     source,
			atOnce:     make(chan struct{}),
			wake:       make(chan struct{}, 1),
			calls:      make(map[*call]struct{}),
			scheduling: true,
		},
	}
	var err error
	if m.config, err = config.withDefaults(); err != nil {
		return nil, err
	}
	if m.config.Clock == nil {
		m.config.Clock = clock.New()
	}
	c := m.config
	m.base.sec, m.base.nsec = m.clock.UnixBase()
	m.renewal = policy.Renewal{After: c.RefreshAfter, Jitter: c.Jitter, MinValidity: c.MinValidity}
	m.backoff = policy.Backoff{Min: c.BackoffMin, Max: c.BackoffMax}
	m.memory = c.IdleAfter
	if m.memory < 0 {
		m.memory = defaultIdleAfter
	}
	switch {
	case c.Logger != nil && c.OnEvent != nil:
		m.observe = Events(logger(c.Logger), c.OnEvent)
	case c.Logger != nil:
		m.observe = logger(c.Logger)
	default:
		m.observe = c.OnEvent
	}
	for place := inTimers; place <= inRenewals; place++ {
		m.queues[place] = queue.New(func(r *room) *queue.Position { return &r.queued })
	}
	m.recency = queue.New(func(r *room) *queue.Position { return &r.recency })
	close(m.atOnce)
	m.life, m.end = context.WithCancelCause(context.Background())
	m.closing = m.life.Done()
	go m.schedule()
	return m, nil
}

func (m *Manager) lock()   { m.mu.Lock() }
func (m *Manager) unlock() { m.mu.Unlock() }

// Token returns a token for the room: from memory, in nanoseconds, while there
// is a valid one, and it does not look at ctx then. Otherwise it waits for one.
//
// The token is valid for at least Config.MinValidity, or a tenth of its lifetime
// where that is less. The call to the source is shared by all who wait, and goes
// on whoever leaves.
//
// The wait ends without a token
//
//   - when ctx ends: the error wraps its Err, its [context.Cause], and the last
//     error of the source;
//   - when Config.MaxWait has passed, or the next attempt lies beyond it or the
//     ctx's deadline: the error wraps the last error of the source, or
//     [context.DeadlineExceeded] if it has not failed;
//   - at once, on a permanent failure ([ErrPermanent]), while the room's call has
//     not returned though CallTimeout is over, with [ErrTooManyRooms] where
//     Config.MaxRooms leaves no place, and after Close with [ErrClosed].
//
// A room ID is any string of 1 to 1,024 bytes; others are answered with an error
// that wraps ErrPermanent, without a call.
func (m *Manager) Token(ctx context.Context, roomID string) (Token, error) {
	// This is hit, written out: a call to it costs one part in fifty.
	if rec := m.cache.get(roomID); rec != nil {
		end := rec.end()
		if now := m.clock.Now(); end.serves(now, m.base, 0) {
			if rec.lastUsed.Load() != tick(now) {
				m.touch(rec, now)
			}
			return rec.token(), nil
		}
	}
	return m.wait(ctx, roomID, 0)
}

// TokenValidFor is like Token, for a caller who needs the token to live for at
// least so long from now on. If the one in memory does not, it has it renewed
// ahead of its time.
//
// [ErrTooShort] says that no token of this source would do: the newest lifetime
// known is less than atLeast, or a token minted after the call had less left when
// it came.
func (m *Manager) TokenValidFor(ctx context.Context, roomID string, atLeast time.Duration) (Token, error) {
	if rec := m.hit(roomID, atLeast); rec != nil {
		return rec.token(), nil
	}
	return m.wait(ctx, roomID, max(atLeast, 0))
}

// Cached returns the room's token if there is a valid one in memory. It never
// calls the source and never waits, and it does not count as asking for the
// room: it neither keeps it fresh nor keeps it in memory.
func (m *Manager) Cached(roomID string) (Token, bool) {
	rec := m.cache.get(roomID)
	if rec == nil || !m.serves(rec, m.clock.Now(), 0) {
		return Token{}, false
	}
	return rec.token(), true
}

// hit answers from memory, with nil if it cannot. It is the path that has to be
// fast: no lock, no allocation, no shared write but once in half a second per room.
func (m *Manager) hit(roomID string, atLeast time.Duration) *record {
	rec := m.cache.get(roomID)
	if rec == nil {
		return nil
	}
	end := rec.end() // before the clock is read: that waits for all loads, and none should come after
	now := m.clock.Now()
	if !end.serves(now, m.base, atLeast) {
		return nil
	}
	if rec.lastUsed.Load() != tick(now) {
		m.touch(rec, now)
	}
	return rec
}

// touch notes that the room is asked for, and starts its renewal if that was
// skipped.
func (m *Manager) touch(rec *record, now moment.Moment) {
	if rec.lastUsed.Swap(tick(now))&dormantMark == 0 {
		return
	}
	m.lock()
	defer m.unlock()
	if r := rec.owner; !r.dropped && !m.closed {
		now = m.clock.Now() // the lock may have taken long
		r.used(now)
		m.settle(r, now)
	}
}

func (m *Manager) wait(ctx context.Context, roomID string, atLeast time.Duration) (Token, error) {
	return newWaiter(ctx, m, roomID, atLeast, max(m.config.MaxWait, 0)).await()
}

// Warm sees to it that every room has a token, with at most
// Config.MaxConcurrentCalls calls at a time, and returns when all have one, have
// failed for good, or ctx ends; Config.MaxWait does not apply. Where a room is new,
// those that somebody asks for come before it, so that a service can warm all its
// rooms while it serves. The error joins those of the rooms that have none, each
// naming its room (see [errors.Join]).
func (m *Manager) Warm(ctx context.Context, roomIDs ...string) error {
	if m.isClosed() {
		return ErrClosed
	}
	var errs []error
	failed := func(roomID string, err error) {
		if errors.Is(err, ErrClosed) { // which names no room
			err = fmt.Errorf("%w: room %q", err, shorten(roomID))
		}
		errs = append(errs, err)
	}
	waiters := make([]*waiter, 0, len(roomIDs))
	for i, id := range roomIDs {
		yield(i)
		if m.hit(id, 0) != nil {
			continue
		}
		// Sign all on before waiting for the first, so that one that fails does not
		// keep the others.
		w := newWaiter(ctx, m, id, 0, 0)
		w.warms = true
		_, news, err := w.step()
		for news == m.atOnce && ctx.Err() == nil { // it is not signed on yet
			_, news, err = w.step()
		}
		switch {
		case news != nil:
			waiters = append(waiters, w)
		case err != nil:
			failed(id, err)
		}
	}
	for i, w := range waiters {
		yield(i)
		if _, err := w.await(); err != nil {
			failed(w.roomID, err)
		}
	}
	return errors.Join(errs...)
}

// yield lets others run now and then in a loop that takes the lock a million times:
// who waits for the lock is woken, but runs only when a processor is free.
func yield(i int) {
	if i%64 == 63 {
		runtime.Gosched()
	}
}

// maxRoomID is the length of the longest room ID, in bytes.
const maxRoomID = 1024

func checkRoomID(roomID string) error {
	switch {
	case roomID == "":
		return Permanent(errors.New("roomtoken: the room ID is empty"))
	case len(roomID) > maxRoomID:
		return Permanent(fmt.Errorf("roomtoken: room %q: a room ID has at most %d bytes, this one has %d",
			shorten(roomID), maxRoomID, len(roomID)))
	default:
		return nil
	}
}

// Invalidate drops the room's token because somebody refused it: it is not
// handed out again, and the next call for the room is a create. It drops exactly
// the token that was refused, compared by value, and reports whether it did; a
// newer one stays, so that a hundred parallel refusals cost one call. A call in
// flight is not disturbed; if it returns the refused token, it has failed.
//
// A token that is refused before its renewal was due counts as a failed attempt:
// the first is replaced at once, further ones in a row wait for the backoff.
func (m *Manager) Invalidate(roomID string, rejected Token) bool {
	if rejected.IsZero() {
		return false
	}
	m.lock()
	defer m.unlock()
	r := m.lookUp(roomID)
	if r == nil {
		return false
	}
	if c := r.call; c != nil && len(c.rejected) < maxRejected && !m.refused(c, rejected.Value) {
		c.rejected = append(c.rejected, rejected.Value)
	}
	if !r.rec.secret().Equal(rejected.Value) {
		return false
	}
	now := m.clock.Now()
	early := m.left(r, now) - r.renewLeft
	t := r.troubles()
	t.rejected = rejected.Value
	if early > 0 {
		t.refusals++
		t.lull = now.Mono + early
	} else {
		t.refusals, t.lull = 0, 0
	}
	if t.refusals > 1 {
		r.nextAttempt = max(r.nextAttempt, now.Mono+int64(m.backoff.Wait(t.refusals-1)))
	}
	r.forgetRefresh()
	m.stats.Invalidations++
	m.event(Event{Kind: EventTokenInvalidated, RoomID: roomID, Fingerprint: m.fingerprint(rejected.Value)})
	m.show(r, r.rec.blank())
	r.tell()
	m.settle(r, now)
	return true
}

// Forget drops the room, its tokens and the memory of its failures. Those who
// wait for a call in flight get its result, and nothing of it is kept; those who
// wait out its backoff try at once; watches go on and start anew. A hold of the
// account stays (see [ErrRateLimited]).
func (m *Manager) Forget(roomID string) {
	m.lock()
	defer m.unlock()
	r := m.lookUp(roomID)
	if r == nil || r.ghost {
		return
	}
	m.event(Event{Kind: EventRoomForgotten, RoomID: roomID})
	watched := r.crowd != nil && r.crowd.watchers > 0
	if r.call == nil && !watched {
		m.drop(r)
		return
	}
	// A call keeps the place, so that no second one can begin, and so do watches.
	was := r.join()
	r.crowd = nil
	if watched {
		r.crowd = &crowd{watchers: was.watchers, ctx: was.ctx}
	} else {
		r.ghost = true
		m.rooms--
	}
	was.watchers = 0
	if c := r.call; c != nil && c.forgotten == nil {
		was.apart = true
		c.forgotten = was
		was.tell()
	} else {
		was.dismiss() // nothing is in flight that they wait for
	}
	m.show(r, r.rec.blank())
	r.forgetRefresh()
	r.lifetime, r.renewLeft, r.nextAttempt = 0, 0, 0
	r.generation = 0
	r.trouble = nil
	m.settle(r, m.clock.Now())
}

// Close ends the Manager: it forgets all rooms, cancels the calls in flight and
// waits until they have returned, for at most Config.CallTimeout; then it
// returns an error that says how many remain. From then on every call is
// answered with [ErrClosed], and every Watch ends with it.
//
// It may be called more than once, from several goroutines, from Config.OnEvent,
// and from the body of a Watch.
func (m *Manager) Close() error {
	m.lock()
	var was []*slots
	if !m.closed {
		was = m.shut()
	}
	m.unlock()
	if was != nil {
		m.forgetSecrets(was)
	}
	me := goroutine()
	patience := alarm{after: m.config.CallTimeout}
	defer patience.stop()
	for {
		m.lock()
		calls, others := len(m.calls), m.scheduling || m.forgetting || m.telling && m.teller != me
		progress := m.progress.wait()
		m.unlock()
		if calls == 0 && !others {
			return nil
		}
		select {
		case <-progress:
		case <-patience.rings(m.config.Clock):
			if calls == 0 {
				return fmt.Errorf("roomtoken: closed, but Config.OnEvent or Config.Logger has not returned within CallTimeout (%v)", patience.after)
			}
			return fmt.Errorf("roomtoken: closed, but %d calls to the source have not returned within CallTimeout (%v)", calls, patience.after)
		}
	}
}

// isClosed reports whether Close was called.
func (m *Manager) isClosed() bool {
	select {
	case <-m.closing:
		return true
	default:
		return false
	}
}

// forgetSecrets drops what the rooms know beyond their tokens: a Token in somebody's
// hands keeps its room alive, see record.secret.
func (m *Manager) forgetSecrets(was []*slots) {
	n := 0
	m.lock()
	defer m.unlock()
	for _, s := range was {
		for i := range s.array {
			if rec := s.array[i].record.Load(); rec != nil {
				rec.owner.forgetSecrets()
			}
			if n++; n%batch == 0 {
				m.unlock()
				runtime.Gosched()
				m.lock()
			}
		}
	}
	m.forgetting = false
	m.progress.tell()
}

// shut ends everything that can be ended at once, and returns the rooms that were
// in the cache. Caller must hold mu.
func (m *Manager) shut() (was []*slots) {
	m.closed = true
	m.end(ErrClosed)
	m.forgetting = true
	was = m.cache.clear()
	m.rooms = 0
	m.sweep = nil
	for place := inTimers; place <= inRenewals; place++ {
		m.queues[place] = queue.New(func(r *room) *queue.Position { return &r.queued })
	}
	m.recency = queue.New(func(r *room) *queue.Position { return &r.recency })
	return was
}

// Format implements [fmt.Formatter]: whatever the verb, a line that says how many
// rooms and calls there are.
func (m *Manager) Format(f fmt.State, _ rune) {
	if m == nil {
		_, _ = io.WriteString(f, "roomtoken.Manager(nil)")
		return
	}
	s := m.Stats()
	_, _ = fmt.Fprintf(f, "roomtoken.Manager{rooms: %d, calls in flight: %d, queued: %d}", s.Rooms, s.CallsInFlight, s.CallsQueued)
}
