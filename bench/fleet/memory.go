package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/roomtoken/roomtoken/bench/internal/roomid"
)

// memoryResult is what a room takes in the server, in bytes.
type memoryResult struct {
	record       int64 // the sealed record
	usage        int64 // MEMORY USAGE: the median of all keys
	usedByServer float64
}

func (b *bench) memoryRows(ctx context.Context) error {
	for _, size := range []int{plainToken, telnyxToken} {
		r, err := b.memory(ctx, size)
		if err != nil {
			return err
		}
		b.row(fmt.Sprintf("memory of a room whose record has %d B (two tokens of %d B)", r.record, size),
			fmt.Sprintf("%d B; the server grew by %.0f B", r.usage, r.usedByServer), "at most 1,536 B")
	}
	return nil
}

func (b *bench) memory(ctx context.Context, size int) (r memoryResult, err error) {
	s := b.settings()
	client := b.server.client
	store, err := newStore(client, s.Prefix)
	if err != nil {
		return r, err
	}
	all := roomid.New(2 * b.sizes.memory)
	ids := all[b.sizes.memory:]
	if err := fill(ctx, store, all[:b.sizes.memory], size); err != nil { // all connections are open then
		return r, err
	}
	before, err := b.server.figure(ctx, "memory", "used_memory")
	if err != nil {
		return r, err
	}
	if err := fill(ctx, store, ids, size); err != nil {
		return r, err
	}
	after, err := b.server.figure(ctx, "memory", "used_memory")
	if err != nil {
		return r, err
	}
	r.usedByServer = (after - before) / float64(len(ids))
	var usages []int64
	for _, id := range ids {
		usage, err := client.MemoryUsage(ctx, s.Prefix+"{}"+id).Result()
		if err != nil {
			return r, err
		}
		usages = append(usages, usage)
	}
	slices.Sort(usages)
	r.usage = usages[len(usages)/2]
	r.record, err = recordSize(ctx, client, s.Prefix+"{}"+ids[0])
	return r, err
}
