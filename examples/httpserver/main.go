// Httpserver is a small back end for video rooms: a browser requests a token from it
// and uses the token to join the room.
//
//	TELNYX_API_KEY=KEY... go run ./examples/httpserver
//	curl localhost:8080/rooms/0ccc7b54-4df3-4bca-a65a-3da1ecc777f0/token
//
// Without an API key it uses a Telnyx rooms API in this process. The page /debug/rooms
// shows the state of the rooms. A real back end has to check who may join which room,
// and who may see that page.
package main

import (
	"context"
	"errors"
	"flag"
	"log"
	"log/slog"
	"net/http"
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

	b := backEnd{manager: manager, timeout: 5 * time.Second}
	server := &http.Server{Addr: addr, Handler: b.handler(), ReadHeaderTimeout: 5 * time.Second}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		<-ctx.Done()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		if err := server.Shutdown(ctx); err != nil {
			log.Print(err)
		}
	}()
	log.Printf("listening on http://%s", addr)
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	<-drained
	return nil
}
