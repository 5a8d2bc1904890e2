package roomtoken_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
)

// What wraps an error makes none of nil, so that a source can end with
// "return grant, roomtoken.Permanent(err)".
func TestNoErrorStaysNone(t *testing.T) {
	if err := roomtoken.Permanent(nil); err != nil {
		t.Errorf("Permanent: %v", err)
	}
	if err := roomtoken.RetryAfter(nil, time.Hour); err != nil {
		t.Errorf("RetryAfter: %v", err)
	}
}

// A Logger needs no OnEvent beside it.
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
	if err := m.Close(); err != nil { // waits for what there is to tell
		t.Fatal(err)
	}
	if got := lines.String(); !strings.Contains(got, "token published") || !strings.Contains(got, "room=r") {
		t.Errorf("it was told %q", got)
	}
}
