package roomtoken

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
)

// warm is Manager.Warm. It takes the lock.
func (e *engine) warm(ctx context.Context, roomIDs []string) error {
	if e.isClosed() {
		return ErrClosed
	}
	var errs []error
	failed := func(roomID string, err error) {
		if errors.Is(err, ErrClosed) { // which names no room
			err = &Error{RoomID: roomID, Err: ErrClosed}
		}
		errs = append(errs, err)
	}
	if e.share != nil {
		e.warmFromStore(ctx, roomIDs)
	}
	// All of them sign on before the first is waited for, so that a room that fails
	// does not delay the others.
	waiters := make([]*waiter, 0, len(roomIDs))
	for i, id := range roomIDs {
		yield(i)
		if e.hit(id, 0) != nil {
			continue
		}
		w := newWaiter(ctx, e, id, 0, 0)
		w.warms = true
		switch _, wait, err := w.look(); {
		case wait:
			waiters = append(waiters, w)
		case err != nil:
			failed(id, err)
		}
	}
	for i, w := range waiters {
		yield(i)
		if _, err := w.await(); err != nil {
			failed(w.roomID, err)
		}
	}
	if len(errs) == 0 {
		return nil
	}
	return &warmError{errs}
}

// warmError joins the errors of rooms, of which there may be many thousands.
type warmError struct{ errs []error }

const (
	warmErrorRooms = 10  // rooms that the text of a warmError names
	warmErrorText  = 350 // bytes of the error of each
)

// Error returns the errors of the first rooms, a line each, and how many rooms there
// are.
func (e *warmError) Error() string {
	var b strings.Builder
	for i, err := range e.errs {
		if i > 0 {
			b.WriteByte('\n')
		}
		if i == warmErrorRooms {
			fmt.Fprintf(&b, "... and %s more rooms, %s in all", thousands(len(e.errs)-i), thousands(len(e.errs)))
			break
		}
		b.WriteString(cut(textOf(err), warmErrorText))
	}
	return b.String()
}

// Unwrap returns the errors of all rooms.
func (e *warmError) Unwrap() []error { return e.errs }

// yield lets other goroutines run now and then in a loop that takes the lock a million
// times: a goroutine that waits for the lock is woken, but runs only when a processor
// is free.
func yield(i int) {
	if i%64 == 63 {
		runtime.Gosched()
	}
}
