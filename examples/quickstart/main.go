// Quickstart shows roomtoken at work. Without configuration it starts a Telnyx
// rooms API in this process, lets callers ask for tokens as a busy service would,
// and breaks the API in several ways while they do:
//
//	go run ./examples/quickstart
//
// With an API key and room IDs it does the same work, unharmed, against Telnyx:
//
//	TELNYX_API_KEY=KEY... go run ./examples/quickstart 0ccc7b54-4df3-4bca-a65a-3da1ecc777f0
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/benbjohnson/clock"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/telnyx"
)

// run, caller and watcher are what a service has to write. The rest of this
// program breaks things, and shows what comes of it.
func run(ctx context.Context, s *stage, show view) error {
	source, err := telnyx.NewSource(s.telnyx)
	if err != nil {
		return err
	}
	manager, err := roomtoken.NewManager(source, roomtoken.Config{Clock: s.clock, OnEvent: s.journal.observe})
	if err != nil {
		return err
	}
	s.perform(ctx, manager, show)
	return manager.Close()
}

// caller is whoever needs a token now and then, a request handler say: it gets
// one from memory, whatever the API is up to.
func (s *stage) caller(ctx context.Context, manager *roomtoken.Manager, room string) {
	for ctx.Err() == nil {
		begun := s.clock.Now()
		tok, err := manager.Token(ctx, room)
		s.count(ctx, room, tok, err, s.clock.Since(begun))
		s.rest(ctx, err)
	}
}

// watcher is a participant who stays: it puts each new token into its connection
// before the old one expires.
func (s *stage) watcher(ctx context.Context, manager *roomtoken.Manager, room string) {
	for tok, err := range manager.Watch(ctx, room) {
		if err != nil {
			continue // the watch goes on, unless this was the last pair
		}
		s.updateClientToken(room, tok)
	}
}

// Exit statuses.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	// The first Ctrl-C ends the run, with its summary. A second one, should
	// something hang, ends the program: stop gives the signals their usual effect.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)

	os.Exit(quickstart(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr))
}

// quickstart is the program but for what belongs to the process. It returns the
// exit status.
func quickstart(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) int {
	o, err := parse(args, getenv)
	switch {
	case errors.Is(err, errHelp):
		fmt.Fprint(stdout, usage)
		return exitOK
	case err != nil:
		fmt.Fprintf(stderr, "quickstart: %v\n", err)
		return exitUsage
	}

	s := newStage(o, clock.New())
	defer s.close()
	if err := run(ctx, s, newView(o.plain, getenv, stdout)); err != nil {
		fmt.Fprintf(stderr, "quickstart: %v\n", err)
		return exitFailed
	}
	fmt.Fprint(stdout, s.summary())
	if s.wentWrong() {
		return exitFailed
	}
	return exitOK
}
