package roomtoken_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
)

// Permanent and RetryAfter return nil for nil, so that a source can end with
// "return grant, roomtoken.Permanent(err)".
func TestWrappersOfNilReturnNil(t *testing.T) {
	if err := roomtoken.Permanent(nil); err != nil {
		t.Errorf("Permanent(nil) = %v, want nil", err)
	}
	if err := roomtoken.RetryAfter(nil, time.Hour); err != nil {
		t.Errorf("RetryAfter(nil) = %v, want nil", err)
	}
}

// A Logger works without OnEvent.
func TestALoggerAlone(t *testing.T) {
	var lines bytes.Buffer
	m, err := roomtoken.NewManager(&instant{grant: anHour}, roomtoken.Config{
		Logger: slog.New(slog.NewTextHandler(&lines, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Token(t.Context(), "r"); err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil { // waits until all events are delivered
		t.Fatal(err)
	}
	if got := lines.String(); !strings.Contains(got, "token published") || !strings.Contains(got, "room=r") {
		t.Errorf("log = %q, want a published token and its room", got)
	}
}
