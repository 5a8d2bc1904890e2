package roomtoken

import (
	"errors"
	"runtime"
	"strings"

	"github.com/roomtoken/roomtoken/internal/flight"
)

// MaxPendingEvents is how many events wait for a slow Config.OnEvent before further
// ones are dropped.
const MaxPendingEvents = 10_000

// Events are delivered without the lock, in the order in which they happened, by a
// goroutine that exists while there are any. So an observer may be slow, panic, or
// call the Manager.

// report puts an event in line for the observer.
func (e *engine) report(event Event) {
	e.mu.assertHeld()
	if e.observe == nil {
		return
	}
	if len(e.events) >= MaxPendingEvents {
		e.stats.EventsDropped++
		return
	}
	event.Time = e.config.Clock.Now()
	e.events = append(e.events, event)
	if !e.delivering {
		e.delivering = true
		go e.deliver()
	}
}

// fingerprint returns the token's fingerprint, if there is an observer to see it.
func (e *engine) fingerprint(token Secret) string {
	if e.observe == nil {
		return ""
	}
	return token.Fingerprint()
}

// deliver delivers all events there are, then ends. It takes the lock.
func (e *engine) deliver() {
	done := false
	defer func() {
		if !done { // the observer called runtime.Goexit: this goroutine is lost
			go e.deliver()
		}
	}()
	me := goroutine()
	for {
		e.mu.Lock()
		events := e.events
		e.events = nil
		e.deliverer = me
		if len(events) == 0 {
			e.delivering, e.deliverer = false, ""
			done = true
			e.progress.send()
			e.mu.Unlock()
			return
		}
		e.mu.Unlock()
		for i, event := range events {
			e.deliverOne(event, events[i+1:])
		}
	}
}

// deliverOne delivers an event and contains what the observer throws. After a Goexit
// it puts the remaining events back. It takes the lock.
func (e *engine) deliverOne(event Event, remaining []Event) {
	var thrown error
	returned := false
	defer func() {
		if !returned {
			e.mu.Lock()
			e.events = append(append([]Event(nil), remaining...), e.events...)
			e.mu.Unlock()
		}
		if thrown != nil {
			e.observerThrew(event, thrown)
		}
	}()
	flight.Contain(func() error { e.observe(event); return nil }, &thrown)
	returned = true
}

// observerThrew counts and logs what an observer threw. It takes the lock.
func (e *engine) observerThrew(event Event, thrown error) {
	e.mu.Lock()
	e.stats.ObserverPanics++
	e.mu.Unlock()
	if e.config.Logger == nil {
		return
	}
	var stack []byte
	var p *flight.PanicError
	if errors.As(thrown, &p) {
		stack = p.Stack
	}
	var again error // if the logger throws, there is nobody left to report it to
	flight.Contain(func() error {
		e.config.Logger.Error("roomtoken: an observer of events panicked", "event", event.Kind.String(), "panic", thrown.Error(), "stack", string(stack))
		return nil
	}, &again)
}

// goroutine returns the name of the calling goroutine as a stack trace has it,
// "goroutine 42": Close must not wait for the observer that calls it.
func goroutine() string {
	buf := make([]byte, 40)
	name, _, _ := strings.Cut(string(buf[:runtime.Stack(buf, false)]), " [")
	return name
}
