package roomtoken

import (
	"context"
	"errors"
	"log/slog"

	"github.com/roomtoken/roomtoken/internal/logbudget"
)

// eventLog logs events. Its methods are called by one goroutine at a time.
type eventLog struct {
	log    *slog.Logger
	budget logbudget.Budget // by message
}

// logEvents returns an observer that logs events.
func logEvents(log *slog.Logger) func(Event) {
	l := &eventLog{log: log}
	return l.observe
}

func (l *eventLog) observe(e Event) {
	ctx := context.Background()
	for line, n := range l.budget.Skipped(e.Time) {
		l.log.LogAttrs(ctx, slog.LevelWarn, "roomtoken: more of the same", slog.String("line", line), slog.Int("lines", n))
	}
	level := logLevel(e)
	// That it is over must not be what is left out.
	if level >= slog.LevelWarn && e.Kind != EventRecovered && e.Kind != EventStoreUp && !l.budget.Allow(logText(e), e.Time) {
		level = slog.LevelDebug
	}
	if l.log.Enabled(ctx, level) {
		attrs := logAttrs(e)
		if p := panicOf(e); p != nil && level == slog.LevelError {
			attrs = append(attrs, slog.String("stack", string(p.Stack)))
		}
		l.log.LogAttrs(ctx, level, "roomtoken: "+logText(e), attrs...)
	}
}

// logText returns the message of an event's line.
func logText(e Event) string {
	switch {
	case panicOf(e) != nil:
		return "the source panicked"
	case e.Kind == EventCallEnded && e.Err != nil:
		return "call failed"
	default:
		return e.Kind.String()
	}
}

// panicOf returns what the source threw in the call that ended, nil if it threw
// nothing. Other events with the same error do not count, so that its stack is logged
// once at most.
func panicOf(e Event) *PanicError {
	if e.Kind != EventCallEnded {
		return nil
	}
	p, _ := e.Err.(*PanicError) //nolint:errorlint // a source may pass on another Manager's
	return p
}

// logLevel returns the level at which an event is logged, see Config.Logger.
func logLevel(e Event) slog.Level {
	if panicOf(e) != nil {
		return slog.LevelError
	}
	switch e.Kind {
	case EventCallEnded:
		if e.Err != nil && !errors.Is(e.Err, ErrRoomNotFound) { // that may be anybody's typing error
			return slog.LevelWarn
		}
	case EventCallOverdue, EventFellBack, EventTokenLost, EventRecovered, EventHeldBack,
		EventStoreDown, EventStoreUp, EventLeaseLost, EventRecordUnreadable:
		return slog.LevelWarn
	case EventTokenInvalidated:
		return slog.LevelInfo
	case EventTokenPublished:
		if e.Failures > 0 {
			return slog.LevelInfo
		}
	case EventCallBegun, EventRoomForgotten, EventRoomEvicted:
	}
	return slog.LevelDebug
}

// logAttrs returns what an event's line says beside its message. What holds for all
// rooms names none.
func logAttrs(e Event) []slog.Attr {
	var attrs []slog.Attr
	switch e.Kind {
	case EventHeldBack, EventRecovered, EventStoreDown, EventStoreUp:
	default:
		attrs = append(attrs, slog.String("room", shorten(e.RoomID)))
	}
	if e.Call != 0 {
		attrs = append(attrs, slog.String("call", e.Call.String()))
	}
	if e.Duration != 0 {
		attrs = append(attrs, slog.Duration("duration", e.Duration))
	}
	if e.Kind == EventRecovered {
		attrs = append(attrs, slog.Int("rooms without a token", e.Rooms))
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
		attrs = append(attrs, slog.String("err", textOf(e.Err)))
	}
	if !e.Until.IsZero() {
		attrs = append(attrs, slog.Time("until", e.Until))
	}
	return attrs
}

// observer returns who receives the events: the Logger and OnEvent, nil if there is
// neither.
func observer(config Config) func(Event) {
	switch {
	case config.Logger == nil:
		return config.OnEvent
	case config.OnEvent == nil:
		return logEvents(config.Logger)
	default:
		return Events(logEvents(config.Logger), config.OnEvent)
	}
}
