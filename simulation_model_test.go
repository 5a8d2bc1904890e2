package roomtoken_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"time"

	"github.com/roomtoken/roomtoken"
)

// The model knows, from the promises alone, what the Manager may do and what it
// must do. It sees what any user sees: the calls at the source, the answers, the
// pairs of a watch, and the events that tell of an eviction. It never looks into
// the Manager. All its times are distances from the beginning of the run on the
// monotonic clock, and exact: in a bubble time stands still while anything runs.

const (
	forever = time.Duration(math.MaxInt64 / 4)
	canary  = "CANARY"
	grace   = 50 * time.Millisecond // a source may take so long to return when its ctx has ended
	grain   = 1200 * time.Millisecond
	fuzz    = time.Microsecond // of floating-point fractions of a lifetime
)

// violation is a promise that was found broken.
type violation struct {
	promise int // 0: an invariant
	at      time.Duration
	text    string
}

func (v *violation) String() string {
	if v.promise == 0 {
		return fmt.Sprintf("an invariant is broken at %v: %s", v.at, v.text)
	}
	return fmt.Sprintf("promise %d is broken at %v: %s", v.promise, v.at, v.text)
}

// model is what is known of one Manager and its rooms.
type model struct {
	mu        sync.Mutex
	plan      *plan
	start     time.Time
	violation *violation
	trace     []string
	tracing   bool

	config  roomtoken.Config // with its defaults
	epoch   int              // of the Manager: calls of the one before are none of ours
	rooms   []*modelRoom
	tokens  map[string]*modelToken
	minted  int
	flights []*modelCall // in flight
	account modelAccount

	ahead   time.Duration // of the wall clock
	stepped time.Duration // when it was stepped last

	closed      bool
	closedAt    time.Duration
	watchCloses bool // from its body: it may begin a call at that moment

	checks, calls int
	order         int // of calls, callers and forgetting, where the moment is the same
	instant       time.Duration
	burst         int // calls at this instant
	outages       []outage
}

type outage struct {
	room  int
	fault fault
	until time.Duration
}

// modelRoom is what is known of one room.
type modelRoom struct {
	id        string
	n         int
	resident  bool
	had       bool // it has had a token
	cur       *modelToken
	before    *modelToken // the one before, if it was replaced
	refresh   *modelRefresh
	failures  int
	permanent int
	refusals  int           // at least so many tokens in a row were refused early
	refusedBy int           // at most so many
	notBefore time.Duration // no call may begin
	notAfter  time.Duration // what is wanted must have begun
	vague     bool          // the wall clock was stepped during its call: who knows
	lastErr   error
	permErr   time.Duration // when a call failed for good last
	call      *modelCall
	calls     int
	lastOp    string
	lastOpN   int // failures when that call began
	lastRT    *modelRefresh

	asked    time.Duration // last, at least
	active   time.Duration // last, at most
	left     time.Duration // a caller left it last
	forgotAt time.Duration
	forgot   int // in the order of things

	waiting []*caller
	warming int
	watches []*watching
}

// modelToken is one token the source has minted.
type modelToken struct {
	value     string
	room      *modelRoom
	lifetime  time.Duration
	end       time.Duration // monotonic, as the contract reckons it
	issuerEnd time.Duration // monotonic, as the issuer reckons it
	expires   time.Time     // on the wall clock
	came      time.Duration
	begun     time.Duration // the call that brought it last
	order     int           // of that call
	invalid   time.Duration // refused by somebody; 0: not
	replaced  time.Duration // by a newer one; 0: not
	vague     bool
}

type modelRefresh struct {
	value        string
	end, mustEnd time.Duration // forever: not told
	expires      time.Time
}

// modelCall is one call of the source.
type modelCall struct {
	room    *modelRoom
	op      string
	epoch   int
	begun   time.Duration
	order   int
	ahead   time.Duration // of the wall clock
	wall    time.Time
	refresh *modelRefresh
	apart   bool // forgotten meanwhile
	overdue bool
	guarded bool
	steps   bool     // the wall clock was stepped meanwhile
	refused []string // invalidated meanwhile
	had     bool
	deaf    bool // to its ctx
}

// modelAccount is what is known of the other side as a whole.
type modelAccount struct {
	guarded, limited bool
	unsure           bool // it opened, or not: that depends on a draw
	until, untilMax  time.Duration
	probe            *modelCall
	row, steps       int
}

// caller is one call of Token or TokenValidFor.
type caller struct {
	room    *modelRoom
	begun   time.Duration
	order   int
	atLeast time.Duration
	ends    time.Duration // its ctx
	wait    time.Duration // MaxWait
	limit   time.Duration // as the Manager can know it: it may hang up earlier
	must    bool          // there is a token for it
	epoch   int
	forgets bool          // its room was forgotten or let go since
	owed    *modelCall    // in flight then: its result is the caller's
	served  time.Duration // when it came; 0: it has not
}

