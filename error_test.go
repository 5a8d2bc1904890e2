package roomtoken_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
)

// asError returns the *Error in err, and fails the test if there is none for the room.
func asError(t *testing.T, err error, room string) *roomtoken.Error {
	t.Helper()
	var e *roomtoken.Error
	if !errors.As(err, &e) {
		t.Fatalf("error = %v (%T), want an *Error in it", err, err)
	}
	if e.RoomID != room {
		t.Errorf("RoomID = %q, want %q", e.RoomID, room)
	}
	return e
}

// Whatever fails for a room, the caller gets an *Error.
func TestErrorOfEveryMethod(t *testing.T) {
	long := strings.Repeat("x", 1025)
	within(t, roomtoken.Config{MaxRooms: 1}, func(t *testing.T, w *world) {
		keep := w.watch("kept", nil)
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		for name, c := range map[string]struct {
			ctx     context.Context
			room    string
			atLeast time.Duration
			want    error
			inErr   bool // want is in Err, not only in the Error
		}{
			"ended ctx":      {ended, "cold", 0, context.Canceled, false},
			"too many rooms": {t.Context(), "cold", 0, roomtoken.ErrTooManyRooms, true},
			"too short":      {t.Context(), "kept", time.Hour, roomtoken.ErrTooShort, true},
			"no room ID":     {t.Context(), "", 0, roomtoken.ErrPermanent, true},
			"long room ID":   {t.Context(), long, 0, roomtoken.ErrPermanent, true},
		} {
			results := map[string]error{}
			_, results["TokenValidFor"] = w.m.TokenValidFor(c.ctx, c.room, c.atLeast)
			if c.atLeast == 0 {
				_, results["Token"] = w.m.Token(c.ctx, c.room)
				results["Warm"] = w.m.Warm(c.ctx, c.room)
				for _, err := range w.m.Watch(c.ctx, c.room) {
					results["Watch"] = err
				}
			}
			for method, err := range results {
				e := asError(t, err, c.room)
				if !errors.Is(err, c.want) || c.inErr && !errors.Is(e.Err, c.want) || !c.inErr && e.Err != nil {
					t.Errorf("%s, %s: error = %v with Err = %v, want %v", name, method, err, e.Err, c.want)
				}
				if text := err.Error(); strings.Count(text, "roomtoken: ") != 1 || len(text) > 300 {
					t.Errorf("%s, %s: text = %q, want the prefix once and at most 300 bytes", name, method, text)
				}
			}
		}
		keep.cancel(nil)
	})
}

