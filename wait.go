package roomtoken

import (
	"context"
	"errors"
	"time"

	"github.com/benbjohnson/clock"

	"github.com/roomtoken/roomtoken/internal/moment"
)

// waiter is one caller who waits for a token. Its fields belong to the caller's
// goroutine.
type waiter struct {
	m       *Manager
	ctx     context.Context //nolint:containedctx // of this one call
	roomID  string
	atLeast time.Duration
	warms   bool          // it is Warm's
	maxWait time.Duration // 0: no bound but ctx

	// What ctx said when it was asked, without the lock: it is the caller's code.
	ended error // its Err
	cause error
	until time.Duration // its deadline, in real time

	waiting  bool
	begun    int64 // monotonic, if waiting
	deadline int64 // monotonic: when it leaves at the latest
	room     *room
	crowd    *crowd          // where it is counted; nil: nowhere
	epoch    uint32          // of the crowd, when it was counted
	forced   bool            // it is counted among the forced
	holds    <-chan struct{} // closed when all calls are held back, or for longer
	after    uint64          // the last call that had begun when it came
	servedBy uint64          // the last call that brought a token while it waited
}

func newWaiter(ctx context.Context, m *Manager, roomID string, atLeast, maxWait time.Duration) *waiter {
	w := &waiter{ctx: ctx, m: m, roomID: roomID, atLeast: atLeast, maxWait: maxWait, until: time.Duration(farFuture)}
	if deadline, ok := ctx.Deadline(); ok {
		w.until = time.Until(deadline)
	}
	w.askWhetherEnded()
	return w
}

// askWhetherEnded asks ctx whether it has ended, and why.
func (w *waiter) askWhetherEnded() {
	if w.ended = w.ctx.Err(); w.ended != nil {
		w.cause = context.Cause(w.ctx)
	}
}

// await waits for the token.
func (w *waiter) await() (Token, error) {
	patience := alarm{after: w.maxWait}
	defer patience.stop()
	for {
		tok, news, err := w.step()
		if news == nil {
			return tok, err
		}
		select {
		case <-news:
		case <-w.holds:
		case <-w.m.closing:
		case <-w.ctx.Done():
			return Token{}, w.giveUp()
		case <-patience.rings(w.m.config.Clock):
			return Token{}, w.giveUp()
		}
		// Most often the token is there now, and whoever published it has let all
		// waiters go at once: then ten thousand of them need not queue for the lock.
		if rec := w.m.hit(w.roomID, w.atLeast); rec != nil {
			w.leave()
			return rec.token(), nil
		}
	}
}

// alarm is a timer that begins when it is first waited for. The zero alarm never
// rings.
type alarm struct {
	after time.Duration // 0: never
	timer *clock.Timer
}

// rings returns the channel on which the alarm rings.
func (a *alarm) rings(c clock.Clock) <-chan time.Time {
	if a.after <= 0 {
		return nil
	}
	if a.timer == nil {
		a.timer = c.Timer(a.after)
	}
	return a.timer.C
}

func (a *alarm) stop() {
	if a.timer != nil {
		a.timer.Stop()
	}
}

