package telnyx

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
)

// freshness keeps calls off connections that died silently: behind a NAT that has
// forgotten them, or during hibernation. Such a connection takes a request, and never
// answers. net/http does not notice that for minutes, and gives it to the next call.
//
// A call on a reused connection that ends without a byte of a response makes all
// connections suspect. From then on each call first closes the idle ones, and gets a new
// connection, until such a call is answered. So a dead connection costs a caller one call.
// There is no timer: the ctx of a call says how long to wait for an answer.
type freshness struct {
	closeIdle func() // closes the idle connections, if it can
	suspect   atomic.Bool
}

// maxAttempts limits how often a call that wants a new connection is given an old one: an
// HTTP/2 connection that others use, which is not idle, and takes no more calls after that;
// or any, where a wrapper hides CloseIdleConnections.
const maxAttempts = 10

// do makes a request and calls read with the response. read closes its body.
func (f *freshness) do(ctx context.Context, client *http.Client, newRequest func(context.Context) (*http.Request, error), read func(*http.Response)) error {
	suspect := f.suspect.Load()
	if suspect {
		f.closeIdle()
	}
	for n := 1; ; n++ {
		a := attempt{own: suspect, last: n == maxAttempts}
		err := a.do(ctx, client, newRequest, read)
		switch {
		case a.refused.Load() && ctx.Err() == nil:
			continue
		case err == nil && suspect:
			f.suspect.Store(false)
		case a.isDead(ctx, err):
			f.suspect.Store(true)
		}
		return err
	}
}

// attempt is one request on one connection. The hooks of net/http run concurrently with
// everything else.
type attempt struct {
	own  bool // no other call is to use the connection, before or after
	last bool // but it is not refused if one has

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
	resp, err := client.Do(req) //nolint:bodyclose // read closes it
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
