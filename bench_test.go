package roomtoken_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
)

// Because machines differ, the benchmarks include a floor, the least that a hit has to
// do: a lookup in a concurrent map and reading the clock. Compare with:
//
//	go test -run '^$' -bench 'Hit|Floor' -count 10 . | benchstat -col /impl -

// benchSource mints tokens without latency.
type benchSource struct {
	lifetime time.Duration
	minted   atomic.Int64
}

func (s *benchSource) Create(context.Context, string) (roomtoken.Grant, error) {
	n := s.minted.Add(1)
	now := time.Now()
	return roomtoken.Grant{
		Token:        roomtoken.Token{Value: roomtoken.NewSecret(fmt.Sprint("token-", n)), ExpiresAt: now.Add(s.lifetime)},
		RefreshToken: roomtoken.Token{Value: roomtoken.NewSecret(fmt.Sprint("refresh-", n)), ExpiresAt: now.Add(24 * time.Hour)},
	}, nil
}

func (s *benchSource) Refresh(ctx context.Context, room string, _ roomtoken.Token) (roomtoken.Grant, error) {
	g, err := s.Create(ctx, room)
	g.RefreshToken = roomtoken.Token{}
	return g, err
}

// roomIDs returns n room IDs in the format of Telnyx.
func roomIDs(n int) []string {
	rng := rand.New(rand.NewPCG(1, 1))
	ids := make([]string, n)
	for i := range ids {
		a, b := rng.Uint64(), rng.Uint64()
		ids[i] = fmt.Sprintf("%08x-%04x-%04x-%04x-%012x", uint32(a), uint16(a>>32), uint16(a>>48), uint16(b), b>>16)
	}
	return ids
}

func newBenchManager(b *testing.B, source roomtoken.TokenSource, config roomtoken.Config) *roomtoken.Manager {
	b.Helper()
	m, err := roomtoken.NewManager(source, config)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := m.Close(); err != nil {
			b.Error(err)
		}
	})
	return m
}

var sizes = []int{1, 1_000, 100_000, 1_000_000}

// floor is a minimal cache of expiring values.
type floor struct {
	entries sync.Map // of string to *floorEntry
	base    time.Time
}

type floorEntry struct {
	expires time.Duration
	token   roomtoken.Token
}

func (f *floor) Token(_ context.Context, id string) (roomtoken.Token, error) {
	v, _ := f.entries.Load(id)
	e := v.(*floorEntry)
	if time.Since(f.base) >= e.expires {
		return roomtoken.Token{}, roomtoken.ErrClosed
	}
	return e.token, nil
}

type tokener interface {
	Token(ctx context.Context, id string) (roomtoken.Token, error)
}

// BenchmarkHit compares a hit with the floor for several numbers of rooms, with one
// goroutine and with one per core. Rooms are in random order.
func BenchmarkHit(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprintf("rooms=%d", n), func(b *testing.B) { benchHit(b, n) })
	}
}

