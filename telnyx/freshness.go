package telnyx

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"time"
)

// freshness keeps calls off connections that died silently: behind a NAT that has
// forgotten them, or during hibernation. Such a connection takes a request, and never
// answers. net/http does not notice that for minutes, and gives it to the next call.
//
// A call on a reused connection that ends without a byte of a response makes all
// connections suspect. From then on each call first closes the idle ones, and gets a new
// connection, until such a call is answered. So a dead connection costs a caller one call.
// The ctx of a call alone says how long to wait for an answer.
type freshness struct {
	closeIdle func() // closes the idle connections, if it can
	suspect   atomic.Bool
	turn      chan struct{} // holds a value while a call looks for a new connection
}

const (
	// maxRefused limits how many old connections a call refuses: an HTTP/2 connection
	// that others use, which is not idle, and takes no more calls after that; or any,
	// where a wrapper hides CloseIdleConnections.
	maxRefused = 1000

	// maxWasted limits how often it does so when the request has been sent already.
	maxWasted = 10

	// maxTurn limits how long a call waits for its turn.
	maxTurn = time.Second
)

// exchange is a request and what reads its response.
type exchange struct {
	client     *http.Client
	newRequest func(context.Context) (*http.Request, error)
	read       func(*http.Response) error // closes the body
}

// do makes the exchange. The error is that of the request only.
func (f *freshness) do(ctx context.Context, x exchange) error {
	own, found := f.suspect.Load(), func() {}
	if own {
		found = f.takeTurn(ctx)
		defer found()
		if own = f.suspect.Load(); own { // no call was answered meanwhile
			f.closeIdle()
		} else {
			found()
		}
	}
	for refused, wasted := 0, 0; ; refused++ {
		a := attempt{own: own, last: refused == maxRefused || wasted == maxWasted, found: found}
		err := a.do(ctx, x)
		switch {
		case err != nil && a.refused.Load() && ctx.Err() == nil:
			if a.sent.Load() {
				wasted++
			}
			continue
		case err == nil && own:
			f.suspect.Store(false)
		case a.isDead(ctx, err):
			f.suspect.Store(true)
		}
		return err
	}
}

// takeTurn waits until no other call looks for a new connection, or until ctx ends or
// maxTurn has passed. found ends the turn. Without turns, calls would keep using up each
// other's new HTTP/2 connections, which net/http hands out before their own calls use
// them: 64 calls dialed 2,000 times.
func (f *freshness) takeTurn(ctx context.Context) (found func()) {
	timeout := time.NewTimer(maxTurn)
	defer timeout.Stop()
	select {
	case f.turn <- struct{}{}:
		return sync.OnceFunc(func() { <-f.turn })
	case <-timeout.C:
	case <-ctx.Done():
	}
	return func() {}
}

// attempt is one request. The hooks of net/http run concurrently with everything else.
type attempt struct {
	own   bool // no other call is to use the connection, before or after
	last  bool // but an old one is not refused
	found func()

	reused   atomic.Bool // the connection is not new
	sent     atomic.Bool // the request was, before ctx ended
	answered atomic.Bool // a byte of the response has arrived
	refused  atomic.Bool // an old connection was
}

func (a *attempt) do(ctx context.Context, x exchange) error {
	cancel := func() {}
	if a.own {
		ctx, cancel = context.WithCancel(ctx)
		defer cancel()
	}
	req, err := x.newRequest(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) { a.reused.Store(info.Reused) },
		WroteRequest: func(info httptrace.WroteRequestInfo) {
			a.sent.Store(info.Err == nil && ctx.Err() == nil)
			switch {
			case !a.refuses():
				a.found()
			case info.Err == nil: // there was no body to stop it: too late for this server
				a.refused.Store(true)
				cancel()
			}
		},
		GotFirstResponseByte: func() { a.answered.Store(true) },
	}))
	if err != nil {
		return err
	}
	if a.own {
		req.Close = true
		a.guardBody(req)
	}
	resp, err := x.client.Do(req) //nolint:bodyclose // read closes it
	if err != nil {
		return err
	}
	if err := x.read(resp); err != nil && a.refused.Load() {
		return err
	}
	return nil
}

// refuses reports whether the request must not be sent on the connection.
func (a *attempt) refuses() bool { return a.own && !a.last && a.reused.Load() }

var errOldConnection = errors.New("the connection may be dead")

// guardBody makes reading the body of the request fail on an old connection, when only the
// header has been sent: the server does not get a whole request. On HTTP/1.1 the connection
// is closed then. On HTTP/2 it takes no more calls after a header with Close.
func (a *attempt) guardBody(req *http.Request) {
	if req.GetBody == nil || req.Body == http.NoBody {
		return
	}
	getBody := req.GetBody
	req.Body = guardedBody{req.Body, a}
	req.GetBody = func() (io.ReadCloser, error) {
		body, err := getBody()
		return guardedBody{body, a}, err
	}
}

type guardedBody struct {
	io.ReadCloser
	attempt *attempt
}

func (b guardedBody) Read(p []byte) (int, error) {
	if b.attempt.refuses() {
		b.attempt.refused.Store(true)
		return 0, errOldConnection
	}
	return b.ReadCloser.Read(p)
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
