package roomtoken_test

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/roomtoken/roomtoken"
)

// simStore is the store as a process of the simulation reaches it: late, twice, not at
// all. It also watches what the process does with it.
type simStore struct{ p *simProcess }

var (
	_ roomtoken.Store = simStore{}
	_ roomtoken.Waker = simStore{}

	errStore = errors.New("the store does not answer")
)

// linkFate is what happens to one call of the store.
type linkFate struct {
	latency time.Duration // before the work, and after
	fault   linkFault     // -1: none
	late    time.Duration
}

// fate draws what happens to a call.
func (s simStore) fate() linkFate {
	f, p := s.p.f, s.p
	d := &p.dice
	fate := linkFate{latency: d.between(f.plan.latency/10, f.plan.latency) / 2, fault: -1}
	now := f.now()
	for _, w := range p.faults {
		if now >= w.from && now < w.until && d.chance(w.chance) {
			fate.fault = w.fault
		}
	}
	fate.late = f.config.StoreTimeout + d.between(time.Millisecond, maxLate)
	return fate
}

// maxLate is for how long after StoreTimeout an answer of the store may come.
const maxLate = 2 * time.Second

// call makes one call of the store. do does the work, with the lock.
func (s simStore) call(ctx context.Context, what, room string, do func() error) (err error) {
	f, p := s.p.f, s.p
	if err := p.pass(); err != nil {
		return err
	}
	began := f.now()
	defer func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		switch now := f.now(); {
		case err != nil || now-began >= f.config.StoreTimeout:
			p.unheard, p.heard = max(p.unheard, now), 0
		case what == "News" && p.heard == 0 && began > max(p.unheard, f.writable):
			p.heard = max(now, 1)
		}
	}()
	f.mu.Lock()
	fate := s.fate()
	if fate.fault >= 0 {
		p.unheard, p.heard = f.now()+f.config.StoreTimeout, 0 // then it counts as failed
	}
	f.storeCalls++
	if what == "Acquire" || what == "Commit" {
		p.asks++
	}
	f.checks++
	if p.running++; p.running > 32 {
		f.breaks("F14", "process %d has %d calls of the store under way", p.n, p.running)
	}
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		p.running--
		f.mu.Unlock()
	}()
	work := func() error {
		f.mu.Lock()
		defer f.mu.Unlock()
		err := do()
		if room != "" {
			f.recorded(p, what, f.room(room))
		}
		return err
	}

	if err := sleepUntil(ctx, fate.latency, false); err != nil {
		return err
	}
	if err := p.pass(); err != nil { // what is on the way does not arrive
		return err
	}
	switch fate.fault {
	case linkError:
		return errStore
	case linkHang, linkDeaf:
		if err := sleepUntil(ctx, fate.late, fate.fault == linkDeaf); err != nil {
			return err
		}
		return errStore
	}
	err = work()
	if fate.fault == linkTwice {
		err = work()
	}
	latency := fate.latency
	if fate.fault == linkLate {
		latency = fate.late
	}
	if err := sleepUntil(ctx, latency, fate.fault == linkLate); err != nil {
		return err
	}
	if err := p.pass(); err != nil {
		return err
	}
	if fate.fault == linkLost {
		return errStore
	}
	return err
}

// Load implements [roomtoken.Store].
func (s simStore) Load(ctx context.Context, roomIDs []string) (entries []roomtoken.Entry, err error) {
	err = s.call(ctx, "Load", "", func() (err error) {
		if len(roomIDs) > roomtoken.MaxLoad {
			s.p.f.breaks("F15", "process %d loads %d rooms at a time", s.p.n, len(roomIDs))
		}
		entries, err = s.p.store.Load(context.Background(), roomIDs)
		return err
	})
	return entries, err
}

// Acquire implements [roomtoken.Store].
func (s simStore) Acquire(ctx context.Context, ask roomtoken.Ask) (entry roomtoken.Entry, err error) {
	err = s.call(ctx, "Acquire", ask.RoomID, func() (err error) {
		f := s.p.f
		f.askers[ask.ID] = s.p
		if !ask.Refused.Token.IsZero() && !f.readOnly {
			f.told(ask.Refused.Token)
		}
		entry, err = s.p.store.Acquire(context.Background(), ask)
		if f.tracing {
			flags := ""
			for flag, set := range map[string]bool{" look": ask.Look, " wait": ask.Wait, " fresh": ask.Fresh} {
				if set {
					flags += flag
				}
			}
			f.note("    process %d asks for %s, newer than %d%s: %s", s.p.n, ask.RoomID, ask.Newer, flags, f.describe(entry))
		}
		return err
	})
	return entry, err
}

