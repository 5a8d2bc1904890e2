package roomtoken_test

import (
	"errors"
	"math"
	"slices"
	"time"

	"github.com/roomtoken/roomtoken"
)

// How the model judges failures: whose they are, and which calls may begin (promise 5).
// Where the Manager draws, where the order at one instant is open, or where the promises
// leave a choice, the account keeps every state and every time that is possible. A call
// is an error only if it is one in all of them.

// states is a set of what may be wrong beyond single rooms.
type states uint8

const (
	isOpen states = 1 << iota
	isOutage
	isSuspect
	isRefused
)

// span holds bounds of a time, and count bounds of a number.
type (
	span  struct{ lo, hi time.Duration }
	count struct{ lo, hi int }
)

// blame is what the end of a call says about the source.
type blame int

const (
	blameNobody blame = iota // an answer that says nothing but that the source is up
	blameSource              // a transient failure
	blameDenial              // a permanent failure of unknown cause
	blameKey                 // ErrUnauthorized
	blameEither              // a permanent failure of a refresh: an answer, or the key's
)

// witnesses are distinct rooms in a row: those that certainly count, and those that may.
type witnesses struct{ lo, hi map[*modelRoom]bool }

// modelAccount is the state that all rooms share.
type modelAccount struct {
	states  states
	changed time.Duration // calls that begin at this instant may have been let through before
	since   time.Duration // when it certainly left isOpen; forever: it has not

	until span  // no probe begins before
	steps count // consecutive failed probes, and one

	limited, mayBeLimited bool  // no call was answered since a rate limit
	held                  span  // no call begins before
	limits                count // consecutive rate limits that named no time

	news   span // the last success or step
	worked time.Duration
	opened span // when calls last came back

	failing, denied, unauthorized witnesses

	laneAt time.Duration // when a call certainly began in the lane
	extra  int           // calls beyond each room's first in the present outage

	window modelWindow
	pace   modelPace

	own, learned schedule
	begun        time.Duration // when a call last began

	latency    span // of the last call that brought a token
	latencyWas span // and of the one before this instant
	latencyAt  time.Duration
	latencies  []latency // the last ones
}

// latency is how long a call took that brought a token.
type latency struct{ at, took time.Duration }

// modelWindow holds bounds of how many calls may be in flight while calls come back.
type modelWindow struct {
	size  count
	was   int           // the upper bound before this instant
	at    time.Duration // this instant
	slow  bool          // it may have been cut
	cut   bool          // it certainly was
	grown count         // successes in the round
	cutAt time.Duration // the last possible cut
}

// modelPace is the pace that rate limits have taught.
type modelPace struct {
	rate      float64 // at most so many calls per second; 0: no bound
	at        time.Duration
	limitedAt time.Duration // the last rate limit
	heldUntil time.Duration // until it is over, at the latest
	successes []time.Duration
}

const (
	leastWitnesses = 8
	laneGap        = time.Second
	late           = 100 * time.Millisecond // a timer may be late by that
	paceForgets    = 10 * time.Minute
	slowestGap     = 2 * time.Second // between calls at the slowest pace that is learned
)

func newAccount(config *roomtoken.Config) modelAccount {
	full := config.MaxConcurrentCalls
	return modelAccount{
		states: isOpen, since: forever, changed: -1, worked: -1, begun: -forever, laneAt: -forever,
		opened: span{-1, -1}, news: span{-1, -1},
		latency: span{0, config.CallTimeout}, latencyWas: span{0, config.CallTimeout}, latencyAt: -1,
		window: modelWindow{size: count{full, full}, was: full, cutAt: -1},
		pace:   modelPace{limitedAt: -forever, heldUntil: -forever},
	}
}

// isCertainly reports whether one of the states holds, whatever was drawn.
func (a *modelAccount) isCertainly(s states) bool { return a.states&^s == 0 }

// guarded reports whether calls certainly begin as probes or in the lane only.
func (a *modelAccount) guarded() bool { return a.states&isOpen == 0 || a.limited }

