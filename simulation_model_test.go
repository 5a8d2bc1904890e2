package roomtoken_test

import (
	"fmt"
	"math"
	"strings"
	"sync"
	"time"

	"github.com/roomtoken/roomtoken"
)

// The model derives from the promises alone what the Manager may and must do. It sees
// what any user sees: the calls of the source, the answers, the pairs of a watch, and
// the events of evictions. It never looks into the Manager. All its times are
// monotonic, since the start of the run, and exact: in a bubble time stands still
// while any goroutine runs.

const (
	forever = time.Duration(math.MaxInt64 / 4)
	canary  = "CANARY"
	grace   = 50 * time.Millisecond // how long a source may take to return when its ctx has ended
	grain   = 1200 * time.Millisecond
	fuzz    = time.Microsecond // the rounding error of a fraction of a lifetime
)

// violation is a broken promise.
type violation struct {
	promise int // 0: none, an invariant
	at      time.Duration
	text    string
}

func (v *violation) String() string {
	if v.promise == 0 {
		return fmt.Sprintf("invariant broken at %v: %s", v.at, v.text)
	}
	return fmt.Sprintf("promise %d broken at %v: %s", v.promise, v.at, v.text)
}

// model is the state of one Manager and its rooms, as the promises imply it.
type model struct {
	mu        sync.Mutex
	plan      *plan
	start     time.Time
	violation *violation
	trace     []string
	tracing   bool

	config  roomtoken.Config // with its defaults
	epoch   int              // counts Managers: calls of earlier ones do not count
	rooms   []*modelRoom
	tokens  map[string]*modelToken
	minted  int
	flights []*modelCall // in flight
	account modelAccount

	ahead   time.Duration // how far the wall clock is ahead
	stepped time.Duration // when the wall clock was last stepped

	closed      bool
	closedAt    time.Duration
	watchCloses bool // Close is called from the body of a watch, which may begin a call then

	checks, calls int
	order         int // of calls, callers and Forgets at the same time
	instant       time.Duration
	burst         int // calls at instant
	outages       []outage
	passes        []passing
}

type outage struct {
	room  int
	fault fault
	until time.Duration
}

// modelRoom is the state of one room.
type modelRoom struct {
	id               string
	n                int
	resident         bool
	had              bool // it has had a token
	cur              *modelToken
	before           *modelToken // the previous token, if it was replaced
	refused          *modelToken // the token that was invalidated last
	refresh          *modelRefresh
	failures         int // in a row, transient ones
	failuresLo       int // at least as many are remembered
	permanent        int // in a row, permanent ones
	permanentLo      int
	failedLo         time.Duration // when a call certainly failed last; -1: none
	failedHi         time.Duration // when one may have
	came             time.Duration // when a call last brought a token
	resetAt          time.Duration // when ResetBackoff was last called
	blurred          bool          // how many failures are remembered is open
	tried            bool          // in the present outage
	refusals         int           // at least this many consecutive tokens were refused early
	refusedBy        int           // at most this many
	notBefore        time.Duration // no call may begin before
	notAfter         time.Duration // a wanted call must have begun
	vague            bool          // the wall clock was stepped during its call: little is certain
	lastErr          error
	permErr          time.Duration // when a call last failed permanently
	call             *modelCall
	calls            int
	lastKind         roomtoken.CallKind
	lastKindFailures int // failures when the last call began
	lastRefresh      *modelRefresh
	lastBegun        time.Duration   // when the last call began
	ended            time.Duration   // when the last call ended
	rejectedAt       time.Duration   // when a refresh token was last refused
	kept             bool            // the last grant ended before the token and did not replace it
	lefts            []time.Duration // what the last tokens had left when they came
	forced           time.Duration   // when a call last began for a caller whom a valid token did not serve
	needs            []need
	newest           time.Duration // what the newest token had left when it came
	newestLife       time.Duration // its lifetime
	newestBegun      time.Duration // when its call began
	mixed            bool          // which of its tokens is in memory is open
	lastEnd          time.Duration // the latest end of these

	inLine   time.Duration // since when a caller may have been waiting for a call; 0: none
	woke     time.Duration // when it was last asked for after it was idle
	asked    time.Duration // last used, at the earliest
	active   time.Duration // last used, at the latest
	left     time.Duration // when a caller last left it
	forgotAt time.Duration
	forgot   int // in the order of events

	waiting []*caller
	warming int
	watches []*watching
}

