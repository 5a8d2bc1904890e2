package roomtoken

import (
	"context"
	"sync/atomic"
	"time"
)

// Subscription is a watch of a room that can stand in a select, beside a timer or the
// ctx of a client; see [Manager.Subscribe]. It promises the same as [Manager.Watch], and
// needs no goroutine.
//
// Next and Changed are for one goroutine at a time. Close and Ended may be called from
// any.
type Subscription struct {
	watch *watch
	stop  func() bool // stops waiting for the end of the ctx
	ended atomic.Bool
}

// Subscribe returns a watch of the room that can stand in a select. Like [Manager.Watch],
// it brings the room's token, and then each newer one as it comes:
//
//	sub := manager.Subscribe(ctx, roomID)
//	defer sub.Close()
//	for !sub.Ended() {
//		select {
//		case <-sub.Changed():
//			if tok, err, ok := sub.Next(); ok {
//				send(tok, err)
//			}
//		case <-heartbeat.C:
//			...
//		}
//	}
//
// The room is kept fresh from the first Next until Close is called or ctx ends: one of
// the two must happen. The Manager starts no goroutine for a ctx that package context has
// made.
func (m *Manager) Subscribe(ctx context.Context, roomID string) *Subscription {
	checkCtx(ctx)
	w := newWatch(ctx, m.core(), roomID)
	return &Subscription{watch: w, stop: context.AfterFunc(ctx, w.abandon)}
}

// Next returns what there is to take: a token and a nil error, or a zero Token and an
// error, as [Manager.Watch] yields them; ok is false if there is nothing. It never waits.
//
// The last pair says why the subscription has ended. When it has been taken, Ended
// returns true.
func (s *Subscription) Next() (tok Token, err error, ok bool) { //nolint:revive // the order of iter.Pull2
	if s.ended.Load() {
		return Token{}, nil, false
	}
	switch v := s.watch.look(); {
	case v.last:
		s.Close()
		return Token{}, v.err, v.err != nil
	case v.err != nil || !v.token.IsZero():
		return v.token, v.err, true
	default:
		return Token{}, nil, false
	}
}

// Changed returns a channel that is closed when it is worth calling Next. Call Changed
// anew for each wait.
func (s *Subscription) Changed() <-chan struct{} { return s.watch.woken }

// Ended reports whether the subscription has ended: the last pair was taken, or Close
// was called. Changed then returns a closed channel.
func (s *Subscription) Ended() bool { return s.ended.Load() }

// Close ends the subscription, without a last pair. It may be called more than once.
func (s *Subscription) Close() {
	s.ended.Store(true)
	s.stop()
	s.watch.end()
}

func newWatch(ctx context.Context, e *engine, roomID string) *watch {
	w := &watch{engine: e, ctx: ctx, roomID: roomID, awake: true, woken: make(chan struct{})}
	close(w.woken)
	return w
}

// wake makes the watch look at its room again.
func (w *watch) wake() {
	w.engine.mu.assertHeld()
	if !w.awake {
		w.awake = true
		close(w.woken)
	}
}

// doze makes the watch wait for the next wake, for a time at most; 0: for as long as it
// takes.
func (w *watch) doze(within time.Duration) {
	w.engine.mu.assertHeld()
	if w.awake {
		w.awake = false
		w.woken = make(chan struct{})
	}
	w.stopTimer()
	if within > 0 {
		w.timer = w.engine.config.Clock.AfterFunc(within, func() {
			w.engine.mu.Lock()
			defer w.engine.mu.Unlock()
			w.wake()
		})
	}
}

func (w *watch) stopTimer() {
	if w.timer != nil {
		w.timer.Stop()
		w.timer = nil
	}
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
	w.demand.watches.add(w)
	w.engine.watches[w] = struct{}{}
	r.use(now)
	return nil
}

// signOff undoes signOn.
func (w *watch) signOff() {
	e := w.engine
	e.mu.assertHeld()
	w.stopTimer()
	d := w.demand
	if d == nil {
		return
	}
	w.demand = nil
	delete(e.watches, w)
	d.watches.remove(w)
	if !e.closed {
		now := e.clock.Now()
		d.room.use(now)
		e.settle(d.room, now)
	}
}

// abandon signs off because the ctx has ended. It takes the lock.
func (w *watch) abandon() {
	w.engine.mu.Lock()
	defer w.engine.mu.Unlock()
	w.abandoned = true
	w.signOff()
	w.wake()
}

// end ends the watch: it finds nothing any more. It takes the lock.
func (w *watch) end() {
	w.engine.mu.Lock()
	defer w.engine.mu.Unlock()
	w.left = true
	w.signOff()
	w.wake()
}
