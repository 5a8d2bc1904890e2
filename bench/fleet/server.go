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
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// server is a redis-server of this program.
type server struct {
	addr   string
	client *redis.Client // to look at it; not counted
	kill   func() error
	ended  chan struct{} // closed when it has ended
	exit   error         // then: how
	dir    string
}

// startServer starts a redis-server that writes nothing to disk.
func startServer(ctx context.Context) (*server, error) {
	program, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, fmt.Errorf("this needs redis-server, of the Debian package redis-server: %w", err)
	}
	for range 5 { // another program may take the port first
		var s *server
		if s, err = tryServer(ctx, program); err == nil {
			return s, nil
		}
	}
	return nil, err
}

func tryServer(ctx context.Context, program string) (*server, error) {
	port, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "fleet-")
	if err != nil {
		return nil, err
	}
	var output bytes.Buffer
	//nolint:gosec // the program is that of the PATH
	command := exec.CommandContext(context.WithoutCancel(ctx), program, "--port", port, "--bind", "127.0.0.1", "--dir", dir, "--save", "", "--appendonly", "no")
	command.Stdout, command.Stderr = &output, &output
	if err := command.Start(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	s := &server{addr: net.JoinHostPort("127.0.0.1", port), kill: command.Process.Kill, ended: make(chan struct{}), dir: dir}
	go func() {
		defer close(s.ended)
		s.exit = command.Wait()
	}()
	s.client = newClient(s.addr, nil, connections)
	for range 500 {
		if s.client.Ping(ctx).Err() == nil {
			return s, nil
		}
		select {
		case <-s.ended:
			return nil, errors.Join(fmt.Errorf("redis-server ended: %w\n%s", s.exit, output.String()), s.stop())
		case <-time.After(10 * time.Millisecond):
		}
	}
	return nil, errors.Join(errors.New("redis-server does not answer"), s.stop())
}

func freePort(ctx context.Context) (string, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port), nil
}

// stop ends the server.
func (s *server) stop() error {
	err := s.client.Close()
	_ = s.kill() // it may have ended
	<-s.ended
	return errors.Join(err, os.RemoveAll(s.dir))
}

// figure returns a number from a section of INFO.
func (s *server) figure(ctx context.Context, section, name string) (float64, error) {
	text, err := s.client.Info(ctx, section).Result()
	if err != nil {
		return 0, err
	}
	_, rest, found := strings.Cut(text, "\n"+name+":")
	if !found {
		return 0, fmt.Errorf("INFO %s has no %s", section, name)
	}
	value, _, _ := strings.Cut(rest, "\r")
	return strconv.ParseFloat(value, 64)
}

// busy returns the processor time of the thread that runs the commands.
func (s *server) busy(ctx context.Context) (time.Duration, error) {
	user, err := s.figure(ctx, "cpu", "used_cpu_user_main_thread")
	if err != nil {
		return 0, err
	}
	system, err := s.figure(ctx, "cpu", "used_cpu_sys_main_thread")
	return time.Duration((user + system) * float64(time.Second)), err
}
