// The program fleet measures what sharing tokens through Redis costs, and prints a Markdown
// table with each figure, its target, and the command that measures it. It starts a
// redis-server of its own, on a free port of the loopback interface; in Debian that is the
// package redis-server.
//
//	go run ./fleet               everything, within six minutes
//	go run ./fleet -only cold    one part
//	go run ./fleet -quick        small sizes, to see that it works; the figures mean nothing
//
// Processes are Managers in this program, each with a client of its own, or, in the part
// processes, real ones. Commands are counted on the wire, see traffic.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/roomtoken/roomtoken/bench/internal/program"
)

func main() {
	program.Main("fleet", func(ctx context.Context, args []string) error { return run(ctx, args, os.Stdin, os.Stdout) })
}

// part is a part of the measurements.
type part struct {
	name string
	run  func(*bench, context.Context) error
}

var parts = []part{
	{"hit", (*bench).hitRows},
	{"found", (*bench).foundRows},
	{"cold", (*bench).coldRows},
	{"processes", (*bench).processRows},
	{"renewals", (*bench).renewalRows},
	{"warm", (*bench).warmRows},
	{"idle", (*bench).idleRows},
	{"memory", (*bench).memoryRows},
	{"capacity", (*bench).capacityRows},
}

func run(ctx context.Context, args []string, in io.Reader, out io.Writer) error {
	var names []string
	for _, p := range parts {
		names = append(names, p.name)
	}
	all := strings.Join(names, ", ")
	flags := flag.NewFlagSet("fleet", flag.ContinueOnError)
	only := flags.String("only", "", "run only one `part`: "+all)
	quick := flags.Bool("quick", false, "small sizes, to see that it works; the figures mean nothing")
	root := flags.String("root", "..", "`directory` of the library")
	member := flags.String("process", "", "be one process of the part processes, with these `settings`; used internally")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *member != "" {
		var s settings
		if err := json.Unmarshal([]byte(*member), &s); err != nil {
			return err
		}
		return serveProcess(ctx, s, in, out)
	}
	b := &bench{out: out, root: *root, sizes: full}
	if *quick {
		b.sizes = small
	}
	var chosen []part
	for _, p := range parts {
		if *only == "" || *only == p.name {
			chosen = append(chosen, p)
		}
	}
	if len(chosen) == 0 {
		return fmt.Errorf("-only %q; want one of %s", *only, all)
	}
	return b.run(ctx, chosen)
}

// bench is one run of the program.
type bench struct {
	out    io.Writer
	root   string
	sizes  sizes
	server *server
	part   string // that is running
	fleets int    // so far
}

// run runs some parts, each on an empty server.
func (b *bench) run(ctx context.Context, chosen []part) (err error) {
	if b.server, err = startServer(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.server.stop()) }()
	cells(b.out, "what", "figure", "target", "command")
	cells(b.out, "---", "---", "---", "---")
	for _, p := range chosen {
		b.part = p.name
		if err := b.server.client.FlushAll(ctx).Err(); err != nil {
			return err
		}
		if err := p.run(b, ctx); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return nil
}

// row prints a row of the table.
func (b *bench) row(what, figure, target string) {
	cells(b.out, what, figure, target, "`go run ./fleet -only "+b.part+"`")
}

func cells(out io.Writer, texts ...string) {
	fmt.Fprintf(out, "| %s |\n", strings.Join(texts, " | "))
}

// prefix returns a prefix for keys that no other fleet has.
func (b *bench) prefix() string {
	b.fleets++
	return fmt.Sprintf("fleet%d:", b.fleets)
}

// sizes says how much is measured.
type sizes struct {
	storeTimeout time.Duration // 0: the default

	hits, hitRounds int
	found           int // rooms of each size

	processes, callers int
	coldRooms          int
	slowRooms          int // for contenders that take seconds for each

	renewed         int           // rooms
	renewedFor      time.Duration // after one lifetime
	renewedLifetime time.Duration

	warm       []int // numbers of rooms
	idle       time.Duration
	memory     int // rooms
	operations int // of each kind, for the capacity
}

var (
	full = sizes{
		hits: 1_000_000, hitRounds: 21,
		found:     3000,
		processes: 16, callers: 16, coldRooms: 300, slowRooms: 20,
		renewed: 100, renewedFor: time.Minute, renewedLifetime: 20 * time.Second,
		warm: []int{10_000, 100_000},
		idle: 10 * time.Second, memory: 1000, operations: 100_000,
	}
	// No answer takes so long that it would change a count, also on a busy machine.
	small = sizes{
		storeTimeout: 20 * time.Second,
		hits:         20_000, hitRounds: 3,
		found:     50,
		processes: 4, callers: 4, coldRooms: 5, slowRooms: 2,
		renewed: 5, renewedFor: 3 * time.Second, renewedLifetime: 3 * time.Second,
		warm: []int{1200},
		idle: 2 * time.Second, memory: 50, operations: 1000,
	}
)