// watching is one watch.
type watching struct {
	room   *modelRoom
	begun  time.Duration
	ends   time.Duration
	body   bool // it is in the consumer's body
	last   *modelToken
	lastOf string // the last error's kind
	ended  bool
	epoch  int
	yields int
}

func (m *model) now() time.Duration { return time.Since(m.start) }

// wallNow is the wall clock of the Manager's machine.
func (m *model) wallNow() time.Time { return time.Now().Round(0).Add(m.ahead) }

// next numbers what happens.
func (m *model) next() int {
	m.order++
	return m.order
}

func (m *model) note(format string, args ...any) {
	if m.tracing {
		text, _, _ := strings.Cut(fmt.Sprintf(format, args...), "\n")
		m.trace = append(m.trace, fmt.Sprintf("%14v ", m.now())+text)
	}
}

// breaks notes that a promise is broken. Only the first counts.
func (m *model) breaks(promise int, format string, args ...any) {
	if m.violation == nil {
		m.violation = &violation{promise, m.now(), fmt.Sprintf(format, args...)}
		m.note("BROKEN %s", m.violation)
	}
}

// open begins anew, with a new Manager.
func (m *model) open() {
	m.epoch++
	m.closed = false
	m.ahead, m.stepped = 0, 0
	m.tokens = map[string]*modelToken{}
	m.flights = nil
	m.account = modelAccount{}
	rooms := make([]*modelRoom, m.plan.rooms)
	for i := range rooms {
		rooms[i] = &modelRoom{id: fmt.Sprint("r", i), n: i, forgotAt: -1, permErr: -1, left: -1}
		if m.rooms != nil {
			rooms[i].calls = m.rooms[i].calls
		}
	}
	m.rooms = rooms
}

// backoff returns the bounds of the wait after so many failures.
func (m *model) backoff(n int) (least, most time.Duration) {
	step := float64(m.config.BackoffMin) * math.Pow(2, float64(min(n, 60)-1))
	least = time.Duration(min(step, max(float64(m.config.BackoffMin), float64(m.config.BackoffMax)*2/3)))
	most = time.Duration(min(step*1.5, float64(m.config.BackoffMax)))
	return least - fuzz, max(most, least) + fuzz
}

func (m *model) margin(t *modelToken) time.Duration {
	return min(m.config.MinValidity, t.lifetime/10)
}

// leftOf is what a token has left, as the Manager must reckon it.
func (m *model) leftOf(t *modelToken, now time.Duration) time.Duration {
	return min(t.end-now, t.expires.Sub(m.wallNow()))
}

// valid reports whether the room surely has a token that is handed out to one
// who needs it for so long.
func (m *model) valid(r *modelRoom, now, atLeast time.Duration) bool {
	t := r.cur
	if t == nil || t.vague || r.vague || m.plan.wall && now-m.stepped <= 100*time.Millisecond {
		return false
	}
	left := m.leftOf(t, now)
	return left > 0 && left >= m.margin(t) && left >= atLeast
}

// slots is how many calls may run for callers.
func (m *model) slots() int { return m.config.MaxConcurrentCalls - m.config.MaxConcurrentCalls/4 }

func (r *modelRoom) watched() bool {
	for _, w := range r.watches {
		if !w.ended {
			return true
		}
	}
	return false
}

// pinned reports whether the room cannot be let go, perhaps.
func (r *modelRoom) pinned() bool {
	return r.watched() || len(r.waiting) > 0 || r.warming > 0 || r.call != nil
}

// catchUp draws the consequences of calls that have become overdue.
func (m *model) catchUp(now time.Duration) {
	for _, c := range m.flights {
		at := c.begun + m.config.CallTimeout + grace
		if c.overdue || now < at || m.closed && m.closedAt < at {
			continue
		}
		c.overdue = true
		m.note("%s: %s is overdue", c.room.id, c.op)
		m.failed(c, errOverdue, 0, at)
	}
}

