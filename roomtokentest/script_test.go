package roomtokentest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/roomtoken/roomtoken"
)

// Which calls take which outcomes. "ok" is a call that returned a new grant.
func TestScript(t *testing.T) {
	errA, errB := errors.New("A"), errors.New("B")
	for _, tt := range []struct {
		name   string
		script func(*Source)
		calls  string
		want   string
	}{
		{"nothing", func(*Source) {}, "create lobby, refresh lobby", "ok+ok"},
		{"fail n times", func(s *Source) { s.Fail(errA, 2) }, "create lobby, refresh attic, create lobby", "A+A+ok"},
		{"fail never", func(s *Source) { s.Fail(errA, 0) }, "create lobby", "ok"},
		{"fail until cleared", func(s *Source) { s.Fail(errA, -1) }, "create lobby, create lobby, create lobby, clear, create lobby", "A+A+A+ok"},
		{
			"in order", func(s *Source) { s.Next(Outcome{Err: errA}, Outcome{}, Outcome{Err: errB}) },
			"create lobby, create lobby, create lobby, create lobby", "A+ok+B+ok",
		},
		{
			"by kind", func(s *Source) { s.Next(Outcome{On: Refresh, Err: errA}, Outcome{On: Create, Err: errB}) },
			"create lobby, create lobby, refresh lobby, refresh lobby", "B+ok+A+ok",
		},
		{
			"by room", func(s *Source) { s.Next(Outcome{Room: "attic", Err: errA, Times: 2}) },
			"create lobby, create attic, refresh attic, create attic", "ok+A+A+ok",
		},
		{"Fail after Next", func(s *Source) { s.Next(Outcome{Err: errB}); s.Fail(errA, 1) }, "create lobby, create lobby, create lobby", "B+A+ok"},
		{"Do", func(s *Source) {
			s.Next(Outcome{Do: func(_ context.Context, c Call) (roomtoken.Grant, error) {
				return roomtoken.Grant{}, fmt.Errorf("%v-%s", c.Kind, c.Room)
			}, Err: errA})
		}, "refresh lobby, create lobby", "refresh-lobby+ok"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			src := &Source{}
			tt.script(src)
			var got []string
			for call := range strings.SplitSeq(tt.calls, ", ") {
				kind, room, _ := strings.Cut(call, " ")
				var err error
				switch kind {
				case "clear":
					src.Clear()
					continue
				case "create":
					_, err = src.Create(t.Context(), room)
				case "refresh":
					_, err = src.Refresh(t.Context(), room, src.Mint(room).RefreshToken)
				}
				if err == nil {
					err = errors.New("ok")
				}
				got = append(got, err.Error())
			}
			if strings.Join(got, "+") != tt.want {
				t.Errorf("got %v, want %s", got, tt.want)
			}
		})
	}
}

// A call takes its outcome when it begins. Later changes of the script do not affect it.
func TestOutcomesAreTakenWhenCallsBegin(t *testing.T) {
	src := &Source{}
	src.Fail(errDown, 1)
	hold := src.Hold()
	done := background(t.Context(), src, "lobby")
	waitCalls(t, src, 1)
	src.Clear()
	hold.Release()
	if r := <-done; !errors.Is(r.err, errDown) {
		t.Errorf("got %v, want %v", r.err, errDown)
	}
}

// Calls that panic or call Goexit do not stay in flight.
func TestPanicAndGoexit(t *testing.T) {
	src := &Source{}
	src.Next(
		Outcome{Do: func(context.Context, Call) (roomtoken.Grant, error) { panic("scripted") }},
		Outcome{Do: func(context.Context, Call) (roomtoken.Grant, error) { runtime.Goexit(); panic("unreachable") }},
	)
	for range 2 {
		var wg sync.WaitGroup
		wg.Go(func() {
			defer func() { _ = recover() }()
			_, _ = src.Create(t.Context(), "lobby")
			t.Error("the call returned")
		})
		wg.Wait()
	}
	if n := src.InFlight(); n != 0 {
		t.Errorf("%d in flight, want 0", n)
	}
}
