package roomtokentest

import (
	"context"
	"sync"
	"time"

	"github.com/benbjohnson/clock"

	"github.com/roomtoken/roomtoken"
)

// Store is a [roomtoken.Store] in memory, for tests of programs whose processes share
// tokens. The zero Store is empty and ready to use. Give it to all Managers of a test, or
// give each a [Store.Process] of its own, so that faults, counters and wakes are those of
// one process. Set the fields before the first call. The methods are safe for concurrent
// use. A Store must not be copied.
//
// When a call begins, it takes the first scripted [StoreFault] that applies to it and is
// counted. It then waits for its latency and does its work, at once, whatever other calls
// do meanwhile.
//
// It is also the reference for those who write a Store of their own. Package storetest
// tests these.
type Store struct {
	// Clock is the clock of the Store, by which everything in it ends, see
	// [roomtoken.StoreTime]. Prefer [testing/synctest] with a nil Clock; a *clock.Mock is
	// the second choice (see the package documentation). Defaults to the real clock.
	Clock clock.Clock

	// Latency is the time on Clock that passes in each call before it does its work.
	Latency time.Duration

	// IgnoreContext makes calls ignore the end of their ctx: a delayed call keeps waiting
	// and then succeeds. [Store.Wake] does not ignore it.
	IgnoreContext bool

	// NewsLimit is how many rejections are kept for [Store.News]: the newest ones.
	// Defaults to [DefaultNewsLimit].
	NewsLimit int

	init   sync.Once // sets shared, unless Process did
	shared *memory   // what all processes share

	script storeScript
	tally  storeTally
	wakes  wakes
}

// DefaultNewsLimit is how many rejections a [Store] keeps for [Store.News].
const DefaultNewsLimit = 10_000

var (
	_ roomtoken.Store = (*Store)(nil)
	_ roomtoken.Waker = (*Store)(nil)
)

// Process returns the Store as another process sees it. Both have the same rooms, news and
// clock. Faults, counters and wakes are the process's own. It has the fields of s.
func (s *Store) Process() *Store {
	return &Store{
		Clock:         s.Clock,
		Latency:       s.Latency,
		IgnoreContext: s.IgnoreContext,
		NewsLimit:     s.NewsLimit,
		shared:        s.memory(),
	}
}

func (s *Store) memory() *memory {
	s.init.Do(func() {
		if s.shared == nil {
			s.shared = newMemory(s.clock(), s.NewsLimit)
		}
	})
	return s.shared
}

// Load implements [roomtoken.Store].
func (s *Store) Load(ctx context.Context, roomIDs []string) ([]roomtoken.Entry, error) {
	return do(ctx, s, StoreLoad, roomIDs, func(m *memory, now roomtoken.StoreTime) ([]roomtoken.Entry, error) {
		entries := make([]roomtoken.Entry, len(roomIDs))
		for i, roomID := range roomIDs {
			entries[i] = m.room(roomID, now).load(now)
		}
		return entries, nil
	})
}

// Acquire implements [roomtoken.Store].
func (s *Store) Acquire(ctx context.Context, ask roomtoken.Ask) (roomtoken.Entry, error) {
	return do(ctx, s, StoreAcquire, []string{ask.RoomID}, func(m *memory, now roomtoken.StoreTime) (roomtoken.Entry, error) {
		return m.room(ask.RoomID, now).acquire(ask, &s.wakes, m.degraded, now), nil
	})
}

// Commit implements [roomtoken.Store].
func (s *Store) Commit(ctx context.Context, lease roomtoken.Lease, result roomtoken.Result) (roomtoken.Committed, error) {
	return do(ctx, s, StoreCommit, []string{lease.RoomID}, func(m *memory, now roomtoken.StoreTime) (roomtoken.Committed, error) {
		if m.degraded != nil {
			return roomtoken.Committed{}, m.degraded
		}
		return m.room(lease.RoomID, now).commit(lease, result, now), nil
	})
}

// Reject implements [roomtoken.Store].
func (s *Store) Reject(ctx context.Context, rejection roomtoken.Rejection) error {
	return doErr(ctx, s, StoreReject, []string{rejection.RoomID}, func(m *memory, now roomtoken.StoreTime) error {
		if m.degraded != nil {
			return m.degraded
		}
		m.room(rejection.RoomID, now).reject(rejection, now)
		m.news.reject(rejection, now)
		return nil
	})
}

// Hold implements [roomtoken.Store].
func (s *Store) Hold(ctx context.Context, wait time.Duration, failure roomtoken.Failure) error {
	return doErr(ctx, s, StoreHold, nil, func(m *memory, now roomtoken.StoreTime) error {
		if m.degraded != nil {
			return m.degraded
		}
		m.news.hold(wait, failure, now)
		return nil
	})
}

// News implements [roomtoken.Store].
func (s *Store) News(ctx context.Context, since string) (roomtoken.News, error) {
	return do(ctx, s, StoreNews, nil, func(m *memory, now roomtoken.StoreTime) (roomtoken.News, error) {
		return m.news.since(since, now), nil
	})
}

// do makes one call of a method: it lets faults happen and does the work, under the lock.
func do[T any](ctx context.Context, s *Store, method StoreMethods, roomIDs []string, work func(*memory, roomtoken.StoreTime) (T, error)) (T, error) {
	var none T
	fault := s.script.next(method, roomIDs)
	s.tally.begin(method)
	defer s.tally.end()
	err := s.delay(ctx, s.Latency)
	if err == nil && !fault.After {
		err = s.suffer(ctx, fault)
	}
	if err != nil {
		return none, err
	}
	answer, err := underLock(s.memory(), work)
	if err == nil && fault.After {
		err = s.suffer(ctx, fault)
	}
	if err != nil {
		return none, err
	}
	return answer, nil
}

func underLock[T any](m *memory, work func(*memory, roomtoken.StoreTime) (T, error)) (T, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	defer m.sweep()
	return work(m, m.now())
}

// doErr is do for methods that answer with an error alone.
func doErr(ctx context.Context, s *Store, method StoreMethods, roomIDs []string, work func(*memory, roomtoken.StoreTime) error) error {
	_, err := do(ctx, s, method, roomIDs, func(m *memory, now roomtoken.StoreTime) (struct{}, error) {
		return struct{}{}, work(m, now)
	})
	return err
}

func (s *Store) clock() clock.Clock {
	if s.Clock == nil {
		return realClock
	}
	return s.Clock
}