// begins is told of every call at the source.
func (m *model) begins(op, id, refresh string, ctxRoom any) *modelCall {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	m.catchUp(now)
	m.calls++
	m.checks++
	if now != m.instant {
		m.instant, m.burst = now, 0
	}
	if m.burst++; m.burst > 500 {
		m.breaks(5, "%d calls at the same moment", m.burst)
	}
	var r *modelRoom
	for _, one := range m.rooms {
		if one.id == id {
			r = one
		}
	}
	c := &modelCall{room: r, op: op, epoch: m.epoch, begun: now, order: m.next(), wall: m.wallNow(), ahead: m.ahead}
	if r == nil {
		m.breaks(2, "a call for the room %q, which nobody knows", id)
		return c
	}
	m.note("%s: %s begins (%d failures)", id, op, r.failures)
	if m.closed {
		if now != m.closedAt || !m.watchCloses {
			m.breaks(8, "%s(%s) begins after Close", op, id)
		}
		return c
	}
	if r.call != nil {
		m.breaks(2, "%s(%s) begins while a %s of the room is in flight", op, id, r.call.op)
	}
	c.had = r.had
	cold := 0
	for _, f := range m.flights {
		if !f.had {
			cold++
		}
	}
	switch {
	case len(m.flights) >= m.config.MaxConcurrentCalls:
		m.breaks(10, "call %d begins, MaxConcurrentCalls is %d", len(m.flights)+1, m.config.MaxConcurrentCalls)
	case !c.had && cold >= m.slots():
		m.breaks(10, "a caller's call begins in a slot that is kept for renewals")
	}
	if !r.vague && now < r.notBefore {
		m.breaks(5, "%s(%s) begins %v too early, after %d passing and %d permanent failures, %d refusals",
			op, id, r.notBefore-now, r.failures, r.permanent, r.refusals)
	}
	if ctxRoom != nil && ctxRoom != id && ctxRoom != "*" {
		m.breaks(4, "the ctx of a call for %s carries the values of a caller of %v", id, ctxRoom)
	}
	if ctxRoom == nil && len(r.waiting) > 0 && !r.had && !r.vague {
		m.breaks(4, "the ctx of the first call for %s carries no values of who started it", id)
	}
	m.needed(r, op, now)

	a := &m.account
	if a.guarded {
		switch {
		case now < a.until:
			m.breaks(5, "%s(%s) begins %v before the end of the hold of all calls", op, id, a.until-now)
		case a.probe != nil:
			m.breaks(5, "%s(%s) begins beside the probe, %s(%s)", op, id, a.probe.op, a.probe.room.id)
		}
		a.probe = c
		c.guarded = true
	}
	m.whichCall(r, c, refresh, now)
	r.call = c
	m.flights = append(m.flights, c)
	return c
}

// needed checks that there is a reason for a call.
func (m *model) needed(r *modelRoom, op string, now time.Duration) {
	forced := false
	for _, w := range r.waiting {
		forced = forced || w.atLeast > 0
	}
	asked := len(r.waiting) > 0 || r.warming > 0 || r.watched() || r.left == now
	idle := m.config.IdleAfter > 0 && now-r.active > m.config.IdleAfter+grain
	if !asked && !r.vague && (!r.had || idle) {
		m.breaks(10, "%s(%s) begins though nobody asks for the room", op, r.id)
	}
	if !m.valid(r, now, 0) || forced || r.left == now {
		return
	}
	t, left := r.cur, m.leftOf(r.cur, now)
	if m.plan.wall && m.stepped > t.came { // it may have been due in between
		return
	}
	due := time.Duration(float64(t.lifetime)*(1-m.config.RefreshAfter+m.config.Jitter)) + fuzz
	if left > due {
		m.breaks(2, "%s(%s) begins though its token has %v left of %v, and was to be renewed with %v left at most", op, r.id, left, t.lifetime, due)
	}
}

// whichCall checks that it is the right one of the two.
func (m *model) whichCall(r *modelRoom, c *modelCall, refresh string, now time.Duration) {
	rt := r.refresh
	lapsed := rt != nil && (now >= rt.end || !rt.expires.IsZero() && !m.wallNow().Before(rt.expires))
	usable := rt != nil && !lapsed && now < rt.mustEnd
	switch {
	case r.vague:
	case c.op == "refresh" && rt == nil:
		m.breaks(6, "Refresh(%s) with a token that was refused, or dropped with the room's", r.id)
	case c.op == "refresh" && rt.value != refresh:
		m.breaks(6, "Refresh(%s) with another refresh token than the newest", r.id)
	case c.op == "refresh" && lapsed:
		m.breaks(6, "Refresh(%s) with a refresh token that has lapsed", r.id)
	case !usable:
	case r.failures < 3 && c.op == "create":
		m.breaks(6, "Create(%s) though its refresh token is good, after %d failures", r.id, r.failures)
	case r.failures == 3 && c.op == "refresh":
		m.breaks(6, "Refresh(%s) after the third failure in a row, want a create", r.id)
	case r.failures > 3 && r.lastOpN == r.failures-1 && r.lastRT == rt && r.lastOp == c.op:
		m.breaks(6, "%s(%s) again after %d failures in a row: they do not alternate", c.op, r.id, r.failures)
	}
	c.refresh = rt
	r.lastOp, r.lastOpN, r.lastRT = c.op, r.failures, nil
	if usable {
		r.lastRT = rt
	}
}

// ends takes a call out, and reports whether it is one of this Manager.
func (m *model) ends(c *modelCall, what string) (now time.Duration, ours bool) {
	now = m.now()
	m.catchUp(now)
	m.note("%s: %s ends: %s", c.room.id, c.op, what)
	if c.epoch != m.epoch {
		return now, false
	}
	for i, f := range m.flights {
		if f == c {
			m.flights = append(m.flights[:i:i], m.flights[i+1:]...)
		}
	}
	if m.closed {
		return now, false
	}
	c.room.call = nil
	return now, true
}