// innocent reports whether the room certainly has not failed since the source last
// worked.
func (a *modelAccount) innocent(r *modelRoom) bool {
	return r.failedHi < 0 || r.failedHi < a.worked
}

// guilty reports whether the room certainly has failed since the source last worked.
func (a *modelAccount) guilty(r *modelRoom) bool {
	return r.failedLo >= 0 && r.failedLo > a.worked
}

// isFailing reports whether the room's last call certainly failed since calls came back.
func (a *modelAccount) isFailing(r *modelRoom) bool {
	return r.failures+r.permanent > 0 && r.failedLo > a.opened.hi
}

// maybeFailing reports whether the room may count as failing.
func (a *modelAccount) maybeFailing(r *modelRoom) bool {
	return r.failedHi >= 0 && r.failedHi >= a.opened.lo && r.failedHi >= r.came
}

// permanentWait returns the bounds of the step after n permanent failures.
func permanentWait(n int, longest time.Duration) (least, most time.Duration) {
	step := time.Second << min(max(n, 1)-1, 12)
	return min(step, longest*2/3) - fuzz, min(step*3/2, longest) + fuzz
}

const (
	longestPermanent  = 5 * time.Minute
	longestCredential = time.Minute
)

// probeWait returns the bounds of the wait before the next probe in any of the states.
func (m *model) probeWait(s states, steps count) span {
	w := span{forever, 0}
	if s&(isOutage|isOpen) != 0 {
		least, _ := m.backoff(max(steps.lo, 1))
		_, most := m.backoff(max(steps.hi, 1))
		w = span{least, most}
	}
	if s&(isSuspect|isRefused) != 0 {
		least, _ := permanentWait(steps.lo, longestCredential)
		_, most := permanentWait(steps.hi, longestCredential)
		w = span{min(w.lo, least), max(w.hi, most)}
	}
	return w
}

// inUse returns how many rooms are in use: at least, and at most.
func (m *model) inUse() (n count) {
	now := m.now()
	for _, r := range m.rooms {
		if len(r.waiting) > 0 || r.watched() || r.resident && (m.config.IdleAfter <= 0 || now-r.asked < m.config.IdleAfter-grain) {
			n.lo++
		}
		if r.resident || len(r.waiting) > 0 || r.warming > 0 || r.call != nil || m.config.IdleAfter <= 0 || now-r.active <= m.config.IdleAfter+grain {
			n.hi++
		}
	}
	n.lo = max(n.lo, 1)
	return n
}

func (w *witnesses) clear() { w.lo, w.hi = nil, nil }

func (w *witnesses) add(r *modelRoom, certain bool) {
	if w.hi == nil {
		w.lo, w.hi = map[*modelRoom]bool{}, map[*modelRoom]bool{}
	}
	w.hi[r] = true
	if certain {
		w.lo[r] = true
	}
}

// judge draws the consequences of a call that failed or was answered without a token.
func (m *model) judge(c *modelCall, b blame, now time.Duration) {
	a := &m.account
	possible := c.begun >= a.news.lo
	certain := c.begun > a.news.hi && !c.wasReset
	row, enough := (*witnesses)(nil), count{leastWitnesses, leastWitnesses}
	var leadsTo states
	switch b {
	case blameSource:
		row, leadsTo = &a.failing, isOutage
		n := m.inUse()
		enough = count{min(enough.lo, n.lo), min(enough.hi, n.hi)}
	case blameDenial:
		row, leadsTo = &a.denied, isSuspect
	case blameKey, blameEither:
		row, leadsTo, enough = &a.unauthorized, isRefused, count{2, 2}
		certain = certain && b == blameKey
	case blameNobody:
	}
	witness := possible && (b == blameKey || b == blameEither || !c.failing)
	counts := certain && (b == blameKey || !c.maybeFailing && !c.hadFailed) && !c.forgotten
	if row != nil && witness && (b != blameSource || a.states&isOpen != 0) {
		row.add(c.room, counts)
	}
	// What stands between them need not end a row, and may.
	for _, other := range []*witnesses{&a.failing, &a.denied, &a.unauthorized} {
		if other != row && b != blameNobody {
			other.lo = map[*modelRoom]bool{}
			if other.hi == nil {
				other.hi = map[*modelRoom]bool{}
			}
		}
	}
	switch {
	case row == nil || a.states == leadsTo || len(row.hi) < enough.lo:
		m.probeEnds(c, b, now)
	case counts && len(row.lo) >= enough.hi && !a.mayBeLimited && (a.isCertainly(isOpen|leadsTo) || leadsTo == isRefused):
		if a.states&leadsTo != 0 { // it may have been the probe
			m.probeEnds(c, b, now)
		}
		m.enters(leadsTo, now, a.states&leadsTo == 0)
		if a.states != leadsTo {
			m.note("the state is certainly %b", leadsTo)
			a.since, a.extra = min(a.since, now), 0
		}
		a.states = leadsTo
		a.failing.clear()
		a.denied.clear()
		a.unauthorized.clear()
	default:
		m.probeEnds(c, b, now)
		m.enters(leadsTo, now, false)
	}
	if b != blameSource { // the source is up
		m.isUp(c, now)
	}
}

