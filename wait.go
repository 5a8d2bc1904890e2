package roomtoken

import (
	"context"
	"fmt"
	"time"

	"github.com/roomtoken/roomtoken/internal/breaker"
	"github.com/roomtoken/roomtoken/internal/monotime"
)

// waiter is one caller who waits for a token. Its fields belong to the caller's
// goroutine.
type waiter struct {
	caller  // its ctx
	engine  *engine
	roomID  string
	atLeast time.Duration
	maxWait time.Duration // 0: only ctx bounds the wait
	warms   bool          // it is a call of Warm

	// What ctx said when it was asked. It is asked without the lock, because its
	// methods are the caller's code.
	ended       error         // its Err
	cause       error         // its Cause
	ctxDeadline time.Duration // its deadline, as real time from newWaiter on

	waiting  bool          // the wait has begun
	began    monotime.Time // when it began
	room     *room
	cohort   *waiters // of which it is a member; nil: none
	forced   bool     // the cohort counts it as forced
	after    uint64   // the last call that had begun when the wait began
	servedBy uint64   // the last call that brought a token during the wait
}

func newWaiter(ctx context.Context, e *engine, roomID string, atLeast, maxWait time.Duration) *waiter {
	w := &waiter{caller: caller{ctx: ctx}, engine: e, roomID: roomID, atLeast: atLeast, maxWait: maxWait, ctxDeadline: time.Duration(monotime.Never)}
	if deadline, ok := ctx.Deadline(); ok {
		w.ctxDeadline = time.Until(deadline)
	}
	w.askCtx()
	return w
}

// askCtx asks ctx whether it has ended, and why.
func (w *waiter) askCtx() {
	if w.ended = w.ctx.Err(); w.ended != nil {
		w.cause = context.Cause(w.ctx)
	}
}

// await waits for the token.
func (w *waiter) await() (Token, error) {
	e := w.engine
	timeout := alarm{after: w.maxWait}
	defer timeout.stop()
	for {
		tok, wait, err := w.look()
		if !wait {
			return tok, err
		}
		select {
		case <-w.cohort.done:
		case <-e.closing:
		case <-w.ctx.Done():
			return Token{}, w.giveUp()
		case <-timeout.ring(e):
			return Token{}, w.giveUp()
		}
		// Usually the token is there now, and its cohort released: then ten thousand
		// callers need not queue for the lock.
		if rec := e.hit(w.roomID, w.atLeast); rec != nil {
			w.leave()
			return rec.token(), nil
		}
	}
}

// look decides what the caller gets now: a token, an error, or neither, in which case
// it has to wait for its cohort. It takes the lock.
func (w *waiter) look() (tok Token, wait bool, err error) {
	e := w.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return Token{}, false, ErrClosed
	}
	now := e.clock.Now()
	if !w.waiting {
		if err := w.begin(now); err != nil {
			return Token{}, false, err
		}
	}
	if tok, answered, err := w.collect(now); answered || err != nil {
		return tok, false, err
	}
	if w.cohort != nil && w.cohort.orphaned {
		return Token{}, true, nil // the call in flight answers it, whatever becomes of the room
	}

	r := w.room
	if r == nil || r.life == dropped {
		if r, now, err = e.admit(w.roomID); err != nil {
			return Token{}, false, err
		}
		w.room = r
	}
	dormant := r.dormant()
	r.use(now)
	r.rec.needs(w.atLeast)
	e.mend(r)
	if dormant || r.queue == noQueue { // even a caller who gets an error below has asked for the room
		e.settle(r, now)
	}
	valid := e.valid(r.rec, now, 0)
	switch w.answer(valid, now) {
	case serve:
		w.signOff(now)
		return r.rec.token(), false, nil
	case refuseTooShort:
		w.signOff(now)
		return Token{}, false, tooShort(r, w.atLeast)
	case refuse:
		w.signOff(now)
		err := w.failure(r, now)
		e.offerProbe(r, now)
		return Token{}, false, err
	case stay:
	}
	w.signOn(r, valid)
	e.settle(r, now)
	if w.inVain(r, now) {
		err := w.failure(r, now)
		w.signOff(now)
		return Token{}, false, err
	}
	return Token{}, true, nil
}

// begin begins the wait, unless the caller gets an error at once. A deadline of the
// ctx is a distance in real time, never a point on the Manager's clock.
func (w *waiter) begin(now monotime.Reading) error {
	e := w.engine
	if err := checkRoomID(w.roomID); err != nil {
		return err
	}
	if w.ended != nil {
		return w.failure(e.lookUp(w.roomID), now)
	}
	w.began, w.waiting = now.Mono, true
	w.deadline = now.Mono.Add(w.ctxDeadline)
	if w.maxWait > 0 {
		w.deadline = min(w.deadline, now.Mono.Add(w.maxWait))
	}
	w.after = e.begun
	e.stats.Misses++
	return nil
}