func benchHit(b *testing.B, n int) {
	ids := roomIDs(n)
	m := newBenchManager(b, &benchSource{lifetime: time.Hour}, roomtoken.Config{MaxRooms: -1})
	if err := m.Warm(context.Background(), ids...); err != nil {
		b.Fatal(err)
	}
	f := &floor{base: time.Now()}
	for _, id := range ids {
		tok, _ := m.Cached(id)
		f.entries.Store(id, &floorEntry{time.Hour, tok})
	}
	runtime.GC()
	rand.Shuffle(n, func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	for _, contender := range []struct {
		name string
		t    tokener
	}{{"floor", f}, {"roomtoken", m}} {
		b.Run("goroutines=1/impl="+contender.name, func(b *testing.B) {
			b.ReportAllocs()
			benchTokens(b, contender.t, ids, 0)
		})
		b.Run("goroutines=all/impl="+contender.name, func(b *testing.B) {
			b.ReportAllocs()
			var start atomic.Int64
			b.RunParallel(func(pb *testing.PB) {
				ctx := context.Background()
				for i := int(start.Add(7919)); pb.Next(); i++ {
					if _, err := contender.t.Token(ctx, ids[i%len(ids)]); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

func benchTokens(b *testing.B, t tokener, ids []string, start int) {
	ctx := context.Background()
	i := start
	for b.Loop() {
		if i >= len(ids) {
			i = 0
		}
		if _, err := t.Token(ctx, ids[i]); err != nil {
			b.Fatal(err)
		}
		i++
	}
}

// BenchmarkMiss measures a call for a new room, with a source without latency.
func BenchmarkMiss(b *testing.B) {
	m := newBenchManager(b, &benchSource{lifetime: time.Hour}, roomtoken.Config{MaxRooms: -1})
	b.ReportAllocs()
	ctx := context.Background()
	n := 0
	for b.Loop() {
		if _, err := m.Token(ctx, fmt.Sprint("room-", n)); err != nil {
			b.Fatal(err)
		}
		n++
	}
}

// slowSource is a benchSource with a latency.
type slowSource struct {
	benchSource
	latency time.Duration
	answers atomic.Int64 // time of the last answer, in Unix nanoseconds
}

func (s *slowSource) Create(ctx context.Context, room string) (roomtoken.Grant, error) {
	time.Sleep(s.latency)
	g, err := s.benchSource.Create(ctx, room)
	s.answers.Store(time.Now().UnixNano())
	return g, err
}

// BenchmarkStampede measures 10,000 callers of a cold room. It reports how long after
// the source's answer the last one returns, and the number of creates.
func BenchmarkStampede(b *testing.B) {
	const callers = 10_000
	source := &slowSource{benchSource: benchSource{lifetime: time.Hour}, latency: 100 * time.Millisecond}
	m := newBenchManager(b, source, roomtoken.Config{MaxRooms: -1})
	var last time.Duration
	n := 0
	for b.Loop() {
		room := fmt.Sprint("room-", n)
		n++
		var done sync.WaitGroup
		for range callers {
			done.Go(func() {
				if _, err := m.Token(context.Background(), room); err != nil {
					b.Error(err)
				}
			})
		}
		done.Wait()
		last = max(last, time.Since(time.Unix(0, source.answers.Load())))
	}
	b.ReportMetric(float64(last.Microseconds())/1000, "worst-ms-after-answer")
	b.ReportMetric(float64(m.Stats().Creates)/float64(n), "creates/op")
}

// BenchmarkRenewals measures renewals of rooms that are always due. An op is one
// renewal.
func BenchmarkRenewals(b *testing.B) {
	for _, n := range []int{10_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprintf("rooms=%d", n), func(b *testing.B) {
			source := &benchSource{lifetime: 2 * time.Second}
			m := newBenchManager(b, source, roomtoken.Config{MaxRooms: -1, RefreshAfter: 1e-9})
			if err := m.Warm(context.Background(), roomIDs(n)...); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			b.ResetTimer()
			for end := source.minted.Load() + int64(b.N); source.minted.Load() < end; {
				time.Sleep(100 * time.Microsecond)
			}
		})
	}
}

// BenchmarkMemory reports the heap per room with a million rooms, without the strings of
// the two tokens, but with the room ID.
func BenchmarkMemory(b *testing.B) {
	const n = 1_000_000
	ids := roomIDs(n)
	for b.Loop() {
		before := heap()
		source := &fixedSource{expires: time.Now().Add(time.Hour)}
		m := newBenchManager(b, source, roomtoken.Config{MaxRooms: -1})
		if err := m.Warm(context.Background(), ids...); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(heap()-before)/n, "B/room")
		runtime.KeepAlive(ids)
		if err := m.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// fixedSource returns the same two strings each time, in new Secrets.
type fixedSource struct{ expires time.Time }

func (s *fixedSource) Create(context.Context, string) (roomtoken.Grant, error) {
	return roomtoken.Grant{
		Token:        roomtoken.Token{Value: roomtoken.NewSecret("token"), ExpiresAt: s.expires},
		RefreshToken: roomtoken.Token{Value: roomtoken.NewSecret("refresh"), ExpiresAt: s.expires},
	}, nil
}

func (s *fixedSource) Refresh(ctx context.Context, room string, _ roomtoken.Token) (roomtoken.Grant, error) {
	return s.Create(ctx, room)
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

// BenchmarkWatchFanOut measures the time until all watchers of a room have a new
// token.
func BenchmarkWatchFanOut(b *testing.B) {
	for _, watchers := range []int{1, 1_000} {
		b.Run(fmt.Sprintf("watchers=%d", watchers), func(b *testing.B) {
			m := newBenchManager(b, &benchSource{lifetime: time.Hour}, roomtoken.Config{})
			ctx, cancel := context.WithCancel(context.Background())
			var running sync.WaitGroup
			var got atomic.Int64
			for range watchers {
				running.Go(func() {
					for _, err := range m.Watch(ctx, "r") {
						if err == nil {
							got.Add(1)
						}
					}
				})
			}
			waitFor := func(n int64) {
				for got.Load() < n {
					runtime.Gosched()
				}
			}
			want := int64(watchers)
			waitFor(want)
			for b.Loop() {
				m.Forget("r") // each watch gets a new token
				want += int64(watchers)
				waitFor(want)
			}
			cancel()
			running.Wait()
		})
	}
}
