package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/roomtoken/roomtoken"
)

var storeBroken = []brokenStore{
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
}
