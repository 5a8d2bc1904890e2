package roomtoken

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"

	"github.com/roomtoken/roomtoken/internal/flight"
)

// MaxPendingEvents is how many events wait for a slow Config.OnEvent before
// further ones are dropped.
const MaxPendingEvents = 10_000

// Events are told outside the lock, in the order in which they happened, by a
// goroutine that exists while there are any. So an observer may do as it likes:
// be slow, panic, or call the Manager.

// event takes note of an event. Caller must hold mu.
func (m *Manager) event(e Event) {
	if m.observe == nil {
		return
	}
	if len(m.events) >= MaxPendingEvents {
		m.stats.EventsDropped++
		return
	}
	e.Time = m.config.Clock.Now()
	m.events = append(m.events, e)
	if !m.telling {
		m.telling = true
		go m.tellEvents()
	}
}

// fingerprint returns the token's, if there is anybody to tell it to.
func (m *Manager) fingerprint(token Secret) string {
	if m.observe == nil {
		return ""
	}
	return token.Fingerprint()
}

// tellEvents tells the observer all there is to tell, then ends.
func (m *Manager) tellEvents() {
	done := false
	defer func() {
		if !done { // the observer called runtime.Goexit: this goroutine is lost
			go m.tellEvents()
		}
	}()
	for {
		m.lock()
		events := m.events
		m.events = nil
		if len(events) == 0 {
			m.telling = false
			done = true
			m.progress.tell()
			m.unlock()
			return
		}
		m.unlock()
		for i, e := range events {
			m.keep(events[i+1:], func() { m.tellOne(e) })
		}
	}
}

// keep calls f, and puts the events that follow back if f does not return.
func (m *Manager) keep(rest []Event, f func()) {
	returned := false
	defer func() {
		if !returned {
			m.lock()
			m.events = append(append([]Event(nil), rest...), m.events...)
			m.unlock()
		}
	}()
	f()
	returned = true
}

// tellOne tells the observer one event, and contains a panic in it.
func (m *Manager) tellOne(e Event) {
	err := flight.Contain(func() error { m.observe(e); return nil })
	if err == nil {
		return
	}
	m.lock()
	m.stats.ObserverPanics++
	m.unlock()
	if m.config.Logger != nil {
		// If it is the logger that panics, there is nobody left to tell.
		_ = flight.Contain(func() error {
			m.config.Logger.Error("roomtoken: an observer of events panicked", "event", e.Kind.String(), "panic", err.Error())
			return nil
		})
	}
}

// insideObserver reports whether the caller runs in the observer, on the stack of
// tellEvents: then Close must not wait for it.
func insideObserver() bool {
	pcs := make([]uintptr, 64)
	for skip := 0; ; skip += len(pcs) {
		n := runtime.Callers(skip, pcs)
		frames := runtime.CallersFrames(pcs[:n])
		for {
			frame, more := frames.Next()
			if frame.Function == tellEventsName {
				return true
			}
			if !more {
				break
			}
		}
		if n < len(pcs) {
			return false
		}
	}
}

const tellEventsName = "github.com/roomtoken/roomtoken.(*Manager).tellEvents"

// logger returns an observer that logs events.
func logger(log *slog.Logger) func(Event) {
	return func(e Event) {
		level := slog.LevelDebug
		switch {
		case e.Kind == CallOverdue, e.Kind == FellBack, e.Kind == CallEnded && e.Err != nil:
			level = slog.LevelWarn
		case e.Kind == HeldBack, e.Kind == TokenInvalidated:
			level = slog.LevelInfo
		}
		if !log.Enabled(context.Background(), level) {
			return
		}
		attrs := []slog.Attr{slog.String("room", shorten(e.RoomID))}
		if e.Call != 0 {
			attrs = append(attrs, slog.String("call", e.Call.String()))
		}
		if e.Duration != 0 {
			attrs = append(attrs, slog.Duration("duration", e.Duration))
		}
		if e.Reason != "" {
			attrs = append(attrs, slog.String("reason", e.Reason))
		}
		if e.Fingerprint != "" {
			attrs = append(attrs, slog.String("token", e.Fingerprint))
		}
		if !e.ExpiresAt.IsZero() {
			attrs = append(attrs, slog.Time("expires", e.ExpiresAt), slog.Uint64("generation", e.Generation))
		}
		if e.Err != nil {
			attrs = append(attrs, slog.String("err", fmt.Sprint(e.Err)))
		}
		if !e.Until.IsZero() {
			attrs = append(attrs, slog.Time("until", e.Until))
		}
		log.LogAttrs(context.Background(), level, "roomtoken: "+e.Kind.String(), attrs...)
	}
}
