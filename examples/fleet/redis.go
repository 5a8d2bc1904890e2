package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// redisServer is a redis-server on a loopback port, with a directory of its own.
type redisServer struct {
	addr    string
	program string
	port    int
	dir     string
	command *exec.Cmd // nil: it is down
}

// newRedisServer starts a redis-server.
func newRedisServer(ctx context.Context) (*redisServer, error) {
	program, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, errors.New("there is no redis-server: install it (Debian's package redis-server), or set REDIS_ADDR to the address of one")
	}
	port, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "fleet-redis-")
	if err != nil {
		return nil, err
	}
	s := &redisServer{addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), program: program, port: port, dir: dir}
	if err := s.start(ctx); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// freePort returns a loopback port that nobody listens on.
func freePort(ctx context.Context) (int, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// start starts the server, empty, and waits until it answers.
func (s *redisServer) start(ctx context.Context) error {
	var output bytes.Buffer
	command := exec.CommandContext(context.WithoutCancel(ctx), s.program, // close ends it, after the processes
		"--port", strconv.Itoa(s.port), "--bind", "127.0.0.1", "--dir", s.dir, "--save", "")
	command.Stdout, command.Stderr = &output, &output
	if err := command.Start(); err != nil {
		return fmt.Errorf("starting redis-server: %w", err)
	}
	s.command = command
	client := redis.NewClient(&redis.Options{Addr: s.addr, MaxRetries: -1, DialerRetries: 1})
	defer client.Close()
	for range 500 {
		if client.Ping(ctx).Err() == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		time.Sleep(10 * time.Millisecond)
	}
	s.kill()
	return fmt.Errorf("redis-server does not answer: %s", output.String())
}

// kill ends the server at once. What it has is lost.
func (s *redisServer) kill() {
	if s.command != nil {
		_ = s.command.Process.Kill()
		_ = s.command.Wait()
		s.command = nil
	}
}

// close ends the server and removes its directory. The nil redisServer is somebody else's.
func (s *redisServer) close() {
	if s != nil {
		s.kill()
		_ = os.RemoveAll(s.dir)
	}
}
