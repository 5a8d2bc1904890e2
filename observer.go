package roomtoken

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"strings"

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
	me := goroutine()
	for {
		m.lock()
		events := m.events
		m.events = nil
		m.teller = me
		if len(events) == 0 {
			m.telling, m.teller = false, ""
			done = true
			m.progress.tell()
			m.unlock()
			return
		}
		m.unlock()
		for i, e := range events {
			m.tellOne(e, events[i+1:])
		}
	}
}

// tellOne tells the observer one event, and contains what it throws. If that is a
// Goexit, it puts the events behind this one back.
func (m *Manager) tellOne(e Event, behind []Event) {
	var thrown error
	returned := false
	defer func() {
		if !returned {
			m.lock()
			m.events = append(append([]Event(nil), behind...), m.events...)
			m.unlock()
		}
		if thrown != nil {
			m.observerThrew(e, thrown)
		}
	}()
	flight.Contain(func() error { m.observe(e); return nil }, &thrown)
	returned = true
}

// observerThrew counts and logs what an observer threw.
func (m *Manager) observerThrew(e Event, thrown error) {
	m.lock()
	m.stats.ObserverPanics++
	m.unlock()
	if m.config.Logger == nil {
		return
	}
	var again error // if it is the logger that throws, there is nobody left to tell
	flight.Contain(func() error {
		m.config.Logger.Error("roomtoken: an observer of events panicked", "event", e.Kind.String(), "panic", thrown.Error())
		return nil
	}, &again)
}

// goroutine returns the name of the calling goroutine, as a stack trace gives it:
// Close must know whether it was called by the observer that it would wait for.
func goroutine() string {
	buf := make([]byte, 40)
	name, _, _ := strings.Cut(string(buf[:runtime.Stack(buf, false)]), " [")
	return name // "goroutine 42"
}

// logger returns an observer that logs events.
func logger(log *slog.Logger) func(Event) {
	return func(e Event) {
		level := slog.LevelDebug
		switch {
		case e.Kind == EventCallOverdue, e.Kind == EventFellBack, e.Kind == EventCallEnded && e.Err != nil:
			level = slog.LevelWarn
		case e.Kind == EventHeldBack, e.Kind == EventTokenInvalidated, e.Kind == EventTokenPublished && e.Failures > 0:
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
		if e.Failures != 0 {
			attrs = append(attrs, slog.Int("failures", e.Failures))
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
