package roomtokentest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/benbjohnson/clock"

	"github.com/roomtoken/roomtoken"
)

func TestZeroSource(t *testing.T) {
	var src Source
	before := time.Now()
	grant, err := src.Create(t.Context(), "lobby")
	after := time.Now()
	if err != nil {
		t.Fatal(err)
	}
	if at := grant.IssuedAt; at.Before(before) || at.After(after) {
		t.Errorf("issued at %v, want between %v and %v", at, before, after)
	}
	next, err := src.Refresh(t.Context(), "lobby", grant.RefreshToken)
	if err != nil || next.Token.Value.Equal(grant.Token.Value) || next.Token.Value.IsZero() {
		t.Errorf("refresh: %v, %q", err, next.Token.Value.Reveal())
	}
}

func TestLifetimes(t *testing.T) {
	for _, tt := range []struct {
		name           string
		src            *Source
		token, refresh time.Duration // refresh 0: no refresh token
		rotated        time.Duration // of the refresh token that Refresh returns; 0: none
	}{
		{"defaults", &Source{}, 10 * time.Minute, time.Hour, 0},
		{"own", &Source{TokenTTL: time.Second, RefreshTokenTTL: time.Minute}, time.Second, time.Minute, 0},
		{"expired", &Source{TokenTTL: -time.Second}, -time.Second, time.Hour, 0},
		{"no refresh token", &Source{RefreshTokenTTL: -1}, 10 * time.Minute, 0, 0},
		{"rotating", &Source{Rotate: true}, 10 * time.Minute, time.Hour, time.Hour},
		{"rotating none", &Source{Rotate: true, RefreshTokenTTL: -1}, 10 * time.Minute, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			mock := newMock()
			tt.src.Clock = mock
			created := tt.src.Mint("lobby")
			mock.Add(time.Second)
			refreshToken := (&Source{Clock: mock}).Mint("lobby").RefreshToken
			refreshed, err := tt.src.Refresh(t.Context(), "lobby", refreshToken)
			if err != nil {
				t.Fatal(err)
			}
			wantGrant(t, created, epoch, tt.token, tt.refresh)
			wantGrant(t, refreshed, epoch.Add(time.Second), tt.token, tt.rotated)
		})
	}
}

func wantGrant(t *testing.T, g roomtoken.Grant, issued time.Time, token, refresh time.Duration) {
	t.Helper()
	if !g.IssuedAt.Equal(issued) || g.Token.ExpiresAt.Sub(issued) != token {
		t.Errorf("issued at %v, expires at %v; want %v and %v later", g.IssuedAt, g.Token.ExpiresAt, issued, token)
	}
	switch {
	case refresh == 0 && !g.RefreshToken.IsZero():
		t.Error("got a refresh token, want none")
	case refresh != 0 && (g.RefreshToken.IsZero() || g.RefreshToken.ExpiresAt.Sub(issued) != refresh):
		t.Errorf("refresh token expires at %v, want %v after %v", g.RefreshToken.ExpiresAt, refresh, issued)
	}
}

func TestRefreshTokensAreChecked(t *testing.T) {
	for _, tt := range []struct {
		name  string
		token func(*Source, *clock.Mock) roomtoken.Token
		want  error
	}{
		{"good", func(src *Source, _ *clock.Mock) roomtoken.Token { return src.Mint("lobby").RefreshToken }, nil},
		{"last moment", func(src *Source, mock *clock.Mock) roomtoken.Token {
			token := src.Mint("lobby").RefreshToken
			mock.Add(time.Hour - 1)
			return token
		}, nil},
		{"expired", func(src *Source, mock *clock.Mock) roomtoken.Token {
			token := src.Mint("lobby").RefreshToken
			mock.Add(time.Hour)
			return token
		}, roomtoken.ErrRefreshRejected},
		{"of another room", func(src *Source, _ *clock.Mock) roomtoken.Token { return src.Mint("attic").RefreshToken }, roomtoken.ErrRefreshRejected},
		{"not a refresh token", func(src *Source, _ *clock.Mock) roomtoken.Token { return src.Mint("lobby").Token }, roomtoken.ErrRefreshRejected},
		{"none", func(*Source, *clock.Mock) roomtoken.Token { return roomtoken.Token{} }, roomtoken.ErrRefreshRejected},
	} {
		t.Run(tt.name, func(t *testing.T) {
			mock := newMock()
			src := &Source{Clock: mock}
			if _, err := src.Refresh(t.Context(), "lobby", tt.token(src, mock)); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

func TestFuncsReplaceMinting(t *testing.T) {
	own := roomtoken.Grant{Token: roomtoken.Token{Value: roomtoken.NewSecret("own"), ExpiresAt: epoch}}
	refreshToken := roomtoken.Token{Value: roomtoken.NewSecret("mine")}
	src := &Source{
		CreateFunc: func(_ context.Context, room string) (roomtoken.Grant, error) {
			return own, fmt.Errorf("create %s", room)
		},
		RefreshFunc: func(_ context.Context, room string, token roomtoken.Token) (roomtoken.Grant, error) {
			return own, fmt.Errorf("refresh %s %s", room, token.Value.Reveal())
		},
	}
	grant, err := src.Create(t.Context(), "lobby")
	if !grant.Token.Value.Equal(own.Token.Value) || err.Error() != "create lobby" {
		t.Errorf("got %v", err)
	}
	grant, err = src.Refresh(t.Context(), "lobby", refreshToken)
	if !grant.Token.Value.Equal(own.Token.Value) || err.Error() != "refresh lobby mine" {
		t.Errorf("got %v", err)
	}
}
