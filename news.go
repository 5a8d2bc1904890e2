package roomtoken

import (
	"context"
	"math/rand"
	"time"

	"github.com/roomtoken/roomtoken/internal/breaker"
	"github.com/roomtoken/roomtoken/internal/flight"
	"github.com/roomtoken/roomtoken/internal/monotime"
	"github.com/roomtoken/roomtoken/internal/policy"
)

// newsEvery is how often the news is read while the store answers.
const newsEvery = 500 * time.Millisecond

// newsBackoff is how often it is tried while the store does not.
var newsBackoff = policy.Backoff{Min: newsEvery, Max: 5 * time.Second}

// readNews reads the news of the fleet, from NewManager to Close. It is also what finds
// out that the store answers again. It takes the lock.
func (e *engine) readNews() {
	failures := 0
	e.loop(func() time.Duration {
		if e.newsOnce() {
			failures = 0
			e.catchUp()
			return newsEvery
		}
		failures++
		return newsBackoff.Wait(failures)
	})
}

// awaitWakes calls the store's Wake, from NewManager to Close. It takes the lock.
func (e *engine) awaitWakes(waker Waker) {
	e.loop(func() time.Duration {
		began := e.clock.Now().Mono
		var err error
		flight.Contain(func() error { return waker.Wake(e.life, e.wake) }, &err)
		return max(pollEvery, time.Second-e.clock.Now().Mono.Sub(began))
	})
}

// loop calls do until Close, with the pauses that it returns. A Goexit in the store's code
// ends its goroutine: another goes on. It takes the lock.
func (e *engine) loop(do func() (pause time.Duration)) {
	ended := false
	defer func() {
		if !ended {
			go func() {
				e.pause(time.Second)
				e.loop(do)
			}()
		}
	}()
	for !e.isClosed() {
		e.pause(do())
	}
	ended = true
	e.mu.Lock()
	defer e.mu.Unlock()
	e.share.loops--
	e.progress.send()
}

// pause waits for d, or until Close. It needs no lock.
func (e *engine) pause(d time.Duration) {
	timeout := alarm{after: d}
	defer timeout.stop()
	select {
	case <-timeout.ring(e):
	case <-e.closing:
	}
}

// newsOnce reads the news and reports whether the store has answered. It takes the lock.
func (e *engine) newsOnce() (ok bool) {
	done := make(chan struct{})
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return false
	}
	if e.share.running >= storePlaces { // it stays so only while all calls hang
		e.mu.Unlock()
		return false
	}
	s, since := e.share, e.share.cursor
	var news News
	e.callStore(&storeCall{
		do: func(ctx context.Context) (err error) {
			news, err = s.store.News(ctx, since)
			return err
		},
		answered: func(err error, now monotime.Reading) {
			if ok = err == nil; ok && !e.closed {
				e.learn(news, now)
				e.sendAgain()
			}
			close(done)
		},
	})
	e.mu.Unlock()
	<-done
	return ok
}

// catchUp looks the rooms in memory up again after news was missed, as many as are looked up
// in the time between two looks at the news: their tokens may have been replaced. It takes
// the lock.
func (e *engine) catchUp() {
	began := e.clock.Now().Mono
	for e.clock.Now().Mono.Sub(began) < newsEvery {
		roomIDs, more := e.toCatchUp()
		if len(roomIDs) > 0 {
			l := e.startLoad(e.life, roomIDs)
			if l != nil {
				l.again = true
				<-l.done
			}
			if l == nil || l.err != nil {
				e.missNews()
				return
			}
			e.adoptLoaded(l)
		}
		if !more {
			return
		}
	}
}

// missNews begins to catch up anew. It takes the lock.
func (e *engine) missNews() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.closed {
		e.share.missed = e.cache.cursor()
	}
}

// toCatchUp returns the next rooms to be looked up again. It takes the lock.
func (e *engine) toCatchUp() (roomIDs []string, more bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.share
	for s.missed != nil && len(roomIDs) < MaxLoad {
		rec := s.missed.next()
		if rec == nil || e.closed {
			s.missed = nil
			break
		}
		if rec.text != "" {
			roomIDs = append(roomIDs, rec.roomID())
		}
	}
	return roomIDs, s.missed != nil
}

// learn acts on the news.
func (e *engine) learn(news News, now monotime.Reading) {
	s := e.share
	if news.Missed && s.cursor != "" {
		s.missed = e.cache.cursor()
	}
	s.cursor = news.Cursor
	for _, rejection := range news.Rejections {
		e.learnRejection(rejection, now)
	}
	e.learnHold(news.Hold, now)
}

