package roomtoken_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/roomtoken/roomtoken"
)

// sourceFunc is a source that is a function.
type sourceFunc func() (roomtoken.Grant, error)

func (f sourceFunc) Create(context.Context, string) (roomtoken.Grant, error) { return f() }

func (f sourceFunc) Refresh(context.Context, string, roomtoken.Token) (roomtoken.Grant, error) {
	return f()
}

// emptySource is a source without state: the zero value works.
type emptySource struct{}

func (emptySource) Create(context.Context, string) (roomtoken.Grant, error) {
	return roomtoken.Grant{}, errors.New("none")
}

func (emptySource) Refresh(context.Context, string, roomtoken.Token) (roomtoken.Grant, error) {
	return roomtoken.Grant{}, errors.New("none")
}

func TestNewManagerNamesEveryFault(t *testing.T) {
	bad := roomtoken.Config{RefreshAfter: 2, CallTimeout: -1}
	for name, c := range map[string]struct {
		source roomtoken.TokenSource
		want   string
	}{
		"nil":          {nil, "not nil"},
		"nil pointer":  {(*source)(nil), "not a nil *roomtoken_test.source"},
		"nil function": {sourceFunc(nil), "not a nil roomtoken_test.sourceFunc"},
	} {
		m, err := roomtoken.NewManager(c.source, bad)
		if err == nil || m != nil {
			t.Fatalf("%s: NewManager() = (%v, %v), want an error only", name, m, err)
		}
		for _, want := range []string{c.want, "Config.RefreshAfter", "Config.CallTimeout"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error = %v, want %q in it", name, err, want)
			}
		}
		if _, err := roomtoken.NewManager(c.source, roomtoken.Config{}); err == nil || strings.Contains(err.Error(), "Config.") {
			t.Errorf("%s: error with a good Config = %v, want the source only", name, err)
		}
	}
	for _, good := range []roomtoken.TokenSource{emptySource{}, &emptySource{}, sourceFunc(func() (roomtoken.Grant, error) { return roomtoken.Grant{}, nil })} {
		m, err := roomtoken.NewManager(good, roomtoken.Config{})
		if err != nil {
			t.Fatalf("NewManager(%T) = %v, want no error", good, err)
		}
		if err := m.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
}

// thrownBy returns what f panics with.
func thrownBy(f func()) (thrown any) {
	defer func() { thrown = recover() }()
	f()
	return nil
}

func TestManagerThatNewManagerDidNotMake(t *testing.T) {
	ctx := t.Context()
	for name, m := range map[string]*roomtoken.Manager{"nil": nil, "zero": {}} {
		for method, call := range map[string]func(){
			"Token":         func() { _, _ = m.Token(ctx, "r") },
			"TokenValidFor": func() { _, _ = m.TokenValidFor(ctx, "r", 1) },
			"Cached":        func() { m.Cached("r") },
			"Watch":         func() { m.Watch(ctx, "r") },
			"Subscribe":     func() { m.Subscribe(ctx, "r") },
			"Warm":          func() { _ = m.Warm(ctx, "r") },
			"Invalidate":    func() { m.Invalidate("r", roomtoken.Token{}) },
			"Forget":        func() { m.Forget("r") },
			"ResetBackoff":  func() { m.ResetBackoff() },
			"Stats":         func() { m.Stats() },
			"Room":          func() { m.Room("r") },
			"Rooms":         func() { m.Rooms() },
			"Close":         func() { _ = m.Close() },
		} {
			if got, want := thrownBy(call), "roomtoken: the Manager is nil or zero: NewManager makes one"; got != want {
				t.Errorf("%s of a %s Manager panics with %v, want %q", method, name, got, want)
			}
		}
	}
	if got := fmt.Sprint((*roomtoken.Manager)(nil), &roomtoken.Manager{}); got != "roomtoken.Manager(nil) roomtoken.Manager{}" {
		t.Errorf("printed: %s, want roomtoken.Manager(nil) roomtoken.Manager{}", got)
	}
}

func TestManagerNilContext(t *testing.T) {
	within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
		var none context.Context
		for method, call := range map[string]func(){
			"Token":         func() { _, _ = w.m.Token(none, "r") },
			"TokenValidFor": func() { _, _ = w.m.TokenValidFor(none, "r", 1) },
			"Watch":         func() { w.m.Watch(none, "r") },
			"Subscribe":     func() { w.m.Subscribe(none, "r") },
			"Warm":          func() { _ = w.m.Warm(none, "r") },
		} {
			if got, want := thrownBy(call), "roomtoken: nil context"; got != want {
				t.Errorf("%s panics with %v, want %q", method, got, want)
			}
		}
		if w.m.Locked() || w.src.count() != 0 {
			t.Errorf("the lock is taken: %v, and %d calls, want neither", w.m.Locked(), w.src.count())
		}
	})
}
