// Httpserver is a small back end for video rooms: a browser requests a token from it
// and uses the token to join the room.
//
//	TELNYX_API_KEY=KEY... go run ./examples/httpserver
//	curl localhost:8080/rooms/0ccc7b54-4df3-4bca-a65a-3da1ecc777f0/token
//
// Without an API key it uses a Telnyx rooms API in this process. Its first page says what
// is where. A real back end has to check who may join which room, and who may see the
// status page.
package main

import (
	"context"
	"flag"
	"log"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/telnyx"
	"github.com/roomtoken/roomtoken/telnyx/telnyxtest"
)

func main() {
	addr := flag.String("addr", "localhost:8080", "`address` to listen on")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := serve(ctx, *addr)
	stop()
	if err != nil {
		log.Fatal(err)
	}
}

// serve handles requests until ctx ends.
func serve(ctx context.Context, addr string) error {
	var config telnyx.Config // takes the key from TELNYX_API_KEY
	if os.Getenv("TELNYX_API_KEY") == "" {
		api := telnyxtest.NewServer(telnyxtest.Config{})
		defer api.Close()
		config.BaseURL, config.APIKey = api.URL, api.APIKey
		log.Print("TELNYX_API_KEY is not set: using an API in this process")
	}
	source, err := telnyx.NewSource(config)
	if err != nil {
		return err
	}
	manager, err := roomtoken.NewManager(source, roomtoken.Config{Logger: slog.Default()})
	if err != nil {
		return err
	}
	defer manager.Close()
	server, err := newServer(addr, manager)
	if err != nil {
		return err
	}

	failed := make(chan error, 1)
	go func() { failed <- server.ListenAndServe() }()
	log.Printf("listening on http://%s", addr)
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return server.Shutdown(ctx)
}