// need is what a caller of TokenValidFor was served.
type need struct{ at, atLeast time.Duration }

// modelToken is a token that the source minted.
type modelToken struct {
	value     string
	room      *modelRoom
	lifetime  time.Duration
	end       time.Duration // monotonic, for the Manager
	issuerEnd time.Duration // monotonic, for its issuer
	expires   time.Time     // on the wall clock
	came      time.Duration
	begun     time.Duration // when the last call that returned it began
	order     int           // of that call
	invalid   time.Duration // when it was invalidated; 0: not
	replaced  time.Duration // when a newer one replaced it; 0: not
	shown     span          // it is handed out from then on, if it replaces a token that was refused early
	vague     bool
	doubtful  bool // it may be known to have been invalidated
}

type modelRefresh struct {
	value        string
	end, mustEnd time.Duration // forever: unknown
	expires      time.Time
}

// modelCall is one call of the source.
type modelCall struct {
	room      *modelRoom
	kind      roomtoken.CallKind
	epoch     int
	begun     time.Duration
	order     int
	ahead     time.Duration // of the wall clock
	wall      time.Time
	refresh   *modelRefresh
	forgotten bool // its room was forgotten since
	overdue   bool
	steps     bool     // the wall clock was stepped since
	refused   []string // invalidated since
	had       bool
	deaf      bool // it ignores its ctx
	wasReset  bool // ResetBackoff was called since
	counted   bool // as a failure, because it is overdue

	mayProbe, mayLane     bool // as what it may have begun
	crossed               bool // it may have been let through before the account changed
	failing, maybeFailing bool // its room's last call failed, and calls have not come back since
	hadFailed             bool // its room's last call failed
	renewal               bool // certainly of a valid token for which nobody waits
	held                  span // the hold of all calls that had ended when it began
	forCaller             bool // certainly of a new room that a caller waits for
}

// caller is one call of Token or TokenValidFor.
type caller struct {
	room    *modelRoom
	begun   time.Duration
	order   int
	atLeast time.Duration
	ends    time.Duration // when its ctx ends
	wait    time.Duration // when MaxWait has passed
	limit   time.Duration // when it leaves, as far as the Manager knows: it may be canceled earlier
	must    bool          // there is a token it must get
	epoch   int
	forgets bool          // its room was forgotten or evicted since
	owed    *modelCall    // the call in flight then: the caller gets its result
	served  time.Duration // when that call returned a token; 0: it has not
}

// watching is one watch.
type watching struct {
	room   *modelRoom
	begun  time.Duration
	ends   time.Duration
	body   bool // the body of the loop is running
	last   *modelToken
	lastAt time.Duration
	lastOf string // the kind of the last error
	ended  bool
	epoch  int
	yields int
}

func (m *model) now() time.Duration { return time.Since(m.start) }

// wallNow is the wall clock of the Manager's machine.
func (m *model) wallNow() time.Time { return time.Now().Round(0).Add(m.ahead) }

// next numbers events.
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

// breaks records a broken promise. Only the first counts.
func (m *model) breaks(promise int, format string, args ...any) {
	if m.violation == nil {
		m.violation = &violation{promise, m.now(), fmt.Sprintf(format, args...)}
		m.note("BROKEN %s", m.violation)
	}
}

// open resets the model for a new Manager.
func (m *model) open() {
	m.epoch++
	m.closed = false
	m.ahead, m.stepped = 0, 0
	m.tokens = map[string]*modelToken{}
	m.flights = nil
	m.account = newAccount(&m.config)
	m.passes = nil
	rooms := make([]*modelRoom, m.plan.rooms)
	for i := range rooms {
		rooms[i] = &modelRoom{id: fmt.Sprint("r", i), n: i, forgotAt: -1, permErr: -1, left: -1, failedLo: -1, failedHi: -1, came: -1, lastBegun: -forever, rejectedAt: -1, resetAt: -1}
		if m.rooms != nil {
			rooms[i].calls = m.rooms[i].calls
		}
	}
	m.rooms = rooms
}

