package main

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/bench/internal/child"
	"github.com/roomtoken/roomtoken/bench/internal/roomid"
	"github.com/roomtoken/roomtoken/telnyx"
	"github.com/roomtoken/roomtoken/telnyx/telnyxtest"
)

// TestMain lets the test binary serve the API, like the program itself.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "-serve" {
		if err := run(context.Background(), os.Args[1:], os.Stdin, os.Stdout); err != nil {
			panic(err)
		}
		return
	}
	os.Exit(m.Run())
}

// The tests check counts. Times are for those who read the table.

func TestRun(t *testing.T) {
	var out strings.Builder
	b := benchmark{
		out: &out, ids: roomid.New(300), outage: minLifetime + time.Second,
		config: roomtoken.Config{CallsPerSecond: 500, IdleAfter: -1, BackoffMax: 500 * time.Millisecond},
		api:    settings{Latency: 10 * time.Millisecond},
	}
	if err := b.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`^300 rooms, 500 calls per second of 10ms .* has no limit; tokens of 10s\n\n`,
		`\n\| start \| [\d.]+ s \| [\d.]+ \| [\d.]+ s \| [\d.]+ \| 300 \| 0 \| 0 \| 0 \| [1-9]\d* \| [\d.]+ s \| [\d.]+[µm]s \| \d+ MB \| \d+ MB \|\n`,
		`\n\| outage \| 11\.\d s \|  \|  \|  \| ([1-9]\d*) \| [1-9]\d* \| 0 \| [1-9]\d* \| 0 \|`,
		`\n\| after it \| [\d.]+ s \| [\d.]+ \| [\d.]+ s \| [\d.]+ \| 300 \| 300 \| 0 \| 0 \| [1-9]\d* \|`,
		`\n\nThe ideal is 600ms\. .*\n$`,
	} {
		if !regexp.MustCompile(want).MatchString(out.String()) {
			t.Errorf("%q is missing in:\n%s", want, out.String())
		}
	}
}

// An outage after which rooms have tokens is none that this program measures.
func TestTokensThatAreLeft(t *testing.T) {
	b := benchmark{
		out: io.Discard, ids: roomid.New(10), outage: time.Millisecond,
		config: roomtoken.Config{CallsPerSecond: 500}, api: settings{Latency: time.Millisecond}, only: "outage",
	}
	if err := b.run(t.Context()); err == nil || !strings.Contains(err.Error(), "10 rooms still have a token") {
		t.Errorf("after an outage of 1 ms: %v", err)
	}
}

// Rooms that cannot be warmed are an error.
func TestWarmFails(t *testing.T) {
	b := benchmark{
		out: io.Discard, ids: []string{"no UUID"},
		config: roomtoken.Config{CallsPerSecond: 500}, api: settings{Latency: time.Millisecond},
	}
	if err := b.run(t.Context()); !errors.Is(err, roomtoken.ErrRoomNotFound) {
		t.Errorf("with an ID that is none: %v", err)
	}
}

func TestOnly(t *testing.T) {
	var out strings.Builder
	if err := run(t.Context(), []string{"-rooms", "20", "-only", "start"}, nil, &out); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); !strings.Contains(got, "| start |") || strings.Contains(got, "outage |") {
		t.Errorf("-only start printed:\n%s", got)
	}
}

func TestFlags(t *testing.T) {
	for _, args := range [][]string{
		{"-rooms", "0"},
		{"-rooms", "900001"}, // their tokens would have to live longer than an hour
		{"-only", "everything"},
		{"-rooms", "10", "-outage", "9s"},
		{"-serve", "nothing"},
	} {
		if err := run(t.Context(), args, nil, io.Discard); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
}

// The API counts what it sees, and answers nobody while it is down.
func TestAPI(t *testing.T) {
	api, err := child.StartAPI(t.Context(), "-serve", `{"Latency":1000000,"Limit":2}`)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := api.Stop(); err != nil {
			t.Error(err)
		}
	}()
	source, err := telnyx.NewSource(telnyx.Config{APIKey: telnyxtest.DefaultAPIKey, BaseURL: api.URL})
	if err != nil {
		t.Fatal(err)
	}
	defer source.CloseIdleConnections()
	room := roomid.New(1)[0]
	ask := func(down bool) (seen traffic) {
		t.Helper()
		if err := api.Ask(order{Down: down}, &seen); err != nil {
			t.Fatal(err)
		}
		return seen
	}
	before := ask(false)
	grant, err := source.Create(t.Context(), room)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := source.Refresh(t.Context(), room, grant.RefreshToken); err != nil {
		t.Fatal(err)
	}
	want := traffic{Connections: 1, Creates: 1, Refreshes: 1, RateLimited: 1}
	for err = nil; err == nil && want.Creates < 100; want.Creates++ { // as many as it takes on a slow machine
		_, err = source.Create(t.Context(), room)
	}
	if !errors.Is(err, roomtoken.ErrRateLimited) {
		t.Errorf("%d creates, of which the API should answer two in a second: %v", want.Creates, err)
	}
	if seen := ask(true).since(before); seen != want {
		t.Errorf("the API has seen %+v, want %+v", seen, want)
	}
	if _, err := source.Create(t.Context(), room); err == nil || errors.Is(err, roomtoken.ErrRateLimited) {
		t.Errorf("while the API is down: %v", err)
	}
	if seen := ask(false).since(before); seen != want {
		t.Errorf("while it was down, the API has seen %+v", seen)
	}
	if _, err := source.Create(t.Context(), room); err != nil && !errors.Is(err, roomtoken.ErrRateLimited) {
		t.Errorf("when the API is back: %v", err)
	}
}

func TestGate(t *testing.T) {
	behind, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer behind.Close()
	go func() { // echoes
		for {
			conn, err := behind.AcceptTCP()
			if err != nil {
				return
			}
			go forward(conn, conn)
		}
	}()
	g, err := newGate(behind.Addr().(*net.TCPAddr))
	if err != nil {
		t.Fatal(err)
	}
	defer g.close()
	go g.run()
	dial := func() (*net.TCPConn, error) {
		conn, err := net.DialTCP("tcp", nil, g.listener.Addr().(*net.TCPAddr))
		if err == nil {
			t.Cleanup(func() { conn.Close() })
			err = conn.SetDeadline(time.Now().Add(10 * time.Second))
		}
		return conn, err
	}
	echo := func(conn *net.TCPConn, err error) error {
		if err == nil {
			_, err = conn.Write([]byte("x"))
		}
		if err == nil {
			_, err = io.ReadFull(conn, make([]byte, 1))
		}
		return err
	}
	wasReset := func(err error) bool { return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) }

	before, err := dial()
	if err := echo(before, err); err != nil {
		t.Fatalf("through an open gate: %v", err)
	}
	g.set(true)
	if err := echo(before, nil); !wasReset(err) {
		t.Errorf("on a connection from before the gate was shut: %v", err)
	}
	if err := echo(dial()); !wasReset(err) {
		t.Errorf("through a gate that is shut: %v", err)
	}
	g.set(false)
	again, err := dial()
	if err := echo(again, err); err != nil {
		t.Fatalf("through the gate that is open again: %v", err)
	}
	again.CloseWrite()
	if rest, err := io.ReadAll(again); len(rest) > 0 || err != nil {
		t.Errorf("at the end of a connection: %q, %v", rest, err)
	}
	if n := g.passed.Load(); n != 2 {
		t.Errorf("%d connections were passed on, want 2", n)
	}
}
