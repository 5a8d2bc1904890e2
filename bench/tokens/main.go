// The program tokens keeps a million rooms fresh whose tokens are like those of Telnyx, two
// of about 630 bytes for each room and no two alike, and prints Markdown tables: the memory
// of a room, what the garbage collector does for a renewal, and how long a hit takes
// meanwhile.
//
//	go run ./tokens                 everything, in seven minutes
//	go run ./tokens -rooms 100000   fewer rooms
//	GOGC=400 go run ./tokens        another setting of the collector
//
// There are 2,500 renewals per second whatever the number of rooms, which is each of a
// million rooms every 400 s. The source is in this process and leaves no garbage but the
// tokens, so what is measured is the Manager's. With a large heap and so little garbage the
// collector runs every two minutes, as Go makes it at least; the program waits for it.
//
// The caller of the hits asks for random rooms without a pause, so that whatever stops it
// makes a hit late. It fails if a hit would wait.
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
	program.Main("tokens", func(ctx context.Context, args []string) error { return run(ctx, args, os.Stdout) })
}

// renewalsPerSecond is what a million rooms that are renewed every 400 s make.
const renewalsPerSecond = 2500

func run(ctx context.Context, args []string, out io.Writer) error {
	b := benchmark{out: out, rate: renewalsPerSecond}
	flags := flag.NewFlagSet("tokens", flag.ContinueOnError)
	rooms := flags.Int("rooms", 1_000_000, "number of rooms")
	flags.IntVar(&b.collections, "collections", 2, "how many of the collections that come by themselves to wait for")
	flags.DurationVar(&b.span, "for", 30*time.Second, "how long to measure each of: renewals and collections without callers, hits while one collection follows another, the time alone")
	if err := flags.Parse(args); err != nil {
		return err
	}
	switch {
	case *rooms < renewalsPerSecond:
		return fmt.Errorf("-rooms is %d; want at least %d, so that tokens live for a while", *rooms, renewalsPerSecond)
	case b.collections < 1:
		return fmt.Errorf("-collections is %d; want at least 1", b.collections)
	case b.span <= 0:
		return fmt.Errorf("-for is %v; want more than 0", b.span)
	}
	b.ids = roomid.New(*rooms)
	return b.run(ctx)
}
