package roomtokentest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/benbjohnson/clock"

	"github.com/roomtoken/roomtoken"
)

// The lifetimes of a Source that names none.
const (
	DefaultTokenTTL        = 10 * time.Minute
	DefaultRefreshTokenTTL = time.Hour
)

// Source is a [roomtoken.TokenSource] for tests. The zero Source works: every
// call mints a new token at once. Set the fields before the first call; the
// methods are safe for concurrent use. A Source must not be copied.
//
// When a call begins it takes the first scripted [Outcome] that fits. It is then
// counted in, and waits out its latency and the holds that were there when it
// began. Then it does what the outcome says; without one, what CreateFunc or
// RefreshFunc says; without these, it mints a grant.
type Source struct {
	// Clock is the time by which tokens are dated and calls delayed. Defaults to
	// the real one.
	Clock clock.Clock

	// TokenTTL is the lifetime of the tokens minted. Defaults to
	// [DefaultTokenTTL]; negative: they have expired.
	TokenTTL time.Duration

	// RefreshTokenTTL is the lifetime of the refresh tokens minted. Defaults to
	// [DefaultRefreshTokenTTL]; negative: none are.
	RefreshTokenTTL time.Duration

	// Rotate makes Refresh return a new refresh token each time; otherwise it
	// returns none, which leaves the old one in force. The old one stays good.
	Rotate bool

	// Latency is how long each call takes.
	Latency time.Duration

	// IgnoreContext makes calls stay delayed or held when their ctx ends, and
	// succeed afterwards, as those of a source do that does not look at it.
	IgnoreContext bool

	// CreateFunc and RefreshFunc replace the minting; see [Source.Mint].
	CreateFunc  func(ctx context.Context, room string) (roomtoken.Grant, error)
	RefreshFunc func(ctx context.Context, room string, refreshToken roomtoken.Token) (roomtoken.Grant, error)

	mu     sync.Mutex // over what follows but the books
	serial int        // of the grant minted last
	script []*Outcome
	holds  []*Hold

	books books
}

var _ roomtoken.TokenSource = (*Source)(nil)

// Create implements [roomtoken.TokenSource].
func (s *Source) Create(ctx context.Context, room string) (roomtoken.Grant, error) {
	return s.do(ctx, Call{Kind: Create, Room: room})
}

// Refresh implements [roomtoken.TokenSource]. Where nothing else is scripted, a
// refresh token that was not minted for the room, or has expired, gets
// [roomtoken.ErrRefreshRejected].
func (s *Source) Refresh(ctx context.Context, room string, refreshToken roomtoken.Token) (roomtoken.Grant, error) {
	return s.do(ctx, Call{Kind: Refresh, Room: room, RefreshToken: refreshToken})
}

// Mint returns the grant that a regular Create of the room returns: for a
// CreateFunc or an [Outcome] that only changes it.
func (s *Source) Mint(room string) roomtoken.Grant { return s.mint(Create, room) }

func (s *Source) do(ctx context.Context, call Call) (roomtoken.Grant, error) {
	call.At = s.clock().Now()
	outcome, holds := s.next(call)

	// The timer comes before the call is counted in: whoever has waited for the
	// call can move the clock.
	var elapsed <-chan time.Time
	if latency := s.Latency + outcome.Latency; latency > 0 {
		timer := s.clock().Timer(latency)
		defer timer.Stop()
		elapsed = timer.C
	}
	s.books.begin(call)
	defer s.books.end(call)

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
	case call.Kind == Refresh && !accepts(call):
		return roomtoken.Grant{}, fmt.Errorf("roomtokentest: %s: %w", call.Room, roomtoken.ErrRefreshRejected)
	}
	return s.mint(call.Kind, call.Room), nil
}

// wait waits for whichever comes first.
func wait[T any](until <-chan T, gone <-chan struct{}) {
	select {
	case <-until:
	case <-gone:
	}
}

func (s *Source) clock() clock.Clock {
	if s.Clock == nil {
		return realClock
	}
	return s.Clock
}

var realClock = clock.New()

// mint makes a grant whose values say what they are: "token 7 of lobby".
func (s *Source) mint(kind Kind, room string) roomtoken.Grant {
	s.mu.Lock()
	s.serial++
	serial := s.serial
	s.mu.Unlock()

	now := s.clock().Now()
	grant := roomtoken.Grant{
		Token: roomtoken.Token{
			Value:     roomtoken.NewSecret(fmt.Sprintf("token %d of %s", serial, room)),
			ExpiresAt: now.Add(or(s.TokenTTL, DefaultTokenTTL)),
		},
		IssuedAt: now,
	}
	if ttl := or(s.RefreshTokenTTL, DefaultRefreshTokenTTL); ttl > 0 && (kind == Create || s.Rotate) {
		grant.RefreshToken = roomtoken.Token{
			Value:     roomtoken.NewSecret(fmt.Sprintf("refresh token %d of %s", serial, room)),
			ExpiresAt: now.Add(ttl),
		}
	}
	return grant
}

// accepts reports whether the call's refresh token could be one of the room's, by
// its name, and had not expired when the call began.
func accepts(call Call) bool {
	value := call.RefreshToken.Value.Reveal()
	return strings.HasPrefix(value, "refresh token ") && strings.HasSuffix(value, " of "+call.Room) &&
		call.At.Before(call.RefreshToken.ExpiresAt)
}

func or(d, standard time.Duration) time.Duration {
	if d == 0 {
		return standard
	}
	return d
}