// enters notes that the account enters a state, or may.
func (m *model) enters(s states, now time.Duration, certain bool) {
	a := &m.account
	a.changed = now
	w := m.probeWait(s, count{1, 1})
	if !certain {
		if a.states&s == 0 {
			m.note("the state may be %b", s)
		}
		a.states |= s
		for _, row := range []*witnesses{&a.failing, &a.denied, &a.unauthorized} { // it may begin anew
			row.lo = map[*modelRoom]bool{}
			if row.hi == nil {
				row.hi = map[*modelRoom]bool{}
			}
		}
		a.steps.hi = max(a.steps.hi, 1)
		a.until.hi = max(a.until.hi, now+w.hi)
		a.until.lo = 0
		a.steps.lo = 1
		a.news.hi = now
		return
	}
	m.note("the state is now %b", s)
	a.failing.clear()
	a.denied.clear()
	a.unauthorized.clear()
	if a.since == forever || s != a.states {
		a.since, a.extra = now, 0
	}
	a.states, a.steps = s, count{1, 1}
	a.until = span{now + w.lo, now + w.hi}
	a.news = span{now, now}
	for _, r := range m.rooms {
		r.tried = false
	}
}

// probeEnds notes that a call that may have been the probe has failed, or was answered
// without a token where only a success counts.
func (m *model) probeEnds(c *modelCall, b blame, now time.Duration) {
	a := &m.account
	if !c.mayProbe || c.counted {
		return
	}
	if b != blameSource && a.states&(isSuspect|isRefused) == 0 {
		return
	}
	if a.isCertainly(isOpen) && !a.mayBeLimited {
		return
	}
	a.changed = now
	steps := count{a.steps.lo + 1, a.steps.hi + 1}
	if a.states&isOpen != 0 { // the probe after a rate limit
		steps.lo = 1
	}
	certain := !c.mayLane && a.guarded() && a.isCertainly(a.states) && (b == blameSource || a.isCertainly(isSuspect|isRefused)) && c.begun >= a.news.hi && !c.wasReset
	w := m.probeWait(a.states, steps)
	if certain {
		a.steps = steps
		a.until = span{now + w.lo, now + w.hi}
		a.news = span{now, now}
		return
	}
	a.steps.hi = steps.hi
	a.until.hi = max(a.until.hi, now+w.hi)
	a.news.hi = now
}

// isUp notes an answer of the source that brought no token.
func (m *model) isUp(c *modelCall, now time.Duration) {
	a := &m.account
	guarded, maybe := a.guarded(), a.states != isOpen || a.mayBeLimited
	if a.states&isOutage != 0 {
		a.states = a.states&^isOutage | isOpen
		a.changed = now
	}
	m.lifts(c, now)
	m.opens(guarded, maybe, now)
}