// fails is told of every call that ends with an error.
func (m *model) fails(c *modelCall, err error, wait time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now, ours := m.ends(c, err.Error())
	if !ours {
		return
	}
	r := c.room
	wait = min(max(wait, 0), 24*time.Hour)
	switch {
	case errors.Is(err, roomtoken.ErrRateLimited):
		m.limited(c, wait, now)
		if !c.apart {
			r.lastErr = err
		}
	case c.op == "refresh" && (errors.Is(err, roomtoken.ErrRefreshRejected) || errors.Is(err, roomtoken.ErrPermanent)):
		m.answered(c, now)
		if !c.apart {
			if r.refresh == c.refresh {
				r.refresh = nil
			}
			m.postpone(r, err, wait, now)
		}
	case errors.Is(err, roomtoken.ErrPermanent):
		m.answered(c, now)
		r.permErr = now
		if !c.apart {
			r.permanent++
			r.failures = 0
			r.lastErr = err
			step := min(10*time.Second<<min(r.permanent-1, 10), 5*time.Minute)
			r.notBefore = now + max(step, wait)
			r.notAfter = r.notBefore
		}
	default:
		m.passing(c, err, wait, now)
	}
}

// passing is told of a call that failed in passing.
func (m *model) passing(c *modelCall, err error, wait, now time.Duration) {
	if !c.overdue {
		m.failed(c, err, wait, now)
		return
	}
	if m.account.probe == c {
		m.account.probe = nil
	}
	if !c.apart {
		m.postpone(c.room, err, wait, now)
	}
}

func (m *model) postpone(r *modelRoom, err error, wait, now time.Duration) {
	if wait > 0 {
		r.notBefore = max(r.notBefore, now+wait)
		r.notAfter = max(r.notAfter, now+wait)
		r.lastErr = err
	}
}

// failed counts a passing failure.
func (m *model) failed(c *modelCall, err error, wait, now time.Duration) {
	a := &m.account
	a.row++
	switch {
	case a.guarded && a.probe == c:
		a.probe = nil
		if a.limited && now < a.until {
			break
		}
		if a.limited && now < a.untilMax { // whether the limit was over depends on a draw
			_, most := m.backoff(60)
			a.unsure, a.untilMax = true, now+most
			break
		}
		a.steps++
		least, most := m.backoff(a.steps)
		a.until, a.untilMax, a.limited = now+least, max(a.untilMax, now+most), false
	case !a.guarded && a.row >= m.config.MaxConcurrentCalls:
		*a = modelAccount{guarded: true, row: a.row, unsure: a.unsure, untilMax: a.untilMax}
	}
	if r := c.room; !c.apart {
		r.failures++
		r.permanent = 0
		r.lastErr = err
		least, most := m.backoff(r.failures)
		r.notBefore = now + max(least, wait)
		r.notAfter = now + max(most, wait)
	}
}

// limited counts a rate limit.
func (m *model) limited(c *modelCall, wait, now time.Duration) {
	a := &m.account
	if a.probe == c {
		a.probe = nil
	}
	already := a.limited && now < a.until
	least, most := wait, wait
	if wait == 0 {
		if already {
			return
		}
		if a.limited && now < a.untilMax {
			_, most = m.backoff(60)
			a.unsure, a.untilMax = true, now+most
			return
		}
		a.steps++
		least, most = m.backoff(a.steps)
	}
	if a.unsure {
		_, most = m.backoff(60)
		most = max(most, wait)
	}
	a.guarded, a.limited = true, true
	a.until, a.untilMax = max(a.until, now+least), max(a.untilMax, now+most)
}

// answered notes that the other side is there.
func (m *model) answered(c *modelCall, now time.Duration) {
	a := &m.account
	a.row = 0
	if a.probe == c {
		a.probe = nil
	}
	switch {
	case a.limited && now >= a.until && now < a.untilMax:
		*a = modelAccount{unsure: true, untilMax: a.untilMax}
	case (a.guarded || a.unsure) && !(a.limited && now < a.untilMax):
		*a = modelAccount{unsure: a.unsure && now < a.untilMax, untilMax: a.untilMax}
	}
}