// step looks where the room stands. It returns a token or an error, or a channel
// that is closed when it is worth to look again.
func (w *waiter) step() (tok Token, news <-chan struct{}, err error) {
	m := w.m
	m.lock()
	defer m.unlock()
	if m.closed {
		return Token{}, nil, ErrClosed
	}
	now := m.clock.Now()
	w.holds = m.holds.wait()
	if !w.waiting {
		if err := checkRoomID(w.roomID); err != nil {
			return Token{}, nil, err
		}
		if w.ended != nil {
			return Token{}, nil, w.failure(m.lookUp(w.roomID), now)
		}
		w.begin(now)
	}

	if w.crowd != nil {
		w.servedBy = w.crowd.servedBy
	}
	switch k := w.crowd; {
	case k == nil:
	case w.counted():
		if k.apart { // the room was forgotten, but the call in flight is still theirs
			return Token{}, k.news(), nil
		}
	case k.resultOf != w.epoch:
	case k.failed != nil:
		return Token{}, nil, k.failed
	case k.spare != nil && (k.apart || w.room.dropped && w.room.rec == k.spare) && m.serves(k.spare, now, w.atLeast):
		return k.spare.token(), nil, nil
	}

	r := w.room
	if r == nil || r.dropped || r.ghost {
		if r, err = m.admit(w.roomID, now); err != nil {
			if errors.Is(err, errAgain) {
				return Token{}, m.atOnce, nil
			}
			return Token{}, nil, err
		}
		w.room, w.crowd = r, nil
	}
	dormant := r.dormant()
	r.used(now)
	if dormant { // who gets an error below has asked for it all the same
		m.settle(r, now)
	}
	valid := m.serves(r.rec, now, 0)
	switch {
	case valid && m.serves(r.rec, now, w.atLeast):
		w.signOff(now)
		return r.rec.token(), nil, nil
	case r.lifetime > 0 && r.lifetime < int64(w.atLeast), valid && w.servedBy > w.after:
		w.signOff(now)
		return Token{}, nil, tooShort(r, w.atLeast)
	case r.failedForGood(now), r.call != nil && r.call.overdue:
		w.signOff(now)
		return Token{}, nil, w.failure(r, now)
	}

	w.signOn(r, valid)
	m.settle(r, now)
	if r.call == nil {
		// Not begun: is there a point in waiting?
		next := max(r.nextAttempt, m.account.opens(now.Mono))
		if next > w.deadline && (r.trouble != nil || m.account.err != nil) {
			err := w.failure(r, now)
			w.signOff(now)
			return Token{}, nil, err
		}
	}
	return Token{}, r.crowd.news(), nil
}

// begin notes when the wait began and when it must end. A deadline of the ctx is
// a distance in real time, never a point on the Manager's clock.
func (w *waiter) begin(now moment.Moment) {
	w.begun, w.waiting = now.Mono, true
	w.deadline = farFuture
	if w.maxWait > 0 {
		w.deadline = moment.Add(now.Mono, int64(w.maxWait))
	}
	w.deadline = min(w.deadline, moment.Add(now.Mono, int64(w.until)))
	w.after = w.m.started
	w.m.stats.Misses++
}

// counted reports whether the crowd still counts the waiter.
func (w *waiter) counted() bool { return w.crowd != nil && w.crowd.epoch.Load() == w.epoch }

// signOn counts the waiter among those who wait for the room. valid: the room has
// a token, which does not live long enough for this one.
func (w *waiter) signOn(r *room, valid bool) {
	if !w.counted() || w.crowd != r.crowd {
		w.crowd = r.join()
		w.epoch = w.crowd.epoch.Load()
		w.crowd.waiters++
		if w.warms {
			w.crowd.warming++
		}
		w.forced = false
		if w.crowd.ctx == nil {
			w.crowd.ctx = w.ctx
		}
	}
	if valid && !w.forced {
		w.forced = true
		w.crowd.forced++
	}
}

// signOff takes the waiter out of the count, and settles the room. Caller must hold
// mu.
func (w *waiter) signOff(now moment.Moment) {
	if w.counted() {
		w.crowd.waiters--
		if w.warms {
			w.crowd.warming--
		}
		if w.forced {
			w.crowd.forced--
		}
		if !w.crowd.apart {
			w.m.settle(w.room, now)
		}
	}
	w.crowd = nil
}

// leave takes the waiter out of the count, if it is still in.
func (w *waiter) leave() {
	if !w.counted() {
		return
	}
	w.m.lock()
	defer w.m.unlock()
	w.signOff(w.m.clock.Now())
}

// giveUp leaves without a token and says why: the ctx has ended, or MaxWait has
// passed.
func (w *waiter) giveUp() error {
	m := w.m
	w.askWhetherEnded()
	m.lock()
	defer m.unlock()
	if m.closed {
		return ErrClosed
	}
	now := m.clock.Now()
	err := w.failure(w.room, now)
	w.signOff(now)
	return err
}

// failure is the error with which the waiter leaves. Caller must hold mu.
func (w *waiter) failure(r *room, now moment.Moment) error {
	e := &roomError{roomID: w.roomID, ended: w.ended, cause: w.cause}
	if w.ended == nil && w.maxWait > 0 && w.waiting && now.Mono-w.begun >= int64(w.maxWait) {
		e.waited = w.maxWait
	}
	if r != nil {
		w.m.explain(e, r, now)
	}
	return e
}
