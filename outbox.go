package roomtoken

import (
	"context"
	"slices"

	"github.com/roomtoken/roomtoken/internal/monotime"
)

// maxOutbox is how many messages wait for the store, at most. Beyond, the oldest is lost.
const maxOutbox = 10_000

// outbox holds what the store has yet to be told, in order: the ends of leases, tokens that
// were refused, holds. What it does not take is told again when the store has answered a
// look at the news, as long as it is of use: one message, and if that is taken, the rest.
type outbox struct {
	next    []*message // to be told as soon as there is a place
	again   []*message // that the store did not take
	refused bool       // the store did not take the last one
}

// message is something that the store is told.
type message struct {
	// tell tells it. What it returns is called with the lock held if there is no error; it
	// may be nil.
	tell  func(ctx context.Context) (taken func(now monotime.Reading), err error)
	after monotime.Time // it is not told again before
	until monotime.Time // it is of no use later

	begun  bool                       // the store is told, or was
	failed func(now monotime.Reading) // called with the lock held if the first attempt fails; may be nil
}

// send tells the store something as soon as there is a place.
func (e *engine) send(m *message) {
	o := &e.share.outbox
	if len(o.next) >= maxOutbox {
		o.next = o.next[1:]
	}
	o.next = append(o.next, m)
	e.sendOutbox()
}

// sendOutbox tells the store what it has yet to be told, as far as there are places.
func (e *engine) sendOutbox() {
	s := e.share
	for len(s.outbox.next) > 0 && s.running < outboxPlaces && !s.link.down {
		m := s.outbox.next[0]
		s.outbox.next[0] = nil
		s.outbox.next = s.outbox.next[1:]
		if !m.until.After(e.clock.Now().Mono) {
			continue
		}
		m.begun = true
		var taken func(now monotime.Reading)
		e.callStore(&storeCall{do: func(ctx context.Context) (err error) {
			taken, err = m.tell(ctx)
			return err
		}, telling: true, answered: func(err error, now monotime.Reading) {
			s.outbox.refused = err != nil
			switch {
			case err == nil:
				if taken != nil {
					taken(now)
				}
				e.sendAgain()
				return
			case m.failed != nil:
				m.failed(now)
				m.failed = nil
			}
			if !e.closed && m.until.After(now.Mono) && len(s.outbox.again) < maxOutbox {
				s.outbox.again = append(s.outbox.again, m)
			}
		}})
	}
}

// sendAgain tells the store, which answers again, what it did not take.
func (e *engine) sendAgain() {
	o, now := &e.share.outbox, e.clock.Now().Mono
	n := 0
	o.again = slices.DeleteFunc(o.again, func(m *message) bool {
		if m.after.After(now) || o.refused && n > 0 {
			return false
		}
		n++
		o.next = append(o.next, m)
		return true
	})
	e.sendOutbox()
}
