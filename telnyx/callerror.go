package telnyx

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"github.com/roomtoken/roomtoken"
)

// call is what the errors of one Create or Refresh need to know of it.
type call struct {
	op       string
	roomID   string
	redactor // of what the call sends
}

// prefix begins the text of every error of a call.
func prefix(op, roomID string) string {
	return "telnyx: " + op + " for room " + shortRoomID(roomID) + ": "
}

// callError is a failed call that is no [APIError]. Its text is whole: that of
// what it wraps may be of any length and origin, and is not repeated.
type callError struct {
	text string

	// What it wraps, behind a function, since package fmt goes through the
	// fields of an error where its verb does not fit one: %d, say.
	wrapped func() []error
}

func (e *callError) Error() string   { return e.text }
func (e *callError) Unwrap() []error { return e.wrapped() }

// fail returns an error with this text that wraps those of errs that are not nil.
func (c call) fail(text string, errs ...error) error {
	wrapped := slices.DeleteFunc(errs, func(err error) bool { return err == nil })
	return &callError{text: prefix(c.op, c.roomID) + text, wrapped: func() []error { return wrapped }}
}

// failNetwork is the error for a request that got no answer: a passing failure,
// whatever the reason.
func (c call) failNetwork(err error) error {
	text := err.Error()
	if wrapper := (*url.Error)(nil); errors.As(err, &wrapper) {
		text = wrapper.Err.Error() // without the method and the URL, which say what the prefix does
	}
	return c.fail("no answer: "+c.clean(text, maxOwnText), err)
}

// failBody is the error for a success whose body could not be read.
func (c call) failBody(ctx context.Context, err error) error {
	if ctx.Err() != nil { // our side hung up; the answer may have been as good as any
		return c.fail("the answer was not waited for: "+c.clean(err.Error(), maxOwnText), err)
	}
	return c.fail("reading the answer: "+c.clean(err.Error(), maxOwnText), err, roomtoken.ErrInvalidGrant)
}

// failGrant is the error for a success whose body is no usable grant.
func (c call) failGrant(format string, args ...any) error {
	return c.fail("no usable grant: "+fmt.Sprintf(format, args...), roomtoken.ErrInvalidGrant)
}

// statusName is a status as people know it.
func statusName(status int) string {
	if text := http.StatusText(status); text != "" {
		return fmt.Sprintf("%d %s", status, text)
	}
	return fmt.Sprintf("status %d", status)
}
