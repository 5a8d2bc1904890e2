package storetest

import (
	"context"
	"slices"

	"github.com/roomtoken/roomtoken"
)

var loadBroken = []brokenStore{
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
}
