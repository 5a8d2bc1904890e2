package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"github.com/roomtoken/roomtoken/examples/quickstart/internal/demo"
)

const usage = `Quickstart shows roomtoken at work.

  go run ./examples/quickstart [flags]
        uses a Telnyx rooms API in this process. Tokens live 40 s. A room refuses
        its token, and the API revokes a refresh token, has an outage and limits
        the rate of calls. The clock of this machine, simulated, is set back.
        Needs no account and no network; takes about a minute.

  TELNYX_API_KEY=KEY... go run ./examples/quickstart [flags] ROOM-ID...
        uses Telnyx, without faults, until Ctrl-C. Creates tokens for these
        rooms, but does not join them.

Flags:
  --for DURATION   how long to run, such as 30s or 5m; default 62s, or until
                   Ctrl-C on Telnyx
  --plain          print one line per event instead of a live view
  -h, --help       print this help

Environment:
  TELNYX_API_KEY   API key; requires room IDs
  TELNYX_BASE_URL  base URL of the API; default https://api.telnyx.com/v2
  NO_COLOR         disables colors, if not empty

Exit status: 0 on success, 1 if a caller got an error or a token that the API
rejects, 2 if the arguments are invalid.
`

// options is what the command line and the environment ask for.
type options struct {
	rooms    []string      // on Telnyx; empty: use the embedded API
	duration time.Duration // 0: until Ctrl-C
	plain    bool
}

// errHelp is returned if the arguments ask for help.
var errHelp = errors.New("help requested")

// parse reads the command line.
func parse(args []string, getenv func(string) string) (options, error) {
	var o options
	flags := flag.NewFlagSet("quickstart", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.DurationVar(&o.duration, "for", 0, "")
	flags.BoolVar(&o.plain, "plain", false, "")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return o, errHelp
	} else if err != nil {
		return o, fmt.Errorf("%w; -h lists the flags", err)
	}
	if o.duration < 0 {
		return o, fmt.Errorf("--for is %v; want a positive duration such as 30s", o.duration)
	}
	o.rooms = flags.Args()
	if err := checkRooms(o.rooms); err != nil {
		return o, err
	}

	hasKey := getenv("TELNYX_API_KEY") != ""
	switch {
	case hasKey && len(o.rooms) == 0:
		return o, errors.New("TELNYX_API_KEY is set, but there are no room IDs:\n" +
			"  go run ./examples/quickstart ROOM-ID...       uses these rooms on Telnyx\n" +
			"  TELNYX_API_KEY= go run ./examples/quickstart  uses an API in this process")
	case !hasKey && len(o.rooms) > 0:
		return o, errors.New("room IDs require an API key: set TELNYX_API_KEY, or omit the room IDs to use an API in this process")
	case !hasKey && o.duration == 0:
		o.duration = demo.Duration
	}
	return o, nil
}

// roomID matches Telnyx room IDs.
var roomID = regexp.MustCompile(`^(?i)[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

func checkRooms(rooms []string) error {
	seen := make(map[string]bool)
	for _, room := range rooms {
		switch {
		case !roomID.MatchString(room):
			return fmt.Errorf("%q is not a room ID; want a UUID such as 0ccc7b54-4df3-4bca-a65a-3da1ecc777f0 (flags come before room IDs)", room)
		case seen[strings.ToLower(room)]:
			return fmt.Errorf("room %s is listed twice", room)
		}
		seen[strings.ToLower(room)] = true
	}
	return nil
}
