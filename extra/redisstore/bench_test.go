package redisstore_test

import (
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
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
	sealed := f.stored(roomID)
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

// How much of its one thread the server spends on a command: "us-server" is the processor
// time of its main thread, of which a second is all that there is. The client is not in it.
func BenchmarkServer(b *testing.B) {
	f := fleetOn(b, newClient(b, shared, func(o *redis.Options) { o.PoolSize = 64 }))
	roomIDs := f.fill(1000, 630)
	var next atomic.Int64
	room := func() string { return roomIDs[int(next.Add(1))%len(roomIDs)] }
	for _, bench := range []struct {
		name     string
		commands int
		do       func() error
	}{
		{"found", 1, func() error {
			_, err := f.Acquire(b.Context(), ask(room()))
			return err
		}},
		{"renewal", 2, func() error {
			a := ask(room())
			a.Newer = 1<<53 - 2
			e, err := f.Acquire(b.Context(), a)
			if err != nil || e.Lease.IsZero() {
				return err // of another goroutine
			}
			r := record(e.Lease, strings.Repeat("a", 630))
			r.RefreshToken = roomtoken.NewSecret(strings.Repeat("b", 630))
			_, err = f.Commit(b.Context(), e.Lease, roomtoken.Result{Record: r})
			return err
		}},
		{"news", 1, func() error {
			_, err := f.News(b.Context(), "")
			return err
		}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.SetParallelism(16)
			before := serverTime(b, f.client)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := bench.do(); err != nil {
						b.Error(err)
					}
				}
			})
			spent := serverTime(b, f.client) - before
			n := float64(b.N * bench.commands)
			b.ReportMetric(float64(spent.Microseconds())/n, "us-server/command")
			b.ReportMetric(n/b.Elapsed().Seconds(), "commands/s")
		})
	}
}

// serverTime returns the processor time that a server's main thread has used.
func serverTime(b *testing.B, client redis.UniversalClient) (total time.Duration) {
	b.Helper()
	info := client.Info(b.Context(), "cpu").Val()
	for _, name := range []string{"used_cpu_sys_main_thread:", "used_cpu_user_main_thread:"} {
		_, after, _ := strings.Cut(info, name)
		text, _, _ := strings.Cut(after, "\r")
		seconds, err := strconv.ParseFloat(text, 64)
		if err != nil {
			b.Fatal(err)
		}
		total += time.Duration(seconds * float64(time.Second))
	}
	return total
}
