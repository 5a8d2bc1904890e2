package telnyx

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/roomtoken/roomtoken"
)

// call is one Create or Refresh, for its errors.
type call struct {
	kind     roomtoken.CallKind
	noun     string // what id names: "room" or "credential"
	id       string
	redactor // of the credentials that the call sends
}

// prefix returns the beginning of every error of a call.
func prefix(kind roomtoken.CallKind, noun, id string) string {
	return "telnyx: " + kind.String() + " for " + noun + " " + shortID(id) + ": "
}

// ownError is an error with a text of its own, since the text of a wrapped error may have
// any length and contain anything.
type ownError struct {
	text string

	// wrapped is a function because package fmt prints the fields of an error for
	// verbs such as %d.
	wrapped func() []error
}

func (e *ownError) Error() string   { return e.text }
func (e *ownError) Unwrap() []error { return e.wrapped() }

// wrapping returns an error with the text that wraps the non-nil errs.
func wrapping(text string, errs ...error) error {
	wrapped := slices.DeleteFunc(errs, func(err error) bool { return err == nil })
	return &ownError{text: text, wrapped: func() []error { return wrapped }}
}

// fail returns an error of the call that wraps the non-nil errs.
func (c call) fail(text string, errs ...error) error {
	return wrapping(prefix(c.kind, c.noun, c.id)+text, errs...)
}

// failBody returns the error for a success whose body could not be read. The response
// is invalid only if the ctx of the call has not ended.
func (c call) failBody(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return c.fail("stopped reading the response: "+c.clean(err.Error(), maxOwnText), err)
	}
	return c.fail("reading the response: "+c.clean(err.Error(), maxOwnText), err, roomtoken.ErrInvalidGrant)
}

// failGrant returns the error for a success that holds no usable grant.
func (c call) failGrant(format string, args ...any) error {
	return c.fail("no usable grant: "+fmt.Sprintf(format, args...), roomtoken.ErrInvalidGrant)
}

// statusName returns a status with its name, such as "404 Not Found".
func statusName(status int) string {
	if text := http.StatusText(status); text != "" {
		return fmt.Sprintf("%d %s", status, text)
	}
	return fmt.Sprintf("status %d", status)
}
