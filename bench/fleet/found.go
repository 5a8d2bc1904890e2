package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/bench/internal/roomid"
	"github.com/roomtoken/roomtoken/bench/internal/stat"
)

// foundResult compares ways to get a value from the server, with one caller. The times are
// medians.
type foundResult struct {
	bytes                               int64 // of the value
	get, script, handed, acquire, token time.Duration
	adopted, creates                    uint64
}

func (b *bench) foundRows(ctx context.Context) error {
	for _, size := range []int{plainToken, telnyxToken} {
		r, err := b.found(ctx, size)
		if err != nil {
			return err
		}
		ratio := func(d time.Duration) string {
			return fmt.Sprintf("%.2f x (%d us; GET %d us)", float64(d)/float64(r.get), d.Microseconds(), r.get.Microseconds())
		}
		what := func(how string) string {
			return fmt.Sprintf("a room found in the store, %d B: %s, to a GET", r.bytes, how)
		}
		b.row(what("Manager.Token"), ratio(r.token), "1.5 x")
		b.row(what("Store.Acquire alone"), ratio(r.acquire), "1.5 x")
		b.row(what("EVALSHA of a GET"), ratio(r.script), "for comparison")
		b.row(what("GET on a goroutine of its own, which can be given up"), ratio(r.handed), "for comparison")
	}
	return nil
}

// found measures rooms whose record is in the store, with tokens of that size.
func (b *bench) found(ctx context.Context, size int) (r foundResult, err error) {
	s := b.settings()
	p, err := startProcess(s, nil, &source{lifetime: time.Hour, size: size}, roomtoken.Config{})
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	ids := roomid.New(b.sizes.found)
	if err := fill(ctx, p.store, ids, size); err != nil {
		return r, err
	}
	if r.bytes, err = recordSize(ctx, p.client, s.Prefix+"{}"+ids[0]); err != nil {
		return r, err
	}
	value := s.Prefix + "value"
	if err := p.client.Set(ctx, value, strings.Repeat("v", int(r.bytes)), time.Hour).Err(); err != nil {
		return r, err
	}
	get := redis.NewScript(`return redis.call("GET", KEYS[1])`)
	ways := []func(i int) error{
		func(int) error { return p.client.Get(ctx, value).Err() },
		func(int) error { return get.Run(ctx, p.client, []string{value}).Err() },
		func(int) (err error) {
			done := make(chan struct{})
			go func() {
				defer close(done)
				err = p.client.Get(ctx, value).Err()
			}()
			<-done
			return err
		},
		func(i int) error {
			e, err := p.store.Acquire(ctx, roomtoken.Ask{RoomID: ids[i], ID: "look", TTL: time.Minute})
			if err == nil && e.Record.IsZero() {
				err = fmt.Errorf("no record: %+v", e)
			}
			return err
		},
		func(i int) error { _, err := p.Token(ctx, ids[i]); return err },
	}
	times := make([][]float64, len(ways))
	for i := range ids {
		for w := range ways { // in turn, each of them behind each other one
			w = (w + i) % len(ways)
			began := time.Now()
			if err := ways[w](i); err != nil {
				return r, err
			}
			times[w] = append(times[w], float64(time.Since(began)))
		}
	}
	for w, d := range []*time.Duration{&r.get, &r.script, &r.handed, &r.acquire, &r.token} {
		*d = time.Duration(stat.Median(times[w]))
	}
	stats := p.Stats()
	r.adopted, r.creates = stats.Adopted, stats.Creates
	return r, nil
}
