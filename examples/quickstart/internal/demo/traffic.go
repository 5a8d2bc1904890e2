package demo

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/roomtoken/roomtoken"
)

// checkOneIn is the share of the callers' tokens that are checked with the API.
const checkOneIn = 20

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
func (d *Demo) Record(ctx context.Context, room string, tok roomtoken.Token, err error, took time.Duration) {
	switch {
	case err == nil:
		d.counter.succeeded(room, took)
		if rand.N(checkOneIn) == 0 {
			d.check(room, tok)
		}
	case ctx.Err() == nil: // calls that fail because the run ends do not count
		d.counter.failed(err)
	}
}

// UpdateClientToken stands for the SDK's method of that name: a participant passes
// each new token to its connection.
func (d *Demo) UpdateClientToken(room string, tok roomtoken.Token) {
	d.counter.pushed()
	d.check(room, tok)
}

// check verifies the token with the embedded API. Telnyx has no such call.
func (d *Demo) check(room string, tok roomtoken.Token) {
	if d.API != nil {
		d.counter.checked(d.API.Verify(room, tok.Value.Reveal()))
	}
}
