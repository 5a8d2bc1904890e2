package telnyxtest

import (
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Fault changes how the server handles calls; see [Server.Inject]. The fields of the
// first block select calls, the others say what happens to them.
//
// Faults that only add latency or headers combine with any other fault. Of the other
// faults that match a call, only the one injected first applies: two faults with Times
// 1 apply to two calls, in order.
type Fault struct {
	On    Endpoint      // the endpoints it applies to; 0: Any
	Room  string        // the room, or the telephony credential, it applies to; "": all of them
	Times int           // the number of calls it applies to; 0: unlimited
	For   time.Duration // how long it applies, on Config.Clock, from Inject on; 0: until removed

	// Latency delays the response, on Config.Clock. The server handles the call when
	// it arrives, so that the tokens in the response are as old as the latency.
	Latency time.Duration

	// Hang withholds the response until the client disconnects or the fault is
	// removed, which releases the call to its normal response. A call that hangs is
	// not released when Times or For runs out.
	Hang bool

	// Reset resets the connection (TCP RST) instead of responding; on HTTP/2 it resets
	// the stream of the call, and leaves the connection to the others.
	//
	// A client may hide one reset: net/http repeats a request on a new connection if
	// the request may be repeated (it has an Idempotency-Key in its header, be it nil)
	// and a connection that was used before breaks without a byte of the response. To
	// make such a client fail, use Times 2 or 0, or no kept-alive connection.
	Reset bool

	// Status and Body replace the response, whatever the request. Status 0: the
	// regular response.
	Status int
	Body   Body

	// Header is set on the response. A key without values removes the header, even
	// "Date".
	Header http.Header

	// Truncate sends the first half of the body, with the Content-Length of all of it.
	Truncate bool

	// TokenTTL is the lifetime of the token in a regular response, in whole seconds.
	// It overrides the request, and the 24 h of a CredentialToken. Negative: the token
	// has expired. 0: the regular lifetime.
	TokenTTL time.Duration

	// Edit changes the "data" object of a regular response before it is sent. It is
	// called concurrently. A CredentialToken has no such object: a fault with Edit
	// applies to the other endpoints only.
	Edit func(data map[string]any)
}

// Outage returns a fault that answers every call with 503 for d, or until it is removed
// if d is 0.
func Outage(d time.Duration) Fault { return Fault{For: d, Status: http.StatusServiceUnavailable} }

// RateLimited returns a fault that answers every call with 429 during wait. Retry-After
// and x-ratelimit-reset are wait in seconds, rounded up, and do not count down. For a
// limit that counts calls, see [Server.SetRateLimit].
func RateLimited(wait time.Duration) Fault {
	seconds := ceilSeconds(wait)
	return Fault{For: wait, Status: http.StatusTooManyRequests, Header: http.Header{
		"Retry-After":           {seconds},
		"X-Ratelimit-Remaining": {"0"},
		"X-Ratelimit-Reset":     {seconds},
	}}
}

// Inject applies f to calls from now on, until Times or For runs out or remove is
// called. Calling remove again does nothing. Inject panics if f is invalid or does
// nothing.
func (s *Server) Inject(f Fault) (remove func()) {
	if problem := f.check(); problem != "" {
		panic("telnyxtest: Inject: " + problem)
	}
	if f.On == 0 {
		f.On = Any
	}
	if f.Edit != nil {
		f.On &^= CredentialToken
	}
	return s.faults.add(f, s.clock.Now())
}

// check returns what is wrong with f, or "".
func (f Fault) check() (problem string) {
	switch {
	case f.On > Any:
		return fmt.Sprintf("On is %d; want Create, Refresh, CredentialToken or Any", f.On)
	case f.On == CredentialToken && f.Edit != nil:
		return "On is CredentialToken, which has no data for Edit"
	case f.Times < 0 || f.For < 0 || f.Latency < 0:
		return fmt.Sprintf("Times is %d, For %v, Latency %v; want no negative value", f.Times, f.For, f.Latency)
	case f.Status != 0 && (f.Status < 200 || f.Status > 599):
		return fmt.Sprintf("Status is %d; want 200 to 599", f.Status)
	case f.Status == 0 && f.Body.set:
		return "Body is set without a Status"
	case !f.decides() && f.Latency == 0 && len(f.Header) == 0:
		return "the fault does nothing"
	}
	return ""
}

// decides reports whether f does more than add latency and headers.
func (f Fault) decides() bool {
	return f.Hang || f.Reset || f.Status != 0 || f.Truncate || f.TokenTTL != 0 || f.Edit != nil
}

func (f Fault) matches(e Endpoint, id string) bool {
	return f.On&e != 0 && (f.Room == "" || e.normalize(f.Room) == id)
}

// faults holds the injected faults, oldest first.
type faults struct {
	mu   sync.Mutex
	list []*injected
}

type injected struct {
	Fault
	until   time.Time     // zero: no end
	left    int           // the number of calls it still applies to
	removed chan struct{} // closed by remove
}

// plan is the combination of the faults that apply to one call.
type plan struct {
	latency time.Duration
	headers []http.Header
	fault   Fault           // the fault that decides the response; zero: none
	removed <-chan struct{} // closed when that fault is removed
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

// plan returns the plan of a call, and counts the call against the faults in it.
func (fs *faults) plan(e Endpoint, id string, now time.Time) plan {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.list = slices.DeleteFunc(fs.list, func(in *injected) bool {
		return in.left == 0 || !in.until.IsZero() && !now.Before(in.until)
	})
	var p plan
	for _, in := range fs.list {
		if !in.matches(e, id) || in.decides() && p.removed != nil {
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

// ceilSeconds returns d in seconds, rounded up.
func ceilSeconds(d time.Duration) string {
	return strconv.Itoa(int(math.Ceil(d.Seconds())))
}
