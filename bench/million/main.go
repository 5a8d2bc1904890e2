// The program million keeps a million rooms fresh, on a source in this process, and
// prints the cost in time, memory and CPU. It measures hits and calls for cold rooms
// in four situations: while renewals are spread evenly, as in a service; while all
// rooms are warmed; while all renewals are due at once; and while all tokens expire
// at once.
//
//	go run ./million
//	go run ./million -rooms 100000 -for 10s
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/roomtoken/roomtoken/bench/internal/program"
	"github.com/roomtoken/roomtoken/bench/internal/roomid"
)

func main() {
	program.Main("million", func(ctx context.Context, args []string) error { return run(ctx, args, os.Stdout) })
}

func run(ctx context.Context, args []string, out io.Writer) error {
	b := benchmark{out: out, minPhase: 2 * time.Second}
	flags := flag.NewFlagSet("million", flag.ContinueOnError)
	rooms := flags.Int("rooms", 1_000_000, "number of rooms")
	flags.DurationVar(&b.steady, "for", 30*time.Second, "how long to measure evenly spread renewals")
	flags.DurationVar(&b.lifetime, "lifetime", 650*time.Second, "lifetime of the tokens in that time; 650s renews each room about every 400s")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *rooms < 1 {
		return fmt.Errorf("-rooms is %d; want at least 1", *rooms)
	}
	if b.lifetime < 10*time.Second {
		return fmt.Errorf("-lifetime is %v; want at least 10s", b.lifetime)
	}
	b.ids = roomid.New(*rooms)
	return b.run(ctx)
}

// benchmark is one run of the program.
type benchmark struct {
	out      io.Writer
	ids      []string
	steady   time.Duration // how long renewals are spread evenly
	lifetime time.Duration // of the tokens in that time
	minPhase time.Duration // each phase measures calls for at least this long
}

func (b benchmark) run(ctx context.Context) error {
	built, err := b.staggered(ctx)
	if err != nil {
		return err
	}
	// All rooms must be built again before the first renewal is due.
	return b.together(ctx, max(6*built, 4*b.minPhase))
}