// The fields and the text of errors, with the Mock at 1970-01-01.
func TestErrorFields(t *testing.T) {
	config := roomtoken.Config{Jitter: -1, MaxWait: 2 * time.Second, BackoffMin: 10 * time.Second, BackoffMax: 10 * time.Second}
	steps := func(w *world, room string) error {
		w.src.fail(errDown)
		return w.refused(w.ask(w.t.Context(), room))
	}
	t.Run("transient", func(t *testing.T) {
		within(t, config, func(t *testing.T, w *world) {
			e := asError(t, steps(w, "r"), "r")
			if e.Call != create || e.Failures != 1 || !errors.Is(e.Err, errDown) {
				t.Errorf("error = %+v, want a failed create", e)
			}
			at := epoch(0).Add(e.RetryAfter())
			if !e.NotBefore.Equal(at) || e.RetryAfter() < 10*time.Second || e.RetryAfter() > 15*time.Second {
				t.Errorf("NotBefore = %v and RetryAfter() = %v, want 10 s to 15 s after the epoch", e.NotBefore, e.RetryAfter())
			}
			want := fmt.Sprintf(`roomtoken: room "r": create failed: the source is down; not before %s (in %v)`,
				at.Format("2006-01-02T15:04:05.000Z07:00"), e.RetryAfter().Round(time.Millisecond))
			if e.Error() != want {
				t.Errorf("text = %s\nwant   %s", e, want)
			}
			w.add(16 * time.Second)
			if e := asError(t, steps(w, "r"), "r"); e.Failures != 2 || !strings.Contains(e.Error(), "; 2 failures in a row; ") {
				t.Errorf("error = %v, want two failures", e)
			}
		})
	})
	t.Run("planned", func(t *testing.T) {
		within(t, config, func(t *testing.T, w *world) {
			w.src.fail(errDown)
			v := w.watch("r", nil)
			if e := asError(t, v.last().err, "r"); !strings.Contains(e.Error(), "; next attempt at 1970-01-01T00:00:1") {
				t.Errorf("error of a watch = %v, want a planned attempt", e)
			}
			if err := steps(w, "r"); !strings.Contains(err.Error(), "; next attempt at 1970-01-01T00:00:1") {
				t.Errorf("error beside a watch = %v, want a planned attempt", err)
			}
			v.cancel(nil)
		})
	})
	t.Run("permanent", func(t *testing.T) {
		within(t, config, func(t *testing.T, w *world) {
			w.src.fail(roomtoken.Permanent(errDown))
			w.src.holdCalls(false)
			callers := []*pending{w.ask(t.Context(), "r"), w.ask(t.Context(), "r")}
			w.src.releaseAll()
			for _, p := range append(callers, w.ask(t.Context(), "r")) {
				e := asError(t, w.refused(p, roomtoken.ErrPermanent), "r")
				if e.Call != create || e.Failures != 1 || e.RetryAfter() <= 0 {
					t.Errorf("error = %+v, want a failed create that is not repeated at once", e)
				}
				if text := e.Error(); strings.Contains(text, "next attempt") || !strings.Contains(text, "; not before 1970-01-01T00:00:0") || strings.Contains(text, "for good") {
					t.Errorf("text = %s, want no attempt announced", text)
				}
			}
		})
	})
	t.Run("rate limited", func(t *testing.T) {
		within(t, config, func(t *testing.T, w *world) {
			w.src.fail(roomtoken.RetryAfter(roomtoken.ErrRateLimited, time.Minute))
			for _, room := range []string{"r", "other"} {
				e := asError(t, w.refused(w.ask(t.Context(), room), roomtoken.ErrRateLimited), room)
				if e.RetryAfter() != time.Minute || !e.NotBefore.Equal(epoch(time.Minute)) {
					t.Errorf("RetryAfter() = %v and NotBefore = %v, want a minute", e.RetryAfter(), e.NotBefore)
				}
				if !strings.Contains(e.Error(), "; all calls are held back; not before 1970-01-01T00:01:00.000Z (in 1m0s)") {
					t.Errorf("text = %v, want the hold", e)
				}
			}
			w.src.on(nil)
		})
	})
	t.Run("MaxWait", func(t *testing.T) {
		within(t, config, func(t *testing.T, w *world) {
			w.src.holdCalls(false)
			p := w.ask(t.Context(), "r")
			w.add(2 * time.Second)
			e := asError(t, w.refused(p, context.DeadlineExceeded), "r")
			if e.Call != 0 || e.Err != nil || e.Failures != 0 || e.RetryAfter() != 0 || !e.NotBefore.IsZero() {
				t.Errorf("error = %+v, want no failure", e)
			}
			if want := `roomtoken: room "r": no token within MaxWait (2s); a create has been in flight for 2s`; e.Error() != want {
				t.Errorf("text = %v\nwant   %v", e, want)
			}
			w.src.releaseAll()
		})
	})
	t.Run("overdue", func(t *testing.T) {
		within(t, config, func(t *testing.T, w *world) {
			w.src.holdCalls(true)
			w.ask(t.Context(), "r")
			w.add(11 * time.Second)
			e := asError(t, w.refused(w.ask(t.Context(), "r"), context.DeadlineExceeded), "r")
			if e.Call != create || e.Failures != 1 || e.RetryAfter() <= 0 || !strings.HasSuffix(e.Error(), "; no other can begin until it returns") {
				t.Errorf("error = %+v, want an overdue create", e)
			}
			w.src.releaseAll()
		})
	})
	t.Run("ended", func(t *testing.T) {
		within(t, config, func(t *testing.T, w *world) {
			_ = steps(w, "r")
			cause := errors.New("the user hung up")
			ctx, cancel := context.WithCancelCause(t.Context())
			cancel(cause)
			e := asError(t, w.refused(w.ask(ctx, "r"), context.Canceled, cause, errDown), "r")
			want := `roomtoken: room "r": no token before the caller's ctx ended: context canceled (the user hung up); create failed: the source is down; not before `
			if !strings.HasPrefix(e.Error(), want) {
				t.Errorf("text = %v\nwant   %v...", e, want)
			}
			for _, err := range w.m.Watch(ctx, "r") {
				want := `roomtoken: room "r": the ctx of the watch has ended: context canceled (the user hung up)`
				if asError(t, err, "r"); err.Error() != want || !errors.Is(err, cause) || !errors.Is(err, context.Canceled) {
					t.Errorf("error of Watch = %v\nwant             %v", err, want)
				}
			}
		})
	})
}