// backoff returns the bounds of the wait after n failures.
func (m *model) backoff(n int) (least, most time.Duration) {
	step := float64(m.config.BackoffMin) * math.Pow(2, float64(min(n, 60)-1))
	least = time.Duration(min(step, max(float64(m.config.BackoffMin), float64(m.config.BackoffMax)*2/3)))
	most = time.Duration(min(step*1.5, float64(m.config.BackoffMax)))
	return least - fuzz, max(most, least) + fuzz
}

// margin returns the least time that a token has left when it is handed out.
func (m *model) margin(t *modelToken) time.Duration {
	if m.plan.config.MinValidity > 0 { // only the default is cut to a tenth
		return min(m.config.MinValidity, t.lifetime/2)
	}
	return min(m.config.MinValidity, t.lifetime/10)
}

// due returns with how much left a renewal of the room's token t must have begun, and may
// begin.
func (m *model) due(r *modelRoom, t *modelToken) span {
	had := min(t.lifetime, t.expires.Sub(m.start)-t.came, t.end-t.came)
	share := 1 - m.config.RefreshAfter
	due := span{
		lo: time.Duration(float64(had)*share) - fuzz,
		hi: time.Duration(float64(t.lifetime)*(share+m.config.Jitter)) + fuzz,
	}
	ahead := func(due, need time.Duration) time.Duration {
		if need > had-t.lifetime/8 { // it was old when it came
			return due
		}
		return max(due, need-fuzz)
	}
	if m.plan.config.MinValidity > 0 {
		due.lo = ahead(due.lo, m.margin(t))
		due.hi = max(due.hi, t.lifetime*3/4)
	}
	for _, n := range r.needs {
		due.hi = max(due.hi, t.lifetime*3/4)
		if r.before != nil && n.at > r.before.came && n.at < t.came {
			due.lo = ahead(due.lo, min(n.atLeast, t.lifetime/2))
		}
	}
	return due
}

// leftOf returns the time that a token has left for the Manager.
func (m *model) leftOf(t *modelToken, now time.Duration) time.Duration {
	return min(t.end-now, t.expires.Sub(m.wallNow()))
}

// valid reports whether the room certainly has a token that lives for atLeast.
func (m *model) valid(r *modelRoom, now, atLeast time.Duration) bool {
	t := r.cur
	if t == nil || t.vague || r.vague || now <= t.shown.hi || m.plan.wall && now-m.stepped <= 100*time.Millisecond {
		return false
	}
	left := m.leftOf(t, now)
	return left > 0 && left >= m.margin(t) && left >= atLeast
}

// slots returns how many calls may be in flight for callers.
func (m *model) slots() int { return m.config.MaxConcurrentCalls - m.config.MaxConcurrentCalls/4 }

// used notes that a room is asked for.
func (m *model) used(r *modelRoom, now time.Duration) {
	if m.config.IdleAfter > 0 && now-r.asked > m.config.IdleAfter-grain && !r.watched() {
		r.woke = now
	}
	r.asked, r.active = now, now
}

func (r *modelRoom) watched() bool {
	for _, w := range r.watches {
		if !w.ended {
			return true
		}
	}
	return false
}

// pinned reports whether the room may be exempt from eviction.
func (r *modelRoom) pinned() bool {
	return r.watched() || len(r.waiting) > 0 || r.warming > 0 || r.call != nil
}

// catchUp accounts for what has happened since, without a sign of it: calls have become
// overdue, and calls have not begun.
func (m *model) catchUp(now time.Duration) {
	m.passedOver(now)
	for _, c := range m.flights {
		at := c.begun + m.config.CallTimeout + grace
		if c.overdue || now < at || m.closed && m.closedAt < at {
			continue
		}
		c.overdue = true
		m.note("%s: %s is overdue", c.room.id, c.kind)
		m.failed(c, errOverdue, 0, at)
		c.counted = true
	}
}
