// Joinserver is a page on which one joins video rooms and watches how their tokens are
// renewed, a few seconds before each expires:
//
//	go run ./examples/joinserver
//
// No video flows. In the place of @telnyx/video, the SDK of Telnyx, stands a participant
// that holds a token and does nothing else (page/video.js); the rest of the page
// (page/join.js) is what one writes with the real SDK, too.
//
// The rooms API is one in this process, which the buttons of the page break. With an API
// key it is that of Telnyx, without such buttons:
//
//	TELNYX_API_KEY=KEY... go run ./examples/joinserver ROOM-ID...
//
// A real back end has to check who may join which room, and who may see the status page.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/roomtoken/roomtoken/examples/internal/hosts"
	"github.com/roomtoken/roomtoken/telnyx"
)

// defaultRooms are on the page if the command line names none.
var defaultRooms = []string{
	"0ccc7b54-4df3-4bca-a65a-3da1ecc777f0",
	"9e2a0cbe-ce66-411e-a1ac-468f0b103c9a",
	"c1d5b0a2-7f43-4e0e-8a6b-52f9d3c8e017",
}

func main() {
	addr := flag.String("addr", "localhost:8080", "`address` to listen on")
	ttl := flag.Duration("ttl", 30*time.Second, "`lifetime` of the tokens, 10s to 1h")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: joinserver [flags] [ROOM-ID...]")
		flag.PrintDefaults()
	}
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := serve(ctx, *addr, *ttl, flag.Args(), func(url string) { log.Printf("open %s", url) })
	stop()
	if err != nil {
		log.Fatal(err)
	}
}

// serve handles requests until ctx ends. It calls listening with its URL.
func serve(ctx context.Context, addr string, ttl time.Duration, rooms []string, listening func(url string)) error {
	rooms, err := parseRooms(rooms)
	if err != nil {
		return err
	}
	a, err := newApp(os.Getenv("TELNYX_API_KEY"), ttl, rooms)
	if err != nil {
		return err
	}
	defer a.close()
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: hosts.Only(addr, a.handler()), ReadTimeout: 5 * time.Second} // streams outlive it
	server.RegisterOnShutdown(a.tokens.Shutdown)
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	listening("http://" + listener.Addr().String())
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return server.Shutdown(ctx)
}

// parseRooms returns the room IDs of the command line, or else the default ones.
func parseRooms(args []string) ([]string, error) {
	if len(args) == 0 {
		return defaultRooms, nil
	}
	var rooms []string
	for _, arg := range args {
		room, err := telnyx.ParseRoomID(arg)
		if err != nil {
			return nil, err
		}
		rooms = append(rooms, room)
	}
	return rooms, nil
}
