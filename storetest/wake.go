package storetest

import (
	"context"
	"fmt"
	"time"

	"github.com/roomtoken/roomtoken"
)

// woken is one call of the wake function.
type woken struct {
	roomID string
	record roomtoken.Record
}

// listener is a call of Wake.
type listener struct {
	s     *suite
	name  string
	wakes chan woken
	done  chan struct{} // closed when it has returned
	stop  context.CancelFunc
}

// listen begins to listen for the wakes of a process. It returns when it is known that
// they arrive.
func (s *suite) listen(store *handle) *listener {
	s.Helper()
	ctx, stop := context.WithCancel(s.ctx)
	l := &listener{s: s, name: store.name, wakes: make(chan woken, 1000), done: make(chan struct{}), stop: stop}
	s.cleanup = append(s.cleanup, func() { l.returns() })
	go func() {
		defer close(l.done)
		_ = store.Store.(roomtoken.Waker).Wake(ctx, func(roomID string, record roomtoken.Record) {
			select {
			case l.wakes <- woken{roomID, record}:
			default: // enough
			}
		})
	}()
	s.call("%s.Wake(…)", l.name)
	s.want(l.heartbeat(patience), "a wake with an empty room ID within %v", patience)
	return l
}

// returns stops the call and reports whether it returns soon.
func (l *listener) returns() bool {
	l.stop()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-l.done:
		return true
	case <-timer.C:
		return false
	}
}

// heartbeat waits for a wake with an empty room ID.
func (l *listener) heartbeat(within time.Duration) bool {
	timer := time.NewTimer(within)
	defer timer.Stop()
	for {
		select {
		case w := <-l.wakes:
			if w.roomID == "" {
				return true
			}
		case <-timer.C:
			return false
		}
	}
}

// next returns the next wake for a room, the zero woken if there is none soon.
func (l *listener) next() woken {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		select {
		case w := <-l.wakes:
			if w.roomID != "" {
				l.s.call("%s is woken for %s with %s", l.name, short(w.roomID), showEntry(roomtoken.Entry{Record: w.record}, nil))
				return w
			}
		case <-timer.C:
			l.s.call("%s is not woken within %v", l.name, patience)
			return woken{}
		}
	}
}

// contend lets a have the lease of a room while b waits for it, or does not wait.
func (s *suite) contend(roomID string, wait bool) roomtoken.Lease {
	s.Helper()
	ask := s.ask()
	ask.RoomID = roomID
	lease := s.lease(s.a, ask)
	ask.ID, ask.Wait = ask.ID+"b", wait
	s.want(s.acquire(s.b, ask).Busy > 0, "Busy")
	return lease
}

var wakeChecks = []check{
	{of: "Wake", sentence: "Wake calls wake soon after a lease ended on which an ask with Wait of this process was refused", needs: hookWaker, run: func(s *suite) {
		others, waits := s.listen(s.a), s.listen(s.b)
		lease := s.contend("no wait", false)
		s.taken(s.a, lease, roomtoken.Result{Record: s.record(lease, "quiet")})
		for i, roomID := range []string{"lobby", "{}\x00\xff", "{a} b"} {
			lease = s.contend(roomID, true)
			s.taken(s.a, lease, roomtoken.Result{Record: s.record(lease, fmt.Sprint("token ", i))})
			s.want(waits.next().roomID == roomID, "b is woken for %s, the only room that it waits for", short(roomID))
		}
		select {
		case w := <-others.wakes:
			s.call("a is woken for %q", w.roomID)
			s.want(w.roomID == "", "a is not woken, because it does not wait")
		default:
		}
	}},
	{of: "Wake", sentence: "with the record if the lease ended with one, else with none", needs: hookWaker, run: func(s *suite) {
		waits := s.listen(s.b)
		lease := s.contend("record", true)
		record := s.record(lease, "token")
		s.taken(s.a, lease, roomtoken.Result{Record: record})
		w := waits.next()
		s.want(w.roomID == "record" && equal(w.record, record), "b is woken with %s", showRecord(record))

		s.taken(s.a, s.contend("failure", true), roomtoken.Result{Failure: roomtoken.Failure{Kind: roomtoken.FailurePermanent, Count: 1}, NotBefore: long})
		w = waits.next()
		s.want(w.roomID == "failure" && w.record.IsZero(), "b is woken without a record, because the lease ended with a failure")

		s.taken(s.a, s.contend("nothing", true), roomtoken.Result{})
		w = waits.next()
		s.want(w.roomID == "nothing" && w.record.IsZero(), "b is woken without a record, because the lease was given back")
	}},
	{of: "Wake", sentence: "those who were told to wait for it are woken, see Waker, whether the result is taken or not", needs: hookWaker, run: func(s *suite) {
		waits := s.listen(s.b)
		lease := s.contend(lobby, true)
		record := s.record(lease, "refused")
		s.reject(s.a, refusal(record))
		s.want(!s.commit(s.a, lease, roomtoken.Result{Record: record}).Taken, "not taken, because of the tombstone")
		w := waits.next()
		s.want(w.roomID == lobby && w.record.IsZero(), "b is woken, and not with the refused token")
	}},
	{of: "Wake", sentence: "Wake also calls wake with an empty room ID whenever it has seen that wakes arrive: soon after it was called, then at least every 10 s", needs: hookWaker, run: func(s *suite) {
		l := s.listen(s.a)
		const most = 10 * time.Second
		if s.harness.Advance != nil {
			s.advance(most)
		}
		s.want(l.heartbeat(most+time.Second), "another wake with an empty room ID within %v", most)
	}},
	{of: "Wake", sentence: "It returns when ctx ends", needs: hookWaker, run: func(s *suite) {
		returned := s.listen(s.a).returns()
		s.call("the ctx of a.Wake ends")
		s.want(returned, "a.Wake returns within %v", patience)
		s.listen(s.a) // and can be called again
	}},
}