// grants is told of every grant.
func (m *model) grants(c *modelCall, g roomtoken.Grant, issuerEnd time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	value := g.Token.Value.Reveal()
	now, ours := m.ends(c, fmt.Sprintf("a grant, %q expires at %v", strings.ReplaceAll(value, canary, ""), g.Token.ExpiresAt.Sub(m.start)))
	if !ours {
		return
	}
	r := c.room
	began := c.wall
	if m.ahead > c.ahead {
		began = began.Add(m.ahead - c.ahead)
	}
	issued := g.IssuedAt
	if issued.IsZero() {
		issued = began
	}
	age := max(began.Sub(issued), 0)
	t := m.tokens[value]
	if t == nil {
		t = &modelToken{value: value, room: r}
		m.tokens[value] = t
	}
	fresh := modelToken{
		value: value, room: r,
		lifetime: g.Token.ExpiresAt.Sub(issued), expires: g.Token.ExpiresAt, issuerEnd: issuerEnd,
		came: now, begun: c.begun, order: c.order, invalid: t.invalid, vague: c.steps,
	}
	fresh.end = c.begun + fresh.lifetime - age
	left := m.leftOf(&fresh, now)
	usable := value != "" && !g.Token.ExpiresAt.IsZero() && left > 0 && left >= m.margin(&fresh)
	refused := t.invalid > 0
	for _, v := range c.refused {
		refused = refused || v == value
	}
	if !refused || c.apart {
		*t = fresh
	}
	if c.apart {
		if usable && !refused {
			m.answered(c, now)
			for _, w := range r.waiting {
				if w.owed == c && w.atLeast == 0 {
					w.served = now
				}
			}
		} else {
			m.passing(c, roomtoken.ErrInvalidGrant, 0, now)
		}
		return
	}
	switch {
	case value != "" && refused:
		r.refresh = nil
	case c.op == "create" && usable, !g.RefreshToken.IsZero():
		r.refresh = nil
		if rt := g.RefreshToken; !rt.IsZero() {
			r.refresh = &modelRefresh{value: rt.Value.Reveal(), end: forever, mustEnd: forever}
			if !rt.ExpiresAt.IsZero() {
				r.refresh.expires = rt.ExpiresAt
				r.refresh.mustEnd = c.begun + rt.ExpiresAt.Sub(issued) - age
				r.refresh.end = r.refresh.mustEnd
				if !c.steps {
					r.refresh.end = rt.ExpiresAt.Sub(c.wall) + c.begun
				}
			}
		}
	}
	if !usable || refused {
		m.passing(c, roomtoken.ErrInvalidGrant, 0, now)
		r.vague = c.steps
		return
	}
	m.answered(c, now)
	r.vague = c.steps
	if r.cur != nil {
		r.cur.replaced = now
		r.refusals, r.refusedBy = 0, 0
	}
	r.before, r.cur = r.cur, t
	if r.before == t {
		t.replaced = 0
	}
	r.had = true
	r.failures, r.permanent = 0, 0
	r.notBefore, r.notAfter = 0, c.begun+100*time.Millisecond
	r.lastErr = nil
	if len(r.waiting) > 0 {
		r.active, r.asked = now, now
	}
}

// forgets clears the memory of a room.
func (m *model) forgets(r *modelRoom, now time.Duration) {
	for _, t := range m.tokens {
		if t.room == r {
			t.invalid = 0
		}
	}
	for _, w := range r.waiting {
		w.forgets = true
		if r.call != nil && !r.call.apart {
			w.owed = r.call
		}
	}
	for _, w := range r.watches {
		w.lastOf = ""
	}
	if r.call != nil {
		r.call.apart = true
	}
	r.forgotAt, r.forgot = now, m.next()
	r.resident = r.watched()
	r.cur, r.before, r.refresh, r.lastErr = nil, nil, nil, nil
	r.had, r.vague = false, false
	r.failures, r.permanent, r.refusals, r.refusedBy = 0, 0, 0, 0
	r.notBefore, r.notAfter = 0, 0
	r.lastOpN = -1
}

// invalidates calls Invalidate and checks what it answers.
func (m *model) invalidates(r *modelRoom, back bool, invalidate func(roomtoken.Token) bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	m.catchUp(now)
	m.checks++
	t := r.cur
	if back || t == nil {
		t = r.before
	}
	if t == nil {
		return
	}
	did := invalidate(roomtoken.Token{Value: roomtoken.NewSecret(t.value), ExpiresAt: t.expires})
	m.note("%s: Invalidate(%s): %v", r.id, strings.ReplaceAll(t.value, canary, ""), did)
	if m.closed {
		if did {
			m.breaks(8, "%s: Invalidate drops a token after Close", r.id)
		}
		return
	}
	if c := r.call; c != nil {
		c.refused = append(c.refused, t.value)
	}
	switch {
	case did && t != r.cur && !r.vague:
		m.breaks(7, "%s: Invalidate drops another token than the one refused", r.id)
	case !did && t == r.cur && !r.vague && !t.vague:
		m.breaks(7, "%s: Invalidate does not drop the token refused", r.id)
	case !did:
		return
	}
	t.invalid = now
	left, had := m.leftOf(t, now), t.end-t.came
	after, jitter := m.config.RefreshAfter, m.config.Jitter
	early := left > time.Duration(float64(t.lifetime)*(1-after+jitter))+fuzz
	late := left < time.Duration(float64(min(t.lifetime, had))*(1-after))-fuzz
	switch {
	case early:
		r.refusals++
		r.refusedBy++
	case late && !m.plan.wall:
		r.refusals, r.refusedBy = 0, 0
	default:
		r.refusals = 0
		r.refusedBy++
	}
	if r.refusals > 1 {
		least, _ := m.backoff(r.refusals - 1)
		r.notBefore = max(r.notBefore, now+least)
	}
	if r.refusedBy > 1 {
		_, most := m.backoff(r.refusedBy - 1)
		r.notAfter = max(r.notAfter, now+most)
	}
	r.before, r.cur, r.refresh = t, nil, nil
}

