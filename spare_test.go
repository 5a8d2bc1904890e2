package roomtoken

import (
	"context"
	"testing"
	"time"
)

// minter answers at once, always with the same token.
type minter struct{}

func (minter) Create(context.Context, string) (Grant, error) {
	return Grant{Token: Token{Value: NewSecret("token"), ExpiresAt: time.Now().Add(10 * time.Minute)}}, nil
}

func (m minter) Refresh(ctx context.Context, roomID string, _ Token) (Grant, error) {
	return m.Create(ctx, roomID)
}

// A token that was published, invalidated and forgotten before one who waited for
// it woke was handed to them all the same.
func TestInvalidatedTokenIsNotPickedUp(t *testing.T) {
	m, err := NewManager(minter{}, Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	w := newWaiter(t.Context(), m, "a", 0, 0)
	_, news, err := w.step()
	if err != nil {
		t.Fatal(err)
	}
	<-news
	tok, _ := m.Cached("a")
	if !m.Invalidate("a", tok) {
		t.Fatal("there was nothing to invalidate")
	}
	m.Forget("a")
	if got, _, err := w.step(); err != nil || !got.IsZero() {
		t.Errorf("the one who waited got a token that was invalidated: %v, %v", !got.IsZero(), err)
	}
}
