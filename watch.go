package roomtoken

import (
	"context"
	"time"

	"github.com/benbjohnson/clock"

	"github.com/roomtoken/roomtoken/internal/breaker"
)

// watch is one watch of a room, behind Watch and Subscribe. The engine's lock guards it.
type watch struct {
	engine *engine         // constant, as ctx and roomID are
	ctx    context.Context //nolint:containedctx // of this one watch
	roomID string

	demand  *demand // that counts it; nil: none
	yielded *record // whose token was yielded last
	lastErr string  // the cause of the failure that was yielded since, see causeOf

	woken    chan struct{} // closed when the watch has to look; only look replaces it, for its consumer
	awake    bool          // woken is closed
	timer    *clock.Timer  // wakes it when the token is gone; nil: no need
	position int           // in demand.watches

	abandoned bool // its ctx has ended: the room counts it no longer
	left      bool // its consumer has left: it finds nothing
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
			select {
			case <-w.woken:
			case <-w.ctx.Done():
			}
		}
	}
}

// view is what a watch finds: a token to yield, an error to yield, or neither.
type view struct {
	token Token
	err   error
	last  bool // err ends the watch

	within time.Duration // with neither: look again after this time at the latest; 0: no need
}

// look returns what there is to yield. If that is nothing, the watch is woken when there
// may be something. It takes the lock.
func (w *watch) look() view {
	ended := w.ended() // without the lock: it is the caller's code
	w.engine.mu.Lock()
	defer w.engine.mu.Unlock()
	if w.abandoned && ended == nil { // in between
		w.engine.mu.Unlock()
		ended = w.ended()
		w.engine.mu.Lock()
	}
	v := w.find(ended)
	if v.last || v.err != nil || !v.token.IsZero() {
		w.wake() // there may be more
	} else {
		w.doze(v.within)
	}
	return v
}

// find returns what there is to yield. ended: what the method ended returned.
func (w *watch) find(ended error) view {
	e := w.engine
	switch {
	case w.left:
		return view{last: true}
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
	if !e.valid(r.rec, now, 0) {
		if cause := e.whyNoToken(r); cause != "" && cause != w.lastErr {
			w.lastErr = cause
			err := &Error{RoomID: w.roomID}
			e.explain(err, r, now)
			return view{err: err}
		}
		return view{}
	}
	if w.isNew(r.rec) {
		w.yielded, w.lastErr = r.rec, ""
		return view{token: r.rec.token()}
	}
	if r.failure() != nil || e.left(r, now) <= r.renewLeft {
		// Its renewal is late. Nothing else will tell the watch when the token is gone.
		return view{within: e.validUntil(r, now).Sub(now.Mono)}
	}
	return view{}
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
func (e *engine) whyNoToken(r *room) string {
	switch {
	case r.failure().hasFailed():
		return r.failure().lastCause
	case r.call() != nil && r.call().overdue:
		return "overdue"
	case r.call() == nil && e.breaker.Guarded() && (e.breaker.State() == breaker.Refused || !r.demand().lane.Queued()):
		return e.cause
	default:
		return ""
	}
}

// watchList is the watches of a room.
type watchList []*watch

func (l *watchList) add(w *watch) {
	w.position = len(*l)
	*l = append(*l, w)
}

func (l *watchList) remove(w *watch) {
	last := len(*l) - 1
	moved := (*l)[last]
	(*l)[w.position], moved.position = moved, w.position
	(*l)[last] = nil
	*l = (*l)[:last]
}

// wake makes all of them look at their room again.
func (l watchList) wake() {
	for _, w := range l {
		w.wake()
	}
}
