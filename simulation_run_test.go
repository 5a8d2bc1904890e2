package roomtoken_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/benbjohnson/clock"

	"github.com/roomtoken/roomtoken"
)

var (
	errOverdue = context.DeadlineExceeded
	errLeft    = errors.New("the caller has hung up")
	errLate    = errors.New("the caller's time is up")
	errThrown  = errors.New("thrown on purpose")
	errGoexit  = errors.New("runtime.Goexit")
)

// libraryFrame is in the stack of each goroutine that runs the library's code.
const libraryFrame = "github.com/roomtoken/roomtoken."

// roomKey is the key under which the ctx of a caller carries its room.
type roomKey struct{}

// sim is one run of a plan: a model, a Manager, and the server behind its source.
type sim struct {
	model
	m       *roomtoken.Manager
	wall    *atomic.Int64 // how far the Manager's wall clock is ahead
	server  server
	events  int
	meddled int // Invalidate, Forget and the like of steps
	running int // goroutines of callers, watches and calls
}

// shifted is the real clock with a stepped wall clock.
type shifted struct {
	clock.Clock
	ahead *atomic.Int64
}

// Now shifts the monotonic reading, too. That does no harm: Since is only called with
// a base that was read before any step.
func (c shifted) Now() time.Time { return c.Clock.Now().Add(time.Duration(c.ahead.Load())) }

// result is the outcome of a run.
type result struct {
	violation     *violation
	trace         []string
	checks, calls int
	roomTime      time.Duration
}

// simulate runs a plan in a bubble of its own.
func simulate(t *testing.T, p *plan, tracing bool) (res result) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &sim{model: model{plan: p, start: time.Now(), tracing: tracing}}
		s.server = server{refresh: map[string]time.Duration{}, last: map[string]roomtoken.Grant{}, ends: map[string]time.Duration{}}
		s.server.minted, s.server.session = map[string]time.Duration{}, map[string]time.Duration{}
		s.run(t.Context())
		res = result{violation: s.violation, trace: s.trace, checks: s.checks, calls: s.calls}
		res.roomTime = s.now() * time.Duration(p.rooms)
	})
	return res
}

func (s *sim) run(ctx context.Context) {
	s.reopen()
	ctx, cancel := context.WithCancel(ctx)
	for i, step := range s.plan.steps {
		time.Sleep(max(step.at-s.now(), time.Duration(i+1))) // a time of its own
		synctest.Wait()
		s.settled()
		s.note("STEP %v", step)
		s.do(ctx, step)
		synctest.Wait()
		s.poll(step.mask)
		synctest.Wait()
		s.settled()
		if i%8 == 0 {
			s.walk()
		}
		if s.broken() {
			break
		}
	}
	s.walk()
	s.close(0, 0)
	cancel()
	for range 20 {
		time.Sleep(10 * time.Minute) // calls that ignore their ctx and slow bodies return
		s.mu.Lock()
		running := s.running
		s.mu.Unlock()
		if running == 0 {
			break
		}
	}
	synctest.Wait()
	s.leftovers()
}

// broken reports whether a promise is known to be broken.
func (s *sim) broken() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.violation != nil
}

func (s *sim) walk() {
	faults := s.m.CheckInvariants()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.checks++
	for _, f := range faults {
		s.breaks(0, "%s", f)
	}
}

// leftovers reports goroutines of the Manager that have outlived it.
func (s *sim) leftovers() {
	outlived := outlived()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running > 0 {
		s.breaks(8, "%d callers, watches or calls have outlived the Manager", s.running)
	}
	if outlived != "" {
		s.breaks(8, "a goroutine has outlived its Manager: %s", outlived)
	}
	if s.violation != nil && (s.running > 0 || strings.Contains(s.violation.text, "outlived")) {
		panic(fmt.Sprintf("seed %d: %v", s.plan.seed, s.violation)) // or the bubble would never end
	}
}

// outlived returns the stack of a goroutine that runs the library's code, "" if there is
// none.
func outlived() string {
	buf := make([]byte, 1<<16)
	buf = buf[:runtime.Stack(buf, true)]
	for g := range strings.SplitSeq(string(buf), "\n\n") {
		head, rest, _ := strings.Cut(g, "\n")
		if strings.Contains(head, "synctest bubble") && strings.Contains(rest, libraryFrame) {
			return g
		}
	}
	return ""
}

