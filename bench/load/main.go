// The program load puts the library under load, and prints the results as Markdown
// tables:
//
//	go run ./load                  all of the following
//	go run ./load -only callers    10,000 goroutines on 1,000 rooms, with an outage
//	go run ./load -only renewals   cost of a renewal with 1,000 to 1,000,000 rooms
//	go run ./load -only calls      cost of a source's API calls over real sockets
//
// It fails if a call waits or fails although its room has a valid token.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/roomtoken/roomtoken/bench/internal/program"
)

func main() {
	program.Main("load", func(ctx context.Context, args []string) error { return run(ctx, args, os.Stdout) })
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("load", flag.ContinueOnError)
	only := flags.String("only", "", "run only one `part`: callers, renewals or calls")
	span := flags.Duration("for", time.Minute, "how long callers ask before the outage; a row of renewals takes a quarter of it, a row of calls a tenth")
	serve := flags.String("serve", "", "serve the API for calls over this `protocol`, http1 or http2; used internally")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *serve != "" {
		return serveAPI(*serve, os.Stdin, out)
	}
	var errs []error
	known := false
	for _, part := range []struct {
		name string
		run  func() error
	}{
		{"callers", func() error { return manyCallers(ctx, out, fullLoad(*span)) }},
		{"renewals", func() error { return manyRenewals(ctx, out, *span/4, 1000, 10_000, 100_000, 1_000_000) }},
		{"calls", func() error { return manyCalls(ctx, out, *span/10, 5000) }},
	} {
		if *only == "" || *only == part.name {
			known = true
			errs = append(errs, part.run())
		}
	}
	if !known {
		return fmt.Errorf("-only %q; want callers, renewals or calls", *only)
	}
	return errors.Join(errs...)
}
