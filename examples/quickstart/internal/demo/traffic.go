package demo

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/roomtoken/roomtoken"
)

// joinInterval is the least time between two callers who join a room with their token.
// The others only ask for one.
const joinInterval = 200 * time.Millisecond

// Rest is a caller's pause before its next call. It is longer after an error.
func (d *Demo) Rest(ctx context.Context, err error) {
	interval := d.config.CallInterval
	duration := interval/2 + rand.N(interval)
	if err != nil {
		duration += time.Second
	}
	d.pause(ctx, duration)
}

// Record counts the result of a call of Token that took so long.
func (d *Demo) Record(ctx context.Context, room string, err error, took time.Duration) {
	switch {
	case err == nil:
		d.counter.succeeded(room, took)
	case ctx.Err() == nil: // calls that fail because the run ends do not count
		d.counter.failed(err)
	}
}

// Join stands for a participant who joins the room. It reports whether the room lets the
// token in.
func (d *Demo) Join(room string, tok roomtoken.Token) bool {
	return !d.counter.joins(room, d.Clock.Now()) || d.check(room, tok) == nil
}

// UpdateClientToken stands for the SDK's method of that name: a participant passes
// each new token to its connection.
func (d *Demo) UpdateClientToken(room string, tok roomtoken.Token) {
	d.counter.pushed()
	_ = d.check(room, tok) // counted
}

// check verifies the token with the embedded API. Telnyx has no such call.
func (d *Demo) check(room string, tok roomtoken.Token) error {
	if d.API == nil {
		return nil
	}
	err := d.API.Verify(room, tok.Value.Reveal())
	d.counter.checked(err)
	return err
}
