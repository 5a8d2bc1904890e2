package roomtoken

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"github.com/roomtoken/roomtoken/internal/flight"
	"github.com/roomtoken/roomtoken/internal/monotime"
)

// At most storePlaces calls of the store run or hang at a time. A burst of them would wait
// in the client for a connection, and time out there. Asks leave some places to what the
// store is told, and to the news.
const (
	storePlaces  = 32
	outboxPlaces = storePlaces - 1
	askPlaces    = storePlaces - 4
)

// storeCall is one call of the store.
type storeCall struct {
	do      func(ctx context.Context) error
	telling bool // it tells the store something: Close does not end it, and that it fails does not say that the store is down

	// answered is called once, with the lock held: when do has returned, or at StoreTimeout
	// whether it has or not. What do has brought can be read there if there is no error.
	answered func(err error, now monotime.Reading)

	// late is called instead, with the lock held, if do returns later; it may be nil.
	late func(err error)

	began monotime.Time
	over  bool // answered was called
}

// callStore calls the store on a goroutine of its own, with a ctx that ends after
// StoreTimeout. The caller sees to it that there is a place.
func (e *engine) callStore(c *storeCall) {
	e.mu.assertHeld()
	e.share.running++
	e.stats.StoreCalls++
	c.began = e.clock.Now().Mono
	of := e.life
	if c.telling {
		of = context.WithoutCancel(of)
	}
	ctx, cancel := e.storeCtx(of)
	timer := e.config.Clock.AfterFunc(e.share.timeout, func() {
		cancel()
		e.abandon(c)
	})
	go func() {
		var err error
		defer func() { // deferred because of runtime.Goexit
			timer.Stop()
			cancel()
			e.storeReturned(c, storeError(err))
		}()
		flight.Contain(func() error { return c.do(ctx) }, &err)
	}()
}

// storeError returns the error of a call of the store. What a store has thrown is shown
// only if the runtime has thrown it: it may hold a token.
func storeError(err error) error {
	var p *flight.PanicError
	if !errors.As(err, &p) {
		return err
	}
	text := "the store called runtime.Goexit"
	if p.Panicked {
		text = fmt.Sprintf("the store panicked with a %T", p.Value)
		if runtimeErr, ok := p.Value.(runtime.Error); ok {
			text = "the store panicked: " + runtimeErr.Error()
		}
	}
	return &PanicError{Stack: p.Stack, text: text}
}

// storeCtx returns the ctx of a call of the store. It needs no lock.
func (e *engine) storeCtx(of context.Context) (context.Context, context.CancelFunc) {
	if e.clock.IsReal() {
		return context.WithTimeoutCause(of, e.share.timeout, errStoreTimeout)
	}
	return context.WithCancel(of)
}

// errStoreTimeout is the error of a call of the store that was given up.
var errStoreTimeout = fmt.Errorf("no answer within StoreTimeout: %w", context.DeadlineExceeded)

// abandon gives a call of the store up. It takes the lock.
func (e *engine) abandon(c *storeCall) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if c.over {
		return
	}
	e.share.abandoned++
	if e.closed { // the store hangs: Close waits for no more than what has begun
		e.share.outbox.next = nil
	}
	e.storeAnswered(c, errStoreTimeout)
}

// storeReturned notes that a call of the store has returned. It takes the lock.
func (e *engine) storeReturned(c *storeCall, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.share.running--
	if !c.over {
		e.storeAnswered(c, err)
		return
	}
	e.share.abandoned--
	if c.late != nil {
		c.late(err)
	}
	e.sendOutbox()
	e.dispatch(e.clock.Now())
	e.progress.send()
}

// storeAnswered draws the consequences of a call of the store that was answered, or given
// up.
func (e *engine) storeAnswered(c *storeCall, err error) {
	c.over = true
	now := e.clock.Now()
	if !e.closed {
		e.judgeStore(c, err, now)
	}
	c.answered(err, now)
	e.sendOutbox()
	e.dispatch(now)
	e.progress.send()
}

// judgeStore counts an answer of the store, and reports that the store is down or up.
func (e *engine) judgeStore(c *storeCall, err error, now monotime.Reading) {
	s := e.share
	if err == nil {
		if s.link.answered() {
			e.reviewing = e.cache.cursor() // rooms in line may be in the store
			e.wakeScheduler()
			e.reportStoreUp(now)
		}
		return
	}
	e.stats.StoreFailures++
	if c.telling {
		return
	}
	times := 1
	if s.running >= askPlaces && errors.Is(err, errStoreTimeout) { // many failed at a time, and more wait for their places
		times = 2
	}
	if s.link.failed(c.began, now.Mono, times) {
		e.reportStoreDown(err, now)
		s.emptyLooks()
		if e.breaker.Guarded() {
			e.wakeImpatient(now) // some have waited for a look
		}
	}
}

// emptyLooks stops asking the store for rooms in line.
func (s *sharing) emptyLooks() {
	for {
		sh, _, ok := s.looks.Min()
		if !ok {
			return
		}
		s.looks.Remove(sh)
	}
}

// reportStoreDown reports, once per outage, that tokens are not shared any more.
func (e *engine) reportStoreDown(err error, now monotime.Reading) {
	l := &e.share.link
	if l.told {
		return
	}
	l.told = true
	e.report(Event{Kind: EventStoreDown, Err: err, Until: e.clock.Time(now, now.Mono.Add(newsEvery))})
}

// reportStoreUp reports that tokens are shared again, if it was reported that they are
// not.
func (e *engine) reportStoreUp(now monotime.Reading) {
	l := &e.share.link
	if !l.told || l.down || l.refusals >= linkFailures {
		return
	}
	l.told = false
	e.report(Event{Kind: EventStoreUp, Duration: now.Mono.Sub(l.since)})
}

// storeDown reports whether this process is on its own: there is no store, it counts as
// down, or all places for asks are taken by calls that hang.
func (e *engine) storeDown() bool {
	s := e.share
	return s == nil || s.link.down || s.abandoned >= askPlaces
}

// mayAsk reports whether there is a place to ask the store for a room.
func (s *sharing) mayAsk() bool { return s.running < askPlaces }
