package roomtoken

import (
	"context"
	"time"

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
	if e.closed || e.share.running >= storePlaces { // that lasts only while all calls hang
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
	if f := r.failure(); f != nil && f.pending != nil && f.pending.rec.secret().Digest() == rejection.Token {
		f.pending = nil
		r.dropRefresh()
		e.settle(r, now)
	}
	if r.rec.text != "" && r.rec.secret().Digest() == rejection.Token {
		e.dropToken(r, rejection.Refusals, now)
	}
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