// lifts notes that a call was answered, which ends a rate limit if the call began after
// the hold.
func (m *model) lifts(c *modelCall, now time.Duration) {
	a := &m.account
	if !a.mayBeLimited || c.begun < a.held.lo {
		return
	}
	a.changed = now
	a.limited = false
	a.limits.lo = 0
	if c.begun >= a.held.hi {
		a.mayBeLimited, a.limits = false, count{}
	}
}

// opens notes that calls come back, if they do.
func (m *model) opens(guarded, maybe bool, now time.Duration) {
	a := &m.account
	if !maybe || a.states&isOpen == 0 || a.limited {
		return
	}
	a.changed = now
	w := &a.window
	if guarded && a.isCertainly(isOpen) && !a.mayBeLimited {
		a.opened = span{now, now}
		a.since = forever
		a.until, a.steps = span{}, count{}
		// A bad credential is no overload, but an opening all the same.
		*w = modelWindow{size: count{2, 2}, was: m.config.MaxConcurrentCalls, at: now, cutAt: now}
		w.size.lo, w.size.hi = min(2, m.config.MaxConcurrentCalls), min(2, m.config.MaxConcurrentCalls)
		for _, f := range m.flights {
			if f.mayProbe || f.mayLane {
				f.mayProbe, f.mayLane, f.crossed = true, true, true
			}
		}
		m.note("calls come back")
		return
	}
	a.opened.hi = now
	w.remember(now)
	w.size.lo = min(w.size.lo, 2)
	w.slow = true
	w.size.hi = max(w.size.hi, min(2, m.config.MaxConcurrentCalls))
	if a.isCertainly(isOpen) && !a.mayBeLimited {
		a.since = forever
		a.until.lo, a.steps.lo = 0, 0
	}
}

// succeeded notes that a call brought a token.
func (m *model) succeeded(c *modelCall, now time.Duration) {
	a := &m.account
	guarded, maybe := a.guarded(), a.states != isOpen || a.mayBeLimited
	mended := a.isCertainly(isSuspect | isRefused)
	if a.states&(isSuspect|isRefused) != 0 {
		m.mend(mended, now)
	}
	a.states = isOpen
	a.worked, a.news = now, span{now, now}
	a.failing.clear()
	a.denied.clear()
	a.unauthorized.clear()
	if maybe {
		a.changed = now
	}
	m.lifts(c, now)
	m.opens(guarded, maybe, now)
	took := min(now-c.begun, m.config.CallTimeout)
	if a.latencies = append(a.latencies, latency{now, took}); len(a.latencies) > 50 {
		a.latencies = a.latencies[1:]
	}
	if a.latencyAt != now {
		a.latencyWas, a.latency, a.latencyAt = a.latency, span{took, took}, now
	}
	a.latency = span{min(a.latency.lo, took), max(a.latency.hi, took)}
	p := &a.pace
	p.successes = append(p.successes, now)
	for len(p.successes) > 0 && p.successes[0] < now-1200*time.Millisecond {
		p.successes = p.successes[1:]
	}
	others := 0
	for _, f := range m.flights {
		if !f.overdue {
			others++
		}
	}
	a.window.succeeded(others, m.config.MaxConcurrentCalls, now, maybe && a.opened.hi == now)
}

// callTime returns bounds of what the Manager takes the source's latency to be.
func (m *model) callTime(now time.Duration) span {
	a := &m.account
	if a.latencyAt != now {
		return a.latency
	}
	return span{min(a.latency.lo, a.latencyWas.lo), max(a.latency.hi, a.latencyWas.hi)}
}

// slowest returns the longest latency since then. A room that was put behind because a
// call would have come too late for its callers may stay there.
func (m *model) slowest(since time.Duration) time.Duration {
	a := &m.account
	most := time.Duration(0)
	for _, latency := range slices.Backward(a.latencies) {
		most = max(most, latency.took)
		if latency.at < since {
			return most
		}
	}
	return m.config.CallTimeout
}

