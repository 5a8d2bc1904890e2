package roomtoken

import (
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"

	"github.com/roomtoken/roomtoken/internal/flight"
)

// PanicError is the error of a call in which the source, or the [Store], panicked or called
// [runtime.Goexit]. It counts as a transient failure. It is in the Err of an [Error],
// of a [RoomStatus] and of an [Event]; use [errors.As] to get it.
//
// Its text says what was thrown, without the stack and without the refresh token that
// the source was called with. Every verb of package fmt, log/slog and encoding/json
// print that text. Config.Logger receives the stack.
type PanicError struct {
	// Value is the value that was thrown. It is nil after Goexit, where the value cannot
	// be printed, and where its text holds the refresh token.
	Value any

	// Stack is the stack where it was thrown, as [runtime/debug.Stack] returns it.
	Stack []byte

	text string // what was thrown; "": made by somebody else
}

// newPanicError returns the error of a call that was made with a refresh token.
func newPanicError(p *flight.PanicError, refreshToken Secret) *PanicError {
	e := &PanicError{Stack: p.Stack, text: thrownText(p.Panicked, p.Text)}
	if clean := redact(e.text, refreshToken); clean != e.text {
		e.text = clean
	} else {
		e.Value = p.Value
	}
	return e
}

func thrownText(panicked bool, text string) string {
	if panicked {
		return "the source panicked: " + text
	}
	return "the source called runtime.Goexit"
}

// redact replaces a secret in a text, in each form in which fmt prints a string or its
// bytes.
func redact(text string, secret Secret) string {
	value := secret.Reveal()
	if value == "" {
		return text
	}
	quoted := strconv.Quote(value)
	decimal := fmt.Sprint([]byte(value)) //nolint:staticcheck // the numbers of the bytes
	for _, form := range []string{
		value,
		quoted[1 : len(quoted)-1],
		decimal[1 : len(decimal)-1],
		fmt.Sprintf("%x", value), fmt.Sprintf("%X", value),
	} {
		text = strings.ReplaceAll(text, form, redacted)
	}
	return text
}

// Error returns what was thrown, without the stack.
func (e *PanicError) Error() string {
	if e.text == "" {
		return thrownText(e.Value != nil, fmt.Sprint(e.Value))
	}
	return e.text
}

// Format implements [fmt.Formatter]: the text of the error for every verb and flag.
func (e *PanicError) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, e.Error()) }

// LogValue implements [slog.LogValuer]: the text of the error.
func (e *PanicError) LogValue() slog.Value { return slog.StringValue(e.Error()) }

// MarshalText implements [encoding.TextMarshaler]: the text of the error.
func (e *PanicError) MarshalText() ([]byte, error) { return []byte(e.Error()), nil }
