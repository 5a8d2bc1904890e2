package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"time"

	"github.com/roomtoken/roomtoken/telnyx/telnyxtest"
)

const (
	processes = 8
	rooms     = 12
	victim    = 3 // the process that is killed
)

// run starts everything, lets it run, and ends it.
func run(ctx context.Context, out io.Writer, redisAddr string, duration time.Duration) error {
	if duration < 12*time.Second {
		return fmt.Errorf("-duration is %v, and has to be 12s or more", duration)
	}
	var server *redisServer // nil: somebody else's
	if redisAddr == "" {
		var err error
		if server, err = newRedisServer(ctx); err != nil {
			return err
		}
		redisAddr = server.addr
	}
	defer server.close()

	api := telnyxtest.NewServer(telnyxtest.Config{})
	defer api.Close()
	api.Inject(telnyxtest.Fault{Latency: 50 * time.Millisecond})

	f := &fleet{api: api, settings: newSettings(redisAddr, api, duration)}
	defer f.stop()
	fmt.Fprintf(out, "%d processes, %d rooms, tokens of %v, Redis at %s\n\n", processes, rooms, f.settings.TokenTTL, redisAddr)
	if err := f.start(processes); err != nil {
		return err
	}
	if err := f.play(ctx, out, duration, plan(ctx, f, server, duration)); err != nil {
		return err
	}
	fmt.Fprint(out, summary(f.counts()))
	return nil
}

// newSettings returns the settings of all processes. The prefix and the key are new, so that
// nothing is found in the store of an earlier run.
func newSettings(redisAddr string, api *telnyxtest.Server, duration time.Duration) settings {
	s := settings{
		RedisAddr:     redisAddr,
		Prefix:        "fleet-" + rand.Text() + ":",
		EncryptionKey: make([]byte, 32),
		APIURL:        api.URL,
		APIKey:        api.APIKey,
		TokenTTL:      max(duration/2, 10*time.Second).Truncate(time.Second),
	}
	_, _ = rand.Read(s.EncryptionKey) // never fails
	for i := range rooms {
		s.Rooms = append(s.Rooms, fmt.Sprintf("0ccc7b54-4df3-4bca-a65a-%012d", i))
	}
	return s
}

// summary says what it has cost, and what it would have cost without the store: each token
// that was adopted would have been a call.
func summary(c counts) string {
	calls := c.creates + c.refreshes
	return fmt.Sprintf("\nCalls to the API: %d, of them %d creates and %d refreshes.\n"+
		"Without sharing:  %d, since each of the %d tokens that were adopted is a call.\n"+
		"Requests:         %d, of which %d got no token.\n",
		calls, c.creates, c.refreshes, calls+int(c.adopted), c.adopted, c.requests, c.failures)
}
