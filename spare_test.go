package roomtoken

import (
	"context"
	"runtime"
	"testing"
	"time"
	"weak"
)

// minter answers at once, always with the same token.
type minter struct{}

func (minter) Create(context.Context, string) (Grant, error) {
	return Grant{Token: Token{Value: NewSecret("token"), ExpiresAt: time.Now().Add(10 * time.Minute)}}, nil
}

func (m minter) Refresh(ctx context.Context, roomID string, _ Token) (Grant, error) {
	return m.Create(ctx, roomID)
}

// A token in somebody's hands points into its record, and so keeps the room alive:
// that must not keep the refresh token.
func TestHeldTokenKeepsNoRefreshToken(t *testing.T) {
	for name, end := range map[string]func(*Manager){
		"Forget": func(m *Manager) { m.Forget("a") },
		"Close":  func(m *Manager) { _ = m.Close() },
	} {
		t.Run(name, func(t *testing.T) { heldTokenKeepsNoRefreshToken(t, end) })
	}
}

func heldTokenKeepsNoRefreshToken(t *testing.T, end func(*Manager)) {
	m, err := NewManager(refreshMinter{}, Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	tok, err := m.Token(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	rec := m.cache.get("a")
	if tok.Value.value != &rec.text {
		t.Fatal("the token does not point into its record: is this test of use?")
	}
	if rec.owner.refresh.IsZero() {
		t.Fatal("the room has no refresh token")
	}
	end(m)
	if !rec.owner.refresh.IsZero() {
		t.Error("the room is gone and still has its refresh token")
	}
	if got := tok.Value.Reveal(); got != "token" {
		t.Errorf("the token in hand is %q now", got)
	}
}

// When a call has ended nothing holds on to it, no timer above all: a token that
// was replaced is free to go.
func TestNothingHoldsACallThatHasEnded(t *testing.T) {
	m, err := NewManager(minter{}, Config{CallTimeout: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	var granted weak.Pointer[string] // the string header that the source made
	m.engine.source = minterFunc(func() Grant {
		g, _ := minter{}.Create(t.Context(), "a")
		granted = weak.Make(g.Token.Value.value)
		return g
	})
	if _, err := m.Token(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		runtime.GC()
		if granted.Value() == nil {
			return
		}
		runtime.Gosched() // the call's goroutine may be about to end
	}
	t.Error("something holds on to the grant of a call that has ended")
}

// minterFunc is a source of grants.
type minterFunc func() Grant

func (f minterFunc) Create(context.Context, string) (Grant, error) { return f(), nil }

func (f minterFunc) Refresh(context.Context, string, Token) (Grant, error) { return f(), nil }

// refreshMinter is a minter that also has refresh tokens.
type refreshMinter struct{ minter }

func (m refreshMinter) Create(ctx context.Context, roomID string) (Grant, error) {
	g, err := m.minter.Create(ctx, roomID)
	g.RefreshToken = Token{Value: NewSecret("refresh token")}
	return g, err
}

// A token that was published, invalidated and forgotten before one who waited for
// it woke was handed to them all the same.
func TestInvalidatedTokenIsNotPickedUp(t *testing.T) {
	m, err := NewManager(minter{}, Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	w := newWaiter(t.Context(), m.engine, "a", 0, 0)
	_, wait, err := w.look()
	if err != nil {
		t.Fatal(err)
	}
	if !wait {
		t.Fatal("the caller need not wait: is this test of use?")
	}
	<-w.cohort.done
	tok, _ := m.Cached("a")
	if !m.Invalidate("a", tok) {
		t.Fatal("there was nothing to invalidate")
	}
	m.Forget("a")
	if got, _, err := w.look(); err != nil || !got.IsZero() {
		t.Errorf("the one who waited got a token that was invalidated: %v, %v", !got.IsZero(), err)
	}
}
