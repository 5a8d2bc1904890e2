package telnyxtest

import (
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Fault makes calls go wrong; see [Server.Inject]. Its first fields say which
// calls, the others what happens to them.
//
// A fault that only delays or adds headers joins whatever else happens to a
// call. Of the others that match, the one injected first acts alone: two faults
// with Times 1 meet two calls, in order.
type Fault struct {
	On    Endpoint      // these calls; 0: Any
	Room  string        // of this room; "": of all
	Times int           // this often; 0: any number of times
	For   time.Duration // so long, by Config.Clock, from Inject on; 0: for ever

	// Latency is the time by which the answer leaves later. The call is handled
	// when it arrives: tokens age on the way.
	Latency time.Duration

	// Hang keeps the call without an answer until the client leaves, or until
	// the fault is removed: then the call is answered after all. Times and For
	// running out let go of nobody.
	Hang bool

	// Reset cuts the connection instead of answering (RST).
	Reset bool

	// Status and Body are the answer, whatever the request. 0: the regular one.
	Status int
	Body   Body

	// Header is set on the answer, regular or not. A key with no values takes
	// the header away, "Date" for one.
	Header http.Header

	// Truncate cuts the answer's body in half; Content-Length announces it all.
	Truncate bool

	// TokenTTL is the lifetime of the token in a regular answer, in whole
	// seconds, whatever the request asks for; negative: it has expired. 0: as asked.
	TokenTTL time.Duration

	// Edit changes the "data" object of a regular answer before it is sent. It
	// is called from many goroutines at the same time.
	Edit func(data map[string]any)
}

// Outage is a fault for every call: 503 for d, or until removed where d is 0.
func Outage(d time.Duration) Fault { return Fault{For: d, Status: http.StatusServiceUnavailable} }

// RateLimited is a fault for every call during wait: 429 with a Retry-After and
// an x-ratelimit-reset of wait, in seconds rounded up, the same for each call.
// For one that counts calls and down, see [Server.SetRateLimit].
func RateLimited(wait time.Duration) Fault {
	seconds := ceilSeconds(wait)
	return Fault{For: wait, Status: http.StatusTooManyRequests, Header: http.Header{
		"Retry-After":           {seconds},
		"X-Ratelimit-Remaining": {"0"},
		"X-Ratelimit-Reset":     {seconds},
	}}
}

// Inject makes calls go wrong from now on, until Times or For run out or remove
// is called. remove can be called any number of times. Inject panics on a fault
// that does nothing or cannot be.
func (s *Server) Inject(f Fault) (remove func()) {
	if objection := f.check(); objection != "" {
		panic("telnyxtest: Inject: " + objection)
	}
	f.Room = strings.ToLower(f.Room)
	if f.On == 0 {
		f.On = Any
	}
	return s.faults.add(f, s.clock.Now())
}

func (f Fault) check() (objection string) {
	switch {
	case f.On > Any:
		return fmt.Sprintf("On is %d; want Create, Refresh or Any", f.On)
	case f.Times < 0 || f.For < 0 || f.Latency < 0:
		return fmt.Sprintf("Times is %d, For %v, Latency %v; want none negative", f.Times, f.For, f.Latency)
	case f.Status != 0 && (f.Status < 200 || f.Status > 599):
		return fmt.Sprintf("Status is %d; want 200 to 599", f.Status)
	case f.Status == 0 && f.Body.set:
		return "a Body without a Status"
	case !f.decides() && f.Latency == 0 && len(f.Header) == 0:
		return "the fault does nothing"
	}
	return ""
}

// decides reports whether f is more than a delay and headers.
func (f Fault) decides() bool {
	return f.Hang || f.Reset || f.Status != 0 || f.Truncate || f.TokenTTL != 0 || f.Edit != nil
}

func (f Fault) matches(e Endpoint, room string) bool {
	return f.On&e != 0 && (f.Room == "" || f.Room == room)
}

// faults are those in force, oldest first.
type faults struct {
	mu   sync.Mutex
	list []*injected
}

type injected struct {
	Fault
	until   time.Time     // zero: for ever
	left    int           // calls it still acts on
	removed chan struct{} // closed by remove
}

// plan is what happens to one call.
type plan struct {
	latency time.Duration
	headers []http.Header
	fault   Fault           // the one that decides; zero: none
	removed <-chan struct{} // ends its Hang
}

func (fs *faults) add(f Fault, now time.Time) (remove func()) {
	in := &injected{Fault: f, left: f.Times, removed: make(chan struct{})}
	if f.Times == 0 {
		in.left = math.MaxInt
	}
	if f.For > 0 {
		in.until = now.Add(f.For)
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.list = append(fs.list, in)
	return sync.OnceFunc(func() {
		fs.mu.Lock()
		defer fs.mu.Unlock()
		fs.list = slices.DeleteFunc(fs.list, func(other *injected) bool { return other == in })
		close(in.removed)
	})
}

// plan says what happens to a call, and uses up the faults that do it.
func (fs *faults) plan(e Endpoint, room string, now time.Time) plan {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.list = slices.DeleteFunc(fs.list, func(in *injected) bool {
		return in.left == 0 || !in.until.IsZero() && !now.Before(in.until)
	})
	var p plan
	for _, in := range fs.list {
		if !in.matches(e, room) || in.decides() && p.removed != nil {
			continue
		}
		in.left--
		p.latency += in.Latency
		p.headers = append(p.headers, in.Header)
		if in.decides() {
			p.fault, p.removed = in.Fault, in.removed
		}
	}
	return p
}

// ceilSeconds is d in whole seconds, rounded up.
func ceilSeconds(d time.Duration) string {
	return strconv.Itoa(int(math.Ceil(d.Seconds())))
}
