// Million builds a million rooms on a source in this process, keeps them fresh for
// a while as a service would, and prints what that costs:
//
//	go run ./examples/million
//	go run ./examples/million -rooms 100000 -for 10s
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"time"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/roomtokentest"
)

func main() {
	rooms := flag.Int("rooms", 1_000_000, "how many rooms")
	keep := flag.Duration("for", 30*time.Second, "how long to keep them fresh")
	lifetime := flag.Duration("lifetime", 650*time.Second, "of the tokens; 650 s means a renewal per room each 400 s")
	flag.Parse()
	if *rooms < 1 || *lifetime < 10*time.Second {
		fmt.Fprintln(os.Stderr, "million: want at least 1 room and a lifetime of at least 10s")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Stdout, *rooms, *keep, *lifetime)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "million:", err)
		os.Exit(1)
	}
}

// run builds the rooms, keeps them fresh, lets them go, and reports to out.
func run(ctx context.Context, out io.Writer, rooms int, keep, lifetime time.Duration) error {
	manager, err := roomtoken.NewManager(steady(lifetime), roomtoken.Config{MaxRooms: rooms + newcomers})
	if err != nil {
		return err
	}
	defer manager.Close()

	ids := make([]string, rooms)
	for i := range ids {
		ids[i] = fmt.Sprintf("%08x-0000-4000-8000-%012x", rand.Uint32(), i)
	}
	empty := heap()
	if err := build(ctx, out, manager, ids); err != nil {
		return err
	}
	full := heap()
	fmt.Fprintf(out, "memory      %.0f MB, %.0f B per room with its tokens\n", mb(full-empty), float64(full-empty)/float64(rooms))

	keepFresh(ctx, out, manager, ids, keep)

	begun := time.Now()
	for _, id := range ids {
		manager.Forget(id)
	}
	fmt.Fprintf(out, "forgotten   in %.1f s, %.0f MB are left\n", time.Since(begun).Seconds(), mb(heap()-min(empty, heap())))
	runtime.KeepAlive(ids)
	return manager.Close()
}

// steady returns a source whose first token for a room is some way into its
// lifetime already, so that renewals are spread evenly from the beginning.
func steady(lifetime time.Duration) *roomtokentest.Source {
	source := &roomtokentest.Source{TokenTTL: lifetime, RefreshTokenTTL: 24 * time.Hour}
	source.CreateFunc = func(_ context.Context, room string) (roomtoken.Grant, error) {
		grant := source.Mint(room)
		age := time.Duration(rand.Float64() * 0.6 * float64(lifetime))
		grant.IssuedAt = grant.IssuedAt.Add(-age)
		grant.Token.ExpiresAt = grant.Token.ExpiresAt.Add(-age)
		return grant, nil
	}
	return source
}

// build warms the rooms, a part at a time, and shows how far it is.
func build(ctx context.Context, out io.Writer, manager *roomtoken.Manager, ids []string) error {
	begun := time.Now()
	part := max(len(ids)/10, 1)
	for at := 0; at < len(ids); at += part {
		end := min(at+part, len(ids))
		if err := manager.Warm(ctx, ids[at:end]...); err != nil {
			return err
		}
		spent := time.Since(begun)
		fmt.Fprintf(out, "building    %8d rooms in %5.1f s, %.1f us each\n", end, spent.Seconds(), spent.Seconds()*1e6/float64(end))
	}
	return nil
}

// newcomers is how many cold rooms are asked for while the others are kept fresh.
const newcomers = 2000

// keepFresh lets the rooms be renewed for a while, asks for tokens meanwhile, and
// reports what it cost.
func keepFresh(ctx context.Context, out io.Writer, manager *roomtoken.Manager, ids []string, keep time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, keep)
	defer cancel()
	before, used, begun := manager.Stats(), cpu(), time.Now()

	var warm, cold latencies
	var callers sync.WaitGroup
	callers.Go(func() {
		for every(ctx, time.Millisecond) {
			warm.measure(func() { _, _ = manager.Token(ctx, ids[rand.IntN(len(ids))]) })
		}
	})
	callers.Go(func() {
		for n := 0; n < newcomers && every(ctx, keep/newcomers); n++ {
			room := fmt.Sprint("newcomer-", n)
			cold.measure(func() { _, _ = manager.Token(ctx, room) })
		}
	})
	callers.Go(func() {
		for every(ctx, keep/6) {
			s := manager.Stats()
			fmt.Fprintf(out, "renewing    %8d renewals, %d failures, %d calls in flight\n",
				s.Refreshes-before.Refreshes, s.RefreshFailures-before.RefreshFailures, s.CallsInFlight)
		}
	})
	callers.Wait()

	spent := time.Since(begun)
	renewals := manager.Stats().Refreshes - before.Refreshes
	fmt.Fprintf(out, "renewed     %d times in %.0f s, %.0f per second\n", renewals, spent.Seconds(), float64(renewals)/spent.Seconds())
	if share := cpu() - used; share > 0 {
		fmt.Fprintf(out, "CPU         %.1f %% of one core, source, callers and this program included\n", 100*share.Seconds()/spent.Seconds())
	}
	fmt.Fprintf(out, "hits        %v\n", &warm)
	fmt.Fprintf(out, "cold rooms  %v\n", &cold)
}

// every waits for d, and reports whether ctx goes on.
func every(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// heap returns the size of what is reachable.
func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

func mb(bytes uint64) float64 { return float64(bytes) / 1e6 }
