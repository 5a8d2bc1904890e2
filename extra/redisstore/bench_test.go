package redisstore_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/roomtoken/roomtoken"
)

// fill publishes a record for each of n rooms. With its refresh token it has 700 bytes.
func (f fleet) fill(n, tokens int) (roomIDs []string) {
	f.t.Helper()
	for i := range n {
		roomID := fmt.Sprintf("0ccc7b54-4df3-4bca-a65a-%012d", i)
		l := f.lease(ask(roomID))
		r := record(l, strings.Repeat("a", tokens))
		r.RefreshToken = roomtoken.NewSecret(strings.Repeat("b", tokens))
		f.commit(l, roomtoken.Result{Record: r})
		roomIDs = append(roomIDs, roomID)
	}
	return roomIDs
}

// A room that is found, beside a GET of a value of the same size. "x-GET" is their ratio.
func BenchmarkFound(b *testing.B) {
	f := newFleet(b)
	roomID := f.fill(1, 320)[0]
	sealed := f.client.HGet(b.Context(), f.key(roomID), "record").Val()
	must(b, f.client.Set(b.Context(), f.prefix+"value", sealed, time.Hour).Err())
	a := ask(roomID)
	var get, acquire time.Duration
	b.ReportAllocs()
	for b.Loop() {
		start := time.Now()
		if err := f.client.Get(b.Context(), f.prefix+"value").Err(); err != nil {
			b.Fatal(err)
		}
		between := time.Now()
		if e, err := f.Acquire(b.Context(), a); err != nil || e.Record.IsZero() {
			b.Fatal(what(e), err)
		}
		acquire += time.Since(between)
		get += between.Sub(start)
	}
	b.ReportMetric(float64(get.Nanoseconds())/float64(b.N), "ns/GET")
	b.ReportMetric(float64(acquire.Nanoseconds())/float64(b.N), "ns/Acquire")
	b.ReportMetric(float64(acquire)/float64(get), "x-GET")
	b.ReportMetric(float64(len(sealed)), "bytes")
}

// All rooms of a process that starts.
func BenchmarkLoad(b *testing.B) {
	for _, n := range []int{10_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			f := fleetOn(b, newClient(b, shared, func(o *redis.Options) { o.PoolSize = 40 }))
			roomIDs := f.fill(n, 320)
			for b.Loop() {
				for i := 0; i < n; i += roomtoken.MaxLoad {
					entries, err := f.Load(b.Context(), roomIDs[i:i+roomtoken.MaxLoad])
					if err != nil || entries[0].Record.IsZero() {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s/all")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// What a room takes in Redis.
func BenchmarkMemory(b *testing.B) {
	for _, tokens := range []int{320, 630} {
		b.Run(fmt.Sprintf("tokens=%d", tokens), func(b *testing.B) {
			f := newFleet(b)
			const n = 1000
			used := func() (bytes float64) {
				text := f.client.Info(b.Context(), "memory").Val()
				_, _ = fmt.Sscanf(text[strings.Index(text, "used_memory:"):], "used_memory:%f", &bytes)
				return bytes
			}
			before := used()
			roomID := f.fill(n, tokens)[0]
			grown := used() - before
			for b.Loop() {
				f.client.MemoryUsage(b.Context(), f.key(roomID))
			}
			b.ReportMetric(grown/n, "bytes/room")
			b.ReportMetric(float64(f.client.MemoryUsage(b.Context(), f.key(roomID)).Val()), "MEMORY-USAGE")
			b.ReportMetric(0, "ns/op")
		})
	}
}
