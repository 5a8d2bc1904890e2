package roomtoken_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/roomtoken/roomtoken"
)

// server is the state of the server that mints the tokens.
type server struct {
	refresh map[string]time.Duration // when valid refresh tokens lapse
	last    map[string]roomtoken.Grant
	ends    map[string]time.Duration // of tokens, by value
	minted  map[string]time.Duration // when tokens were minted, by value
	session map[string]time.Duration // when the sessions of rooms end
	busy    int
}

// Create implements [roomtoken.TokenSource].
func (s *sim) Create(ctx context.Context, room string) (roomtoken.Grant, error) {
	return s.call(ctx, create, room, roomtoken.Token{})
}

// Refresh implements [roomtoken.TokenSource].
func (s *sim) Refresh(ctx context.Context, room string, token roomtoken.Token) (roomtoken.Grant, error) {
	return s.call(ctx, refresh, room, token)
}

// call is one call of the source.
func (s *sim) call(ctx context.Context, kind roomtoken.CallKind, room string, token roomtoken.Token) (roomtoken.Grant, error) {
	s.mu.Lock()
	s.running++
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.running--
		s.mu.Unlock()
	}()
	c := s.begins(kind, room, token.Value.Reveal(), ctx.Value(roomKey{}))
	if s.broken() { // the run is over
		<-ctx.Done()
		time.Sleep(1)
		s.fails(c, ctx.Err(), 0)
		return roomtoken.Grant{}, ctx.Err()
	}
	d, f := s.fate(c)
	defer func() {
		s.mu.Lock()
		s.server.busy--
		s.mu.Unlock()
	}()
	latency := s.plan.behavior.fast + d.ns()
	if d.chance(0.3) {
		latency = d.between(s.plan.behavior.fast, s.plan.behavior.slow)
	}
	switch f {
	case faultDeaf:
		time.Sleep(s.config.CallTimeout + d.between(10*time.Millisecond, 2*time.Minute))
		f = noFault
		if d.chance(0.5) {
			f = faultTransient
		}
	case faultHang:
		latency = forever
		fallthrough
	default:
		timer := time.NewTimer(latency)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			s.mu.Lock()
			if !s.closed && c.epoch == s.epoch && s.now() < c.begun+s.config.CallTimeout {
				s.breaks(4, "the ctx of %s(%s) ends %v after it began: %v", kind, room, s.now()-c.begun, context.Cause(ctx))
			}
			s.mu.Unlock()
			time.Sleep(d.ns())
			s.fails(c, ctx.Err(), 0)
			return roomtoken.Grant{}, ctx.Err()
		}
	}
	return s.answer(c, token.Value.Reveal(), &d, f)
}

// fate draws how a call ends.
func (s *sim) fate(c *modelCall) (dice, fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := c.room
	r.calls++
	root := dice(s.plan.seed)
	d := root.child(uint64(r.n)<<32 | uint64(r.calls))
	t := &s.plan.behavior
	f := noFault
	if d.chance(t.faults) && !t.calm {
		f = fault(d.weighted(t.weights[:]))
	}
	if t.sick>>r.n&1 != 0 {
		f = t.ails
	}
	for _, o := range s.outages {
		if c.begun < o.until && (o.room < 0 || o.room == r.n) {
			f = o.fault
		}
	}
	if s.server.busy++; t.capacity > 0 && s.server.busy > t.capacity && f == noFault {
		f = t.refuses
	}
	c.deaf = f == faultDeaf
	return d, f
}

