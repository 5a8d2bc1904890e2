package roomtoken

import (
	"context"
	"errors"
	"runtime"

	"github.com/roomtoken/roomtoken/internal/flight"
)

// worker is a goroutine that calls the source. A call that ends begins the next one, and
// the worker makes that, too, with the stack that it has by then. It ends when no call is
// left for it.
type worker struct {
	engine  *engine
	call    *call   // that it makes; nil: none
	outcome outcome // of the call
	thrown  error   // the *flight.PanicError of a source that panicked or called Goexit
	next    *call   // that it makes when the present one has ended. The engine's lock guards it
}

// start gives a call that has begun to the worker whose call is ending, or to a new one.
func (e *engine) start(c *call) {
	e.mu.assertHeld()
	if w := e.freed; w != nil && w.next == nil {
		w.next = c
		return
	}
	go (&worker{engine: e, call: c}).run()
}

// run makes calls until there are no more. It takes the lock.
func (w *worker) run() {
	defer w.replace()
	for w.call != nil {
		w.invoke()
		w.finish()
		// Calls that do not wait for anything would keep the processor for 10 ms: those
		// whom they have served, and calls that end at the same time, go first.
		runtime.Gosched()
	}
}

// replace goes on with the calls of a worker whose source has called Goexit: its goroutine
// is lost. It takes the lock.
func (w *worker) replace() {
	if w.call == nil {
		return
	}
	w.finish()
	if w.call != nil {
		go w.run()
	}
}

// finish ends the call, and goes on to the next one. It takes the lock.
func (w *worker) finish() {
	c := w.call
	if w.thrown != nil {
		w.outcome = thrown(w.thrown, c.refreshSecret())
		w.thrown = nil
	}
	w.engine.mu.Lock()
	defer w.engine.mu.Unlock()
	c.outcome = &w.outcome
	w.engine.freed = w
	w.engine.finish(c)
	w.engine.freed = nil
	w.call, w.next = w.next, nil
	w.outcome = outcome{}
	// A source that keeps the ctx or the refresh token keeps the call, but not the room.
	c.room, c.outcome, c.result, c.waiters, c.rejected = nil, nil, nil, nil, nil
}

// invoke makes the call, and contains what the source throws. It needs no lock.
//
// That a room has at most one call follows from its state. Creates also go through
// singleflight: a second one at a time would be a second token.
func (w *worker) invoke() {
	c := w.call
	defer c.ctx.end()
	defer c.returned.Store(true)
	if c.kind == CallCreate {
		w.engine.flights.Do(c.roomID, w.callSource, &w.thrown)
	} else {
		flight.Contain(w.callSource, &w.thrown)
	}
}

// callSource calls the source and classifies the outcome. It needs no lock.
func (w *worker) callSource() error {
	c, source := w.call, w.engine.source
	var grant Grant
	var err error
	if c.kind == CallRefresh {
		c.refresh = w.engine.packer.Unpack(c.refresh)
		grant, err = source.Refresh(&c.ctx, c.roomID, c.refreshToken())
	} else {
		grant, err = source.Create(&c.ctx, c.roomID)
	}
	if err == nil {
		w.outcome = w.engine.granted(grant)
		return nil
	}
	if errors.Is(context.Cause(&c.ctx), context.DeadlineExceeded) {
		err = &timeoutError{after: w.engine.config.CallTimeout, err: err}
	}
	w.outcome = classify(c.kind, err)
	return nil
}
