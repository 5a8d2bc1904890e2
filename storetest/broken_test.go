package storetest

import (
	"context"
	"errors"
	"fmt"
	"math"
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

var broken = []brokenStore{
	{"Store", "For each room", "hash tags", func(p *process) {
		p.rename(func(roomID string) string {
			if _, tag, found := strings.Cut(roomID, "{"); found {
				if tag, _, found := strings.Cut(tag, "}"); found && tag != "" {
					return tag
				}
			}
			return roomID
		})
	}},
	{"Store", "For each room", "ends at NUL", func(p *process) {
		p.rename(func(roomID string) string { roomID, _, _ = strings.Cut(roomID, "\x00"); return roomID })
	}},
	{"Store", "For each room", "UTF-8 only", func(p *process) {
		p.rename(func(roomID string) string { return strings.ToValidUTF8(roomID, "\ufffd") })
	}},
	{"Store", "For each room", "at most 255 bytes", func(p *process) {
		p.rename(func(roomID string) string { return roomID[:min(len(roomID), 255)] })
	}},
	{"Store", "For each room", "at most 1,023 bytes", func(p *process) {
		p.rename(func(roomID string) string { return roomID[:min(len(roomID), 1023)] })
	}},
	{"Store", "For each room", "folds case", func(p *process) { p.rename(strings.ToLower) }},
	{"Store", "For each room", "trims spaces", func(p *process) { p.rename(strings.TrimSpace) }},
	{"Store", "For each room", "tombstones of all rooms", func(p *process) {
		p.results(func(lease *roomtoken.Lease, result *roomtoken.Result) {
			if p.shared.rejected[result.Record.Token.Digest()] {
				*result = roomtoken.Result{}
				lease.ID, lease.Version = "none", 0
			}
		})
		p.rejections(func(rejection *roomtoken.Rejection) { p.shared.rejected[rejection.Token] = true })
	}},
	{"Store", "a token and its", "no refresh token", func(p *process) {
		p.results(func(_ *roomtoken.Lease, result *roomtoken.Result) { result.Record.RefreshToken = roomtoken.Secret{} })
	}},
	{"Store", "a token and its", "at most 16,000 bytes", func(p *process) {
		p.results(func(_ *roomtoken.Lease, result *roomtoken.Result) {
			token := result.Record.Token.Reveal()
			result.Record.Token = roomtoken.NewSecret(token[:min(len(token), 16000)])
		})
	}},
	{"Store", "a token and its", "versions of 14 digits", func(p *process) {
		p.results(func(_ *roomtoken.Lease, result *roomtoken.Result) {
			var version float64
			_, _ = fmt.Sscan(fmt.Sprintf("%.14g", float64(result.Record.Version)), &version)
			result.Record.Version = uint64(version)
		})
	}},
	{"Store", "a token and its", "milliseconds", func(p *process) {
		p.results(func(_ *roomtoken.Lease, result *roomtoken.Result) {
			result.Record.Lifetime = result.Record.Lifetime.Truncate(time.Millisecond)
		})
	}},
	{"Store", "All that it measures", "the clock of the process", func(p *process) {
		p.entries(func(_ roomtoken.Ask, entry *roomtoken.Entry) {
			if !p.first {
				entry.Now = entry.Now.Add(-time.Minute)
			}
		})
	}},
	{"Store", "All that it measures", "leases on another clock", func(p *process) {
		p.entries(func(_ roomtoken.Ask, entry *roomtoken.Entry) { entry.Lease.Granted = min(entry.Lease.Granted, 1) })
	}},
	{"Store", "All that it measures", "milliseconds", func(p *process) {
		p.loads(func(_ string, entry *roomtoken.Entry) { entry.Now /= 1000 })
		p.entries(func(_ roomtoken.Ask, entry *roomtoken.Entry) { entry.Now /= 1000; entry.Lease.Granted /= 1000 })
		p.commit = func(ctx context.Context, lease roomtoken.Lease, result roomtoken.Result) (roomtoken.Committed, error) {
			committed, err := p.Store.Commit(ctx, lease, result)
			committed.Now /= 1000
			return committed, err
		}
	}},
	{"Store", "a record and a tombstone end", "records that stay", func(p *process) {
		p.results(func(_ *roomtoken.Lease, result *roomtoken.Result) { result.Record.Lifetime *= 100 })
	}},
	{"Store", "a record and a tombstone end", "tombstones that stay", func(p *process) {
		p.rejections(func(rejection *roomtoken.Rejection) { rejection.Left *= 100 })
	}},
	{"Store", "a record and a tombstone end", "tombstones that end soon", func(p *process) {
		p.rejections(func(rejection *roomtoken.Rejection) { rejection.Left = min(rejection.Left, brief) })
	}},
	{"Store", "a lease and a failure", "leases that stay", func(p *process) {
		p.asks(func(ask *roomtoken.Ask) { ask.TTL *= 5 })
	}},
	{"Store", "a lease and a failure", "leases that end soon", func(p *process) {
		p.asks(func(ask *roomtoken.Ask) { ask.TTL = min(ask.TTL, brief) })
	}},
	{"Store", "a lease and a failure", "failures that stay", func(p *process) {
		p.results(func(_ *roomtoken.Lease, result *roomtoken.Result) { result.NotBefore *= 5 })
	}},
	{"Store", "Each method is atomic", "looks, then takes the lease", func(p *process) {
		p.acquire = func(ctx context.Context, ask roomtoken.Ask) (roomtoken.Entry, error) {
			look := ask
			look.Look = true
			seen, err := p.Store.Acquire(ctx, look)
			time.Sleep(time.Millisecond)
			if !isNothing(seen) || err != nil {
				return p.Store.Acquire(ctx, ask)
			}
			entry, err := p.Store.Acquire(ctx, ask)
			if entry.Busy > 0 {
				entry.Busy, entry.Lease = 0, roomtoken.Lease{RoomID: ask.RoomID, ID: ask.ID, Granted: entry.Now}
			}
			return entry, err
		}
	}},
	{"Store", "Each method is atomic", "looks for a tombstone, then commits", func(p *process) {
		p.rejections(func(rejection *roomtoken.Rejection) { rejection.Left = 0 })
		p.results(func(*roomtoken.Lease, *roomtoken.Result) { time.Sleep(time.Millisecond) })
	}},
	{"Store", "Each method is atomic", "compares versions, then commits", func(p *process) {
		p.results(func(lease *roomtoken.Lease, result *roomtoken.Result) {
			if p.Record(lease.RoomID).Version >= result.Record.Version {
				return
			}
			time.Sleep(time.Millisecond)
			if p.first {
				time.Sleep(time.Millisecond)
			}
			if strings.HasPrefix(lease.RoomID, "committed") {
				p.drop(lease.RoomID)
			}
		})
	}},
	{"Store", "What cannot be read", "an error of Load", func(p *process) {
		p.load = func(ctx context.Context, roomIDs []string) ([]roomtoken.Entry, error) {
			entries, err := p.Store.Load(ctx, roomIDs)
			for _, entry := range entries {
				err = errors.Join(err, entry.Unreadable)
			}
			return entries, err
		}
	}},
	{"Store", "What cannot be read", "an error of Acquire", func(p *process) {
		p.acquire = func(ctx context.Context, ask roomtoken.Ask) (roomtoken.Entry, error) {
			entry, _ := p.Store.Acquire(ctx, ask)
			return entry, entry.Unreadable
		}
	}},
	{"Store", "What cannot be read", "not told", func(p *process) {
		p.loads(func(_ string, entry *roomtoken.Entry) { entry.Unreadable = nil })
	}},
	{"Store", "A method should return", "waits for an hour", func(p *process) {
		p.load = func(ctx context.Context, roomIDs []string) ([]roomtoken.Entry, error) {
			if ctx.Err() != nil {
				time.Sleep(time.Hour)
			}
			return p.Store.Load(ctx, roomIDs)
		}
	}},
	{"Store", "What is read must be", "a replica that lags", func(p *process) {
		p.load = func(ctx context.Context, roomIDs []string) ([]roomtoken.Entry, error) {
			entries, err := p.Store.Load(ctx, roomIDs)
			p.shared.mu.Lock()
			defer p.shared.mu.Unlock()
			before, ok := p.shared.entries[roomIDs[0]]
			p.shared.entries[roomIDs[0]] = entries
			if ok {
				return before, err
			}
			return entries, err
		}
	}},
	{"Store", "Methods must be safe", "the last hold wins", func(p *process) {
		p.ownHold(func(wait time.Duration) time.Duration { return time.Minute - wait })
	}},
	{"Store", "greater than that of every", "a clock that starts anew", func(p *process) {
		p.entries(func(_ roomtoken.Ask, entry *roomtoken.Entry) { entry.Lease.Granted = min(entry.Lease.Granted, 1) })
	}},

	{"Load", "Load looks up rooms", "each room once", func(p *process) {
		p.load = func(ctx context.Context, roomIDs []string) ([]roomtoken.Entry, error) {
			return p.Store.Load(ctx, slices.Compact(slices.Sorted(slices.Values(roomIDs))))
		}
	}},
	{"Load", "Load looks up rooms", "sorted", func(p *process) {
		p.load = func(ctx context.Context, roomIDs []string) ([]roomtoken.Entry, error) {
			return p.Store.Load(ctx, slices.Sorted(slices.Values(roomIDs)))
		}
	}},
	{"Load", "Load looks up rooms", "at most 499", func(p *process) {
		p.load = func(ctx context.Context, roomIDs []string) ([]roomtoken.Entry, error) {
			return p.Store.Load(ctx, roomIDs[:min(len(roomIDs), 499)])
		}
	}},
	{"Load", "It sets only", "Busy", func(p *process) {
		p.loads(func(roomID string, entry *roomtoken.Entry) {
			*entry, _ = p.Store.Acquire(context.Background(), roomtoken.Ask{RoomID: roomID, ID: "look", TTL: long, Look: true})
		})
	}},
	{"Load", "It sets only", "no failure", func(p *process) {
		p.loads(func(_ string, entry *roomtoken.Entry) { entry.NotBefore, entry.Failure = 0, roomtoken.Failure{} })
	}},
	{"Load", "It sets only", "a failure that has passed", func(p *process) {
		p.results(func(_ *roomtoken.Lease, result *roomtoken.Result) { p.shared.failure = result.Failure })
		p.loads(func(_ string, entry *roomtoken.Entry) { entry.Failure = p.shared.failure })
	}},
	{"Entry", "At most one of", "a record and a failure", func(p *process) {
		p.loads(func(roomID string, entry *roomtoken.Entry) {
			look, _ := p.Store.Acquire(context.Background(), roomtoken.Ask{RoomID: roomID, ID: "look", TTL: long, Look: true, Newer: entry.Record.Version})
			entry.NotBefore, entry.Failure = look.NotBefore, look.Failure
		})
	}},

	{"Acquire", "Where ask.Refused names", "ignored", func(p *process) {
		p.asks(func(ask *roomtoken.Ask) { ask.Refused = roomtoken.Rejection{} })
	}},
	{"Acquire", "in any case a tombstone", "not in any", func(p *process) {
		p.asks(func(ask *roomtoken.Ask) {
			if p.Record(ask.RoomID).Token.Digest() != ask.Refused.Token {
				ask.Refused = roomtoken.Rejection{}
			}
		})
	}},
	{"Acquire", "in any case a tombstone", "without refusals", func(p *process) {
		p.asks(func(ask *roomtoken.Ask) { ask.Refused.Refusals = 0 })
	}},
	{"Acquire", "If the record is newer", "always", func(p *process) {
		p.asks(func(ask *roomtoken.Ask) { ask.Newer = 0 })
	}},
	{"Acquire", "If the record is newer", "newer by two", func(p *process) {
		p.asks(func(ask *roomtoken.Ask) { ask.Newer++ })
	}},
	{"Acquire", "If the record is newer", "only to whoever has none", func(p *process) {
		p.asks(func(ask *roomtoken.Ask) {
			if ask.Newer > 0 {
				ask.Newer = math.MaxUint64
			}
		})
	}},
	{"Acquire", "If the record is newer", "the lease first", func(p *process) {
		p.asks(func(ask *roomtoken.Ask) {
			if len(p.Leases()) > 0 {
				ask.Newer = math.MaxUint64
			}
		})
	}},
	{"Acquire", "If the record is newer", "the failure first", func(p *process) {
		p.asks(func(ask *roomtoken.Ask) {
			look := *ask
			look.Newer, look.Look = math.MaxUint64, true
			if entry, _ := p.Store.Acquire(context.Background(), look); entry.NotBefore > 0 {
				ask.Newer = math.MaxUint64
			}
		})
	}},
	{"Acquire", "If another ask has", "nothing to whoever looks", func(p *process) {
		p.entries(func(ask roomtoken.Ask, entry *roomtoken.Entry) {
			if ask.Look {
				entry.Busy = 0
			}
		})
	}},
	{"Acquire", "If another ask has", "not for long", func(p *process) {
		p.entries(func(_ roomtoken.Ask, entry *roomtoken.Entry) { entry.Busy = min(entry.Busy, time.Second) })
	}},
	{"Acquire", "If another ask has", "not to Fresh", func(p *process) {
		p.asks(func(ask *roomtoken.Ask) {
			if ask.Fresh {
				ask.TTL /= 100
			}
		})
	}},
	{"Acquire", "If another ask has", "several leases of a process", func(p *process) {
		p.entries(func(ask roomtoken.Ask, entry *roomtoken.Entry) {
			if entry.Busy > 0 && p.first {
				entry.Busy, entry.Lease = 0, roomtoken.Lease{RoomID: ask.RoomID, ID: ask.ID, Granted: entry.Now}
			}
		})
	}},
	{"Acquire", "A lease that lasts", "it is one", func(p *process) {
		p.asks(func(ask *roomtoken.Ask) {
			look := *ask
			look.TTL, look.Look = long, true
			if entry, _ := p.Store.Acquire(context.Background(), look); entry.Busy > 0 {
				ask.TTL = long
			}
		})
	}},
	{"Acquire", "A lease that lasts", "for more than once the TTL", func(p *process) {
		p.asks(func(ask *roomtoken.Ask) { ask.TTL /= 10 })
	}},
	{"Acquire", "If a failure is in force", "disregarded", func(p *process) {
		p.asks(func(ask *roomtoken.Ask) { ask.Fresh = true })
	}},
	{"Acquire", "If a failure is in force", "always regarded", func(p *process) {
		p.asks(func(ask *roomtoken.Ask) { ask.Fresh = false })
	}},
	{"Acquire", "If a failure is in force", "which is not told", func(p *process) {
		p.entries(func(_ roomtoken.Ask, entry *roomtoken.Entry) { entry.Failure = roomtoken.Failure{} })
	}},
	{"Acquire", "If a failure is in force", "it comes before the lease", func(p *process) {
		p.entries(func(_ roomtoken.Ask, entry *roomtoken.Entry) {
			if entry.NotBefore > 0 {
				p.shared.failure = entry.Failure
			}
			if entry.Busy > 0 && p.shared.failure.Count > 0 {
				entry.Busy, entry.NotBefore = 0, entry.Busy
			}
		})
	}},
	{"Acquire", "Else the asker gets", "although it only looks", func(p *process) {
		p.asks(func(ask *roomtoken.Ask) { ask.Look = false })
	}},
	{"Acquire", "Else the asker gets", "on no version", func(p *process) {
		p.entries(func(_ roomtoken.Ask, entry *roomtoken.Entry) { entry.Lease.Version = 0 })
	}},
	{"Acquire", "Else the asker gets", "with an ID of its own", func(p *process) {
		p.asks(func(ask *roomtoken.Ask) { ask.ID = "lease " + ask.ID })
	}},
	{"Acquire", "Else the asker gets", "to be given in future", func(p *process) {
		p.entries(func(_ roomtoken.Ask, entry *roomtoken.Entry) {
			entry.Lease.Granted = entry.Lease.Granted.Add(time.Second)
		})
	}},
	{"Acquire", "Where the Store takes no writes", "an error", func(p *process) {
		p.acquire = func(ctx context.Context, ask roomtoken.Ask) (roomtoken.Entry, error) {
			entry, _ := p.Store.Acquire(ctx, ask)
			return entry, entry.Degraded
		}
	}},
	{"Acquire", "Where the Store takes no writes", "nothing", func(p *process) {
		p.entries(func(_ roomtoken.Ask, entry *roomtoken.Entry) { entry.Degraded = nil })
	}},
	{"Acquire", "Where the Store takes no writes", "the refused record", func(p *process) {
		p.entries(func(ask roomtoken.Ask, entry *roomtoken.Entry) {
			if entry.Degraded != nil && !ask.Refused.Token.IsZero() {
				entry.Degraded, entry.Record = nil, p.Record(ask.RoomID)
			}
		})
	}},
	{"Acquire", "Where the Store takes no writes", "a commit that is lost", func(p *process) {
		p.commit = func(ctx context.Context, lease roomtoken.Lease, result roomtoken.Result) (roomtoken.Committed, error) {
			committed, _ := p.Store.Commit(ctx, lease, result)
			return committed, nil
		}
	}},
	{"Acquire", "Where the Store takes no writes", "a rejection that is lost", func(p *process) {
		p.reject = func(ctx context.Context, rejection roomtoken.Rejection) error {
			_ = p.Store.Reject(ctx, rejection)
			return nil
		}
	}},
	{"Acquire", "Where the Store takes no writes", "a hold that is lost", func(p *process) {
		p.hold = func(ctx context.Context, wait time.Duration, failure roomtoken.Failure) error {
			_ = p.Store.Hold(ctx, wait, failure)
			return nil
		}
	}},
	{"Acquire", "Acquire is repeatable", "each lease is another", func(p *process) {
		p.asks(func(ask *roomtoken.Ask) {
			ask.ID += fmt.Sprint(".", p.shared.next())
		})
	}},
	{"Acquire", "Acquire is repeatable", "given at another time", func(p *process) {
		p.entries(func(_ roomtoken.Ask, entry *roomtoken.Entry) {
			if !entry.Lease.IsZero() {
				entry.Lease.Granted = entry.Now
			}
		})
	}},

	{"Commit", "Commit ends a lease", "not if the result is not taken", func(p *process) {
		p.commit = func(ctx context.Context, lease roomtoken.Lease, result roomtoken.Result) (roomtoken.Committed, error) {
			committed, err := p.Store.Commit(ctx, lease, result)
			if !committed.Taken {
				_, _ = p.Store.Acquire(ctx, roomtoken.Ask{RoomID: lease.RoomID, ID: lease.ID, TTL: long, Newer: math.MaxUint64})
			}
			return committed, err
		}
	}},
	{"Commit", "Commit ends a lease", "not with a failure", func(p *process) {
		p.commit = func(ctx context.Context, lease roomtoken.Lease, result roomtoken.Result) (roomtoken.Committed, error) {
			committed, err := p.Store.Commit(ctx, lease, result)
			if result.Failure.Count > 0 {
				_, _ = p.Store.Acquire(ctx, roomtoken.Ask{RoomID: lease.RoomID, ID: lease.ID, TTL: long, Newer: math.MaxUint64, Fresh: true})
			}
			return committed, err
		}
	}},
	{"Commit", "The result is taken", "not if there is a newer record", func(p *process) {
		p.commit = func(ctx context.Context, lease roomtoken.Lease, result roomtoken.Result) (roomtoken.Committed, error) {
			if record := p.Record(lease.RoomID); record.Version > lease.Version {
				return roomtoken.Committed{Now: p.Now(), Newer: record}, nil
			}
			return p.Store.Commit(ctx, lease, result)
		}
	}},
	{"Commit", "or if the record is not newer", "only with the lease", func(p *process) {
		p.commit = func(ctx context.Context, lease roomtoken.Lease, result roomtoken.Result) (roomtoken.Committed, error) {
			if p.Leases()[lease.RoomID].ID != lease.ID {
				return roomtoken.Committed{Now: p.Now(), Newer: p.Record(lease.RoomID)}, nil
			}
			return p.Store.Commit(ctx, lease, result)
		}
	}},
	{"Commit", "or if the record is not newer", "no fence", func(p *process) {
		p.results(func(lease *roomtoken.Lease, _ *roomtoken.Result) { lease.Version = math.MaxUint64 })
	}},
	{"Commit", "or if the record is not newer", "no fence for failures", func(p *process) {
		p.results(func(lease *roomtoken.Lease, result *roomtoken.Result) {
			if result.Failure.Count > 0 {
				lease.Version = math.MaxUint64
			}
		})
	}},
	{"Commit", "or if the record is not newer", "because of what is not told", func(p *process) {
		p.commit = func(ctx context.Context, lease roomtoken.Lease, result roomtoken.Result) (roomtoken.Committed, error) {
			committed, err := p.Store.Commit(ctx, lease, result)
			committed.Newer = roomtoken.Record{}
			return committed, err
		}
	}},
	{"Commit", "never if the result's record", "it is replaced", func(p *process) {
		p.results(func(lease *roomtoken.Lease, result *roomtoken.Result) {
			if !result.Record.IsZero() {
				p.drop(lease.RoomID)
			}
		})
	}},
	{"Commit", "never if the result's record", "unless it is as new", func(p *process) {
		p.results(func(lease *roomtoken.Lease, result *roomtoken.Result) {
			if result.Record.Version == p.Record(lease.RoomID).Version {
				p.drop(lease.RoomID)
			}
		})
	}},
	{"Commit", "or its token has", "taken", func(p *process) {
		p.rejections(func(rejection *roomtoken.Rejection) { rejection.Left = 0 })
	}},
	{"Commit", "A record replaces", "only where there is none", func(p *process) {
		p.results(func(lease *roomtoken.Lease, result *roomtoken.Result) {
			if !p.Record(lease.RoomID).IsZero() {
				result.Record = roomtoken.Record{}
			}
		})
	}},
	{"Commit", "A record replaces", "the failure stays", func(p *process) {
		p.results(func(_ *roomtoken.Lease, result *roomtoken.Result) {
			if result.Failure.Count > 0 {
				p.shared.failure = result.Failure
			}
		})
		p.entries(func(_ roomtoken.Ask, entry *roomtoken.Entry) { entry.Failure = p.shared.failure })
	}},
	{"Commit", "A failure is in force", "none is", func(p *process) {
		p.results(func(_ *roomtoken.Lease, result *roomtoken.Result) { result.Failure = roomtoken.Failure{} })
	}},
	{"Commit", "A failure is in force", "another text", func(p *process) {
		p.results(func(_ *roomtoken.Lease, result *roomtoken.Result) {
			result.Failure.Text = result.Failure.Text[:min(len(result.Failure.Text), 1000)]
		})
	}},
	{"Commit", "A failure is in force", "another kind", func(p *process) {
		p.results(func(_ *roomtoken.Lease, result *roomtoken.Result) { result.Failure.Kind = roomtoken.FailureTransient })
	}},
	{"Commit", "A failure is in force", "for at most 30 minutes", func(p *process) {
		p.results(func(_ *roomtoken.Lease, result *roomtoken.Result) {
			result.NotBefore = min(result.NotBefore, 30*time.Minute)
		})
	}},
	{"Commit", "more than 24 h", "24 h", func(p *process) {
		p.results(func(_ *roomtoken.Lease, result *roomtoken.Result) { result.NotBefore = min(result.NotBefore, day) })
	}},
	{"Commit", "more than 24 h", "nor do 24 h count", func(p *process) {
		p.results(func(_ *roomtoken.Lease, result *roomtoken.Result) { result.NotBefore++ })
	}},
	{"Commit", "its Count is remembered", "not at all", func(p *process) {
		p.entries(func(_ roomtoken.Ask, entry *roomtoken.Entry) {
			if !entry.Lease.IsZero() {
				entry.Failure = roomtoken.Failure{}
			}
		})
	}},
	{"Commit", "its Count is remembered", "for ever", func(p *process) {
		p.results(func(_ *roomtoken.Lease, result *roomtoken.Result) {
			if result.Failure.Count > 0 {
				p.shared.failure = result.Failure
			}
		})
		p.entries(func(_ roomtoken.Ask, entry *roomtoken.Entry) { entry.Failure = p.shared.failure })
	}},
	{"Commit", "its Count is remembered", "in force for as long", func(p *process) {
		p.results(func(_ *roomtoken.Lease, result *roomtoken.Result) {
			result.NotBefore = 2*result.NotBefore + time.Minute
		})
	}},
	{"Commit", "the record stays", "it is dropped", func(p *process) {
		p.results(func(lease *roomtoken.Lease, result *roomtoken.Result) {
			if result.Failure.Count > 0 {
				p.drop(lease.RoomID)
			}
		})
	}},
	{"Commit", "An empty result", "it ends the failure", func(p *process) {
		p.results(func(_ *roomtoken.Lease, result *roomtoken.Result) {
			if result.Record.IsZero() && result.Failure == (roomtoken.Failure{}) {
				result.Failure.Kind = roomtoken.FailureTransient
			}
		})
	}},
	{"Commit", "An empty result", "it drops the record", func(p *process) {
		p.results(func(lease *roomtoken.Lease, result *roomtoken.Result) {
			if result.Record.IsZero() && result.Failure == (roomtoken.Failure{}) {
				p.drop(lease.RoomID)
			}
		})
	}},
	{"Commit", "An empty result", "the lease stays", func(p *process) {
		p.results(func(lease *roomtoken.Lease, result *roomtoken.Result) {
			if result.Record.IsZero() && result.Failure == (roomtoken.Failure{}) {
				lease.ID = "none"
			}
		})
	}},

	{"Reject", "Reject drops the record", "any record", func(p *process) {
		p.rejections(func(rejection *roomtoken.Rejection) { p.drop(rejection.RoomID) })
	}},
	{"Reject", "Reject drops the record", "no record", func(p *process) {
		p.rejections(func(rejection *roomtoken.Rejection) { rejection.RoomID += "?" })
	}},
	{"Reject", "Reject drops the record", "and the lease", func(p *process) {
		p.rejections(func(rejection *roomtoken.Rejection) {
			if lease, ok := p.Leases()[rejection.RoomID]; ok {
				_, _ = p.Store.Commit(context.Background(), lease, roomtoken.Result{})
			}
		})
	}},
	{"Reject", "leaves a tombstone", "none", func(p *process) {
		p.rejections(func(rejection *roomtoken.Rejection) { rejection.Left = 0 })
	}},
	{"Reject", "leaves a tombstone", "one for each room", func(p *process) {
		p.rejections(func(rejection *roomtoken.Rejection) {
			if p.shared.next() > 1 {
				rejection.Left = 0
			}
		})
	}},
	{"Reject", "leaves a tombstone", "for what was told last", func(p *process) {
		p.rejections(func(rejection *roomtoken.Rejection) { rejection.Left = brief }) // as is told in the end
	}},
	{"Reject", "tells it in the news", "it does not", func(p *process) {
		p.reject = func(ctx context.Context, rejection roomtoken.Rejection) error {
			_, err := p.Store.Acquire(ctx, roomtoken.Ask{RoomID: rejection.RoomID, ID: "none", TTL: long, Refused: rejection, Look: true})
			return err
		}
	}},
	{"Reject", "tells it in the news", "not for how long", func(p *process) {
		p.tells(func(_ string, news *roomtoken.News) {
			for i := range news.Rejections {
				news.Rejections[i].Left = 0
			}
		})
	}},
	{"Reject", "Where there is no record now", "none", func(p *process) {
		p.rejections(func(rejection *roomtoken.Rejection) { rejection.Refusals = 0 })
	}},
	{"Reject", "Where there is no record now", "their sum", func(p *process) {
		p.rejections(func(rejection *roomtoken.Rejection) {
			p.shared.n += rejection.Refusals
			rejection.Refusals = p.shared.n
		})
	}},
	{"Reject", "Where there is no record now", "those of the last one told", func(p *process) {
		p.rejections(func(rejection *roomtoken.Rejection) { p.shared.n = rejection.Refusals })
		p.entries(func(_ roomtoken.Ask, entry *roomtoken.Entry) { entry.Refusals = p.shared.n })
	}},
	{"Reject", "Where there is no record now", "once", func(p *process) {
		p.entries(func(_ roomtoken.Ask, entry *roomtoken.Entry) {
			if entry.Refusals > 0 {
				if p.shared.next() > 1 {
					entry.Refusals = 0
				}
			}
		})
	}},
	{"Reject", "Where there is no record now", "for ever", func(p *process) {
		p.entries(func(_ roomtoken.Ask, entry *roomtoken.Entry) {
			p.shared.n = max(p.shared.n, entry.Refusals)
			entry.Refusals = p.shared.n
		})
	}},

	{"Hold", "Hold tells", "nothing", func(p *process) {
		p.hold = func(context.Context, time.Duration, roomtoken.Failure) error { return nil }
	}},
	{"Hold", "Hold tells", "no failure", func(p *process) {
		p.tells(func(_ string, news *roomtoken.News) { news.Hold.Failure = roomtoken.Failure{} })
	}},
	{"Hold", "Hold tells", "only other processes", func(p *process) {
		p.tells(func(_ string, news *roomtoken.News) {
			if p.first {
				news.Hold = roomtoken.Hold{}
			}
		})
	}},
	{"Hold", "A hold that would end before", "it is the hold", func(p *process) {
		p.ownHold(func(time.Duration) time.Duration { return 0 })
	}},
	{"Hold", "another one for each hold", "the same one", func(p *process) {
		p.tells(func(_ string, news *roomtoken.News) { news.Hold.ID = "hold" })
	}},
	{"Hold", "another one for each hold", "another one each time", func(p *process) {
		p.tells(func(since string, news *roomtoken.News) {
			news.Hold.ID = fmt.Sprint(p.shared.next())
		})
	}},
	{"Hold", "With wait 0", "never", func(p *process) {
		p.tells(func(_ string, news *roomtoken.News) { news.Hold.Over = false })
	}},
	{"Hold", "With wait 0", "in any case", func(p *process) {
		p.tells(func(_ string, news *roomtoken.News) { news.Hold.Over = news.Hold.ID != "" && p.shared.n > 0 })
		p.hold = func(ctx context.Context, wait time.Duration, failure roomtoken.Failure) error {
			p.shared.n = 0
			if wait == 0 {
				p.shared.n = 1
			}
			return p.Store.Hold(ctx, wait, failure)
		}
	}},
	{"Hold", "With wait 0", "as soon as it has passed", func(p *process) {
		p.tells(func(_ string, news *roomtoken.News) { news.Hold.Over = news.Hold.ID != "" && news.Hold.Left == 0 })
	}},
	{"Hold", "that was asked for", "24 h", func(p *process) {
		p.hold = func(ctx context.Context, wait time.Duration, failure roomtoken.Failure) error {
			return p.Store.Hold(ctx, min(wait, day), failure)
		}
	}},
	{"Hold", "that was asked for", "nor do 24 h count", func(p *process) {
		p.hold = func(ctx context.Context, wait time.Duration, failure roomtoken.Failure) error {
			return p.Store.Hold(ctx, wait+1, failure)
		}
	}},

	{"News", "News returns the rejections", "all of them", func(p *process) {
		p.news = func(ctx context.Context, _ string) (roomtoken.News, error) { return p.Store.News(ctx, "") }
	}},
	{"News", "News returns the rejections", "not its own", func(p *process) {
		p.rejections(func(*roomtoken.Rejection) { p.shared.next() })
		p.tells(func(since string, news *roomtoken.News) {
			if since != "" && p.shared.n == 5 && !p.first {
				news.Rejections = nil
			}
		})
	}},
	{"News", "and the hold", "once", func(p *process) {
		p.tells(func(since string, news *roomtoken.News) {
			if since != "" && news.Hold.ID != "" {
				if p.shared.next() > 1 {
					news.Hold = roomtoken.Hold{}
				}
			}
		})
	}},
	{"News", `With "", all rejections`, "the last ten", func(p *process) {
		p.tells(func(_ string, news *roomtoken.News) {
			news.Rejections = news.Rejections[max(len(news.Rejections)-10, 0):]
		})
	}},
	{"News", `With "", all rejections`, "those of half a minute", func(p *process) {
		p.tells(func(_ string, news *roomtoken.News) {
			news.Rejections = slices.DeleteFunc(news.Rejections, func(r roomtoken.Rejection) bool { return r.Left < long-30*time.Second })
		})
	}},
	{"News", `With "", all rejections`, "none that is known was missed", func(p *process) {
		p.tells(func(since string, news *roomtoken.News) { news.Missed = news.Missed || since == "" })
	}},
	{"News", "since then, oldest first", "newest first", func(p *process) {
		p.tells(func(_ string, news *roomtoken.News) { slices.Reverse(news.Rejections) })
	}},
	{"News", "the Store has forgotten", "not told", func(p *process) {
		p.tells(func(_ string, news *roomtoken.News) { news.Missed = false })
	}},
	{"News", "the Store has forgotten", "told again", func(p *process) {
		p.tells(func(_ string, news *roomtoken.News) {
			p.shared.n += len(news.Rejections)
			news.Missed = p.shared.n > 0
		})
	}},
	{"News", "does not know the cursor", "not told", func(p *process) {
		p.tells(func(_ string, news *roomtoken.News) { news.Missed = false })
	}},

	{"Wake", "Wake calls wake soon", "it does not", func(p *process) {
		p.wakes(func(roomID string, _ *roomtoken.Record) bool { return roomID == "" })
	}},
	{"Wake", "Wake calls wake soon", "after an ask without Wait", func(p *process) {
		p.asks(func(ask *roomtoken.Ask) { ask.Wait = true })
	}},
	{"Wake", "Wake calls wake soon", "for every process", func(p *process) {
		p.wake = func(ctx context.Context, wake func(roomID string, record roomtoken.Record)) error {
			go wake("", roomtoken.Record{})
			for ctx.Err() == nil {
				if !p.Record(lobby).IsZero() {
					wake(lobby, p.Record(lobby))
				}
				time.Sleep(time.Second)
			}
			return ctx.Err()
		}
	}},
	{"Wake", "with the record if", "without one", func(p *process) {
		p.wakes(func(_ string, record *roomtoken.Record) bool { *record = roomtoken.Record{}; return true })
	}},
	{"Wake", "with the record if", "only if it ended with one", func(p *process) {
		p.wakes(func(roomID string, record *roomtoken.Record) bool { return roomID == "" || !record.IsZero() })
	}},
	{"Wake", "those who were told to wait", "only if it is taken", func(p *process) {
		p.rejections(func(*roomtoken.Rejection) { p.shared.next() })
		p.wakes(func(roomID string, record *roomtoken.Record) bool { return roomID == "" || p.shared.n == 0 })
	}},
	{"Wake", "those who were told to wait", "with what is not taken", func(p *process) {
		p.wakes(func(roomID string, record *roomtoken.Record) bool {
			if roomID != "" && record.IsZero() {
				record.Token = roomtoken.NewSecret("refused")
			}
			return true
		})
	}},
	{"Wake", "Wake also calls wake", "after a while", func(p *process) {
		p.wakes(func(roomID string, _ *roomtoken.Record) bool {
			if roomID == "" {
				time.Sleep(patience + 1)
			}
			return true
		})
	}},
	{"Wake", "Wake also calls wake", "once", func(p *process) {
		p.wakes(func(roomID string, _ *roomtoken.Record) bool {
			return roomID != "" || p.shared.next() == 1
		})
	}},
	{"Wake", "It returns when ctx ends", "an hour later", func(p *process) {
		p.wake = func(ctx context.Context, wake func(roomID string, record roomtoken.Record)) error {
			err := p.Store.Wake(ctx, wake)
			time.Sleep(time.Hour)
			return err
		}
	}},
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
			c.test(&r, t.Context(), brokenHarness(alter))
		}()
		<-done
		time.Sleep(2 * time.Hour) // until the last broken method has returned
	})
	return r.message
}

// Each check fails for the Stores that break its sentence, and says so.
func TestBrokenStores(t *testing.T) {
	for _, b := range broken {
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
		if !slices.ContainsFunc(broken, func(b brokenStore) bool { return b.breaks(c) }) {
			t.Errorf("no Store breaks %s: %q", c.of, c.sentence)
		}
		if message := record(t, c, func(*process) {}); message != "" {
			t.Error(message)
		}
	}
}
