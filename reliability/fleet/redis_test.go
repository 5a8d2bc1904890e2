package fleet_test

import (
	"bytes"
	"context"
	"net"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// server is a redis-server, or a redis-sentinel, on a port of its own.
type server struct {
	t       *testing.T
	program string
	args    []string
	addr    string
	*redis.Client

	cmd   *exec.Cmd
	log   bytes.Buffer
	ended chan struct{} // closed when the process has ended
}

// startRedis starts a redis-server.
func startRedis(t *testing.T, args ...string) *server {
	t.Helper()
	return startServer(t, "redis-server", args...)
}

// startServer starts a program of a Debian package of that name.
func startServer(t *testing.T, program string, args ...string) *server {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Fatalf("this test needs %s, of the Debian package %s", program, program)
	}
	s := &server{t: t, program: path, args: args}
	t.Cleanup(func() {
		s.kill()
		if t.Failed() {
			text := s.log.Bytes()
			t.Logf("%s %s:\n%s", program, s.addr, text[max(len(text)-1000, 0):])
		}
	})
	dir := t.TempDir()
	for range 5 { // somebody else may take the port first
		port := freePort(t)
		s.addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		s.args = append(args[:len(args):len(args)], "--bind", "127.0.0.1", "--port", strconv.Itoa(port), "--dir", dir)
		if program == "redis-server" {
			s.args = append(s.args, "--save", "", "--appendonly", "no")
		}
		s.Client = redis.NewClient(&redis.Options{Addr: s.addr, MaxRetries: -1})
		t.Cleanup(func() { _ = s.Client.Close() })
		if s.restart() {
			return s
		}
	}
	t.Fatalf("%s does not start: %s", program, s.log.String())
	return nil
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// restart starts a server that was killed, and reports whether it answers.
func (s *server) restart() bool {
	s.cmd = exec.Command(s.program, s.args...)
	s.cmd.Stdout, s.cmd.Stderr = &s.log, &s.log
	if err := s.cmd.Start(); err != nil {
		return false
	}
	cmd, ended := s.cmd, make(chan struct{})
	s.ended = ended
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if s.Ping(context.Background()).Err() == nil {
			return true
		}
		select {
		case <-ended:
			return false
		case <-time.After(20 * time.Millisecond):
		}
	}
	return false
}

// kill kills the server. What it held is lost.
func (s *server) kill() {
	if s.ended != nil {
		_ = s.cmd.Process.Kill()
		<-s.ended
	}
}

// stop stops the server: its connections stay, and nothing is answered.
func (s *server) stop() { s.check(s.cmd.Process.Signal(syscall.SIGSTOP)) }

// proceed lets a server that was stopped go on.
func (s *server) proceed() { s.check(s.cmd.Process.Signal(syscall.SIGCONT)) }

// do sends a command.
func (s *server) do(args ...any) {
	s.t.Helper()
	s.check(s.Do(context.Background(), args...).Err())
}

func (s *server) check(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Error(err)
	}
}

// hostPort returns the host and the port of an address.
func hostPort(addr string) (host, port string) {
	host, port, _ = net.SplitHostPort(addr)
	return host, port
}
