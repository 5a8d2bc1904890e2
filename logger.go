package roomtoken

import (
	"context"
	"fmt"
	"log/slog"
)

// logEvents returns an observer that logs events.
func logEvents(log *slog.Logger) func(Event) {
	return func(e Event) {
		level := logLevel(e)
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

// logLevel returns the level at which an event is logged, see Config.Logger.
func logLevel(e Event) slog.Level {
	switch {
	case e.Kind == EventCallOverdue, e.Kind == EventFellBack, e.Kind == EventCallEnded && e.Err != nil:
		return slog.LevelWarn
	case e.Kind == EventHeldBack, e.Kind == EventTokenInvalidated, e.Kind == EventTokenPublished && e.Failures > 0:
		return slog.LevelInfo
	default:
		return slog.LevelDebug
	}
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
