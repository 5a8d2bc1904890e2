package roomtoken_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/roomtoken/roomtoken"
)

// simMint is a token that the issuer has minted.
type simMint struct {
	n        int
	room     *simRoom
	kind     roomtoken.CallKind
	by       *simProcess // whose call it was
	began    time.Duration
	leased   time.Duration // when the lease was given, about
	renewed  bool          // its process had a token before
	shared   bool          // it was the room's record
	came     time.Duration // when the process had it; 0: it never has
	ends     time.Duration
	lifetime time.Duration

	refresh     string
	refreshEnds time.Duration
	spent       bool // the refresh token was used

	holdBack  time.Duration        // it is not handed out before that age
	early     bool                 // it was refused long before its renewal was due
	refused   time.Duration        // when Invalidate first returned true; 0: it has not
	refusedBy *simProcess          // where that was
	refusedIn map[*simProcess]bool // where Invalidate returned true, and the room was not forgotten since
	told      time.Duration        // when the store learned of that; 0: it has not
	lost      bool                 // the store has lost its memory since
}

func (m *simMint) String() string {
	if m == nil {
		return "none"
	}
	return fmt.Sprintf("#%d", m.n)
}

// simCall is a call of the source.
type simCall struct {
	p        *simProcess
	r        *simRoom
	kind     roomtoken.CallKind
	uses     *simMint // whose refresh token it uses
	began    time.Duration
	leased   time.Duration // when its lease was given, about
	renews   bool          // its process has a token
	holdBack time.Duration // of its token, at least
	wait     time.Duration // that its error asks for
}

// simTrouble is a time in which the source fails.
type simTrouble struct {
	room        int // -1: all
	fault       fault
	from, until time.Duration
}

// simSource is the source of a process of the simulation.
type simSource struct{ p *simProcess }

// Create implements [roomtoken.TokenSource].
func (s simSource) Create(ctx context.Context, room string) (roomtoken.Grant, error) {
	return s.call(ctx, create, room, "")
}

// Refresh implements [roomtoken.TokenSource].
func (s simSource) Refresh(ctx context.Context, room string, token roomtoken.Token) (roomtoken.Grant, error) {
	return s.call(ctx, refresh, room, token.Value.Reveal())
}

// call is one call of the source.
func (s simSource) call(ctx context.Context, kind roomtoken.CallKind, room, token string) (roomtoken.Grant, error) {
	p, f := s.p, s.p.f
	leased := f.now()
	if err := p.pass(); err != nil {
		return roomtoken.Grant{}, err
	}
	f.mu.Lock()
	c := f.begins(p, kind, room, token, leased)
	d := &p.dice
	latency := f.plan.issuer.fast + d.ns()
	if d.chance(0.3) {
		latency = d.between(f.plan.issuer.fast, f.plan.issuer.slow)
	}
	wrong := f.fate(c.r)
	lost := d.chance(0.5) // if nobody waits for the answer
	f.mu.Unlock()
	if wrong == faultHang {
		latency = forever
	}
	err := sleepUntil(ctx, latency, false)
	if err == nil || lost && wrong == noFault {
		err = errors.Join(err, f.failed(c, wrong, token))
	}
	var m *simMint
	if err == nil || lost && errors.Is(err, ctx.Err()) && wrong == noFault {
		m = f.mint(c, token)
	}
	if err == nil && wrong == faultLost {
		m, err = nil, errDown
	}
	if cut := p.pass(); cut != nil {
		err = cut
	}
	return f.ends(c, m, err)
}

// fate returns how a call for a room fails that begins now.
func (f *fleetSim) fate(r *simRoom) fault {
	wrong := noFault
	for _, t := range f.troubles {
		if now := f.now(); now >= t.from && now < t.until && (t.room < 0 || t.room == r.n) {
			wrong = t.fault
		}
	}
	return wrong
}

// failed returns the error with which a call fails, nil if it does not.
func (f *fleetSim) failed(c *simCall, wrong fault, token string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	wait := c.p.dice.between(time.Second, maxRetryAfter)
	switch wrong {
	case faultTransient:
		return errDown
	case faultRetryAfter:
		c.wait = wait
		return roomtoken.RetryAfter(errDown, wait)
	case faultLimitedFor:
		c.wait = wait
		return roomtoken.RetryAfter(fmt.Errorf("slow down: %w", roomtoken.ErrRateLimited), wait)
	case faultPermanent:
		return roomtoken.Permanent(errors.New("forbidden"))
	case faultNotFound:
		return fmt.Errorf("who? %w", roomtoken.ErrRoomNotFound)
	case faultUnauthorized:
		return fmt.Errorf("wrong key: %w", roomtoken.ErrUnauthorized)
	}
	if c.kind != refresh {
		return nil
	}
	if m := c.uses; m == nil || wrong == faultRejected || f.now() >= m.refreshEnds || m.spent && f.plan.issuer.rotates {
		return fmt.Errorf("unknown: %w", roomtoken.ErrRefreshRejected)
	}
	return nil
}

// maxRetryAfter is the longest wait that the source asks for.
const maxRetryAfter = 5 * time.Second

// mint mints a token.
func (f *fleetSim) mint(c *simCall, token string) *simMint {
	f.mu.Lock()
	defer f.mu.Unlock()
	t, d := &f.plan.issuer, &c.p.dice
	now := f.now()
	m := &simMint{n: len(f.mints) + 1, room: c.r, kind: c.kind, by: c.p, began: c.began, leased: c.leased, refusedIn: map[*simProcess]bool{}}
	m.lifetime = time.Duration(float64(t.lifetime) * (0.9 + 0.1*d.float()))
	m.ends = now + m.lifetime
	m.renewed = c.renews
	m.holdBack = min(c.holdBack, m.lifetime/3)
	if c.uses != nil {
		c.uses.spent = true
	}
	if c.uses != nil && !t.rotates {
		m.refresh, m.refreshEnds = token, c.uses.refreshEnds
		f.refreshes[token] = m
	}
	if t.refresh != 0 && (c.kind == create || t.rotates) {
		m.refresh = fmt.Sprintf("ref-%s-%s-%d", canary, c.r.id, m.n)
		m.refreshEnds = now + t.refresh
		if t.refresh < 0 {
			m.refreshEnds = now + d.between(t.lifetime/2, 20*t.lifetime)
		}
		f.refreshes[m.refresh] = m
	}
	f.mints[m.value()] = m
	f.names[roomtoken.NewSecret(m.value()).Digest()] = m
	return m
}

func (m *simMint) value() string { return fmt.Sprintf("tok-%s-%s-%d", canary, m.room.id, m.n) }

// grant returns the token as the process gets it whose call it was. Its adapter knows for
// how long the token lives.
func (m *simMint) grant(p *simProcess) roomtoken.Grant {
	t := p.f.plan.issuer
	left := m.ends - p.f.now()
	g := roomtoken.Grant{Token: roomtoken.Token{Value: roomtoken.NewSecret(m.value()), ExpiresAt: p.wall().Add(left)}}
	if m.refresh != "" && (m.kind == create || t.rotates) {
		g.RefreshToken.Value = roomtoken.NewSecret(m.refresh)
		if t.refresh > 0 {
			g.RefreshToken.ExpiresAt = p.wall().Add(m.refreshEnds - p.f.now())
		}
	}
	return g
}
