package storetest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/roomtokentest"
)

// process is one process of a Store that breaks a sentence. Its methods are those of a
// Store in memory until they are replaced.
type process struct {
	*roomtokentest.Store
	first  bool
	shared *shared

	load    func(ctx context.Context, roomIDs []string) ([]roomtoken.Entry, error)
	acquire func(ctx context.Context, ask roomtoken.Ask) (roomtoken.Entry, error)
	commit  func(ctx context.Context, lease roomtoken.Lease, result roomtoken.Result) (roomtoken.Committed, error)
	reject  func(ctx context.Context, rejection roomtoken.Rejection) error
	hold    func(ctx context.Context, wait time.Duration, failure roomtoken.Failure) error
	news    func(ctx context.Context, since string) (roomtoken.News, error)
	wake    func(ctx context.Context, wake func(roomID string, record roomtoken.Record)) error
}

// shared is what the processes of a broken Store need besides.
type shared struct {
	mu       sync.Mutex
	n        int
	failure  roomtoken.Failure
	hold     roomtoken.Hold
	entries  map[string][]roomtoken.Entry
	rejected map[roomtoken.Digest]bool
}

// next counts.
func (s *shared) next() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n++
	return s.n
}

func (p *process) Load(ctx context.Context, roomIDs []string) ([]roomtoken.Entry, error) {
	return p.load(ctx, roomIDs)
}

func (p *process) Acquire(ctx context.Context, ask roomtoken.Ask) (roomtoken.Entry, error) {
	return p.acquire(ctx, ask)
}

func (p *process) Commit(ctx context.Context, lease roomtoken.Lease, result roomtoken.Result) (roomtoken.Committed, error) {
	return p.commit(ctx, lease, result)
}

func (p *process) Reject(ctx context.Context, rejection roomtoken.Rejection) error {
	return p.reject(ctx, rejection)
}

func (p *process) Hold(ctx context.Context, wait time.Duration, failure roomtoken.Failure) error {
	return p.hold(ctx, wait, failure)
}

func (p *process) News(ctx context.Context, since string) (roomtoken.News, error) {
	return p.news(ctx, since)
}

func (p *process) Wake(ctx context.Context, wake func(roomID string, record roomtoken.Record)) error {
	return p.wake(ctx, wake)
}

// The following build broken methods from those of the Store in memory.

// asks changes what is asked for.
func (p *process) asks(change func(ask *roomtoken.Ask)) {
	p.acquire = func(ctx context.Context, ask roomtoken.Ask) (roomtoken.Entry, error) {
		change(&ask)
		return p.Store.Acquire(ctx, ask)
	}
}

// entries changes the answers of Acquire.
func (p *process) entries(change func(ask roomtoken.Ask, entry *roomtoken.Entry)) {
	p.acquire = func(ctx context.Context, ask roomtoken.Ask) (roomtoken.Entry, error) {
		entry, err := p.Store.Acquire(ctx, ask)
		change(ask, &entry)
		return entry, err
	}
}

// loads changes the entries of Load.
func (p *process) loads(change func(roomID string, entry *roomtoken.Entry)) {
	p.load = func(ctx context.Context, roomIDs []string) ([]roomtoken.Entry, error) {
		entries, err := p.Store.Load(ctx, roomIDs)
		for i := range entries {
			change(roomIDs[i], &entries[i])
		}
		return entries, err
	}
}

// results changes what is committed.
func (p *process) results(change func(lease *roomtoken.Lease, result *roomtoken.Result)) {
	p.commit = func(ctx context.Context, lease roomtoken.Lease, result roomtoken.Result) (roomtoken.Committed, error) {
		change(&lease, &result)
		return p.Store.Commit(ctx, lease, result)
	}
}

// rejections changes what is rejected.
func (p *process) rejections(change func(rejection *roomtoken.Rejection)) {
	p.reject = func(ctx context.Context, rejection roomtoken.Rejection) error {
		change(&rejection)
		return p.Store.Reject(ctx, rejection)
	}
}

// tells changes the news.
func (p *process) tells(change func(since string, news *roomtoken.News)) {
	p.news = func(ctx context.Context, since string) (roomtoken.News, error) {
		news, err := p.Store.News(ctx, since)
		change(since, &news)
		return news, err
	}
}

// wakes changes whether and with what the process is woken.
func (p *process) wakes(change func(roomID string, record *roomtoken.Record) bool) {
	p.wake = func(ctx context.Context, wake func(roomID string, record roomtoken.Record)) error {
		return p.Store.Wake(ctx, func(roomID string, record roomtoken.Record) {
			if change(roomID, &record) {
				wake(roomID, record)
			}
		})
	}
}