// reopen starts a new Manager.
func (s *sim) reopen() {
	config := s.plan.config
	config.OnEvent = s.observer()
	if s.plan.wall {
		s.wall = new(atomic.Int64)
		config.Clock = shifted{clock.New(), s.wall}
	}
	full, err := config.WithDefaults()
	if err != nil {
		panic(err)
	}
	s.mu.Lock()
	s.config = full
	s.open()
	s.mu.Unlock()
	if s.m, err = roomtoken.NewManager(s, config); err != nil {
		panic(err)
	}
}

// observer returns the observer of the next Manager's events.
func (s *sim) observer() func(roomtoken.Event) {
	epoch := s.epoch + 1
	root := dice(s.plan.seed)
	d := root.child(uint64(epoch) + 1000)
	return func(e roomtoken.Event) {
		s.mu.Lock()
		current := s.epoch == epoch
		s.events++
		if s.events%16 == 0 && strings.Contains(e.String(), canary) {
			s.breaks(12, "an event contains a secret: %v", e)
		}
		throw := d.chance(s.plan.behavior.thrower)
		s.mu.Unlock()
		if current && e.Kind == roomtoken.EventRoomEvicted {
			s.evicted(e.RoomID, e.Reason)
		}
		switch {
		case !throw:
		case e.Kind%2 == 0:
			panic(errThrown)
		default:
			runtime.Goexit()
		}
	}
}

// goes runs f in a goroutine and counts it.
func (s *sim) goes(f func()) {
	s.mu.Lock()
	s.running++
	s.mu.Unlock()
	go func() {
		defer func() {
			s.mu.Lock()
			s.running--
			s.mu.Unlock()
		}()
		f()
	}()
}

// do performs a step.
func (s *sim) do(ctx context.Context, st step) {
	var r *modelRoom
	if st.room >= 0 {
		r = s.rooms[st.room]
	}
	switch st.kind {
	case stepAsk:
		for range st.n {
			s.ask(ctx, r, 0, st.timeout, st.hangUp)
		}
	case stepAskFor:
		for range 4 {
			s.ask(ctx, r, s.needs(r, st), st.timeout, 0)
			if !st.back {
				break
			}
			time.Sleep(s.plan.behavior.fast*3 + 10*time.Millisecond)
		}
	case stepCrowd:
		for _, r := range s.rooms {
			if st.mask>>r.n&1 != 0 {
				s.ask(ctx, r, 0, st.timeout, 0)
			}
		}
	case stepUse:
		s.use(ctx, r)
	case stepReset:
		s.reset(r)
	case stepWatch:
		s.watch(ctx, r, st)
	case stepWarm:
		s.warm(ctx, st)
	case stepInvalidate:
		for range st.n {
			s.meddled++
			s.invalidates(r, s.target(r, st.back), func(tok roomtoken.Token) bool { return s.m.Invalidate(r.id, tok) })
		}
	case stepForget:
		s.mu.Lock()
		if !s.closed {
			s.meddled++
			s.forgets(r, s.now())
			s.m.Forget(r.id)
		}
		s.mu.Unlock()
	case stepOutage:
		s.mu.Lock()
		s.outages = append(s.outages, outage{st.room, st.fault, s.now() + st.dur})
		s.mu.Unlock()
	case stepClose:
		s.close(st.n, st.room)
		s.afterClose(ctx)
		time.Sleep(st.dur)
		s.reopen()
	case stepWall:
		s.mu.Lock()
		for _, r := range s.rooms {
			if r.cur != nil && !s.valid(r, s.now(), 0) {
				r.vague = true // it may become valid again
			}
			if rt := r.refresh; rt != nil && !rt.expires.IsZero() && !s.wallNow().Before(rt.expires) {
				rt.mustEnd = 0
			}
		}
		s.ahead += st.dur
		s.wall.Store(int64(s.ahead))
		s.stepped = s.now()
		for _, c := range s.flights {
			c.steps = true
		}
		s.mu.Unlock()
	}
}

// needs returns for how long the caller of a step needs a token: a little longer than the
// present one lives, or as the step says.
func (s *sim) needs(r *modelRoom, st step) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if st.back && r.cur != nil {
		if left := s.leftOf(r.cur, s.now()); left > 0 {
			return left + 5*time.Millisecond
		}
	}
	return st.dur
}