// collect takes the result of the cohort, if it has one; answered is false if the
// caller has to look at the room.
func (w *waiter) collect(now monotime.Reading) (tok Token, answered bool, err error) {
	if w.cohort == nil {
		return Token{}, false, nil
	}
	w.cohort = w.cohort.current()
	k := w.cohort
	if !k.released() {
		return Token{}, false, nil
	}
	w.cohort = nil
	if k.err != nil {
		return Token{}, true, k.err
	}
	if k.token == nil {
		return Token{}, false, nil
	}
	w.servedBy = k.servedBy
	// The token is in the cache, unless the room is gone from there or never had it. If
	// it was replaced there, it may have been invalidated.
	gone := k.orphaned || k.token.owner.life == dropped && k.token.owner.rec == k.token
	if gone && w.engine.valid(k.token, now, w.atLeast) {
		return k.token.token(), true, nil
	}
	return Token{}, false, nil
}

// answer is what a caller gets who looks at its room.
type answer uint8

const (
	stay answer = iota // nothing yet
	serve
	refuse
	refuseTooShort
)

// answer returns what the caller gets. valid: the room has a valid token.
func (w *waiter) answer(valid bool, now monotime.Reading) answer {
	e, r := w.engine, w.room
	switch {
	case valid && e.valid(r.rec, now, w.atLeast):
		return serve
	case w.atLeast > 0 && e.tooShort(r, w.atLeast), valid && w.servedBy > w.after:
		return refuseTooShort
	case e.permanentlyFailed(r, now), r.call() != nil && r.call().overdue:
		return refuse
	case r.call() != nil || r.pending() != nil:
		return stay
	case e.badCredential() && (e.mayBeInStore(r, now) || e.vouched()):
		return stay
	case e.breaker.State() == breaker.Refused, e.breaker.State() == breaker.Suspect && !e.innocent(r):
		return refuse
	default:
		return stay
	}
}

// tooShort reports whether no token of the room is known to live for atLeast once its
// call has taken its time.
func (e *engine) tooShort(r *room, atLeast time.Duration) bool {
	newest := r.lifetime
	if p := r.pending(); p != nil {
		newest = p.lifetime
	}
	return newest > 0 && newest-min(e.latency, e.config.CallTimeout) < atLeast
}

// inVain reports whether something has failed and the next attempt lies beyond the
// end of the wait.
func (w *waiter) inVain(r *room, now monotime.Reading) bool {
	e := w.engine
	next := e.nextAllowed(r, now)
	return r.call() == nil && !e.mayBeInStore(r, now) && next.After(w.deadline) && (r.failure().hasFailed() || r.pending() != nil || e.breaker.Err() != nil)
}

// signOn makes the waiter a member of the room's cohort. valid: the room has a valid
// token, which does not live long enough for this caller.
func (w *waiter) signOn(r *room, valid bool) {
	d := r.want()
	if w.cohort == nil {
		if d.waiters == nil {
			d.waiters = newWaiters(d)
		}
		w.cohort, w.forced = d.waiters, false
		w.cohort.count++
		w.engine.waiting++
		w.cohort.members.add(&w.caller)
		if w.warms {
			w.cohort.warming++
		} else {
			w.cohort.since = min(w.cohort.since, w.began)
		}
	}
	k := w.cohort
	k.latest = max(k.latest, w.deadline)
	if w.deadline < k.earliest {
		k.earliest = w.deadline
		w.engine.patience.Set(k, k.earliest)
	}
	if valid && !w.forced {
		w.forced = true
		w.cohort.forced++
	}
}

// signOff ends the waiter's membership in its cohort and settles the room.
func (w *waiter) signOff(now monotime.Reading) {
	w.engine.mu.assertHeld()
	if w.cohort == nil {
		return
	}
	k := w.cohort.current()
	w.cohort = nil
	if k.released() {
		return
	}
	k.count--
	w.engine.waiting--
	k.members.remove(&w.caller)
	k.stale = k.stale || w.deadline == k.latest
	if w.warms {
		k.warming--
	}
	if w.forced {
		k.forced--
	}
	if !k.orphaned {
		w.engine.settle(w.room, now)
	}
}

// leave ends the waiter's membership in its cohort. It takes the lock unless the
// cohort was released.
func (w *waiter) leave() {
	if w.cohort == nil || w.cohort.current().released() {
		return
	}
	w.engine.mu.Lock()
	defer w.engine.mu.Unlock()
	if !w.engine.closed {
		w.signOff(w.engine.clock.Now())
	}
}

// giveUp leaves without a token and says why: the ctx has ended, or MaxWait has
// passed. It takes the lock.
func (w *waiter) giveUp() error {
	e := w.engine
	w.askCtx()
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return ErrClosed
	}
	now := e.clock.Now()
	err := w.failure(w.room, now)
	w.signOff(now)
	return err
}

// failure returns the error with which the waiter leaves.
func (w *waiter) failure(r *room, now monotime.Reading) error {
	err := &Error{RoomID: w.roomID, ended: w.ended, cause: w.cause}
	if w.ended == nil && w.maxWait > 0 && w.waiting && now.Mono.Sub(w.began) >= w.maxWait {
		err.waited = w.maxWait
	}
	if r != nil {
		w.engine.explain(err, r, now)
	}
	return err
}

// tooShort returns the error for a caller who needs a token to live longer than any
// of this source does.
func tooShort(r *room, atLeast time.Duration) error {
	return &Error{RoomID: r.rec.roomID(), Err: fmt.Errorf("%w: asked for a token with %v left, the newest had a lifetime of %v",
		ErrTooShort, atLeast, r.lifetime)}
}
