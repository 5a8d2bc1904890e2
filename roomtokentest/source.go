package roomtokentest

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/benbjohnson/clock"

	"github.com/roomtoken/roomtoken"
)

// The default lifetimes of a [Source].
const (
	DefaultTokenTTL        = 10 * time.Minute
	DefaultRefreshTokenTTL = time.Hour
)

// Source is a [roomtoken.TokenSource] for tests. The zero Source is ready to use:
// every call mints a new token at once. Set the fields before the first call. The
// methods are safe for concurrent use. A Source must not be copied.
//
// When a call begins, it takes the first scripted [Outcome] that applies to it and is
// counted. It then waits for its latency and for the holds that existed when it began.
// Finally it returns what the Outcome says, or else what CreateFunc or RefreshFunc
// returns, or else a new grant.
type Source struct {
	// Clock dates tokens and times latency. Prefer [testing/synctest] with a nil
	// Clock; a *clock.Mock is the second choice (see the package documentation).
	// Defaults to the real clock.
	Clock clock.Clock

	// TokenTTL is the lifetime of minted tokens. Defaults to [DefaultTokenTTL]; if
	// negative, tokens have expired when they are minted.
	TokenTTL time.Duration

	// RefreshTokenTTL is the lifetime of minted refresh tokens. Defaults to
	// [DefaultRefreshTokenTTL]; if negative, no refresh tokens are minted.
	RefreshTokenTTL time.Duration

	// Rotate makes every Refresh return a new refresh token, which replaces the one
	// that it was called with: from then on, Refresh returns
	// [roomtoken.ErrRefreshRejected] for that one. If the result of a Refresh is lost,
	// for instance because its caller has left (see IgnoreContext), the new token is
	// lost with it, and only a Create helps. A Refresh that fails replaces nothing, nor
	// does one that RefreshFunc or an [Outcome] answers. Of several calls with one
	// token, only the first to end succeeds.
	//
	// Without Rotate, Refresh returns no refresh token, which tells the Manager to keep
	// the one that it has.
	Rotate bool

	// Latency is the time that each call takes on Clock.
	Latency time.Duration

	// IgnoreContext makes calls ignore the end of their ctx: a delayed or held call
	// keeps waiting and then succeeds.
	IgnoreContext bool

	// CreateFunc and RefreshFunc, if not nil, replace the minting of grants; see
	// [Source.Mint]. They are called concurrently.
	CreateFunc  func(ctx context.Context, room string) (roomtoken.Grant, error)
	RefreshFunc func(ctx context.Context, room string, refreshToken roomtoken.Token) (roomtoken.Grant, error)

	mu      sync.Mutex // guards the fields below, up to holds
	serial  int        // of the newest grant
	newest  map[lineage]newest
	sweepAt int // the length of newest at which to sweep it
	script  []*Outcome
	holds   []*Hold

	ledger ledger
}

var _ roomtoken.TokenSource = (*Source)(nil)

// Create implements [roomtoken.TokenSource].
func (s *Source) Create(ctx context.Context, room string) (roomtoken.Grant, error) {
	return s.do(ctx, Call{Kind: Create, Room: room})
}

// Refresh implements [roomtoken.TokenSource]. Unless something else is scripted, it
// returns [roomtoken.ErrRefreshRejected] for a refresh token that has expired, has been
// replaced (see Rotate), or was not minted for the room.
func (s *Source) Refresh(ctx context.Context, room string, refreshToken roomtoken.Token) (roomtoken.Grant, error) {
	return s.do(ctx, Call{Kind: Refresh, Room: room, RefreshToken: refreshToken})
}

// Mint returns the grant that an unscripted Create of the room would return. A
// CreateFunc or an [Outcome] can start from it.
func (s *Source) Mint(room string) roomtoken.Grant {
	now := s.clock().Now()
	grant, serial := s.mint(room, now)
	if ttl := s.refreshTokenTTL(); ttl > 0 {
		grant.RefreshToken = roomtoken.Token{
			Value:     refreshTokenValue(lineage{room, serial}, 0),
			ExpiresAt: now.Add(ttl),
		}
	}
	return grant
}