// listErr is an error of a type that cannot be compared.
type listErr []string

func (e listErr) Error() string { return strings.Join(e, ", ") }

// endedCtx is a ctx of the caller's own that has ended.
type endedCtx struct {
	context.Context
	err error
}

func (c endedCtx) Done() <-chan struct{} {
	done := make(chan struct{})
	close(done)
	return done
}

func (c endedCtx) Err() error { return c.err }

func TestErrorOfAnIncomparableCtxError(t *testing.T) {
	within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
		_, err := w.m.Token(endedCtx{context.Background(), listErr{"a", "b"}}, "r")
		if want := `roomtoken: room "r": no token before the caller's ctx ended: a, b`; err == nil || err.Error() != want {
			t.Errorf("error = %v\nwant    %v", err, want)
		}
		_, err = w.m.Token(endedCtx{context.Background(), &hostile{"Error"}}, "r")
		if err == nil || !strings.Contains(err.Error(), "panic in Error") {
			t.Errorf("error = %v, want it to contain what Error threw", err)
		}
	})
}

// Programs and tests may make an Error themselves.
func TestErrorOfALiteral(t *testing.T) {
	e := &roomtoken.Error{RoomID: "r", Call: refresh, Failures: 3, Err: errDown}
	if want := `roomtoken: room "r": refresh failed: the source is down; 3 failures in a row`; e.Error() != want {
		t.Errorf("text = %v\nwant   %v", e, want)
	}
	if e.RetryAfter() != 0 || !errors.Is(e, errDown) || errors.Is(e, context.DeadlineExceeded) {
		t.Errorf("RetryAfter() = %v, Unwrap() = %v, want 0 and errDown", e.RetryAfter(), e.Unwrap())
	}
	e = &roomtoken.Error{NotBefore: time.Now().Add(time.Hour)}
	if d := e.RetryAfter(); d < 59*time.Minute || d > time.Hour {
		t.Errorf("RetryAfter() = %v, want the time until NotBefore", d)
	}
	if want := `roomtoken: room "": not before `; !strings.HasPrefix(e.Error(), want) {
		t.Errorf("text = %v, want %v...", e, want)
	}
	e.NotBefore = time.Unix(0, 0)
	if e.RetryAfter() != 0 {
		t.Errorf("RetryAfter() = %v for a time in the past, want 0", e.RetryAfter())
	}
	text, err := json.Marshal(map[string]error{"err": &roomtoken.Error{RoomID: "r", Err: errDown}})
	if want := `{"err":"roomtoken: room \"r\": the source is down"}`; err != nil || string(text) != want {
		t.Errorf("JSON = (%s, %v), want %s", text, err, want)
	}
	if errs := (&roomtoken.Error{}).Unwrap(); !slices.Equal(errs, nil) {
		t.Errorf("Unwrap() of a zero Error = %v, want nothing", errs)
	}
}
