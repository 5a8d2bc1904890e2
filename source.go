package roomtoken

import (
	"context"
	"time"
)

// TokenSource mints tokens for rooms. A [Manager] calls it; package telnyx has
// the one for Telnyx video rooms.
//
// Implementations are safe for concurrent use. The Manager makes at most one
// call per room at a time and at most Config.MaxConcurrentCalls over all rooms.
// The ctx of a call ends at Config.CallTimeout or when the Manager is closed; it
// carries the values of the ctx of whoever started the call, but not its
// cancellation or deadline. A source that ignores its ctx harms nobody but its
// own room.
//
// A failed call returns an error; what the Manager does next depends on what the
// error wraps (see [errors.Is]):
//
//   - [ErrRefreshRejected], from Refresh: Create is called, at once;
//   - [ErrPermanent] (see [Permanent]): the same call again cannot help. Callers
//     get the error at once, until a longer step has passed. From Refresh it
//     means the same as ErrRefreshRejected;
//   - [ErrRateLimited]: no call for any room begins until it is over;
//   - anything else is a passing failure: the room is tried again, with backoff.
//
// A wait that the other side asked for is told with [RetryAfter], or by any
// error in the chain that has a method RetryAfter() time.Duration.
//
// A panic and a runtime.Goexit in a source are contained: they count as a
// passing failure.
type TokenSource interface {
	// Create mints a token for a room from nothing but the room's ID.
	Create(ctx context.Context, roomID string) (Grant, error)

	// Refresh mints a token from the refresh token of an earlier Grant for the
	// same room.
	Refresh(ctx context.Context, roomID string, refreshToken Token) (Grant, error)
}

// Grant is what a [TokenSource] returns for a room.
//
// A Grant is usable if its Token has a value and an ExpiresAt that leaves it
// enough time (see Config.MinValidity); any other is the failed attempt
// [ErrInvalidGrant].
type Grant struct {
	// Token is what callers get. Its ExpiresAt must be set.
	Token Token

	// RefreshToken is what the next Refresh takes. The zero Token means, from
	// Create, that the source has none; from Refresh, that the previous one
	// stays. A zero ExpiresAt means that its end is unknown: it is good until it
	// is refused. It may end before Token does.
	RefreshToken Token

	// IssuedAt is the moment, on this machine's wall clock, at which the
	// lifetimes began. Zero means the moment the call began. It is what makes a
	// grant that was not made in this very call (one from a store, say) as old
	// as it is.
	IssuedAt time.Time
}
