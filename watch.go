package roomtoken

import (
	"context"
	"time"

	"github.com/roomtoken/roomtoken/internal/breaker"
	"github.com/roomtoken/roomtoken/internal/monotime"
)

// watch is one watch of a room. Its fields belong to the consumer's goroutine.
type watch struct {
	caller // its ctx
	engine *engine
	roomID string

	demand  *demand         // that counts it; nil: none yet
	yielded *record         // whose token was yielded last
	lastErr string          // the cause of the failure that was yielded since, see causeOf
	holds   <-chan struct{} // closed when calls are held back that were not before; nil: no matter
}

// run yields to the consumer until it leaves the loop or the watch ends.
func (w *watch) run(yield func(Token, error) bool) {
	defer w.end()
	for {
		switch v := w.look(); {
		case v.last:
			yield(Token{}, v.err)
			return
		case v.err != nil || !v.token.IsZero():
			if !yield(v.token, v.err) {
				return
			}
		default:
			w.sleep(v)
		}
	}
}

// view is what a watch finds: a token to yield, an error to yield, or neither, and
// then what to wait for.
type view struct {
	token Token
	err   error
	last  bool // err ends the watch

	changed <-chan struct{} // closed when the watch has to look again
	within  time.Duration   // look again after this time at the latest; 0: no need
}

// look returns what there is to yield. It takes the lock.
func (w *watch) look() view {
	e := w.engine
	ended := w.ended() // without the lock: it is the caller's code
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.closed:
		return view{err: ErrClosed, last: true}
	case ended != nil:
		return view{err: ended, last: true}
	case w.demand == nil:
		if err := w.signOn(); err != nil {
			return view{err: err, last: true}
		}
	}
	now := e.clock.Now()
	r := w.demand.room
	e.settle(r, now) // a watch keeps the room, and waits if its token is gone
	changed := w.demand.changed.wait()
	if !e.valid(r.rec, now, 0) {
		w.holds = e.holds.wait()
		if cause := e.whyNoToken(r, now); cause != "" && cause != w.lastErr {
			w.lastErr = cause
			err := &Error{RoomID: w.roomID}
			e.explain(err, r, now)
			return view{err: err}
		}
		return view{changed: changed}
	}
	w.holds = nil
	if w.isNew(r.rec) {
		w.yielded, w.lastErr = r.rec, ""
		return view{token: r.rec.token()}
	}
	v := view{changed: changed}
	if r.failure != nil || e.left(r, now) <= r.renewLeft {
		// Its renewal is late. Nothing else will tell the watch when the token is gone.
		v.within = e.validUntil(r, now).Sub(now.Mono)
	}
	return v
}

// ended returns the error with which the watch ends if its ctx has ended, else nil.
// It needs no lock.
func (w *watch) ended() error {
	err := w.ctx.Err()
	if err == nil {
		return nil
	}
	return &Error{RoomID: w.roomID, ended: err, cause: context.Cause(w.ctx), watched: true}
}

// signOn makes the room count the watch.
func (w *watch) signOn() error {
	if err := checkRoomID(w.roomID); err != nil {
		return err
	}
	r, now, err := w.engine.admit(w.roomID)
	if err != nil {
		return err
	}
	w.demand = r.want()
	w.demand.watches.add(&w.caller)
	w.demand.watchers++
	w.engine.watching++
	r.use(now)
	return nil
}

// isNew reports whether the record holds a token that was not yielded yet.
func (w *watch) isNew(rec *record) bool {
	old := w.yielded
	if rec == old {
		return false
	}
	same := old != nil && w.lastErr == "" && old.secret().Equal(rec.secret()) && old.sec == rec.sec && old.nsec == rec.nsec
	if same {
		w.yielded = rec
	}
	return !same
}

// whyNoToken returns the cause for which a room has no valid token, "" if nothing has
// failed yet.
func (e *engine) whyNoToken(r *room, now monotime.Reading) string {
	switch {
	case r.failure.hasFailed():
		return r.failure.lastCause
	case r.call != nil && r.call.overdue:
		return "overdue"
	case r.call == nil && e.breaker.Guarded() && (e.breaker.State() == breaker.Refused || !r.demand.lane.Queued()):
		return e.cause
	default:
		return ""
	}
}

// sleep waits until the watch has to look again.
func (w *watch) sleep(v view) {
	timeout := alarm{after: v.within}
	defer timeout.stop()
	select {
	case <-v.changed:
	case <-w.holds:
	case <-timeout.ring(w.engine):
	case <-w.ctx.Done():
	case <-w.engine.closing:
	}
}

// end ends the watch. It takes the lock.
func (w *watch) end() {
	e := w.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	if w.demand != nil && !e.closed {
		now := e.clock.Now()
		r := w.demand.room
		r.use(now)
		w.demand.watches.remove(&w.caller)
		w.demand.watchers--
		e.watching--
		e.settle(r, now)
	}
}
