package main

import (
	"context"
	"encoding/json"
	"errors"
	"log"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/telnyx"
)

// backEnd is the handler of the back end's two pages.
type backEnd struct {
	manager  *roomtoken.Manager
	patience time.Duration // how long a request waits for a token that is not in memory
}

func (b backEnd) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /rooms/{id}/token", b.token)
	mux.HandleFunc("GET /debug/rooms", b.status)
	return mux
}

// token answers with a token for the room: from memory, nearly always.
func (b backEnd) token(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), b.patience)
	defer cancel()
	tok, err := b.manager.Token(ctx, r.PathValue("id"))
	if err != nil {
		b.refuse(w, r, err)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Type", "application/json")
	answer := map[string]any{"token": tok.Value.Reveal(), "expires_at": tok.ExpiresAt}
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		log.Print(err) // the client has gone
	}
}

// refuse answers with what an error means for the client. The details are for
// the log.
func (b backEnd) refuse(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		return // the client has gone
	}
	log.Print(err)
	if errors.Is(err, roomtoken.ErrPermanent) {
		var answer *telnyx.APIError
		if errors.As(err, &answer) && answer.StatusCode != http.StatusNotFound {
			http.Error(w, "the rooms are out of order", http.StatusBadGateway) // our API key, say
			return
		}
		http.Error(w, "no such room", http.StatusNotFound) // or it is no room ID at all
		return
	}
	// An outage, a rate limit, or patience has run out: later it may work.
	w.Header().Set("Retry-After", b.retryAfter())
	http.Error(w, "no token at the moment", http.StatusServiceUnavailable)
}

// retryAfter is how long the client should wait, in seconds: until the end of a
// rate limit, or a little.
func (b backEnd) retryAfter() string {
	wait := max(time.Until(b.manager.Stats().HeldUntil), 2*time.Second)
	return strconv.Itoa(int(math.Ceil(wait.Seconds())))
}
