// Watch shows a participant who stays in a room longer than a token lives: it receives
// each new token before the old one expires, and replaces a token that the room
// rejects. It takes 10 s, with a Telnyx rooms API in this process:
//
//	go run ./examples/watch
package main

import (
	"context"
	"log"
	"sync/atomic"
	"time"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/telnyx"
	"github.com/roomtoken/roomtoken/telnyx/telnyxtest"
)

const room = "0ccc7b54-4df3-4bca-a65a-3da1ecc777f0"

func main() {
	api := telnyxtest.NewServer(telnyxtest.Config{})
	defer api.Close()
	time.AfterFunc(8*time.Second, func() { api.RevokeTokens(room) }) // everybody is kicked out

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := participate(ctx, api); err != nil {
		log.Print(err)
	}
}

// participate stays in the room until ctx ends.
func participate(ctx context.Context, api *telnyxtest.Server) error {
	source, err := telnyx.NewSource(telnyx.Config{BaseURL: api.URL, APIKey: api.APIKey, TokenTTL: 10 * time.Second})
	if err != nil {
		return err
	}
	manager, err := roomtoken.NewManager(source, roomtoken.Config{})
	if err != nil {
		return err
	}
	defer manager.Close()

	var current atomic.Pointer[roomtoken.Token] // used by the connection
	go keepAlive(ctx, func() {
		tok := current.Load()
		if tok == nil {
			return // not connected yet
		}
		if err := api.Verify(room, tok.Value.Reveal()); err != nil { // ask the room
			log.Printf("token %s is rejected: %v", tok.Value.Fingerprint(), err)
			manager.Invalidate(room, *tok) // Watch yields the replacement
		}
	})
	for tok, err := range manager.Watch(ctx, room) {
		switch {
		case ctx.Err() != nil:
			log.Print("leaving")
		case err != nil:
			log.Printf("no token at present: %v", err) // the watch continues
		default:
			log.Printf("now using token %s, valid for %v", tok.Value.Fingerprint(), time.Until(tok.ExpiresAt).Round(time.Second))
			current.Store(&tok)
		}
	}
	return nil
}

// keepAlive calls f periodically until ctx ends.
func keepAlive(ctx context.Context, f func()) {
	for ticker := time.NewTicker(500 * time.Millisecond); ; {
		select {
		case <-ticker.C:
			f()
		case <-ctx.Done():
			ticker.Stop()
			return
		}
	}
}
