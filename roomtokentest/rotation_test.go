package roomtokentest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomtoken/roomtoken"
)

// Which refresh tokens are accepted with Rotate. Step "c" is a Create; a number is a
// Refresh with one of the tokens so far, counted from 0. Each result is "+" for a new
// token, or "-" if the old one is refused.
func TestRotation(t *testing.T) {
	for _, tt := range []struct{ name, steps, want string }{
		{"one after the other", "c012", "++++"},
		{"a replaced one", "c00", "++-"},
		{"any replaced one", "c01012", "+++--+"},
		{"refused calls replace nothing", "c0001", "++--+"},
		{"two creates", "cc101023", "++++--++"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			src := &Source{Rotate: true}
			var tokens []roomtoken.Token
			got := ""
			for _, step := range tt.steps {
				var grant roomtoken.Grant
				var err error
				if step == 'c' {
					grant, err = src.Create(t.Context(), "lobby")
				} else {
					grant, err = src.Refresh(t.Context(), "lobby", tokens[step-'0'])
				}
				switch {
				case errors.Is(err, roomtoken.ErrRefreshRejected):
					got += "-"
				case err == nil && !grant.RefreshToken.IsZero():
					got += "+"
					tokens = append(tokens, grant.RefreshToken)
				default:
					t.Errorf("%c: %+v, %v", step, grant, err)
				}
			}
			if got != tt.want {
				t.Errorf("%s: got %s, want %s", tt.steps, got, tt.want)
			}
		})
	}
}

// Only a Refresh that the Source answers replaces the token.
func TestWhatDoesNotRotate(t *testing.T) {
	left, leave := context.WithCancel(t.Context())
	leave()
	own := func(context.Context, string, roomtoken.Token) (roomtoken.Grant, error) {
		return roomtoken.Grant{}, errDown
	}
	for _, tt := range []struct {
		name string
		ctx  context.Context
		src  *Source
		next Outcome
	}{
		{"a scripted error", t.Context(), &Source{Rotate: true}, Outcome{Err: errDown}},
		{"a scripted function", t.Context(), &Source{Rotate: true}, Outcome{Do: func(context.Context, Call) (roomtoken.Grant, error) {
			return roomtoken.Grant{}, nil
		}}},
		{"a caller who has left", left, &Source{Rotate: true}, Outcome{}},
		{"RefreshFunc", t.Context(), &Source{Rotate: true, RefreshFunc: own}, Outcome{}},
		{"no refresh tokens", t.Context(), &Source{Rotate: true, RefreshTokenTTL: -1}, Outcome{}},
		{"no Rotate", t.Context(), &Source{}, Outcome{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			token := (&Source{}).Mint("lobby").RefreshToken
			tt.src.Next(tt.next)
			_, _ = tt.src.Refresh(tt.ctx, "lobby", token)
			tt.src.RefreshFunc = nil
			if _, err := tt.src.Refresh(t.Context(), "lobby", token); err != nil {
				t.Errorf("the token is refused: %v", err)
			}
		})
	}
}

// Only what has the form of a refresh token of the room is one; its end may be unknown.
func TestFormsOfRefreshTokens(t *testing.T) {
	for value, ok := range map[string]bool{
		"refresh token 1 of b":      true,
		"refresh token 1.2 of b":    true,
		"refresh token 1 of a of b": false, // of the room "a of b"
		"refresh token x of b":      false,
		"refresh token 1. of b":     false,
		"refresh token 1.zz of b":   false,
		"refresh token  of b":       false,
		"token 1 of b":              false,
	} {
		for _, ends := range []time.Time{{}, time.Now().Add(time.Hour)} {
			_, err := (&Source{}).Refresh(t.Context(), "b", roomtoken.Token{Value: roomtoken.NewSecret(value), ExpiresAt: ends})
			if (err == nil) != ok {
				t.Errorf("%q until %v: got %v", value, ends, err)
			}
		}
	}
}

