package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/bench/internal/hist"
	"github.com/roomtoken/roomtoken/bench/internal/roomid"
)

// crowd is callers who ask for rooms, some rooms far more often than others, as
// fast as they can.
type crowd struct {
	callers  int
	rooms    int
	lifetime time.Duration // of tokens
	latency  time.Duration // of the source
	span     time.Duration // how long they ask
	outage   time.Duration // how long the source then fails while they go on
}

// fullCrowd is the one whose figures are in docs/capacity.md.
func fullCrowd(span time.Duration) crowd {
	return crowd{
		callers: 10_000, rooms: 1000, lifetime: 10 * time.Second, latency: 20 * time.Millisecond,
		span: span, outage: span / 4,
	}
}

const (
	// zipfS and zipfV shape the distribution: the n-th room is asked for in
	// proportion to (zipfV + n) to the power of -zipfS.
	zipfS, zipfV = 1.1, 1

	// A token that has less than this to live, beyond its margin, may be gone by the
	// time a caller on a busy machine gets to it.
	haste = 200 * time.Millisecond

	// turn is how many calls a caller makes before it lets the next one ask.
	turn = 32
)

// book knows until when each room's token is handed out: from what the Manager
// has told when it published them, so that it is never ahead of the Manager.
type book struct {
	rooms  map[string]int
	margin time.Duration  // before its end from which a token is not handed out
	until  []atomic.Int64 // Unix time in ns
}

func newBook(rooms []string, margin time.Duration) *book {
	b := &book{rooms: make(map[string]int, len(rooms)), margin: margin, until: make([]atomic.Int64, len(rooms))}
	for i, room := range rooms {
		b.rooms[room] = i
	}
	return b
}

func (b *book) hear(e roomtoken.Event) {
	if e.Kind != roomtoken.EventTokenPublished {
		return
	}
	b.until[b.rooms[e.RoomID]].Store(e.ExpiresAt.Add(-b.margin).UnixNano())
}

// failingSource mints tokens of a lifetime, after a latency, unless it is down.
type failingSource struct {
	latency, lifetime time.Duration
	down              atomic.Bool
	calls             atomic.Int64
}

var errDown = errors.New("the source is down")

func (s *failingSource) Create(ctx context.Context, room string) (roomtoken.Grant, error) {
	n := s.calls.Add(1)
	now := time.Now()
	select {
	case <-time.After(s.latency):
	case <-ctx.Done():
		return roomtoken.Grant{}, ctx.Err()
	}
	if s.down.Load() {
		return roomtoken.Grant{}, errDown
	}
	return roomtoken.Grant{
		Token: roomtoken.Token{Value: roomtoken.NewSecret(fmt.Sprint(room, " token ", n)), ExpiresAt: now.Add(s.lifetime)},
		RefreshToken: roomtoken.Token{
			Value: roomtoken.NewSecret(fmt.Sprint(room, " refresh token ", n)), ExpiresAt: now.Add(time.Hour),
		},
	}, nil
}

func (s *failingSource) Refresh(ctx context.Context, room string, _ roomtoken.Token) (roomtoken.Grant, error) {
	return s.Create(ctx, room)
}

// manyCallers lets a crowd ask while all is well and during an outage.
func manyCallers(ctx context.Context, out io.Writer, c crowd) error {
	rooms := roomid.New(c.rooms)
	b := newBook(rooms, c.lifetime/10)
	source := &failingSource{latency: c.latency, lifetime: c.lifetime}
	m, err := roomtoken.NewManager(source, roomtoken.Config{OnEvent: b.hear})
	if err != nil {
		return err
	}
	defer m.Close()
	if err := m.Warm(ctx, rooms...); err != nil {
		return err
	}

	fmt.Fprintf(out, "%d goroutines, %d rooms (zipf, s = %v), tokens of %v, a source that takes %v, %d cores\n\n",
		c.callers, c.rooms, zipfS, c.lifetime, c.latency, runtime.GOMAXPROCS(0))
	heading(out, "source", "for", "calls per second", "median", "99 %", "99.9 %", "worst", "source calls", "may have waited", "failed", "failed or waited though a valid token was known")
	var broken int64
	order := draws(c.rooms)
	for _, phase := range []struct {
		name string
		span time.Duration
	}{{"up", c.span}, {"down", c.outage}, {"up again", c.outage}} {
		source.down.Store(phase.name == "down")
		calls := source.calls.Load()
		r := ask(ctx, m, b, rooms, order, c.callers, phase.span)
		row(out, phase.name, phase.span, fmt.Sprintf("%.1f million", float64(r.hits.Total()+r.waits.Total())/phase.span.Seconds()/1e6),
			short(r.hits.Quantile(0.5)), short(r.hits.Quantile(0.99)), short(r.hits.Quantile(0.999)), short(r.hits.Worst()),
			source.calls.Load()-calls, r.waits.Total(), r.failed, r.broken)
		broken += r.broken
	}
	fmt.Fprintln(out, "\nThe times are those of the calls that did not have to wait, what it takes to measure them included. The worst are those of threads that the system put aside.")
	if broken > 0 {
		return fmt.Errorf("%d calls were not answered at once though a valid token was known", broken)
	}
	return ctx.Err()
}

// draws returns which room is asked for next, many times over.
func draws(rooms int) []uint16 {
	zipf := rand.NewZipf(rand.New(rand.NewPCG(1, 1)), zipfS, zipfV, uint64(rooms-1))
	order := make([]uint16, 1<<20)
	for i := range order {
		order[i] = uint16(zipf.Uint64())
	}
	return order
}

// answers is what came of a crowd's calls.
type answers struct {
	hits   hist.Sum // calls that need not wait
	waits  hist.Sum // calls that may
	failed int64    // those of them that came back with an error
	broken int64    // calls that need not wait and would have
}

// ask lets the callers ask until span has passed. Where the book says that there is
// a token a caller comes with a ctx that has ended: a hit does not look at it, and
// everything else fails.
func ask(ctx context.Context, m *roomtoken.Manager, b *book, rooms []string, order []uint16, callers int, span time.Duration) *answers {
	ctx, cancel := context.WithTimeout(ctx, span)
	defer cancel()
	ended, end := context.WithCancel(context.Background())
	end()
	var over atomic.Bool // cheaper to ask than ctx
	stop := context.AfterFunc(ctx, func() { over.Store(true) })
	defer stop()
	var (
		mu      sync.Mutex
		all     answers
		running sync.WaitGroup
	)
	for caller := range callers {
		running.Go(func() {
			var hits, waits hist.Hist
			var failed, broken int64
			for n := caller * 7919; !over.Load(); {
				begun := time.Now()
				for range turn {
					i := order[n%len(order)]
					n++
					with, where := ctx, &waits
					known := b.until[i].Load()-begun.UnixNano() > int64(haste)
					if known {
						with, where = ended, &hits
					}
					_, err := m.Token(with, rooms[i])
					switch {
					case err == nil:
					case known:
						broken++
					case ctx.Err() == nil:
						failed++
					}
					done := time.Now()
					where.Add(done.Sub(begun))
					begun = done
				}
				runtime.Gosched() // or each would ask for 10 ms while the others stand in line
			}
			mu.Lock()
			defer mu.Unlock()
			all.hits.Add(&hits)
			all.waits.Add(&waits)
			all.failed += failed
			all.broken += broken
		})
	}
	running.Wait()
	return &all
}
