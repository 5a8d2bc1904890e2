package redisstore_test

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
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// shared is the address of the server of all tests but those that break their own.
var shared string

func TestMain(m *testing.M) {
	redis.SetLogger(silent{})
	os.Exit(run(m))
}

func run(m *testing.M) int {
	addr, stop, err := startServer()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer stop()
	shared = addr
	return m.Run()
}

// silent is a logger for go-redis, which logs each failed dial.
type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

// startServer starts a redis-server on a free port, with files of its own.
func startServer(args ...string) (addr string, stop func(), err error) {
	program, err := exec.LookPath("redis-server")
	if err != nil {
		return "", nil, errors.New("these tests need redis-server, of the Debian package redis-server")
	}
	dir, err := os.MkdirTemp("", "redisstore")
	if err != nil {
		return "", nil, err
	}
	for range 5 { // somebody else may take the port first
		port, problem := freePort()
		if problem != nil {
			return "", nil, problem
		}
		if addr, stop, err = startOn(program, dir, port, args...); err == nil {
			return addr, stop, nil
		}
	}
	_ = os.RemoveAll(dir)
	return "", nil, err
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// guard is a shell script that runs a program until its own standard input ends: also when
// this process is killed, or panics.
const guard = `"$0" "$@" & cat; kill -9 $!`

func startOn(program, dir string, port int, args ...string) (addr string, stop func(), err error) {
	addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	var output bytes.Buffer
	args = append(append([]string{"-c", guard, program}, args...),
		"--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--dir", dir, "--save", "")
	command := exec.Command("sh", args...)
	command.Stdout, command.Stderr = &output, &output
	stdin, err := command.StdinPipe()
	if err != nil {
		return "", nil, err
	}
	if err := command.Start(); err != nil {
		return "", nil, err
	}
	stop = func() {
		_ = stdin.Close()
		_ = command.Wait()
		_ = os.RemoveAll(dir)
	}
	client := redis.NewClient(&redis.Options{Addr: addr})
	defer client.Close()
	for range 500 {
		if client.Ping(context.Background()).Err() == nil {
			return addr, stop, nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	_ = stdin.Close()
	_ = command.Wait()
	return "", nil, fmt.Errorf("redis-server does not answer\n%s", output.String())
}

// ownServer starts a server for one test.
func ownServer(t *testing.T, args ...string) string {
	t.Helper()
	addr, stop, err := startServer(args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return addr
}

// newClient returns a client of a server, with some options changed.
func newClient(t testing.TB, addr string, change ...func(*redis.Options)) *redis.Client {
	t.Helper()
	options := &redis.Options{Addr: addr, ContextTimeoutEnabled: true}
	for _, c := range change {
		c(options)
	}
	client := redis.NewClient(options)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// prefixOf returns a prefix that no other test has.
func prefixOf(t testing.TB) string {
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, t.Name())
	return fmt.Sprintf("%.40s:%d:", name, time.Now().UnixNano()%1_000_000_000)
}
