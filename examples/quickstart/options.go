package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"
)

const usage = `Quickstart shows roomtoken at work.

  go run ./examples/quickstart [flags]
        against a Telnyx rooms API in this process, with tokens that live 40 s,
        an outage, a revoked refresh token and a rate limit. Needs no account
        and no network, and ends by itself after about a minute.

  TELNYX_API_KEY=KEY... go run ./examples/quickstart [flags] ROOM-ID...
        against Telnyx, without faults, until Ctrl-C. It creates tokens for
        these rooms and joins none of them.

Flags:
  --for DURATION   how long to run, such as 30s or 5m; default 62s, or until
                   Ctrl-C against Telnyx
  --plain          one line per event instead of a live view
  -h, --help       this page

Environment:
  TELNYX_API_KEY   the API key; only used with room IDs
  TELNYX_BASE_URL  where the API is; default https://api.telnyx.com/v2
  NO_COLOR         set to anything: no colours

The exit status is 0, 1 if a caller saw a failure or was given a token that the
API refuses, and 2 if the arguments make no sense.
`

// options is what the command line and the environment ask for.
type options struct {
	rooms  []string      // none: an API in this process
	apiKey string        // "": an API in this process
	length time.Duration // 0: until Ctrl-C
	plain  bool
}

// errHelp says that help was asked for.
var errHelp = errors.New("help")

// demoLength is long enough for every fault and for what comes after it.
const demoLength = 62 * time.Second

// parse reads the command line. Its errors are for people.
func parse(args []string, getenv func(string) string) (options, error) {
	o := options{apiKey: getenv("TELNYX_API_KEY")}
	flags := flag.NewFlagSet("quickstart", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.DurationVar(&o.length, "for", 0, "")
	flags.BoolVar(&o.plain, "plain", false, "")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return o, errHelp
	} else if err != nil {
		return o, fmt.Errorf("%w; -h shows what there is", err)
	}
	o.rooms = flags.Args()

	if o.length < 0 {
		return o, fmt.Errorf("--for is %v; want a time such as 30s", o.length)
	}
	seen := make(map[string]bool)
	for _, room := range o.rooms {
		switch {
		case !roomID.MatchString(room):
			return o, fmt.Errorf("%q is no room ID; want a UUID such as 0ccc7b54-4df3-4bca-a65a-3da1ecc777f0 (flags come before room IDs)", room)
		case seen[strings.ToLower(room)]:
			return o, fmt.Errorf("room %s is there twice", room)
		}
		seen[strings.ToLower(room)] = true
	}
	switch {
	case o.apiKey != "" && len(o.rooms) == 0:
		return o, errors.New("TELNYX_API_KEY is set, but no room is named:\n" +
			"  go run ./examples/quickstart ROOM-ID...     works on these rooms, against Telnyx\n" +
			"  TELNYX_API_KEY= go run ./examples/quickstart  uses an API in this process")
	case o.apiKey == "" && len(o.rooms) > 0:
		return o, errors.New("room IDs are for Telnyx, which needs an API key: set TELNYX_API_KEY, or leave the room IDs out to use an API in this process")
	case o.apiKey == "" && o.length == 0:
		o.length = demoLength
	}
	return o, nil
}

// roomID is the form of a Telnyx room ID.
var roomID = regexp.MustCompile(`^(?i)[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
