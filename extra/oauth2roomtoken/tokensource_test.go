package oauth2roomtoken_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/extra/oauth2roomtoken"
	"github.com/roomtoken/roomtoken/roomtokentest"
)

func TestTokenIsTheManagers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &roomtokentest.Source{}
		manager := newManager(t, source, roomtoken.Config{})
		tokens := oauth2roomtoken.NewTokenSource(t.Context(), manager, "lobby")

		got, err := tokens.Token()
		if err != nil {
			t.Fatal(err)
		}
		want, _ := manager.Cached("lobby")
		if got.AccessToken != want.Value.Reveal() || got.TokenType != "Bearer" || got.RefreshToken != "" || !got.Expiry.Equal(want.ExpiresAt) {
			t.Errorf("got %+v, want %q until %v", got, want.Value.Reveal(), want.ExpiresAt)
		}

		manager.Invalidate("lobby", want)
		if next, err := tokens.Token(); err != nil || next.AccessToken == got.AccessToken {
			t.Errorf("after the token was refused: %+v, %v; want another", next, err)
		}
	})
}

// During an outage the token is served, and x/oauth2 calls it valid, until it is not.
func TestTokensAreValidToTheLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &roomtokentest.Source{} // tokens live 10 minutes
		manager := newManager(t, source, roomtoken.Config{})
		tokens := oauth2roomtoken.NewTokenSource(t.Context(), manager, "lobby")
		first, err := tokens.Token()
		if err != nil {
			t.Fatal(err)
		}
		source.Fail(errDown, -1)

		served := 0
		for ; ; served++ {
			got, err := tokens.Token()
			if err != nil {
				if !errors.Is(err, errDown) {
					t.Errorf("error %v, want that of the source", err)
				}
				break
			}
			if got.AccessToken != first.AccessToken || !got.Valid() {
				t.Fatalf("after %d s: %q, valid: %v; want the first token, valid", served, got.AccessToken, got.Valid())
			}
			time.Sleep(time.Second)
		}
		if served < 9*60 || served > 10*60 {
			t.Errorf("the token was served for %d s, want 9 to 10 minutes", served)
		}
	})
}

func TestItsCtxBoundsEachCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &roomtokentest.Source{}
		hold := source.Hold()
		defer hold.Release()
		manager := newManager(t, source, roomtoken.Config{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		_, err := oauth2roomtoken.NewTokenSource(ctx, manager, "lobby").Token()
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second {
			t.Errorf("error %v after %v, want DeadlineExceeded after 1s", err, time.Since(began))
		}
		var failed *roomtoken.Error
		if !errors.As(err, &failed) || failed.RoomID != "lobby" {
			t.Errorf("error %#v, want a *roomtoken.Error for lobby", err)
		}
	})
}

func TestNilManager(t *testing.T) {
	defer func() {
		if text, _ := recover().(string); !strings.Contains(text, "nil Manager") {
			t.Errorf("panicked with %q", text)
		}
	}()
	oauth2roomtoken.NewTokenSource(t.Context(), nil, "lobby")
}
