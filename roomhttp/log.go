package roomhttp

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/roomtoken/roomtoken/internal/logbudget"
)

// problemLog tells the operator what the client is not told.
type problemLog struct {
	log *slog.Logger

	mu     sync.Mutex       // not held while the logger runs
	budget logbudget.Budget // by code
}

// refused logs that a request was answered with p because of err, which may be nil.
func (l *problemLog) refused(r *http.Request, roomID string, p problem, err error) {
	switch {
	case hasGone(r):
		l.write(r.Context(), slog.LevelDebug, "client has gone", roomID, p.Code, err)
	case p.Status >= http.StatusInternalServerError:
		l.write(r.Context(), slog.LevelWarn, "request failed", roomID, p.Code, err)
	default:
		l.write(r.Context(), slog.LevelInfo, "request refused", roomID, p.Code, err)
	}
}

// write logs a line, at Debug where the lines of the code are beyond their budget. An
// empty room ID and a nil err are left out.
func (l *problemLog) write(ctx context.Context, level slog.Level, text, roomID, code string, err error) {
	if level > slog.LevelDebug && l.log.Enabled(ctx, level) && !l.allow(ctx, code) {
		level = slog.LevelDebug
	}
	if !l.log.Enabled(ctx, level) {
		return
	}
	attrs := []slog.Attr{slog.String("code", code)}
	if roomID != "" {
		attrs = append(attrs, slog.String("room", shorten(roomID)))
	}
	if err != nil {
		attrs = append(attrs, slog.String("err", fmt.Sprint(err))) // also where its Error panics
	}
	l.log.LogAttrs(ctx, level, "roomhttp: "+text, attrs...)
}

// allow reports whether the budget of the code allows one more line. It also logs how many
// lines of past minutes were beyond it.
func (l *problemLog) allow(ctx context.Context, code string) bool {
	now := time.Now()
	l.mu.Lock()
	skipped := maps.Collect(l.budget.Skipped(now))
	ok := l.budget.Allow(code, now)
	l.mu.Unlock()
	for code, n := range skipped {
		l.log.LogAttrs(ctx, slog.LevelInfo, "roomhttp: more of the same", slog.String("code", code), slog.Int("lines", n))
	}
	return ok
}

// shorten cuts a room ID to a length fit for a log.
func shorten(roomID string) string {
	const most = 80
	if len(roomID) <= most {
		return roomID
	}
	return strings.ToValidUTF8(roomID[:most], "") + "..."
}
