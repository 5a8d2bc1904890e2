package roomtoken_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/roomtoken/roomtoken"
)

// doorman mints tokens on a server of one's own. The server knows no refresh tokens, so
// each renewal is a create.
type doorman struct {
	issue func(ctx context.Context, roomID string) (token string, lifetime time.Duration, status int)
}

func (d doorman) Create(ctx context.Context, roomID string) (roomtoken.Grant, error) {
	asked := time.Now() // the lifetime counts from here, however long the answer takes
	token, lifetime, status := d.issue(ctx, roomID)
	switch status {
	case 200:
		return roomtoken.Grant{Token: roomtoken.Token{
			Value:     roomtoken.NewSecret(token),
			ExpiresAt: asked.Add(lifetime),
		}}, nil
	case 401:
		return roomtoken.Grant{}, roomtoken.ErrUnauthorized // concerns all rooms
	case 404:
		return roomtoken.Grant{}, roomtoken.ErrRoomNotFound // asking again cannot help
	case 429:
		return roomtoken.Grant{}, roomtoken.RetryAfter(roomtoken.ErrRateLimited, 5*time.Second)
	default:
		return roomtoken.Grant{}, fmt.Errorf("status %d", status) // is retried
	}
}

// Refresh is called only with refresh tokens that Create has returned.
func (d doorman) Refresh(context.Context, string, roomtoken.Token) (roomtoken.Grant, error) {
	return roomtoken.Grant{}, roomtoken.ErrRefreshRejected
}

// A source for a server of one's own needs two methods.
func ExampleTokenSource() {
	source := doorman{issue: func(_ context.Context, roomID string) (string, time.Duration, int) {
		if roomID != "lobby" {
			return "", 0, 404
		}
		return "token of the " + roomID, 10 * time.Minute, 200
	}}
	manager, err := roomtoken.NewManager(source, roomtoken.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer manager.Close()

	tok, err := manager.Token(context.Background(), "lobby")
	fmt.Println(tok.Value.Reveal(), err)
	_, err = manager.Token(context.Background(), "attic")
	fmt.Println("not found:", errors.Is(err, roomtoken.ErrRoomNotFound))
	// Output:
	// token of the lobby <nil>
	// not found: true
}