// ask calls Token or TokenValidFor in the background.
func (s *sim) ask(ctx context.Context, r *modelRoom, atLeast, timeout, hangUp time.Duration) {
	m := s.m
	ctx = context.WithValue(ctx, roomKey{}, r.id)
	ctx, cancel := context.WithCancelCause(ctx)
	stop := func() {}
	if timeout > 0 {
		ctx, stop = context.WithTimeoutCause(ctx, timeout, errLate)
	}
	var timer *time.Timer
	if hangUp > 0 {
		timer = time.AfterFunc(hangUp, func() { cancel(errLeft) })
	}
	c := s.asks(r, atLeast, timeout, hangUp)
	s.goes(func() {
		var tok roomtoken.Token
		var err error
		if atLeast > 0 {
			tok, err = m.TokenValidFor(ctx, r.id, atLeast)
		} else {
			tok, err = m.Token(ctx, r.id)
		}
		s.answers(c, tok, err, ctx.Err(), context.Cause(ctx))
		if timer != nil {
			timer.Stop()
		}
		stop()
		cancel(nil)
	})
}

// use gets a token in the background and presents it to a server that does not accept it
// at first. Each refused token is invalidated.
func (s *sim) use(ctx context.Context, r *modelRoom) {
	m := s.m
	s.mu.Lock()
	meddled := s.meddled
	s.mu.Unlock()
	s.goes(func() {
		ctx := context.WithValue(ctx, roomKey{}, r.id)
		for range 12 {
			c := s.asks(r, 0, 0, 0)
			if s.plan.config.MaxWait < 0 {
				c.ends, c.limit = c.begun+time.Hour, c.begun+time.Hour
			}
			ctx, cancel := context.WithTimeoutCause(ctx, time.Hour, errLate)
			tok, err := m.Token(ctx, r.id)
			s.answers(c, tok, err, ctx.Err(), context.Cause(ctx))
			cancel()
			if err != nil {
				return
			}
			time.Sleep(s.plan.behavior.fast + 1)
			s.mu.Lock()
			t := s.tokens[tok.Value.Reveal()]
			accepted := c.epoch != s.epoch || s.closed || t == nil || s.now() >= s.server.minted[t.value]+s.plan.behavior.lag
			s.mu.Unlock()
			if accepted {
				return
			}
			s.invalidates(r, t, func(tok roomtoken.Token) bool { return m.Invalidate(r.id, tok) })
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		lag := s.plan.behavior.lag
		if s.meddled == meddled && s.plan.behavior.calm && len(s.outages) == 0 && !s.plan.wall && s.plan.config.MaxRooms == 0 && s.config.CallsPerSecond == 0 && s.account.pace.limitedAt < 0 && s.config.BackoffMax/2 > lag && s.plan.behavior.lifetime/5 > lag {
			s.breaks(7, "%s: 12 tokens in a row were refused by a server that accepts a token %v after its issue", r.id, lag)
		}
	})
}

// reset calls ResetBackoff for a room, or for all.
func (s *sim) reset(r *modelRoom) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	now := s.now()
	s.catchUp(now)
	if r != nil {
		s.resets([]*modelRoom{r}, now)
		s.m.ResetBackoff(r.id)
		return
	}
	s.resets(nil, now)
	s.m.ResetBackoff()
}

