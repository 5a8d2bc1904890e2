package roomhttp

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/roomtoken/roomtoken"
)

// The wire format of a stream: server-sent events, as in the HTML Living Standard, section
// 9.2. A block is a few lines and an empty one. JSON is always a single line.

// heartbeatBlock returns the comment that says that the server is there, and that it will
// say so again within that time, in whole seconds, rounded up.
func heartbeatBlock(within time.Duration) []byte {
	return fmt.Appendf(nil, ": heartbeat %d\n\n", max(ceilSeconds(within), 1))
}

// retryLine returns the time after which the client may connect again: retry to 5 x retry.
// It is followed by a heartbeat.
func retryLine(retry time.Duration) []byte {
	wait := retry + rand.N(4*retry+1)
	return fmt.Appendf(nil, "retry: %d\n", max(wait.Milliseconds(), 1))
}

// tokenEvent is a token as all streams of a room send it within the same second.
type tokenEvent struct {
	token       roomtoken.Token
	secondsLeft int64
	id          string // the fingerprint: the same in every process, so that clients can resume anywhere
	block       []byte
}

// event returns the event for the token. A new token goes to all streams of the room at
// once, so it is encoded once, and not by each of them.
func (rm *room) event(tok roomtoken.Token) *tokenEvent {
	left := secondsLeft(tok)
	if e := rm.newest.Load(); e != nil && e.secondsLeft == left &&
		e.token.Value.Reveal() == tok.Value.Reveal() && e.token.ExpiresAt.Equal(tok.ExpiresAt) {
		return e
	}
	e := &tokenEvent{token: tok, secondsLeft: left, id: tok.Value.Fingerprint()}
	e.block = fmt.Appendf(nil, "id: %s\nevent: token\ndata: %s\n\n", e.id, compactJSON(newTokenBody(tok, left)))
	rm.newest.Store(e)
	return e
}

// problemBlock returns the event that says that the room is without a token.
func problemBlock(p problem) []byte {
	return fmt.Appendf(nil, "event: problem\ndata: %s\n\n", compactJSON(p))
}

// endBlock returns the last event of a stream.
func endBlock(code string) []byte {
	return fmt.Appendf(nil, "event: end\ndata: %s\n\n", compactJSON(struct {
		Code      string `json:"code"`
		Reconnect bool   `json:"reconnect"`
	}{code, !isFinal(code)}))
}

// isFinal reports whether it is no use to connect again.
func isFinal(code string) bool {
	return code == codeForbidden || code == codeUnauthenticated || code == codeRoomNotFound
}
