package roomtoken_test

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/internal/policy"
	"github.com/roomtoken/roomtoken/roomtokentest"
)

// The model of a fleet sees what any user sees, the calls of the source, and what the
// processes do with the store. Some of what it checks must hold whatever goes wrong. The
// rest must hold where nothing was wrong for one renewal: see strict.

// fleetViolation is a broken promise.
type fleetViolation struct {
	promise string // "F1", or "3" for one that every process keeps on its own
	at      time.Duration
	text    string
}

func (v *fleetViolation) String() string {
	return fmt.Sprintf("promise %s broken at %v: %s", v.promise, v.at, v.text)
}

// fleetSim is one run of a plan.
type fleetSim struct {
	plan   *fleetPlan
	config roomtoken.Config // with its defaults
	start  time.Time
	store  *roomtokentest.Store
	base   roomtoken.StoreTime // of start
	saved  *roomtokentest.StoreSnapshot

	mu        sync.Mutex
	violation *fleetViolation
	tracing   bool
	trace     []string

	procs     []*simProcess
	rooms     []*simRoom
	mints     map[string]*simMint // by value
	names     map[roomtoken.Digest]*simMint
	refreshes map[string]*simMint    // by refresh token
	askers    map[string]*simProcess // by the ID of the ask
	dropped   map[string]bool        // refresh tokens that a process may have dropped: their token was refused
	troubles  []simTrouble
	holds     []simHold
	watches   map[*simWatch]bool
	called    chan *simProcess // not nil: gets the process whose call begins next
	came      chan *simCall    // not nil: gets the call that brings a token next
	over      bool             // the processes are being closed

	restored    time.Duration // when the store lost its memory last
	readOnly    bool          // the store takes no writes
	writable    time.Duration // until then
	unrest      time.Duration // nothing is wrong with the store and all processes from then on
	refused     time.Duration // when the source refused the credential last
	troubled    time.Duration // since when something was wrong with the source
	sourceQuiet time.Duration // nothing is wrong with the source from then on, and no room waits because of what was

	running                   int // callers and watches
	checks, calls, storeCalls int
}

// simHold is a rate limit that the source has told a process.
type simHold struct {
	by          *simProcess
	from, until time.Duration
}

// simRoom is a room of the simulation.
type simRoom struct {
	id     string
	n      int
	mints  []*simMint // that a process has got, in order
	calls  []*simCall // in flight
	unrest time.Duration

	failures  int // of one kind in a row
	permanent bool
	failedAt  time.Duration
	notBefore time.Duration // no process may call before
	fresh     time.Duration // when Forget was called last

	ended    time.Duration // when a call ended last
	endedBy  *simProcess
	rejected time.Duration // when a refresh token was refused last
	by       *simProcess   // whose call that was
	leased   time.Duration // when it had begun

	forgotten bool          // since the last success: some process counts its failures from 0
	refusals  time.Duration // when Invalidate returned true last
}

func (r *simRoom) newest() *simMint {
	if len(r.mints) == 0 {
		return nil
	}
	return r.mints[len(r.mints)-1]
}

func (f *fleetSim) now() time.Duration { return time.Since(f.start) }

func (f *fleetSim) note(format string, args ...any) {
	if f.tracing && f.violation == nil {
		text, _, _ := strings.Cut(fmt.Sprintf(format, args...), "\n")
		f.trace = append(f.trace, fmt.Sprintf("%14v ", f.now())+text)
	}
}

// breaks records a broken promise. Only the first counts.
func (f *fleetSim) breaks(promise, format string, args ...any) {
	if f.violation == nil {
		v := &fleetViolation{promise, f.now(), fmt.Sprintf(format, args...)}
		f.note("BROKEN %s", v)
		f.violation = v
	}
}

func (f *fleetSim) room(id string) *simRoom {
	for _, r := range f.rooms {
		if r.id == id {
			return r
		}
	}
	panic("unknown room " + id)
}

// leaseTTL is how long a lease lasts.
func (f *fleetSim) leaseTTL() time.Duration { return f.config.CallTimeout + 2*f.config.StoreTimeout }

// settling is how long it takes until a process knows that the store answers again, and
// has told it what it did not take: its looks at the news are up to 5 s apart.
const settling = 6 * time.Second

// unwell notes that something is wrong with a process or its way to the store, all of them
// if p is nil, for d from now on.
func (f *fleetSim) unwell(p *simProcess, d time.Duration) {
	until := f.now() + d + maxLate + settling
	f.unrest = max(f.unrest, until)
	if p != nil {
		p.unrest = max(p.unrest, until)
		return
	}
	for _, p := range f.procs {
		p.unrest = max(p.unrest, until)
	}
}

// strict reports whether nothing was wrong with the store and the processes, as far as the
// room goes, since one renewal.
func (f *fleetSim) strict(r *simRoom) bool {
	return f.now() > max(f.unrest, r.unrest)+f.plan.issuer.lifetime*11/10+3*time.Second
}

// sourceIsWell reports whether nothing was wrong with the source for d, and no room waits
// because of what was.
func (f *fleetSim) sourceIsWell(d time.Duration) bool { return f.now()-d > f.sourceQuiet }

// inLine reports whether rooms may have to wait for a slot.
func (f *fleetSim) inLine() bool { return f.plan.config.MaxConcurrentCalls > 0 }

// isFine reports whether the process runs and nothing was wrong with it and the store
// since then.
func (p *simProcess) isFine(since time.Duration) bool {
	return p.state == processRuns && p.unrest <= since && p.f.unrest <= since && p.started <= since
}

func (f *fleetSim) backoff() policy.Backoff {
	return policy.Backoff{Min: f.config.BackoffMin, Max: f.config.BackoffMax}
}

func (f *fleetSim) renewal() policy.Renewal {
	return policy.Renewal{
		After: f.config.RefreshAfter, Jitter: f.config.Jitter,
		MinValidity: f.config.MinValidity, Explicit: f.plan.config.MinValidity != 0,
	}
}

// forgets notes that the store loses its memory, or part of it.
func (f *fleetSim) forgets() {
	for _, m := range f.mints {
		m.lost = m.lost || m.refused > 0
	}
	f.restored = f.now()
	f.unwell(nil, 0)
}

// nameOf returns the name of a token.
func (f *fleetSim) nameOf(token roomtoken.Secret) *simMint { return f.names[token.Digest()] }

// describe returns an answer of the store as text.
func (f *fleetSim) describe(e roomtoken.Entry) string {
	switch {
	case !e.Record.IsZero():
		return fmt.Sprintf("token %v version %d", f.nameOf(e.Record.Token), e.Record.Version)
	case !e.Lease.IsZero():
		return fmt.Sprintf("lease given on %d, failure %d x%d, %d refusals", e.Lease.Version, e.Failure.Kind, e.Failure.Count, e.Refusals)
	case e.Busy > 0:
		return fmt.Sprintf("busy for %v", e.Busy)
	case e.NotBefore > 0:
		return fmt.Sprintf("not before %v, failure %d x%d", e.NotBefore, e.Failure.Kind, e.Failure.Count)
	}
	return fmt.Sprintf("nothing, %v", e.Degraded)
}
