package roomtoken

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/roomtoken/roomtoken/internal/moment"
)

// Watch yields the room's token, and then each newer one as it comes, for those
// who hold a connection and have to put every new token into it. The room is kept
// fresh for as long as the watch lasts, however long that is.
//
// Each range over the result is one watch, from its beginning to its end, and
// runs on the caller's goroutine: a consumer that is slow misses what is
// outdated, and gets the latest when it comes back. A pair holds a token and a
// nil error, or no token and an error:
//
//   - the last valid token is gone and its replacement has failed. It comes
//     once; another comes only after a token, or if the failure is a different
//     one. The watch goes on, and so do the attempts.
//   - the watch has ended: [ErrClosed], the cause of the ctx's end (see
//     [context.Cause]), [ErrTooManyRooms], or a bad room ID. It is the last pair.
//
// It ends without a last pair when the consumer leaves the loop. Forget does not
// end it: the room starts anew.
func (m *Manager) Watch(ctx context.Context, roomID string) iter.Seq2[Token, error] {
	return func(yield func(Token, error) bool) {
		w := &watch{m: m, ctx: ctx, roomID: roomID}
		defer w.end()
		for {
			switch v := w.step(); {
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
}

// watch is one watch of a room. Its fields belong to the consumer's goroutine.
type watch struct {
	m      *Manager
	ctx    context.Context //nolint:containedctx // of this one watch
	roomID string

	room  *room           // nil: not yet
	seen  *record         // what was yielded last
	told  string          // the failure that was yielded since, in words
	holds <-chan struct{} // closed when all calls are held back, or for longer
}

// view is what a watch finds: a token to yield, an error to yield, or neither
// and what to wait for.
type view struct {
	token Token
	err   error
	last  bool // err ends the watch

	news <-chan struct{} // closed when it is worth to look again
	look time.Duration   // look again after so long at the latest; 0: no need
}

// step looks where the room stands.
func (w *watch) step() view {
	m := w.m
	ended := w.ctx.Err() // without the lock: it is the caller's code
	if ended != nil {
		ended = context.Cause(w.ctx)
	}
	m.lock()
	defer m.unlock()
	if m.closed {
		return view{err: ErrClosed, last: true}
	}
	if ended != nil {
		return view{err: ended, last: true}
	}
	now := m.clock.Now()
	w.holds = m.holds.wait()
	if w.room == nil || w.room.dropped {
		err := checkRoomID(w.roomID)
		var r *room
		if err == nil {
			r, err = m.admit(w.roomID, now)
		}
		if err != nil {
			w.room = nil
			if errors.Is(err, errAgain) {
				return view{news: m.atOnce}
			}
			return view{err: err, last: true}
		}
		w.room = r
		r.join().watchers++
		r.used(now)
	}
	r := w.room
	if r.crowd.ctx == nil {
		r.crowd.ctx = w.ctx
	}
	m.settle(r, now) // a watch keeps it, and if its token is gone it waits
	valid := m.serves(r.rec, now, 0)
	if valid && w.isNew(r.rec) {
		w.seen, w.told = r.rec, ""
		return view{token: r.rec.token()}
	}
	if !valid {
		if text := m.whyNot(r, now); text != "" && text != w.told {
			w.told = text
			e := &roomError{roomID: w.roomID}
			m.explain(e, r, now)
			return view{err: e}
		}
		return view{news: r.crowd.news()}
	}
	v := view{news: r.crowd.news()}
	if r.trouble != nil || m.left(r, now) <= r.renewLeft {
		// Its renewal is late. Nobody else will say when the token is gone.
		v.look = time.Duration(m.unusable(r, now) - now.Mono)
	}
	return v
}

// isNew reports whether the record holds a token that was not yielded yet.
func (w *watch) isNew(rec *record) bool {
	if rec == w.seen {
		return false
	}
	same := w.seen != nil && w.told == "" && w.seen.secret().Equal(rec.secret()) &&
		w.seen.sec == rec.sec && w.seen.nsec == rec.nsec
	if same {
		w.seen = rec
	}
	return !same
}

// whyNot returns why a room without a valid token has none, "" if nothing has
// failed yet. Caller must hold mu.
func (m *Manager) whyNot(r *room, now moment.Moment) string {
	switch {
	case r.trouble != nil && r.trouble.err != nil:
		return r.trouble.text
	case m.account.opens(now.Mono) > 0 && r.call == nil:
		return "held back"
	default:
		return ""
	}
}

// sleep waits for what the view says.
func (w *watch) sleep(v view) {
	look := alarm{after: v.look}
	defer look.stop()
	select {
	case <-v.news:
	case <-w.holds:
	case <-look.rings(w.m.config.Clock):
	case <-w.ctx.Done():
	case <-w.m.closing:
	}
}

// end takes the watch out of the room's count.
func (w *watch) end() {
	m := w.m
	m.lock()
	defer m.unlock()
	if r := w.room; r != nil && !r.dropped && !m.closed {
		now := m.clock.Now()
		r.used(now)
		r.crowd.watchers--
		m.settle(r, now)
	}
}