// watch watches a room in the background.
func (s *sim) watch(ctx context.Context, r *modelRoom, st step) {
	m := s.m
	ctx = context.WithValue(ctx, roomKey{}, r.id)
	ctx, cancel := context.WithTimeoutCause(ctx, st.timeout, errLate)
	s.mu.Lock()
	now := s.now()
	w := &watching{room: r, begun: now, ends: now + st.timeout, epoch: s.epoch}
	if !s.closed {
		r.watches = append(r.watches, w)
		s.used(r, now)
		r.resident = true
	}
	s.mu.Unlock()
	s.goes(func() {
		defer cancel()
		for tok, err := range m.Watch(ctx, r.id) {
			s.yielded(w, tok, err, ctx.Err(), context.Cause(ctx))
			if w.yields++; w.yields >= st.n {
				break
			}
			if st.dur > 0 {
				s.inBody(w, true)
				time.Sleep(st.dur)
				s.inBody(w, false)
			}
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		now := s.now()
		for i, other := range r.watches {
			if other == w {
				r.watches = append(r.watches[:i:i], r.watches[i+1:]...)
			}
		}
		if !w.ended { // or it ended with ErrTooManyRooms and belonged to no room
			r.asked, r.active, r.left = now, now, now
		}
		w.ended = true
	})
}

func (s *sim) inBody(w *watching, in bool) {
	s.mu.Lock()
	w.body = in
	s.mu.Unlock()
}

// warm warms rooms in the background.
func (s *sim) warm(ctx context.Context, st step) {
	m := s.m
	var ids []string
	var rooms []*modelRoom
	s.mu.Lock()
	begun, epoch := s.now(), s.epoch
	for _, r := range s.rooms {
		if st.mask>>r.n&1 != 0 && !s.closed {
			ids, rooms = append(ids, r.id), append(rooms, r)
			r.warming++
			s.used(r, begun)
		}
	}
	s.mu.Unlock()
	ctx, cancel := context.WithTimeoutCause(context.WithValue(ctx, roomKey{}, "*"), st.timeout, errLate)
	s.goes(func() {
		defer cancel()
		err := m.Warm(ctx, ids...)
		s.mu.Lock()
		defer s.mu.Unlock()
		now := s.now()
		s.checks += len(ids)
		s.note("Warm of %v ends: %v", begun, err)
		for _, r := range rooms {
			r.warming--
			r.active, r.left = now, now
			if err == nil && epoch == s.epoch && !s.closed && r.forgotAt < begun && r.cur == nil && r.before == nil {
				s.breaks(3, "%s: Warm returns nil, but the room never had a token", r.id)
			}
		}
		switch {
		case err == nil:
		case s.closed != errors.Is(err, roomtoken.ErrClosed):
			s.breaks(8, "Warm returns %v, closed is %v", err, s.closed)
		case now > begun+st.timeout:
			s.breaks(4, "Warm returns %v after its ctx has ended", now-begun-st.timeout)
		}
		if err != nil {
			s.noSecret(err)
		}
	})
}

// gone is a ctx that has ended. Token with it returns what is in memory or an error.
var gone = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

// poll asks for what is in memory for all rooms.
func (s *sim) poll(mask uint64) {
	for _, r := range s.rooms {
		tok, ok := s.m.Cached(r.id)
		s.cached(r, tok, ok, false)
		_, ok = s.m.Room(r.id)
		s.mustBeGone(r, ok)
		if mask>>r.n&1 == 0 {
			continue
		}
		tok, err := s.m.Token(gone, r.id)
		s.cached(r, tok, err == nil, true)
		if err != nil {
			s.mu.Lock()
			s.noSecret(err)
			if !s.closed && !errors.Is(err, context.Canceled) {
				s.breaks(4, "%s: a caller whose ctx has ended gets %v, want Canceled", r.id, err)
			}
			s.mu.Unlock()
		}
	}
}

// close closes the Manager and checks what is promised of Close.
func (s *sim) close(way, room int) {
	m := s.m
	s.mu.Lock()
	s.closed, s.closedAt, s.watchCloses = true, s.now(), way == 2
	deaf := way == 2
	for _, c := range s.flights {
		deaf = deaf || c.deaf
	}
	s.mu.Unlock()
	var err error
	switch way {
	case 1:
		s.goes(func() { _ = m.Close() })
		err = m.Close()
	case 2:
		if _, ok := m.Cached(s.rooms[max(room, 0)].id); ok {
			for range m.Watch(context.Background(), s.rooms[max(room, 0)].id) {
				err = m.Close()
				break
			}
		} else {
			err = m.Close()
		}
	default:
		err = m.Close()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.checks++
	took := s.now() - s.closedAt
	s.note("Close: %v", err)
	switch {
	case took > s.config.CallTimeout:
		s.breaks(8, "Close takes %v, want at most CallTimeout, %v", took, s.config.CallTimeout)
	case !deaf && took > time.Microsecond:
		s.breaks(8, "Close takes %v, but no call ignores its ctx", took)
	case err == nil && len(s.flights) > 0:
		s.breaks(8, "Close returns nil with %d calls in flight", len(s.flights))
	case err != nil && len(s.flights) == 0:
		s.breaks(8, "Close returns %v with no call in flight", err)
	}
}

// afterClose checks that every method reports ErrClosed.
func (s *sim) afterClose(ctx context.Context) {
	synctest.Wait()
	s.mu.Lock()
	for _, r := range s.rooms {
		if n := len(r.waiting); n > 0 {
			s.breaks(8, "%s: %d callers wait after Close", r.id, n)
		}
		for _, w := range r.watches {
			if !w.body && !w.ended {
				s.breaks(8, "%s: a watch goes on after Close", r.id)
			}
		}
	}
	s.mu.Unlock()
	for _, r := range s.rooms {
		s.ask(ctx, r, 0, 0, 0)
		s.watch(ctx, r, step{n: 3, timeout: time.Hour})
	}
	s.warm(ctx, step{timeout: time.Hour})
	synctest.Wait()
	s.poll(1)
	if err := s.m.Close(); err != nil {
		s.mu.Lock()
		if len(s.flights) == 0 {
			s.breaks(8, "a second Close returns %v", err)
		}
		s.mu.Unlock()
	}
}