// evicted is told of every room that is let go.
func (m *model) evicted(id, reason string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return
	}
	now := m.now()
	m.checks++
	m.note("%s: let go: %s", id, reason)
	for _, r := range m.rooms {
		if r.id != id {
			continue
		}
		valid := m.valid(r, now, 0)
		if r.watched() || r.call != nil {
			m.breaks(10, "%s is let go (%s) though it is watched or has a call in flight", id, reason)
		}
		if reason == roomtoken.ReasonIdle {
			if valid || now-r.asked < m.config.IdleAfter-grain {
				m.breaks(10, "%s is let go as idle: its token is valid: %v, asked for %v ago", id, valid, now-r.asked)
			}
		} else if valid && (!m.plan.wall || now-m.stepped > 11*time.Second) {
			for _, q := range m.rooms {
				if q == r || q.pinned() || !q.resident || q.vague || q.left == now {
					continue
				}
				if q.cur == nil || !q.cur.vague && m.leftOf(q.cur, now) <= 0 {
					m.breaks(10, "%s is let go with a valid token, and %s stays without one", id, q.id)
				} else if m.valid(q, now, 0) && r.asked > q.active+grain {
					m.breaks(10, "%s is let go, asked for %v ago, and %s stays, asked for %v ago", id, now-r.asked, q.id, now-q.active)
				}
			}
		}
		m.forgets(r, now)
	}
}

// handedOut checks a token that somebody gets.
func (m *model) handedOut(r *modelRoom, tok roomtoken.Token, order int, begun, atLeast, now time.Duration) *modelToken {
	t := m.tokens[tok.Value.Reveal()]
	switch {
	case t == nil:
		m.breaks(1, "%s: a token is handed out that the source never granted", r.id)
		return nil
	case t.room != r:
		m.breaks(2, "%s: the token of %s is handed out", r.id, t.room.id)
	case !tok.ExpiresAt.Equal(t.expires):
		m.breaks(1, "%s: a token is handed out that ends at %v, and is said to end at %v", r.id, t.expires.Sub(m.start), tok.ExpiresAt.Sub(m.start))
	}
	left := t.issuerEnd - now
	if !m.plan.wall || now-m.stepped > 100*time.Millisecond {
		left = min(left, t.expires.Sub(m.wallNow()))
	}
	least := max(m.margin(t), atLeast)
	if t.vague {
		least = 1
	}
	if left < least || left <= 0 {
		promise := 1
		if m.plan.wall && m.stepped > t.begun {
			promise = 11
		}
		m.breaks(promise, "%s: a token with %v left of %v is handed out, want %v at least", r.id, left, t.lifetime, least)
	}
	switch {
	case t.invalid > 0 && t.invalid < begun:
		m.breaks(7, "%s: a token is handed out that was invalidated %v before", r.id, begun-t.invalid)
	case t.order < r.forgot && order > r.forgot:
		m.breaks(7, "%s: a token is handed out from before the room was forgotten", r.id)
	case order > r.forgot && t != r.cur && t.replaced != now && !r.vague && !t.vague && (r.cur == nil || !r.cur.vague):
		m.breaks(7, "%s: a token is handed out that is not the newest", r.id)
	}
	return t
}

// cached checks an answer of Cached, or of a Token that does not wait.
func (m *model) cached(r *modelRoom, tok roomtoken.Token, ok, used bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	m.checks++
	switch {
	case ok && m.closed:
		m.breaks(8, "%s: a token is handed out after Close", r.id)
	case ok:
		m.handedOut(r, tok, m.next(), now, 0, now)
		if used {
			r.asked, r.active = now, now
		}
	case !m.closed && m.valid(r, now, 0):
		m.breaks(3, "%s: nothing in memory, though there is a token with %v left", r.id, m.leftOf(r.cur, now))
	}
}

// asks is told that a caller asks.
func (m *model) asks(r *modelRoom, atLeast, timeout, hangUp time.Duration) *caller {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	c := &caller{room: r, begun: now, order: m.next(), atLeast: atLeast, ends: forever, wait: forever, epoch: m.epoch}
	if m.config.MaxWait > 0 {
		c.wait = now + m.config.MaxWait
	}
	if timeout > 0 {
		c.ends = now + timeout
	}
	c.limit = min(c.ends, c.wait)
	if hangUp > 0 {
		c.ends = min(c.ends, now+hangUp)
	}
	c.must = m.valid(r, now, atLeast)
	if !m.closed {
		r.waiting = append(r.waiting, c)
		r.asked, r.active = now, now
		r.resident = true
	}
	return c
}