// learnRejection drops a token that was refused, wherever it was, if it is the room's.
func (e *engine) learnRejection(rejection Rejection, now monotime.Reading) {
	r := e.lookUp(rejection.RoomID)
	if r == nil || r.life == dropped {
		return
	}
	e.share.refuse(rejection, now)
	if f := r.failure; f != nil && f.pending != nil && f.pending.rec.secret().Digest() == rejection.Token {
		f.pending = nil
		r.dropRefresh()
		e.settle(r, now)
	}
	if r.rec.text != "" && r.rec.secret().Digest() == rejection.Token {
		e.dropToken(r, rejection.Refusals, now)
	}
}

// learnHold holds all calls back while a rate limit is in force that another process has
// met, and ends the hold once a call of any process was answered.
func (e *engine) learnHold(hold Hold, now monotime.Reading) {
	s := e.share
	known := hold.ID == s.hold
	switch {
	case hold.ID == "" || hold.Wait > maxNotBefore || known && (s.over || !hold.Over):
		return
	case hold.Over:
		s.hold, s.over = hold.ID, true
		if !e.breaker.HeldUntil().After(s.held) { // else a newer hold of its own is not in the news yet
			e.openUp(e.breaker.Lifted(now.Mono), now)
		}
		return
	}
	s.hold, s.over = hold.ID, false
	if hold.Left <= 0 {
		return
	}
	left := min(hold.Left, e.config.MaxRetryAfter)
	o := outcome{verdict: limited, err: errorOf(hold.Failure)}
	o.cause = causeOf(o.err)
	until := now.Mono.Add(left)
	if e.breaker.Limited() && !until.After(e.breaker.Opens(now.Mono).Add(s.timeout)) {
		e.breaker.Told(e.breaker.Err(), until) // it is known, if not to the millisecond
		s.held = e.breaker.HeldUntil()
		return
	}
	change := e.breaker.Told(o.err, until.Add(e.probeDelay(hold.Wait)))
	s.held = e.breaker.HeldUntil()
	if change.Later {
		e.pace.RateLimited(now.Mono, e.breaker.Opens(now.Mono))
	}
	e.follow(change, &call{}, o, now)
}

// openUp lets calls come back after a change of another process's making.
func (e *engine) openUp(change breaker.Change, now monotime.Reading) {
	e.follow(change, &call{}, outcome{}, now)
	e.dispatch(now)
}

// probeDelay draws how long after the end of a hold this process tries whether it is over,
// so that not all processes of a fleet do so at once.
func (e *engine) probeDelay(hold time.Duration) time.Duration {
	if e.share == nil {
		return 0
	}
	return time.Duration(rand.Float64() * float64(min(hold/10, e.config.BackoffMax)))
}

// tellHold tells the fleet of a rate limit; 0: it is over.
func (e *engine) tellHold(wait time.Duration, failure Failure, now monotime.Reading) {
	if e.share == nil {
		return
	}
	until := now.Mono.Add(wait)
	e.send(&message{
		tell: func(ctx context.Context) (func(monotime.Reading), error) {
			left := until.Sub(e.clock.Now().Mono)
			if wait == 0 {
				left = 0
			} else if left <= 0 {
				return nil, nil
			}
			return nil, e.share.store.Hold(ctx, left, failure)
		},
		until: max(until, now.Mono.Add(newsEvery)),
	})
}

// tellRejection tells the fleet that a token was refused.
func (e *engine) tellRejection(rejection Rejection, now monotime.Reading) {
	until := now.Mono.Add(rejection.Left)
	e.send(&message{
		tell: func(ctx context.Context) (func(monotime.Reading), error) {
			still := rejection
			still.Left = until.Sub(e.clock.Now().Mono)
			return nil, e.share.store.Reject(ctx, still)
		},
		until: until,
	})
}

// wake notes that another's lease is over, and adopts the token that it has brought. With
// an empty room ID it notes that wakes arrive. It takes the lock.
func (e *engine) wake(roomID string, record Record) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return
	}
	now := e.clock.Look()
	e.share.heard = max(now.Mono, 1)
	r := e.lookUp(roomID)
	if r == nil {
		return
	}
	sh := e.share.known(r)
	if sh == nil || r.call != nil && r.call.phase == running {
		return
	}
	sh.woken = true
	if !record.IsZero() && record.Began <= sh.storeTime { // else its age is not known: ask
		e.judgeWrites(Entry{Record: record}, now)
		e.adopt(r, record, now)
	}
	sh.lookAt = 0
	e.settle(r, now)
}
