package main

import (
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/examples/internal/hosts"
	"github.com/roomtoken/roomtoken/roomhttp"
	"github.com/roomtoken/roomtoken/statuspage"
)

// newServer returns a server for the tokens of manager, to listen on addr. Shutdown ends
// all that it has started.
func newServer(addr string, manager *roomtoken.Manager) (*http.Server, error) {
	tokens, err := roomhttp.New(manager, roomhttp.Config{
		Authorize: func(_ *http.Request, _ string) error { return nil }, // everybody may join every room
		Logger:    slog.Default(),
	})
	if err != nil {
		return nil, err
	}
	status, err := statuspage.New(manager, statuspage.Config{Authorize: statuspage.Anyone})
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/rooms/", tokens)
	mux.Handle("/roomtoken.js", tokens)
	mux.Handle("/debug/rooms", status)
	mux.Handle("GET /readyz", roomhttp.Ready(manager, 0.9))
	mux.HandleFunc("GET /{$}", index)

	server := &http.Server{Addr: addr, Handler: hosts.Only(addr, mux), ReadTimeout: 5 * time.Second} // streams outlive it
	server.RegisterOnShutdown(tokens.Shutdown)
	server.RegisterOnShutdown(status.Close)
	return server, nil
}

// index says what is where.
func index(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = io.WriteString(w, `<!DOCTYPE html>
<html lang="en">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>httpserver</title>
<h1>httpserver</h1>
<ul>
<li><a href="/debug/rooms">/debug/rooms</a>: the status page
<li><a href="/rooms/0ccc7b54-4df3-4bca-a65a-3da1ecc777f0/token">/rooms/{room_id}/token</a>: the token of a room
<li>/rooms/{room_id}/token/events: the same as a stream, with each new token
<li><a href="/roomtoken.js">/roomtoken.js</a>: the JavaScript module that reads the stream
<li><a href="/readyz">/readyz</a>: whether the rooms in use have tokens
</ul>
`)
}