// answers checks what a caller gets. ended says why its ctx has, if it has.
func (m *model) answers(c *caller, tok roomtoken.Token, err, ended, cause error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	m.catchUp(now)
	m.checks++
	r := c.room
	for i, w := range r.waiting {
		if w == c {
			r.waiting = append(r.waiting[:i:i], r.waiting[i+1:]...)
		}
	}
	r.active = max(r.active, now)
	r.left = now
	if m.tracing && (err != nil || now != c.begun) {
		m.note("%s: a caller of %v leaves: %v", r.id, c.begun, err)
	}
	if err != nil {
		m.noSecret(err)
	}
	if m.closed {
		switch {
		case !errors.Is(err, roomtoken.ErrClosed):
			m.breaks(8, "%s: an answer after Close is %v, want ErrClosed", r.id, err)
		case now != max(m.closedAt, c.begun):
			m.breaks(8, "%s: a caller leaves %v after Close", r.id, now-m.closedAt)
		}
		return
	}
	if c.epoch != m.epoch {
		m.breaks(8, "%s: a caller outlives its Manager", r.id)
		return
	}
	if now > min(c.ends, c.wait) {
		m.breaks(4, "%s: a caller leaves %v after its time", r.id, now-min(c.ends, c.wait))
	}
	if c.must && (err != nil || now != c.begun) {
		m.breaks(3, "%s: a caller for whom there is a token waits %v and gets the error %v", r.id, now-c.begun, err)
	}
	if c.served > 0 && (err != nil || now != c.served) {
		m.breaks(7, "%s: a caller who waited for a call when the room was forgotten does not get its token", r.id)
	}
	if err == nil {
		m.handedOut(r, tok, c.order, c.begun, c.atLeast, now)
		return
	}
	m.refusal(c, err, ended, cause, now)
}

// refusal checks the error that a caller gets.
func (m *model) refusal(c *caller, err, ended, cause error, now time.Duration) {
	r := c.room
	a := &m.account
	if m.valid(r, now, c.atLeast) && !c.forgets {
		m.breaks(3, "%s: an error though there is a token with %v left: %v", r.id, m.leftOf(r.cur, now), err)
	}
	wrapsLast := r.lastErr == nil || r.vague || c.forgets || errors.Is(err, r.lastErr) ||
		r.call != nil || now == r.notAfter || strings.Contains(err.Error(), r.lastErr.Error())
	switch {
	case errors.Is(err, roomtoken.ErrClosed):
		m.breaks(8, "%s: ErrClosed before Close", r.id)
	case errors.Is(err, roomtoken.ErrTooManyRooms):
		m.tooMany(r)
	case errors.Is(err, roomtoken.ErrTooShort):
		if c.atLeast == 0 || !r.vague && !(r.cur != nil && (r.cur.lifetime < c.atLeast || r.cur.begun >= c.begun) || r.cur == nil && r.had) && !c.forgets {
			m.breaks(1, "%s: ErrTooShort for %v", r.id, c.atLeast)
		}
	case ended != nil && now >= c.ends:
		if !errors.Is(err, ended) || !errors.Is(err, cause) || !wrapsLast {
			m.breaks(4, "%s: the error does not wrap the ctx's error, its cause, and the last error of the source, %v: %v", r.id, r.lastErr, err)
		}
	case now >= c.wait:
		if !wrapsLast {
			m.breaks(5, "%s: the error after MaxWait does not wrap the last of the source, %v: %v", r.id, r.lastErr, err)
		}
	case r.vague:
	case r.call != nil && now >= r.call.begun+m.config.CallTimeout:
	case now < max(r.notAfter, r.left) && c.limit < r.notAfter, a.unsure, a.guarded && c.limit < a.untilMax:
		if !wrapsLast {
			m.breaks(5, "%s: the error does not wrap the last of the source, %v: %v", r.id, r.lastErr, err)
		}
	case errors.Is(err, roomtoken.ErrPermanent):
		if r.permErr != now && !(r.permanent > 0 && now <= r.notAfter) {
			m.breaks(5, "%s: a permanent error that is none, or is over: %v", r.id, err)
		}
	case c.forgets && r.call == nil: // the call was theirs, and overdue
	default:
		m.breaks(5, "%s: a caller who could stay for %v leaves though the next attempt is in %v: %v", r.id, c.limit-now, r.notAfter-now, err)
	}
}

func (m *model) tooMany(r *modelRoom) {
	pinned := 0
	for _, q := range m.rooms {
		if q != r && q.pinned() || q.left == m.now() {
			pinned++
		}
	}
	r.resident = r.watched()
	for _, c := range r.waiting {
		r.resident = r.resident || !c.forgets
	}
	if m.config.MaxRooms < 0 || pinned < m.config.MaxRooms {
		m.breaks(10, "%s: ErrTooManyRooms with %d rooms that cannot be let go, MaxRooms is %d", r.id, pinned, m.config.MaxRooms)
	}
}

// noSecret checks that an error shows none.
func (m *model) noSecret(err error) {
	text := err.Error()
	if strings.Contains(text, canary) {
		m.breaks(12, "an error shows a secret: %s", text)
	}
	if strings.Contains(text, "thrown on purpose") && !strings.Contains(text, "goroutine ") {
		m.breaks(9, "the error of a panic has no stack: %s", text)
	}
}

