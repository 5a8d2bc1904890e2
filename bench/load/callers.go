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
	"github.com/roomtoken/roomtoken/bench/internal/table"
)

// callerLoad describes callers that ask for tokens as fast as they can, for some rooms
// far more often than for others.
type callerLoad struct {
	callers  int
	rooms    int
	lifetime time.Duration // of tokens
	latency  time.Duration // of the source
	span     time.Duration // how long they ask while the source works
	outage   time.Duration // how long while it is down, and once more after that
}

// fullLoad is the load of docs/capacity.md.
func fullLoad(span time.Duration) callerLoad {
	return callerLoad{
		callers: 10_000, rooms: 1000, lifetime: 10 * time.Second, latency: 20 * time.Millisecond,
		span: span, outage: span / 4,
	}
}

const (
	// The n-th room is asked for in proportion to (zipfV + n) to the power of -zipfS.
	zipfS, zipfV = 1.1, 1

	// minLeft is how long a known token must be usable for a call to count as a hit:
	// on a busy machine some time passes before the Manager looks at the token.
	minLeft = 200 * time.Millisecond

	// burst is the number of calls that a caller makes before it yields.
	burst = 32
)

// expiries records until when each room's token is usable, from the Manager's events,
// so that it is never ahead of the Manager.
type expiries struct {
	rooms  map[string]int
	margin time.Duration  // how long before its expiry a token is no longer used
	until  []atomic.Int64 // in Unix nanoseconds
}

func newExpiries(rooms []string, margin time.Duration) *expiries {
	x := &expiries{rooms: make(map[string]int, len(rooms)), margin: margin, until: make([]atomic.Int64, len(rooms))}
	for i, room := range rooms {
		x.rooms[room] = i
	}
	return x
}

func (x *expiries) record(e roomtoken.Event) {
	if e.Kind != roomtoken.EventTokenPublished {
		return
	}
	x.until[x.rooms[e.RoomID]].Store(e.ExpiresAt.Add(-x.margin).UnixNano())
}

// failingSource mints tokens with a latency, and can be down.
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

// manyCallers makes calls before, during and after an outage.
func manyCallers(ctx context.Context, out io.Writer, c callerLoad) error {
	rooms := roomid.New(c.rooms)
	x := newExpiries(rooms, c.lifetime/10)
	source := &failingSource{latency: c.latency, lifetime: c.lifetime}
	m, err := roomtoken.NewManager(source, roomtoken.Config{OnEvent: x.record})
	if err != nil {
		return err
	}
	defer m.Close()
	if err := m.Warm(ctx, rooms...); err != nil {
		return err
	}

	fmt.Fprintf(out, "%d goroutines, %d rooms (Zipf, s = %v), tokens of %v, source latency %v, %d cores\n\n",
		c.callers, c.rooms, zipfS, c.lifetime, c.latency, runtime.GOMAXPROCS(0))
	table.Heading(out, "source", "duration", "calls per second", "median", "99 %", "99.9 %", "worst", "source calls", "calls that may wait", "of these failed", "broken hits")
	var broken int64
	order := zipfOrder(c.rooms)
	for _, phase := range []struct {
		name string
		span time.Duration
	}{{"up", c.span}, {"down", c.outage}, {"up again", c.outage}} {
		source.down.Store(phase.name == "down")
		calls := source.calls.Load()
		r := ask(ctx, m, x, rooms, order, c.callers, phase.span)
		table.Row(out, phase.name, phase.span, fmt.Sprintf("%.1f million", float64(r.hits.Total()+r.waits.Total())/phase.span.Seconds()/1e6),
			hist.Round(r.hits.Quantile(0.5)), hist.Round(r.hits.Quantile(0.99)), hist.Round(r.hits.Quantile(0.999)), hist.Round(r.hits.Worst()),
			source.calls.Load()-calls, r.waits.Total(), r.failed, r.broken)
		broken += r.broken
	}
	fmt.Fprintln(out, "\nThe times are those of hits, including the time to measure them. The worst are threads that the operating system suspended."+
		"\nA hit is broken if it fails or would wait although the room has a valid token.")
	if broken > 0 {
		return fmt.Errorf("%d hits are broken: they failed or would have waited although the room had a valid token", broken)
	}
	return ctx.Err()
}

// zipfOrder returns the indexes of the rooms to ask for.
func zipfOrder(rooms int) []uint16 {
	zipf := rand.NewZipf(rand.New(rand.NewPCG(1, 1)), zipfS, zipfV, uint64(rooms-1))
	order := make([]uint16, 1<<20)
	for i := range order {
		order[i] = uint16(zipf.Uint64())
	}
	return order
}

// results counts calls.
type results struct {
	hits   hist.Sum // calls for rooms with a usable token
	waits  hist.Sum // other calls, which may wait
	failed int64    // the waits that failed
	broken int64    // the hits that failed or would have waited
}

// ask makes calls until span has passed. If the room has a usable token, a caller
// passes a canceled ctx: a hit ignores it, and anything else fails.
func ask(ctx context.Context, m *roomtoken.Manager, x *expiries, rooms []string, order []uint16, callers int, span time.Duration) *results {
	ctx, cancel := context.WithTimeout(ctx, span)
	defer cancel()
	canceled, cancelNow := context.WithCancel(context.Background())
	cancelNow()
	var over atomic.Bool // cheaper than ctx.Err
	stop := context.AfterFunc(ctx, func() { over.Store(true) })
	defer stop()
	var (
		mu      sync.Mutex
		all     results
		running sync.WaitGroup
	)
	for caller := range callers {
		running.Go(func() {
			var hits, waits hist.Hist
			var failed, broken int64
			for n := caller * 7919; !over.Load(); {
				begun := time.Now()
				for range burst {
					i := order[n%len(order)]
					n++
					callCtx, h := ctx, &waits
					known := x.until[i].Load()-begun.UnixNano() > int64(minLeft)
					if known {
						callCtx, h = canceled, &hits
					}
					_, err := m.Token(callCtx, rooms[i])
					switch {
					case err == nil:
					case known:
						broken++
					case ctx.Err() == nil:
						failed++
					}
					done := time.Now()
					h.Add(done.Sub(begun))
					begun = done
				}
				runtime.Gosched() // otherwise each goroutine runs for 10 ms at a time
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