// mend clears the permanent errors that a bad credential has caused, or may.
func (m *model) mend(certain bool, now time.Duration) {
	for _, r := range m.rooms {
		if r.permanent == 0 || errors.Is(r.lastErr, roomtoken.ErrRoomNotFound) {
			continue
		}
		r.notBefore = 0
		if certain && r.failedLo > m.account.worked {
			r.notAfter = now
		}
		r.permanentLo = 0
		r.blurred = true
	}
}

// remember keeps the window's upper bound as it was before this instant.
func (w *modelWindow) remember(now time.Duration) {
	if w.at != now {
		w.at, w.was = now, w.size.hi
	}
}

// succeeded notes a success, beside that many other calls. If calls have come back only
// with it, it need not count.
func (w *modelWindow) succeeded(others, full int, now time.Duration, opens bool) {
	w.remember(now)
	if w.size.hi < full && 2*(others+1) >= w.size.lo {
		w.grown.hi++
		if !w.cut || w.grown.hi >= w.size.lo {
			w.size.hi++
			w.grown.hi = 0
		}
	}
	if w.size.lo < full && 2*(others+1) >= w.size.hi && !opens {
		w.grown.lo++
		if !w.slow || w.grown.lo >= w.size.hi {
			w.size.lo++
			w.grown.lo = 0
		}
	}
}

// failed notes a failure that cuts the window: certainly, or maybe.
func (w *modelWindow) failed(c *modelCall, certain bool, full int, now time.Duration) {
	w.remember(now)
	if w.size.lo < full {
		w.size.lo = max(w.size.lo/2, 1)
		w.slow, w.grown.lo = true, 0
	}
	if certain && w.size.hi < full && c.begun > w.cutAt {
		w.size.hi = max(w.size.hi/2, 1)
		w.cut, w.grown.hi = true, 0
	}
	w.cutAt = now
}

// rateLimits accounts for a rate limit.
func (m *model) rateLimits(c *modelCall, wait, now time.Duration) {
	a := &m.account
	m.paces(now)
	before := a.states
	if a.states&isOutage != 0 { // it is up
		a.states = a.states&^isOutage | isOpen
	}
	if before != a.states && a.isCertainly(isOpen) {
		if a.steps.lo, a.until.lo = 0, 0; before == isOutage {
			a.steps, a.until = count{}, span{}
		}
	}
	hold := span{now + wait, now + wait}
	switch {
	case wait > 0:
	case c.begun < a.held.lo: // before the end of a limit that is known: no news
		hold = span{}
	case c.begun < a.held.hi && c.held != a.held: // a draw decides whether it was
		a.limits.hi++
		_, most := m.backoff(a.limits.hi)
		hold = span{0, now + most}
	default:
		a.limits.lo++
		a.limits.hi++
		least, _ := m.backoff(a.limits.lo)
		_, most := m.backoff(a.limits.hi)
		hold = span{now + least, now + most}
	}
	a.held = span{max(a.held.lo, hold.lo), max(a.held.hi, hold.hi)}
	a.limited, a.mayBeLimited, a.changed = true, true, now
	a.pace.heldUntil = max(a.pace.heldUntil, a.held.hi)
	a.window.failed(c, false, m.config.MaxConcurrentCalls, now)
	m.note("all calls are held for %v to %v", a.held.lo-now, a.held.hi-now)
}

// paces notes that a rate limit slows the pace.
func (m *model) paces(now time.Duration) {
	a := &m.account
	p := &a.pace
	n := 0
	for _, at := range p.successes {
		if at > now-1100*time.Millisecond {
			n++
		}
	}
	rate := m.pace(now)
	switch {
	case rate == 0 && now-p.limitedAt > paceForgets:
		p.rate = max(float64(n)/2, 1)
		p.at = now
	case rate > 0 && now > p.heldUntil+time.Second+late:
		p.rate = max(rate/2, 1)
		p.at = now
	}
	p.limitedAt = now
}

// pace returns the fastest pace at which calls may begin, in calls per second; 0: there
// is no bound.
func (m *model) pace(now time.Duration) float64 {
	p := &m.account.pace
	if p.rate == 0 || now-p.limitedAt >= paceForgets-time.Second {
		p.rate = 0
		return 0
	}
	return p.rate * math.Pow(1.05, (now-p.at).Seconds())
}

