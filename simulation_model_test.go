package roomtoken_test

import (
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
	id               string
	n                int
	resident         bool
	had              bool // it has had a token
	cur              *modelToken
	before           *modelToken // the one before, if it was replaced
	refresh          *modelRefresh
	failures         int
	permanent        int
	refusals         int           // at least so many tokens in a row were refused early
	refusedBy        int           // at most so many
	notBefore        time.Duration // no call may begin
	notAfter         time.Duration // what is wanted must have begun
	vague            bool          // the wall clock was stepped during its call: who knows
	lastErr          error
	permErr          time.Duration // when a call failed for good last
	call             *modelCall
	calls            int
	lastKind         roomtoken.CallKind
	lastKindFailures int // failures when that call began
	lastRefresh      *modelRefresh

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
	kind    roomtoken.CallKind
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
	heldAt           time.Duration // when it was guarded, or held for longer
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
		m.note("%s: %s is overdue", c.room.id, c.kind)
		m.failed(c, errOverdue, 0, at)
	}
}
