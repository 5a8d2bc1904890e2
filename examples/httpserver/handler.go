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
)

// backEnd serves tokens and the status page.
type backEnd struct {
	manager *roomtoken.Manager
	timeout time.Duration // of a request for a token that is not in memory
}

func (b backEnd) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /rooms/{id}/token", b.token)
	mux.HandleFunc("GET /debug/rooms", b.status)
	return mux
}

// token responds with a token for the room, which nearly always comes from memory.
func (b backEnd) token(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), b.timeout)
	defer cancel()
	tok, err := b.manager.Token(ctx, r.PathValue("id"))
	if err != nil {
		b.fail(w, r, err)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Type", "application/json")
	response := map[string]any{"token": tok.Value.Reveal(), "expires_at": tok.ExpiresAt}
	if err := json.NewEncoder(w).Encode(response); err != nil {
		log.Print(err) // the client has disconnected
	}
}

// fail responds with the client's view of an error. The details go to the log.
func (b backEnd) fail(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		return // the client has disconnected
	}
	log.Print(err)
	switch {
	case errors.Is(err, roomtoken.ErrRoomNotFound):
		http.Error(w, "no such room", http.StatusNotFound) // or the ID is malformed
		return
	case errors.Is(err, roomtoken.ErrPermanent):
		http.Error(w, "video rooms are unavailable", http.StatusBadGateway) // for instance, the API key was rejected
		return
	}
	// An outage, a rate limit or a timeout: a retry may succeed.
	w.Header().Set("Retry-After", b.retryAfter())
	http.Error(w, "no token available, try again later", http.StatusServiceUnavailable)
}

// retryAfter returns how many seconds the client should wait: until the end of a rate
// limit, and at least 2.
func (b backEnd) retryAfter() string {
	wait := max(time.Until(b.manager.Stats().HeldUntil), 2*time.Second)
	return strconv.Itoa(int(math.Ceil(wait.Seconds())))
}
