// The program load puts the library under load and prints what came of it, as
// tables in Markdown:
//
//	go run ./load                  all three
//	go run ./load -only callers    10,000 goroutines on 1,000 rooms, for a minute
//	go run ./load -only renewals   what a renewal costs at 1,000 to 1,000,000 rooms
//	go run ./load -only calls      those of a source to its API, over real sockets
//
// It ends with an error if something happened that the library promises never
// happens.
package main

import (
	"context"
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
	program.Main("load", func(ctx context.Context, args []string) error { return run(ctx, args, os.Stdout) })
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("load", flag.ContinueOnError)
	only := flags.String("only", "", "callers, renewals or calls: do this one alone")
	span := flags.Duration("for", time.Minute, "how long the callers ask; a row of the renewals takes a quarter of that, one of the calls a tenth")
	serve := flags.String("serve", "", "be the API that calls are made to: http1 or http2")
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
		{"callers", func() error { return manyCallers(ctx, out, fullCrowd(*span)) }},
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

// short rounds a duration to three digits or so.
func short(d time.Duration) time.Duration {
	for unit := time.Nanosecond; ; unit *= 10 {
		if d < 1000*unit {
			return d.Round(unit)
		}
	}
}

// row writes a row of a table.
func row(out io.Writer, cells ...any) {
	texts := make([]string, len(cells))
	for i, c := range cells {
		texts[i] = fmt.Sprint(c)
	}
	fmt.Fprintf(out, "| %s |\n", strings.Join(texts, " | "))
}

// heading writes the first two lines of a table.
func heading(out io.Writer, cells ...any) {
	row(out, cells...)
	fmt.Fprintln(out, strings.Repeat("|---", len(cells))+"|")
}