// A token that was replaced stays so for as long as it would have been good, also when it
// would have outlived its replacement.
func TestReplacedTokensAreNotForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &Source{Rotate: true}
		token := src.Mint("lobby").RefreshToken
		token.ExpiresAt = token.ExpiresAt.Add(24 * time.Hour)
		if _, err := src.Refresh(t.Context(), "lobby", token); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Hour)
		for i := range 200 {
			room := strconv.Itoa(i)
			if _, err := src.Refresh(t.Context(), room, src.Mint(room).RefreshToken); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := src.Refresh(t.Context(), "lobby", token); !errors.Is(err, roomtoken.ErrRefreshRejected) {
			t.Errorf("got %v, want %v", err, roomtoken.ErrRefreshRejected)
		}
	})
}

// When the result of a Refresh is lost, the old token is gone all the same.
func TestLostRotation(t *testing.T) {
	src := &Source{Rotate: true}
	token := src.Mint("lobby").RefreshToken
	src.Next(Outcome{On: Refresh, Do: func(ctx context.Context, call Call) (roomtoken.Grant, error) {
		_, _ = src.Refresh(ctx, call.Room, call.RefreshToken) // the server answers
		return roomtoken.Grant{}, io.ErrUnexpectedEOF         // the response does not arrive
	}})
	if _, err := src.Refresh(t.Context(), "lobby", token); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v, want %v", err, io.ErrUnexpectedEOF)
	}
	if _, err := src.Refresh(t.Context(), "lobby", token); !errors.Is(err, roomtoken.ErrRefreshRejected) {
		t.Errorf("got %v, want %v", err, roomtoken.ErrRefreshRejected)
	}

	src = &Source{Rotate: true, IgnoreContext: true}
	token = src.Mint("lobby").RefreshToken
	left, leave := context.WithCancel(t.Context())
	leave()
	_, _ = src.Refresh(left, "lobby", token)
	if _, err := src.Refresh(t.Context(), "lobby", token); !errors.Is(err, roomtoken.ErrRefreshRejected) {
		t.Errorf("IgnoreContext: got %v, want %v", err, roomtoken.ErrRefreshRejected)
	}
}

// Of several calls with the same token, one succeeds.
func TestConcurrentRotation(t *testing.T) {
	src := &Source{Rotate: true}
	token := src.Mint("lobby").RefreshToken
	var succeeded atomic.Int32
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			_, err := src.Refresh(t.Context(), "lobby", token)
			switch {
			case err == nil:
				succeeded.Add(1)
			case !errors.Is(err, roomtoken.ErrRefreshRejected):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := succeeded.Load(); n != 1 {
		t.Errorf("%d calls succeeded, want 1", n)
	}
}

// The Source remembers one entry per Create whose refresh token has not expired, however
// often it was replaced.
func TestRotationIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &Source{Rotate: true, RefreshTokenTTL: time.Hour}
		token := src.Mint("lobby").RefreshToken
		for range 1000 {
			grant, err := src.Refresh(t.Context(), "lobby", token)
			if err != nil {
				t.Fatal(err)
			}
			token = grant.RefreshToken
		}
		if n := len(src.newest); n != 1 {
			t.Errorf("%d entries after 1000 rotations of one token, want 1", n)
		}
		for i := range 10_000 { // at most 60 of them live at once
			room := fmt.Sprint(i)
			if _, err := src.Refresh(t.Context(), room, src.Mint(room).RefreshToken); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			if n := len(src.newest); n > 128 {
				t.Fatalf("%d entries after %d creates", n, i)
			}
		}
	})
}

// A Manager always uses the newest token: it lives on one Create for a day.
func TestManagerRotates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &Source{Rotate: true}
		manager, err := roomtoken.NewManager(src, roomtoken.Config{IdleAfter: -1})
		if err != nil {
			t.Fatal(err)
		}
		defer manager.Close()
		if _, err := manager.Token(t.Context(), "lobby"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(24 * time.Hour)
		if c, r := src.Creates(), src.Refreshes(); c != 1 || r < 24*6 {
			t.Errorf("%d creates and %d refreshes, want one create", c, r)
		}
	})
}
