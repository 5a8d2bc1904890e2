package telnyx

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
)

// freshness keeps calls off connections that died silently: behind a NAT that has
// forgotten them, or during hibernation. Such a connection takes a request, and never
// answers. net/http does not notice that for minutes, and gives it to the next call.
//
// A call on a reused connection that ends without a byte of a response makes the
// connections suspect. Each call then closes the idle ones first, and gets a connection
// that no other call uses. The suspicion ends once such a call is answered and the calls
// in flight on reused connections have ended: no old connection is left then. So a dead
// connection costs a caller one call at most. There is no timer: the ctx of a call says how
// long to wait for an answer.
type freshness struct {
	closeIdle func() // closes the idle connections, if it can

	mu       sync.Mutex
	suspect  bool
	answered bool // a call with a connection of its own was, since the suspicion began
	sharing  int  // the calls in flight that may use any connection
}

// maxAttempts limits how many connections a call tries to get one of its own. Closing
// the idle ones leaves an HTTP/2 connection that others use, which takes no more calls
// after the first attempt, or all of them where a wrapper hides CloseIdleConnections.
const maxAttempts = 10

// do makes a request and calls read with the response. read closes its body.
func (f *freshness) do(ctx context.Context, client *http.Client, newRequest func(context.Context) (*http.Request, error), read func(*http.Response)) (err error) {
	own := f.begin()
	var a *attempt
	defer func() { f.end(own, err == nil, a.isDead(ctx, err)) }()
	for n := 1; ; n++ {
		a = &attempt{own: own, last: n == maxAttempts}
		err = a.do(ctx, client, newRequest, read)
		if !a.refused.Load() || ctx.Err() != nil {
			return err
		}
	}
}

// begin reports whether a call needs a connection of its own.
func (f *freshness) begin() (own bool) {
	f.mu.Lock()
	suspect, over := f.suspect, f.suspect && f.answered && f.sharing == 0
	f.mu.Unlock()
	if suspect {
		f.closeIdle() // without the lock: it may be the user's code
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if over {
		f.suspect = false
	}
	if !f.suspect {
		f.sharing++
	}
	return f.suspect
}

// end notes how a call ended.
func (f *freshness) end(own, answered, dead bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !own {
		f.sharing--
	}
	switch {
	case dead && !f.suspect:
		f.suspect, f.answered = true, false
	case own && answered:
		f.answered = true
	}
}

// attempt is one request on one connection. The hooks of net/http run concurrently with
// everything else.
type attempt struct {
	own  bool // refuse a connection that is not new
	last bool // do not

	reused   atomic.Bool // the connection is not new
	sent     atomic.Bool // the request was, before ctx ended
	answered atomic.Bool // a byte of the response has arrived
	refused  atomic.Bool
}

func (a *attempt) do(ctx context.Context, client *http.Client, newRequest func(context.Context) (*http.Request, error), read func(*http.Response)) error {
	refuse := func() {}
	if a.own && !a.last {
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(ctx)
		defer cancel()
		refuse = func() { a.refused.Store(true); cancel() }
	}
	req, err := newRequest(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) { a.reused.Store(info.Reused) },
		// The time to refuse a connection is not before this: an HTTP/2 connection takes
		// no further calls once a request with Close was written to it.
		WroteHeaders: func() {
			a.sent.Store(ctx.Err() == nil)
			if a.reused.Load() {
				refuse()
			}
		},
		GotFirstResponseByte: func() { a.answered.Store(true) },
	}))
	if err != nil {
		return err
	}
	req.Close = a.own
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	read(resp)
	return nil
}

// isDead reports whether the attempt ended, with err, for want of an answer on a reused
// connection.
func (a *attempt) isDead(ctx context.Context, err error) bool {
	if err == nil || !a.reused.Load() || !a.sent.Load() || a.answered.Load() {
		return false
	}
	var timeout interface{ Timeout() bool }
	return ctx.Err() != nil || errors.As(err, &timeout) && timeout.Timeout()
}
