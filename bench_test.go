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

// The benchmarks measure against a floor in the same run, because machines
// differ: what a hit cannot do without is a look-up in a concurrent map and a
// reading of the clock. Compare with:
//
//	go test -run '^$' -bench 'Hit|Floor' -count 10 . | benchstat -col /impl -

// benchSource mints at once.
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

// roomIDs returns n room IDs as Telnyx has them.
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

// floor is the least that any cache of expiring values does on a hit.
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

// BenchmarkHit compares a hit with its floor, at four sizes, by one goroutine and
// by all. Rooms are asked for in a random order.
func BenchmarkHit(b *testing.B) {
	for _, n := range sizes {
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
			b.Run(fmt.Sprintf("rooms=%d/goroutines=1/impl=%s", n, contender.name), func(b *testing.B) {
				b.ReportAllocs()
				benchTokens(b, contender.t, ids, 0)
			})
			b.Run(fmt.Sprintf("rooms=%d/goroutines=all/impl=%s", n, contender.name), func(b *testing.B) {
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
