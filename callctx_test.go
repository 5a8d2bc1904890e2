package roomtoken_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/benbjohnson/clock"

	"github.com/roomtoken/roomtoken"
)

// The ctx of a call is made when the source first uses it. However late that is, it is as
// ended as it would be otherwise.
func TestCtxFirstUsedLate(t *testing.T) {
	inTown(t, roomtoken.Config{CallTimeout: time.Second}, func(tn *town) {
		type at struct {
			err, cause error
			deadline   bool
		}
		look := func(ctx context.Context) at {
			_, ok := ctx.Deadline()
			select {
			case <-ctx.Done():
			default:
				if ctx.Err() != nil {
					t.Error("Err() is not nil, but Done() is not closed")
				}
			}
			return at{ctx.Err(), context.Cause(ctx), ok}
		}
		check := func(when string, got at, err, cause error) {
			t.Helper()
			if !errors.Is(got.err, err) || !errors.Is(got.cause, cause) || !got.deadline {
				t.Errorf("%s: Err() = %v, Cause() = %v, deadline: %v, want %v, %v and true", when, got.err, got.cause, got.deadline, err, cause)
			}
		}
		var kept context.Context
		var seen at
		tn.on(func(ctx context.Context, _ string) error { kept = ctx; return nil })
		if _, err := tn.m.Token(tn.Context(), "returned"); err != nil {
			t.Fatal(err)
		}
		check("after the source has returned", look(kept), context.Canceled, context.Canceled)

		tn.on(func(ctx context.Context, _ string) error {
			time.Sleep(time.Second + time.Millisecond)
			seen = look(ctx)
			return ctx.Err()
		})
		if _, err := tn.m.Token(tn.Context(), "late"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Token() = %v, want a timeout", err)
		}
		check("after CallTimeout", seen, context.DeadlineExceeded, context.DeadlineExceeded)

		tn.on(func(ctx context.Context, _ string) error {
			time.Sleep(500 * time.Millisecond)
			seen = look(ctx)
			return ctx.Err()
		})
		go func() { _, _ = tn.m.Token(tn.Context(), "closed") }()
		synctest.Wait()
		if err := tn.m.Close(); err != nil {
			t.Fatal(err)
		}
		check("after Close", seen, context.Canceled, roomtoken.ErrClosed)
	})
}

// The deadline of a call is CallTimeout after its beginning, also if the source looks at it
// later, and ctxs derived from the call's end with it.
func TestCtxDeadline(t *testing.T) {
	inTown(t, roomtoken.Config{CallTimeout: time.Second}, func(tn *town) {
		want := time.Now().Add(time.Second)
		var got, ended time.Time
		var derived, cause error
		tn.on(func(ctx context.Context, _ string) error {
			time.Sleep(300 * time.Millisecond)
			child, cancel := context.WithCancel(ctx)
			defer cancel()
			got, _ = child.Deadline()
			<-child.Done()
			derived, cause, ended = child.Err(), context.Cause(child), time.Now()
			return roomtoken.Permanent(derived)
		})
		_, _ = tn.m.Token(tn.Context(), "r")
		if !got.Equal(want) || !ended.Equal(want) {
			t.Errorf("deadline %v, ended at %v, want %v", got, ended, want)
		}
		if !errors.Is(derived, context.DeadlineExceeded) || !errors.Is(cause, context.DeadlineExceeded) {
			t.Errorf("a derived ctx ended with %v because of %v, want a passed deadline", derived, cause)
		}
	})
}

// On a clock of a test the ctx has no deadline, and ends at CallTimeout on that clock.
func TestCtxOnAFakeClock(t *testing.T) {
	mock := clock.NewMock()
	began, ended := make(chan context.Context), make(chan error)
	m, err := roomtoken.NewManager(failingSource(func(ctx context.Context, _ string) error {
		began <- ctx
		<-ctx.Done()
		ended <- context.Cause(ctx)
		return ctx.Err()
	}), roomtoken.Config{Clock: mock, CallTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	go func() { _, _ = m.Token(t.Context(), "r") }()
	ctx := <-began
	if _, ok := ctx.Deadline(); ok || ctx.Err() != nil {
		t.Errorf("at the beginning the ctx has a deadline: %v, and Err() = %v, want neither", ok, ctx.Err())
	}
	for cause := error(nil); cause == nil; {
		mock.Add(time.Minute)
		select {
		case cause = <-ended:
			if !errors.Is(cause, context.DeadlineExceeded) {
				t.Errorf("the ctx ended because of %v, want CallTimeout", cause)
			}
		default:
		}
	}
}

// However a ctx is printed, the values of the caller's are not shown, and nothing is read
// that others write.
func TestCtxPrintsNoValues(t *testing.T) {
	inTown(t, roomtoken.Config{}, func(tn *town) {
		var printed string
		tn.on(func(ctx context.Context, _ string) error {
			done := make(chan struct{})
			go func() {
				defer close(done)
				ctx.Done()
			}()
			printed = fmt.Sprintf("%v %s %d %#v", ctx, ctx, ctx, ctx)
			<-done
			return nil
		})
		if _, err := tn.m.Token(secretCtx{tn.Context(), "the caller's secret"}, "r"); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(printed, "secret") || !strings.Contains(printed, "roomtoken.callCtx") {
			t.Errorf("printed: %s", printed)
		}
	})
}

// secretCtx is a caller's ctx that is no pointer.
type secretCtx struct {
	context.Context
	Secret string
}

// failingSource is a source that only fails.
type failingSource func(ctx context.Context, roomID string) error

func (f failingSource) Create(ctx context.Context, roomID string) (roomtoken.Grant, error) {
	return roomtoken.Grant{}, f(ctx, roomID)
}

func (f failingSource) Refresh(ctx context.Context, roomID string, _ roomtoken.Token) (roomtoken.Grant, error) {
	return roomtoken.Grant{}, f(ctx, roomID)
}