func (s *Source) do(ctx context.Context, call Call) (roomtoken.Grant, error) {
	call.At = s.clock().Now()
	outcome, holds := s.next(call)

	// Start the timer before counting the call: a test may move the clock as soon as
	// WaitCalls returns.
	var elapsed <-chan struct{}
	if latency := s.Latency + outcome.Latency; latency > 0 {
		var timer *clock.Timer
		elapsed, timer = after(s.clock(), latency)
		defer timer.Stop()
	}
	s.ledger.begin(call)
	defer s.ledger.end(call)

	gone := ctx.Done()
	if s.IgnoreContext {
		gone = nil
	}
	if elapsed != nil {
		wait(elapsed, gone)
	}
	for _, hold := range holds {
		wait(hold.released, gone)
	}
	if gone != nil && ctx.Err() != nil {
		return roomtoken.Grant{}, context.Cause(ctx)
	}
	switch {
	case outcome.Do != nil:
		return outcome.Do(ctx, call)
	case outcome.Err != nil:
		return roomtoken.Grant{}, outcome.Err
	case call.Kind == Create && s.CreateFunc != nil:
		return s.CreateFunc(ctx, call.Room)
	case call.Kind == Refresh && s.RefreshFunc != nil:
		return s.RefreshFunc(ctx, call.Room, call.RefreshToken)
	case call.Kind == Refresh:
		return s.refresh(call)
	}
	return s.Mint(call.Room), nil
}

// refresh returns the grant of an unscripted Refresh. The call's refresh token must be one
// for the call's room that had not expired when the call began.
func (s *Source) refresh(call Call) (roomtoken.Grant, error) {
	now, ttl := s.clock().Now(), s.refreshTokenTTL()
	rotates := s.Rotate && ttl > 0
	l, rotation, ok := parseRefreshToken(call.RefreshToken, call.Room)
	ends := call.RefreshToken.ExpiresAt // zero: not known
	if !ok || !ends.IsZero() && !call.At.Before(ends) || rotates && !s.rotate(l, rotation, now, later(ends, now.Add(ttl))) {
		return roomtoken.Grant{}, fmt.Errorf("roomtokentest: %s: %w", call.Room, roomtoken.ErrRefreshRejected)
	}
	grant, _ := s.mint(call.Room, now)
	if rotates {
		grant.RefreshToken = roomtoken.Token{Value: refreshTokenValue(l, rotation+1), ExpiresAt: now.Add(ttl)}
	}
	return grant, nil
}

// after returns a channel that receives a value once d has passed on c, and the timer
// to stop. It does not use c.Timer: a [clock.Mock] runs due timers in that method too,
// and deadlocks if two goroutines run the same one. For the same reason f may run
// twice, so the send must not block.
func after(c clock.Clock, d time.Duration) (<-chan struct{}, *clock.Timer) {
	elapsed := make(chan struct{}, 1)
	f := func() {
		select {
		case elapsed <- struct{}{}:
		default:
		}
	}
	return elapsed, c.AfterFunc(d, f)
}

// wait returns when either channel is ready.
func wait(a, b <-chan struct{}) {
	select {
	case <-a:
	case <-b:
	}
}

func (s *Source) clock() clock.Clock {
	if s.Clock == nil {
		return realClock
	}
	return s.Clock
}

var realClock = clock.New()

func (s *Source) refreshTokenTTL() time.Duration {
	return cmp.Or(s.RefreshTokenTTL, DefaultRefreshTokenTTL)
}

// mint returns a new grant without a refresh token, and its number. The value of its token
// is one such as "token 7 of lobby".
func (s *Source) mint(room string, now time.Time) (grant roomtoken.Grant, serial int) {
	s.mu.Lock()
	s.serial++
	serial = s.serial
	s.mu.Unlock()
	return roomtoken.Grant{
		Token: roomtoken.Token{
			Value:     roomtoken.NewSecret(fmt.Sprintf("token %d of %s", serial, room)),
			ExpiresAt: now.Add(cmp.Or(s.TokenTTL, DefaultTokenTTL)),
		},
		IssuedAt: now,
	}, serial
}
