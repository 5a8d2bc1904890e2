package storetest

import (
	"context"
	"math"
	"time"

	"github.com/roomtoken/roomtoken"
)

var commitBroken = []brokenStore{
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
}