// answer returns the server's answer.
func (s *sim) answer(c *modelCall, refreshToken string, d *dice, f fault) (roomtoken.Grant, error) {
	id := c.room.id
	fail := func(err error, wait time.Duration) (roomtoken.Grant, error) {
		if wait != 0 {
			err = roomtoken.RetryAfter(err, wait)
		}
		s.fails(c, err, wait)
		return roomtoken.Grant{}, err
	}
	wait := d.between(500*time.Millisecond, 3*time.Minute)
	if d.chance(0.02) {
		wait = d.between(time.Hour, 48*time.Hour)
	}
	switch f {
	case faultTransient:
		return fail(errDown, 0)
	case faultRetryAfter:
		return fail(errDown, wait)
	case faultLimited:
		return fail(roomtoken.ErrRateLimited, 0)
	case faultLimitedFor:
		return fail(fmt.Errorf("slow down: %w", roomtoken.ErrRateLimited), wait)
	case faultPermanent:
		return fail(roomtoken.Permanent(errors.New("forbidden")), 0)
	case faultUnauthorized:
		return fail(fmt.Errorf("wrong key: %w", roomtoken.ErrUnauthorized), 0)
	case faultNotFound:
		return fail(fmt.Errorf("who? %w", roomtoken.ErrRoomNotFound), 0)
	case faultPanic:
		s.fails(c, errThrown, 0)
		panic(errThrown.Error() + " " + refreshToken)
	case faultGoexit:
		s.fails(c, errGoexit, 0)
		runtime.Goexit()
	}
	s.mu.Lock()
	now := s.now()
	if c.kind == refresh {
		end, known := s.server.refresh[refreshToken]
		if over, ok := s.server.session[id]; ok {
			end = min(end, over)
		}
		if f == faultRejected || !known || now >= end {
			delete(s.server.refresh, refreshToken)
			s.mu.Unlock()
			if d.chance(0.9) {
				wait = 0
			}
			return fail(fmt.Errorf("unknown: %w", roomtoken.ErrRefreshRejected), wait)
		}
	}
	g, ends := s.mint(c, refreshToken, d, f, now)
	s.mu.Unlock()
	if f == faultLost {
		return fail(errDown, 0)
	}
	if !g.Token.Value.IsZero() {
		s.server.last[id] = g
	}
	s.grants(c, g, ends)
	return g, nil
}

// mint returns a grant and when its token expires for its issuer. The caller must hold
// mu.
func (s *sim) mint(c *modelCall, refreshToken string, d *dice, f fault, now time.Duration) (roomtoken.Grant, time.Duration) {
	id, t := c.room.id, &s.plan.behavior
	if last, ok := s.server.last[id]; ok && f == faultSame && !s.plan.wall {
		last.RefreshToken = roomtoken.Token{}
		return last, s.server.ends[last.Token.Value.Reveal()]
	}
	s.minted++
	wall := s.wallNow()
	lifetime := time.Duration(float64(t.lifetime) * (0.8 + 0.2*d.float()))
	switch f {
	case faultShort:
		lifetime = d.between(time.Millisecond, 3*time.Second)
	case faultExpired:
		lifetime = -d.between(time.Millisecond, time.Hour)
	}
	if t.session > 0 && f == noFault {
		if c.kind == create {
			s.server.session[id] = now + t.session
		}
		lifetime = min(lifetime, s.server.session[id]-now)
	}
	value := fmt.Sprintf("tok-%s-%s-%d", canary, id, s.minted)
	s.server.minted[value] = now
	ends := now + lifetime
	s.server.ends[value] = ends
	g := roomtoken.Grant{Token: roomtoken.Token{Value: roomtoken.NewSecret(value), ExpiresAt: wall.Add(lifetime)}}
	if d.chance(t.issuedAtChance) {
		g.IssuedAt = wall
		switch {
		case s.plan.wall:
		case d.chance(0.3): // issued before the call
			age := time.Duration(float64(lifetime) * d.float())
			g.IssuedAt = wall.Add(-age)
			g.Token.ExpiresAt = g.IssuedAt.Add(lifetime)
			ends = now + lifetime - age
			s.server.ends[value] = ends
		case d.chance(0.3): // the server's clock is wrong
			g.IssuedAt = wall.Add(time.Duration(float64(lifetime) * (d.float() - 0.5) / 2))
		}
	}
	switch f {
	case faultEmpty:
		g.Token.Value = roomtoken.Secret{}
	case faultNoExpiry:
		g.Token.ExpiresAt = time.Time{}
	}
	if t.refresh != 0 && (c.kind == create || t.rotates) {
		delete(s.server.refresh, refreshToken)
		value := fmt.Sprintf("ref-%s-%s-%d", canary, id, s.minted)
		g.RefreshToken.Value = roomtoken.NewSecret(value)
		if t.refresh > 0 {
			life := time.Duration(float64(t.refresh) * (0.6 + 0.4*d.float()))
			g.RefreshToken.ExpiresAt = wall.Add(life)
			s.server.refresh[value] = now + life
		} else {
			s.server.refresh[value] = now + d.between(t.lifetime, 10*t.lifetime)
		}
	}
	return g, ends
}