// gap returns the longest time that may pass between two calls because of a pace.
func (m *model) gap(now time.Duration) time.Duration {
	gap := time.Duration(0)
	if m.config.CallsPerSecond > 0 {
		gap = time.Duration(float64(time.Second) / m.config.CallsPerSecond)
	}
	if now-m.account.pace.limitedAt < paceForgets+late {
		gap = max(gap, slowestGap)
	}
	return gap
}

// admits checks that a call may begin, as far as the account is concerned.
func (m *model) admits(c *modelCall, now time.Duration) {
	a := &m.account
	r := c.room
	m.admitsPace(c, now)
	c.failing, c.maybeFailing = a.isFailing(r), a.maybeFailing(r)
	c.hadFailed = r.failedHi >= 0 && r.failedHi >= r.came
	a.begun = now
	c.held = a.held
	probes, lanes, both, recovering := 0, 0, 0, 0
	for _, f := range m.flights {
		switch {
		case f.overdue || f.crossed:
		case f.mayProbe && f.mayLane:
			both++
		case f.mayProbe:
			probes++
		case f.mayLane:
			lanes++
		}
		if !f.overdue && f.begun >= a.opened.hi {
			recovering++
		}
	}
	if now == a.changed {
		c.mayProbe, c.mayLane, c.crossed = true, true, true
		return
	}
	switch {
	case a.mayBeLimited && now < a.held.lo:
		m.breaks(5, "%s(%s) begins %v before the end of the hold of all calls", c.kind, r.id, a.held.lo-now)
		return
	case !a.guarded() && a.isCertainly(isOpen) && !a.mayBeLimited:
		w := &a.window
		limit := w.size.hi
		if w.at == now {
			limit = max(limit, w.was)
		}
		if limit < m.config.MaxConcurrentCalls && recovering > limit { // one of them may be in the lane, or else this one
			if lanes > 0 || now < a.laneAt+laneGap-fuzz || a.guilty(r) {
				m.breaks(5, "%s(%s) begins as call %d, while calls come back in a window of %d", c.kind, r.id, recovering+1, limit)
			}
			c.mayLane, a.laneAt = true, now
		}
		return
	case !a.guarded():
		c.mayProbe, c.mayLane, c.crossed = true, true, true
		return
	}
	overlap := both > 1 || probes > 0 && both > 0 || lanes > 0 && both > 0
	c.mayProbe = now >= a.until.lo && probes == 0 && (both == 0 || !overlap)
	c.mayLane = !a.limited && a.states&(isOutage|isSuspect) != 0 && !a.guilty(r) && now >= a.laneAt+laneGap-fuzz && lanes == 0 && (both == 0 || !overlap)
	if !c.mayProbe && !c.mayLane {
		m.breaks(5, "%s(%s) begins neither as the probe, which is due in %v and %d in flight, nor in the lane of innocent rooms (it failed %v ago, %d in flight)",
			c.kind, r.id, a.until.lo-now, probes+both, now-r.failedLo, lanes+both)
	}
	if both == 1 && c.mayProbe != c.mayLane {
		for _, f := range m.flights {
			if !f.overdue && f.mayProbe && f.mayLane && !f.crossed {
				f.mayProbe, f.mayLane = c.mayLane, c.mayProbe
			}
		}
	}
	if c.mayLane && !c.mayProbe {
		a.laneAt = now
	}
	m.extraCalls(c, now)
}

// extraCalls checks that in an outage all rooms together make at most one call a second
// beyond each room's first.
func (m *model) extraCalls(c *modelCall, now time.Duration) {
	a := &m.account
	if a.since == forever || !c.room.tried {
		c.room.tried = true
		return
	}
	a.extra++
	fast := 0 // probes that come faster than that
	for step := m.config.BackoffMin; step < time.Second; step *= 2 {
		fast++
	}
	if most := 1 + 2*fast + int((now-a.since)/time.Second); a.extra > most {
		m.breaks(5, "%s(%s) is call %d beyond each room's first in %v of a full outage", c.kind, c.room.id, a.extra, now-a.since)
	}
}

