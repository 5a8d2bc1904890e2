package roomtoken_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
)

// panicIn returns the *PanicError of a call that calls throw with its refresh token,
// and what the Logger received.
func panicIn(t *testing.T, kind roomtoken.CallKind, throw func(refresh string)) (thrown *roomtoken.PanicError, log string) {
	t.Helper()
	var logged safeBuffer
	config := roomtoken.Config{Jitter: -1, Logger: slog.New(slog.NewJSONHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	within(t, config, func(t *testing.T, w *world) {
		if kind == refresh {
			w.token("r")
		}
		w.src.on(func(c *sourceCall) (roomtoken.Grant, error) { throw(c.refresh); return roomtoken.Grant{}, nil })
		p := w.ask(t.Context(), "r")
		w.add(400 * time.Second)
		if kind == create {
			<-p.done
		}
		w.src.on(nil)
		for _, e := range w.eventsFrom(0) {
			if e.Kind == roomtoken.EventCallEnded && errors.As(e.Err, &thrown) {
				return
			}
		}
		t.Fatal("no call ended with a PanicError")
	})
	return thrown, logged.String()
}

func TestPanicErrorFields(t *testing.T) {
	for name, c := range map[string]struct {
		throw func(string)
		value any
		text  string
	}{
		"a string": {func(string) { panic("at the disco") }, "at the disco", "the source panicked: at the disco"},
		"an error": {func(string) { panic(errDown) }, errDown, "the source panicked: the source is down"},
		"Goexit":   {func(string) { runtime.Goexit() }, nil, "the source called runtime.Goexit"},
	} {
		for _, kind := range []roomtoken.CallKind{create, refresh} {
			p, _ := panicIn(t, kind, c.throw)
			if p.Value != c.value || p.Error() != c.text || !strings.Contains(string(p.Stack), "panicerror_test.go") {
				t.Errorf("%s in a %v: PanicError = %v with the value %v and the stack %s\nwant %q, %v, and a stack with this file",
					name, kind, p, p.Value, p.Stack, c.text, c.value)
			}
		}
	}
	if errors.Is(&roomtoken.PanicError{Value: roomtoken.ErrPermanent}, roomtoken.ErrPermanent) {
		t.Error("a PanicError wraps the value that was thrown, want it not to")
	}
}

// The refresh token is neither in the text, in whatever form, nor in Value.
func TestPanicErrorHoldsNoRefreshToken(t *testing.T) {
	for name, throw := range map[string]func(refresh string){
		"plain":    func(refresh string) { panic("refused: " + refresh) },
		"in a %q":  func(refresh string) { panic(fmt.Errorf("refused: %q", refresh)) },
		"as bytes": func(refresh string) { panic([]byte(refresh)) },
		"in a %x":  func(refresh string) { panic(fmt.Sprintf("refused: %x", refresh)) },
		"in a %X":  func(refresh string) { panic(fmt.Sprintf("refused: %X", refresh)) },
		"struct":   func(refresh string) { panic(struct{ token string }{refresh}) },
	} {
		p, _ := panicIn(t, refresh, throw)
		if !strings.Contains(p.Error(), "[redacted]") || p.Value != nil {
			t.Errorf("%s: text = %q and Value = %v, want it redacted and no value", name, p.Error(), p.Value)
		}
	}
}

func TestPanicErrorPrintsItsTextOnly(t *testing.T) {
	p := &roomtoken.PanicError{Value: "at the disco", Stack: []byte("goroutine 1")}
	const want = "the source panicked: at the disco"
	for _, verb := range verbs {
		switch verb {
		case "%p", "%T", "%w", "%!":
			continue
		}
		if got := fmt.Sprintf(verb, p); got != want {
			t.Errorf("%s prints %q, want %q", verb, got, want)
		}
	}
	if got := fmt.Errorf("%w", p).Error(); got != want {
		t.Errorf("%%w prints %q, want %q", got, want)
	}
	if got, err := json.Marshal(p); err != nil || string(got) != `"`+want+`"` {
		t.Errorf("JSON = (%s, %v), want %q", got, err, want)
	}
	var lines safeBuffer
	for _, h := range []slog.Handler{slog.NewTextHandler(&lines, nil), slog.NewJSONHandler(&lines, nil)} {
		slog.New(h).Info("m", "err", p)
	}
	if got := lines.String(); strings.Count(got, `err="`+want+`"`)+strings.Count(got, `"err":"`+want+`"`) != 2 || strings.Contains(got, "goroutine") {
		t.Errorf("slog = %s, want %q twice", got, want)
	}
	if got := (&roomtoken.PanicError{}).Error(); got != "the source called runtime.Goexit" {
		t.Errorf("text without a value = %q, want Goexit", got)
	}
}

// The stack of a panic is logged at level Error, in a few lines per minute, however
// many rooms panic and however many events have the same error.
func TestPanicErrorIsLoggedOnce(t *testing.T) {
	var logged safeBuffer
	config := roomtoken.Config{
		MaxConcurrentCalls: 8,
		Logger:             slog.New(slog.NewJSONHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	within(t, config, func(t *testing.T, w *world) {
		w.src.on(func(*sourceCall) (roomtoken.Grant, error) { panic("at the disco") })
		for i := range 10 {
			w.ask(t.Context(), fmt.Sprint("r", i))
		}
		for range 20 {
			w.add(time.Second)
		}
		w.src.on(nil)
	})
	stacks := 0
	for line := range strings.Lines(logged.String()) {
		var record map[string]any
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Fatal(err)
		}
		stack, _ := record["stack"].(string)
		isError := record["level"] == "ERROR"
		if isError {
			stacks++
		}
		if isError != (record["msg"] == "roomtoken: the source panicked" && stack != "") || isError != strings.Contains(line, "panicerror_test.go") {
			t.Errorf("log has %.300s, want a stack at level ERROR only", line)
		}
	}
	if stacks < 1 || stacks > 2 {
		t.Errorf("%d stacks logged in 20 seconds, want one or two", stacks)
	}
}