// yielded checks a pair of a watch. last says that the Manager ends it.
func (m *model) yielded(w *watching, tok roomtoken.Token, err, ended, cause error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	m.catchUp(now)
	m.checks++
	r := w.room
	m.note("%s: a watch of %v yields: %v", r.id, w.begun, err)
	if err != nil {
		m.noSecret(err)
	}
	switch {
	case m.closed, w.epoch != m.epoch:
		if !errors.Is(err, roomtoken.ErrClosed) {
			m.breaks(8, "%s: a watch yields %v after Close, want ErrClosed", r.id, err)
		}
		return
	case err == nil:
		if t := m.handedOut(r, tok, m.next(), now, 0, now); t != nil && t == w.last {
			m.breaks(3, "%s: a watch yields the same token twice", r.id)
		} else {
			w.last, w.lastOf = t, ""
		}
	case errors.Is(err, roomtoken.ErrClosed):
		m.breaks(8, "%s: a watch ends with ErrClosed before Close", r.id)
	case errors.Is(err, roomtoken.ErrTooManyRooms):
		w.ended = true
		m.tooMany(r)
	case ended != nil && errors.Is(err, cause): // its end
	case m.valid(r, now, 0):
		m.breaks(3, "%s: a watch yields an error though there is a token with %v left: %v", r.id, m.leftOf(r.cur, now), err)
	case r.lastErr == nil && !m.account.guarded && !m.account.unsure && !r.vague && now > r.notBefore && r.permErr != now:
		m.breaks(3, "%s: a watch yields an error though nothing has failed: %v", r.id, err)
	default:
		kind := kindOf(err)
		if kind != "" && kind == w.lastOf {
			m.breaks(5, "%s: a watch yields the same error twice: %v", r.id, err)
		}
		w.last, w.lastOf = nil, kind
	}
}

// kindOf names the error where it always has the same words.
func kindOf(err error) string {
	if errors.Is(err, errDown) && strings.Contains(err.Error(), "failed: the source") { // and is not that of all calls
		return "down"
	}
	return ""
}

// settled checks, when everything has come to rest, that all that must have
// happened has happened.
func (m *model) settled() {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	m.catchUp(now)
	if m.closed || m.violation != nil || m.plan.wall && m.stepped > 0 && now-m.stepped < 11*time.Second {
		return
	}
	a := &m.account
	held := a.guarded && now < a.until
	open := !a.unsure && (!a.guarded || now > a.untilMax && a.probe == nil) && len(m.flights) < m.slots()
	for _, r := range m.rooms {
		if r.vague {
			continue
		}
		over := r.call != nil && r.call.overdue
		for _, c := range r.waiting {
			valid := m.valid(r, now, c.atLeast)
			next := r.notBefore
			if held {
				next = max(next, a.until)
			}
			switch {
			case valid && !c.forgets:
				m.breaks(3, "%s: a caller of %v waits though there is a token", r.id, c.begun)
			case over && !m.valid(r, now, 0):
				m.breaks(2, "%s: a caller waits though its call is overdue", r.id)
			case now > min(c.ends, c.wait):
				m.breaks(4, "%s: a caller still waits %v after its time", r.id, now-min(c.ends, c.wait))
			case r.call == nil && c.limit < next && (r.lastErr != nil || held):
				m.breaks(5, "%s: a caller waits though the next attempt is in %v and its time ends in %v", r.id, next-now, c.limit-now)
			}
		}
		if r.call != nil || now <= r.notAfter || !open {
			m.watchesOf(r, now)
			continue
		}
		wanted := len(r.waiting) > 0 || r.watched()
		switch t := r.cur; {
		case wanted && !m.valid(r, now, 0) && (t == nil || !t.vague):
			m.breaks(m.after(r), "%s: somebody waits, a call may begin since %v, and none does", r.id, now-max(r.notAfter, a.untilMax))
		case t == nil || m.plan.wall && t.came < m.stepped:
		case !r.watched() && m.config.IdleAfter > 0 && now-r.asked > m.config.IdleAfter-grain:
		default:
			left := m.leftOf(t, now)
			share := 1 - m.config.RefreshAfter
			had := t.expires.Sub(m.start) - t.came
			due := time.Duration(float64(min(t.lifetime, had, t.end-t.came)) * share)
			if left < due-fuzz {
				m.breaks(3, "%s: its token has %v left of %v, was to be renewed with %v left, and no call is in flight", r.id, left, t.lifetime, due)
			}
		}
		m.watchesOf(r, now)
	}
}

// after says which promise a room that is not called speaks of.
func (m *model) after(r *modelRoom) int {
	if r.lastErr != nil && strings.Contains(r.lastErr.Error(), "thrown on purpose") {
		return 9
	}
	return 5
}

// watchesOf checks that the room's watches have been told.
func (m *model) watchesOf(r *modelRoom, now time.Duration) {
	for _, w := range r.watches {
		switch {
		case w.ended || w.body || w.epoch != m.epoch:
		case now > w.ends:
			m.breaks(8, "%s: a watch goes on after its ctx has ended", r.id)
		case m.valid(r, now, 0) && w.last != r.cur:
			m.breaks(3, "%s: a watch was not told of the newest token", r.id)
		}
	}
}
