package roomhttp

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/roomtoken/roomtoken"
)

// tokenBody is a token as the client gets it, in an answer and on a stream.
type tokenBody struct {
	Token     string `json:"token"`
	ExpiresAt string `json:"token_expires_at"`
	ExpiresIn int64  `json:"expires_in"` // in seconds, for clients whose clock is wrong
}

// newTokenBody returns the body for a token that has secondsLeft. Both times are rounded
// down, so that nobody uses the token too long.
func newTokenBody(tok roomtoken.Token, secondsLeft int64) tokenBody {
	return tokenBody{
		Token:     tok.Value.Reveal(),
		ExpiresAt: tok.ExpiresAt.UTC().Format(time.RFC3339),
		ExpiresIn: secondsLeft,
	}
}

// secondsLeft returns the whole seconds until the token expires, at least 0.
func secondsLeft(tok roomtoken.Token) int64 {
	return max(int64(time.Until(tok.ExpiresAt)/time.Second), 0)
}

// token answers with the room's token.
func (h *Handler) token(w http.ResponseWriter, r *http.Request, roomID string) {
	ctx, cancel := context.WithTimeout(r.Context(), h.config.Wait)
	defer cancel()
	tok, err := h.manager.Token(ctx, roomID)
	if err != nil {
		h.count(&h.counts.failed, r)
		h.refuse(w, r, roomID, codeOf(err), err)
		return
	}
	if r.Method != http.MethodHead {
		h.count(&h.counts.tokens, r)
	}
	writeJSON(w, http.StatusOK, "application/json", newTokenBody(tok, secondsLeft(tok)))
}

// hasGone reports whether the client has closed the connection.
func hasGone(r *http.Request) bool { return errors.Is(r.Context().Err(), context.Canceled) }