// Commit implements [roomtoken.Store].
func (s simStore) Commit(ctx context.Context, lease roomtoken.Lease, result roomtoken.Result) (answer roomtoken.Committed, err error) {
	defer func() {
		if err == nil && !answer.Taken && !answer.Newer.IsZero() && !answer.Newer.Token.Equal(result.Record.Token) {
			s.p.f.lost(s.p, result.Record)
		}
	}()
	err = s.call(ctx, "Commit", lease.RoomID, func() (err error) {
		f := s.p.f
		if lease.IsZero() || lease.RoomID == "" {
			f.breaks("F5", "process %d commits %v without a lease", s.p.n, f.nameOf(result.Record.Token))
			return errStore
		}
		if strings.Contains(result.Failure.Text, canary) {
			f.breaks("F11", "process %d shares a failure that contains a secret: %s", s.p.n, result.Failure.Text)
		}
		before := s.p.store.Record(lease.RoomID)
		holds := s.p.store.Leases()[lease.RoomID].ID == lease.ID
		answer, err = s.p.store.Commit(context.Background(), lease, result)
		after := s.p.store.Record(lease.RoomID)
		if f.tracing {
			f.note("    process %d commits %s: token %s version %d, failure %d for %v, given on %d: taken %v, newer %d, %v", s.p.n, lease.RoomID,
				f.nameOf(result.Record.Token), result.Record.Version, result.Failure.Kind, result.NotBefore, lease.Version, answer.Taken, answer.Newer.Version, err)
		}
		switch {
		case after.Version < before.Version:
			f.breaks("F5", "process %d: the record of %s goes back from %d to %d", s.p.n, lease.RoomID, before.Version, after.Version)
		case !holds && before.Version > lease.Version && after.Version != before.Version:
			f.breaks("F5", "process %d replaces record %d of %s without a lease; it started from %d", s.p.n, before.Version, lease.RoomID, lease.Version)
		}
		if answer.Taken && !result.Record.IsZero() && err == nil {
			f.committed(s.p, f.room(lease.RoomID), result.Record)
		}
		return err
	})
	return answer, err
}

// Reject implements [roomtoken.Store].
func (s simStore) Reject(ctx context.Context, rejection roomtoken.Rejection) error {
	return s.call(ctx, "Reject", rejection.RoomID, func() error {
		err := s.p.store.Reject(context.Background(), rejection)
		if err == nil {
			s.p.f.told(rejection.Token)
		}
		return err
	})
}

// Hold implements [roomtoken.Store].
func (s simStore) Hold(ctx context.Context, wait time.Duration, failure roomtoken.Failure) error {
	return s.call(ctx, "Hold", "", func() error {
		if strings.Contains(failure.Text, canary) {
			s.p.f.breaks("F11", "process %d shares a failure that contains a secret: %s", s.p.n, failure.Text)
		}
		s.p.f.note("    process %d tells of a hold of %v", s.p.n, wait)
		return s.p.store.Hold(context.Background(), wait, failure)
	})
}

// News implements [roomtoken.Store].
func (s simStore) News(ctx context.Context, since string) (news roomtoken.News, err error) {
	err = s.call(ctx, "News", "", func() (err error) {
		news, err = s.p.store.News(context.Background(), since)
		return err
	})
	return news, err
}

// Wake implements [roomtoken.Waker].
func (s simStore) Wake(ctx context.Context, wake func(roomID string, record roomtoken.Record)) error {
	p, f := s.p, s.p.f
	if err := p.pass(); err != nil {
		return err
	}
	ctx, cut := context.WithCancel(ctx)
	defer cut()
	f.mu.Lock()
	p.cutWakes = cut
	bad := p.isCut(0)
	f.mu.Unlock()
	if bad {
		return errStore
	}
	return p.store.Wake(ctx, func(roomID string, record roomtoken.Record) {
		if p.pass() != nil {
			return
		}
		f.mu.Lock()
		lost := p.isCut(0)
		f.mu.Unlock()
		if !lost {
			wake(roomID, record)
		}
	})
}

// isCut reports whether no call of the store has come through for d.
func (p *simProcess) isCut(d time.Duration) bool {
	now, cut := p.f.now(), false
	for _, w := range p.faults {
		switch cuts := w.chance == 1 && (w.fault == linkError || w.fault == linkHang || w.fault == linkDeaf); {
		case w.until <= now-d || w.from >= now:
		case cuts && w.from <= now-d && w.until > now:
			cut = true
		case !cuts: // it takes the place of those before
			cut = false
		}
	}
	return cut
}
