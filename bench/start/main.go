// The program start measures two thundering starts, and prints a Markdown table: a process
// that warms 100,000 rooms, and the same process after an outage that has cost it all their
// tokens. Both take as long as the account's rate limit makes them: the ideal is the number
// of rooms, divided by CallsPerSecond.
//
//	go run ./start                  both, in a quarter of an hour
//	go run ./start -only start      the first
//	go run ./start -outage 1h       another length of the outage
//	go run ./start -rooms 5000      fewer rooms
//
// The API is package telnyxtest, over TLS, in a process of its own. Each call takes 50 ms.
// It answers 429 beyond -limit calls per second; CallsPerSecond is a little less, as a user
// would set it. In the outage it resets each connection.
//
// Tokens, and refresh tokens, live twice as long as the ideal: the first renewal is due
// after 1.13 times the ideal, so that none disturbs a start. The rooms are in use all the
// time (IdleAfter is negative), and nobody asks for them.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/bench/internal/program"
	"github.com/roomtoken/roomtoken/bench/internal/roomid"
)

func main() {
	program.Main("start", func(ctx context.Context, args []string) error { return run(ctx, args, os.Stdin, os.Stdout) })
}

// latency is how long a call takes.
const latency = 50 * time.Millisecond

func run(ctx context.Context, args []string, in io.Reader, out io.Writer) error {
	b := benchmark{out: out}
	flags := flag.NewFlagSet("start", flag.ContinueOnError)
	rooms := flags.Int("rooms", 100_000, "number of rooms")
	flags.Float64Var(&b.config.CallsPerSecond, "rate", 500, "Config.CallsPerSecond")
	limit := flags.Int("limit", 550, "calls per second beyond which the API answers 429; 0: no limit")
	flags.DurationVar(&b.outage, "outage", 0, "how long the API is down, at least as long as a token lives; 0: 30s longer")
	flags.StringVar(&b.only, "only", "", "print only one `part`: start or outage")
	serve := flags.String("serve", "", "serve the API with these `settings`; used internally")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *serve != "" {
		var s settings
		if err := json.Unmarshal([]byte(*serve), &s); err != nil {
			return err
		}
		return serveAPI(ctx, s, in, out)
	}
	switch {
	case *rooms < 1 || *rooms > maxRooms(b.config.CallsPerSecond):
		return fmt.Errorf("-rooms is %d; want 1 to %d with -rate %v", *rooms, maxRooms(b.config.CallsPerSecond), b.config.CallsPerSecond)
	case b.only != "" && b.only != "start" && b.only != "outage":
		return fmt.Errorf("-only %q; want start or outage", b.only)
	}
	b.ids = roomid.New(*rooms)
	b.config.MaxRooms = 2 * *rooms
	b.config.IdleAfter = -1
	b.api = settings{Latency: latency, Limit: *limit}
	switch least := b.lifetime(); {
	case b.outage == 0:
		b.outage = least + 30*time.Second
	case b.outage < least:
		return fmt.Errorf("-outage is %v; want at least %v, so that all tokens are gone", b.outage, least)
	}
	return b.run(ctx)
}

// Lifetimes that a request to Telnyx can ask for: those of tokens, and the least one of
// refresh tokens.
const (
	minLifetime        = 10 * time.Second
	maxLifetime        = time.Hour
	minRefreshLifetime = time.Minute
)

// maxRooms returns how many rooms can be warmed before the first renewal is due.
func maxRooms(rate float64) int { return int(rate * maxLifetime.Seconds() / 2) }

// benchmark is one run of the program.
type benchmark struct {
	out    io.Writer
	only   string // the part to print; "": both
	ids    []string
	outage time.Duration
	config roomtoken.Config
	api    settings
}

// ideal returns the least time in which all rooms can get a token.
func (b benchmark) ideal() time.Duration {
	return time.Duration(float64(len(b.ids)) / b.config.CallsPerSecond * float64(time.Second))
}

// lifetime returns that of the tokens.
func (b benchmark) lifetime() time.Duration {
	return max((2*b.ideal()).Truncate(time.Second)+time.Second, minLifetime)
}
