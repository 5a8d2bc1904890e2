// Quickstart shows roomtoken at work. Without configuration it starts a Telnyx
// rooms API in this process, lets callers ask for tokens as in a busy service, and
// makes the API fail in several ways:
//
//	go run ./examples/quickstart
//
// With an API key and room IDs it uses Telnyx instead, without faults:
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

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/examples/quickstart/internal/demo"
	"github.com/roomtoken/roomtoken/examples/quickstart/internal/screen"
	"github.com/roomtoken/roomtoken/telnyx"
)

// run and the methods of service are what a user of roomtoken writes. The rest of
// this program injects faults and shows the results.
func run(ctx context.Context, d *demo.Demo, view demo.View) error {
	source, err := telnyx.NewSource(d.Telnyx)
	if err != nil {
		return err
	}
	manager, err := roomtoken.NewManager(source, roomtoken.Config{Clock: d.Machine, OnEvent: d.OnEvent})
	if err != nil {
		return err
	}
	d.Run(ctx, manager, service{manager, d}, view)
	return manager.Close()
}

type service struct {
	manager *roomtoken.Manager
	demo    *demo.Demo
}

// Call needs a token from time to time, as a request handler does. It gets one
// from memory, even while the API is down.
func (s service) Call(ctx context.Context, room string) {
	for ctx.Err() == nil {
		start := s.demo.Clock.Now()
		tok, err := s.manager.Token(ctx, room)
		s.demo.Record(ctx, room, err, s.demo.Clock.Since(start))
		if err == nil && !s.demo.Join(room, tok) {
			s.manager.Invalidate(room, tok) // the next call gets another token
		}
		s.demo.Rest(ctx, err)
	}
}

// Watch is a participant who stays in the room: it passes each new token to its
// connection before the old one expires.
func (s service) Watch(ctx context.Context, room string) {
	for tok, err := range s.manager.Watch(ctx, room) {
		if err != nil {
			continue // no token at present; if the watch has ended, so does the loop
		}
		s.demo.UpdateClientToken(room, tok)
	}
}

// Exit statuses.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	// The first Ctrl-C ends the run, which prints its summary. Calling stop restores
	// the default, so that a second Ctrl-C ends the program.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)

	os.Exit(quickstart(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr))
}

// quickstart runs the program and returns its exit status.
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

	view := screen.NewPlain(stdout)
	if !o.plain {
		view = screen.New(getenv, stdout)
	}
	d := demo.New(demo.Config{Rooms: o.rooms, Duration: o.duration})
	defer d.Close()
	if err := run(ctx, d, view); err != nil {
		fmt.Fprintf(stderr, "quickstart: %v\n", err)
		return exitFailed
	}
	result := d.Result()
	fmt.Fprint(stdout, screen.Summary(result, screen.Width(stdout)))
	if result.Failed() {
		return exitFailed
	}
	return exitOK
}
