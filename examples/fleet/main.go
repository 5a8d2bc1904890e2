// Fleet shows eight processes that share the tokens of their rooms through Redis: together
// they make as many calls as one. On the way one process is killed, and then Redis.
//
//	go run .
//
// It takes 40 s. It starts a rooms API in its own process and a redis-server, with a port
// and a directory of its own, which end with it unless it is killed. With REDIS_ADDR set it
// uses that server instead, and does not kill it.
//
// The tokens live for 20 s, so Redis is away for a fifth of their life, and each process
// makes some calls for itself. Of tokens that live for ten minutes hardly one would have to
// be renewed just then.
//
// What a program of yours needs of this is in worker.go.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
)

func main() {
	redis.SetLogger(silent{})
	if os.Getenv(workerEnv) != "" {
		exit(work(os.Stdin, os.Stdout))
	}
	duration := flag.Duration("duration", 40*time.Second, "`time` that it takes, at least 12s")
	flag.Parse()
	// The first Ctrl-C ends the run, which prints its summary; a second one ends the program.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	exit(run(ctx, os.Stdout, os.Getenv("REDIS_ADDR"), *duration))
}

// exit ends the program.
func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "fleet:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// silent is a logger for go-redis, which logs each failed dial. The lines of this program
// say when Redis is down.
type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}