// rename makes the Store know rooms by other names.
func (p *process) rename(name func(roomID string) string) {
	p.load = func(ctx context.Context, roomIDs []string) ([]roomtoken.Entry, error) {
		renamed := make([]string, len(roomIDs))
		for i, roomID := range roomIDs {
			renamed[i] = name(roomID)
		}
		return p.Store.Load(ctx, renamed)
	}
	p.acquire = func(ctx context.Context, ask roomtoken.Ask) (roomtoken.Entry, error) {
		roomID := ask.RoomID
		ask.RoomID = name(roomID)
		entry, err := p.Store.Acquire(ctx, ask)
		if !entry.Lease.IsZero() {
			entry.Lease.RoomID = roomID
		}
		return entry, err
	}
	p.results(func(lease *roomtoken.Lease, _ *roomtoken.Result) { lease.RoomID = name(lease.RoomID) })
	p.rejections(func(rejection *roomtoken.Rejection) { rejection.RoomID = name(rejection.RoomID) })
}

// drop drops the room's record and leaves no tombstone.
func (p *process) drop(roomID string) {
	_ = p.Store.Reject(context.Background(), roomtoken.Rejection{RoomID: roomID, Token: p.Record(roomID).Token.Digest()})
}

// ownHold makes the last hold the present one, whenever it ends.
func (p *process) ownHold(delay func(wait time.Duration) time.Duration) {
	p.hold = func(_ context.Context, wait time.Duration, failure roomtoken.Failure) error {
		time.Sleep(delay(wait))
		hold := roomtoken.Hold{ID: fmt.Sprint(p.shared.next()), Wait: wait, Left: wait, Failure: failure}
		p.shared.mu.Lock()
		defer p.shared.mu.Unlock()
		p.shared.hold = hold
		return nil
	}
	p.tells(func(_ string, news *roomtoken.News) {
		p.shared.mu.Lock()
		defer p.shared.mu.Unlock()
		news.Hold = p.shared.hold
	})
}

// brokenStore is a Store that breaks the sentence of one check, and perhaps others.
type brokenStore struct {
	of, sentence string // its beginning
	how          string
	alter        func(p *process)
}

// breaks reports whether the Store breaks the sentence of a check.
func (b brokenStore) breaks(c check) bool {
	return c.of == b.of && strings.HasPrefix(c.sentence, b.sentence)
}

// broken returns all of them, in the order of the checks.
func broken() []brokenStore {
	return slices.Concat(storeBroken, loadBroken, acquireBroken, commitBroken, rejectBroken, holdBroken, newsBroken, wakeBroken)
}

// brokenHarness returns two processes of a Store that is altered.
func brokenHarness(alter func(p *process)) Harness {
	store := &roomtokentest.Store{NewsLimit: 100}
	common := &shared{entries: make(map[string][]roomtoken.Entry), rejected: make(map[roomtoken.Digest]bool)}
	h := Harness{
		Advance:   time.Sleep,
		Damage:    store.Damage,
		Flush:     store.Flush,
		NewsLimit: store.NewsLimit,
		ReadOnly: func(on bool) {
			if on {
				store.Degrade(errors.New("read-only"))
			} else {
				store.Degrade(nil)
			}
		},
	}
	for i, s := range []*roomtokentest.Store{store, store.Process()} {
		p := &process{
			Store: s, first: i == 0, shared: common,
			load: s.Load, acquire: s.Acquire, commit: s.Commit, reject: s.Reject, hold: s.Hold, news: s.News, wake: s.Wake,
		}
		alter(p)
		h.Stores = append(h.Stores, p)
	}
	return h
}

// recorder is a tb that keeps the message of a failure.
type recorder struct {
	message string
}

func (r *recorder) Helper() {}

func (r *recorder) Fatalf(format string, args ...any) {
	r.message = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// record runs a check and returns the message of its failure, "" if it passes.
func record(t *testing.T, c check, alter func(p *process)) string {
	var r recorder
	synctest.Test(t, func(t *testing.T) {
		done := make(chan struct{})
		go func() {
			defer close(done)
			c.test(t.Context(), &r, brokenHarness(alter))
		}()
		<-done
		time.Sleep(2 * time.Hour) // until the last broken method has returned
	})
	return r.message
}

// Each check fails for the Stores that break its sentence, and says so.
func TestBrokenStores(t *testing.T) {
	for _, b := range broken() {
		t.Run(fmt.Sprintf("%s/%s/%s", b.of, b.sentence, b.how), func(t *testing.T) {
			var found []check
			for _, c := range checks() {
				if b.breaks(c) {
					found = append(found, c)
				}
			}
			if len(found) != 1 {
				t.Fatalf("%d checks are of %s and begin with %q", len(found), b.of, b.sentence)
			}
			message := record(t, found[0], b.alter)
			t.Log(message)
			if !strings.Contains(message, found[0].sentence) || !strings.Contains(message, "want: ") {
				t.Errorf("the check passes, or fails without the sentence and what it wants: %q", message)
			}
		})
	}
}

// Each check has a Store that it fails for, and passes for the Store that these are made
// from.
func TestChecks(t *testing.T) {
	for _, c := range checks() {
		if !slices.ContainsFunc(broken(), func(b brokenStore) bool { return b.breaks(c) }) {
			t.Errorf("no Store breaks %s: %q", c.of, c.sentence)
		}
		if message := record(t, c, func(*process) {}); message != "" {
			t.Error(message)
		}
	}
}
