// Million builds a million rooms on a source in this process, and prints what that
// costs: in three acts, while they are renewed one by one as a service has it,
// while all are due at the same moment, and while all expire at the same moment:
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
	"time"

	"github.com/roomtoken/roomtoken"
)

func main() {
	rooms := flag.Int("rooms", 1_000_000, "how many rooms")
	keep := flag.Duration("for", 30*time.Second, "how long to keep them fresh, one by one")
	lifetime := flag.Duration("lifetime", 650*time.Second, "of the tokens; 650 s means a renewal per room each 400 s")
	flag.Parse()
	if *rooms < 1 || *lifetime < 10*time.Second {
		fmt.Fprintln(os.Stderr, "million: want at least 1 room and a lifetime of at least 10s")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := play{out: os.Stdout, rooms: *rooms, keep: *keep, lifetime: *lifetime, linger: 2 * time.Second}.run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "million:", err)
		os.Exit(1)
	}
}

// play is what is to be done.
type play struct {
	out      io.Writer // for the report
	rooms    int
	keep     time.Duration // how long they are renewed one by one
	lifetime time.Duration // of the tokens then
	linger   time.Duration // callers go on for so long, or the numbers say little
}

// run plays the acts.
func (p play) run(ctx context.Context) error {
	ids := make([]string, p.rooms)
	for i := range ids {
		ids[i] = fmt.Sprintf("%08x-0000-4000-8000-%012x", rand.Uint32(), i)
	}
	built, err := p.oneByOne(ctx, ids)
	if err != nil {
		return err
	}
	// Time enough to build them again before they are due.
	return p.allAtOnce(ctx, ids, max(6*built, 4*p.linger))
}

// forget drops all rooms and says what is left of the memory.
func (p play) forget(manager *roomtoken.Manager, ids []string, empty uint64) {
	begun := time.Now()
	for _, id := range ids {
		manager.Forget(id)
	}
	spent, left := time.Since(begun), heap()
	fmt.Fprintf(p.out, "forgotten   in %.1f s; %.0f MB are left\n", spent.Seconds(), mb(left-min(empty, left)))
}
