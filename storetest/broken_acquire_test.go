package storetest

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/roomtoken/roomtoken"
)

var acquireBroken = []brokenStore{
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
}
