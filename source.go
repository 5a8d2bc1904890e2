package roomtoken

import (
	"context"
	"time"
)

// TokenSource mints tokens for rooms. A [Manager] calls it; package telnyx has the one
// for Telnyx video rooms.
//
// Implementations must be safe for concurrent use. The Manager makes at most one call
// per room at a time, and at most Config.MaxConcurrentCalls over all rooms. The ctx of
// a call ends at Config.CallTimeout or when the Manager is closed. It carries the
// values of the ctx of the caller who started the call, but not its cancellation or
// deadline. A source that ignores its ctx harms only its own room.
//
// What the Manager does after a failed call depends on what the error wraps (see
// [errors.Is]):
//
//   - [ErrRefreshRejected], from Refresh: it calls Create, at once.
//   - [ErrPermanent] (see [Permanent]): repeating the call cannot help. Callers get the
//     error at once, until a longer wait has passed. From Refresh it means the same as
//     ErrRefreshRejected.
//   - [ErrRateLimited]: it begins no call for any room until the limit is over.
//   - Anything else is a transient failure: it tries the room again, with backoff.
//
// If the server asked for a wait, say so with [RetryAfter], or with any error in the
// chain that has a method RetryAfter() time.Duration.
//
// A panic or a runtime.Goexit in a source is contained and counts as a transient
// failure. A call runs on a goroutine that earlier calls may have used: what belongs to a
// goroutine, such as its profiler labels, should be as it was when the call returns.
type TokenSource interface {
	// Create mints a token for a room, given nothing but the room's ID.
	Create(ctx context.Context, roomID string) (Grant, error)

	// Refresh mints a token from the refresh token of an earlier Grant for the same
	// room.
	Refresh(ctx context.Context, roomID string, refreshToken Token) (Grant, error)
}

// Grant is what a [TokenSource] returns for a room.
//
// A Grant is usable if its Token has a value and an ExpiresAt that leaves it enough
// time (see Config.MinValidity). Any other Grant counts as a failed call, with
// [ErrInvalidGrant].
type Grant struct {
	// Token is what callers get. Its ExpiresAt must be set.
	Token Token

	// RefreshToken is passed to the next Refresh. The zero Token means, from Create,
	// that there is none; from Refresh, that the previous one stays. A zero ExpiresAt
	// means that its expiry is unknown: it is used until it is refused. It may expire
	// before Token does.
	RefreshToken Token

	// IssuedAt is when the lifetimes began, on this machine's wall clock. Zero means
	// the moment the call began. Set it if the tokens were not minted by this very call
	// but come from a store, say, so that their age is known.
	IssuedAt time.Time
}