// schedule is when the next call may begin at a pace. A timer may be late: what it lost
// is made up for.
type schedule time.Duration

// early returns how early a call begins that begins now.
func (s *schedule) early(rate float64, now time.Duration) time.Duration {
	early := time.Duration(*s) - now
	*s = schedule(max(time.Duration(*s), now) + time.Duration(float64(time.Second)/rate) - fuzz)
	return early
}

// admitsPace checks the pace.
func (m *model) admitsPace(c *modelCall, now time.Duration) {
	a := &m.account
	if most := m.config.CallsPerSecond; most > 0 {
		if early := a.own.early(most, now); early > late {
			m.breaks(10, "%s(%s) begins %v too early for %v calls per second", c.kind, c.room.id, early, most)
		}
	}
	if rate := m.pace(now); rate > 0 && now != a.changed {
		if early := a.learned.early(rate, now); early > late {
			m.breaks(5, "%s(%s) begins %v too early for the pace of %.2f calls per second after a rate limit", c.kind, c.room.id, early, rate)
		}
	} else {
		a.learned = 0
	}
}

// mayBegin reports whether a call may certainly begin for the room, as far as the
// account and the slots are concerned.
func (m *model) mayBegin(r *modelRoom, now time.Duration) bool {
	a := &m.account
	flying := 0
	for _, f := range m.flights {
		if !f.overdue {
			flying++
		}
	}
	slots := m.slots()
	if a.maybeFailing(r) {
		slots = max(min(m.config.MaxConcurrentCalls-1, m.config.MaxConcurrentCalls/4), 1)
	}
	if len(m.flights) >= slots || now <= a.begun+m.gap(now)+late {
		return false
	}
	if flying == 0 && now > max(a.until.hi, a.held.hi)+late {
		return true
	}
	return a.isCertainly(isOpen) && !a.mayBeLimited && len(m.flights) < a.window.size.lo
}

// laneFree reports whether a call may certainly begin in the lane of innocent rooms.
func (m *model) laneFree(now time.Duration) bool {
	a := &m.account
	if a.mayBeLimited || !a.isCertainly(isOutage|isSuspect) || len(m.flights) >= m.slots() || now <= a.begun+max(m.gap(now), laneGap)+late {
		return false
	}
	for _, f := range m.flights {
		if !f.overdue && f.mayLane {
			return false
		}
	}
	return now > a.since+laneGap+late
}

// resets accounts for ResetBackoff of rooms; none means all, and the account.
func (m *model) resets(rooms []*modelRoom, now time.Duration) {
	a := &m.account
	if len(rooms) == 0 {
		rooms = m.rooms
		a.states, a.limited, a.mayBeLimited = isOpen, false, false
		a.held, a.until, a.steps, a.limits = span{}, span{}, count{}, count{}
		a.failing.clear()
		a.denied.clear()
		a.unauthorized.clear()
		a.changed, a.since, a.news = now, forever, span{now, now}
		a.opened.hi = now
		w := &a.window
		w.remember(now)
		w.was, w.slow = m.config.MaxConcurrentCalls, true
		w.size = count{1, m.config.MaxConcurrentCalls}
		a.pace.rate, a.learned = 0, 0
		for _, f := range m.flights {
			if f.mayProbe || f.mayLane {
				f.mayProbe, f.mayLane, f.crossed = true, true, true
			}
		}
	}
	for _, r := range rooms {
		if r.call != nil {
			r.call.wasReset = true
		}
		r.resetAt = now
		r.notBefore = 0
		if r.notAfter = min(r.notAfter, now); r.cur != nil && now <= r.cur.shown.hi {
			r.notAfter, r.cur.shown.lo = r.cur.shown.hi, 0
		}
		r.failuresLo, r.permanentLo, r.failedLo = 0, 0, -1
		r.lastErr = nil
		r.blurred = true
		for _, w := range r.watches {
			w.lastOf = ""
		}
	}
}
