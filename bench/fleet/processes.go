package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"time"

	"github.com/roomtoken/roomtoken"
)

// child is a real process: this program, as serveProcess.
type child struct {
	command *exec.Cmd
	stdin   io.WriteCloser
	orders  *json.Encoder
	answers *json.Decoder
}

// order tells a process to ask for a room.
type order struct {
	Room string
	At   int64 // when, in ns of the wall clock: all processes are on one machine
}

// answer is what came of an order.
type answer struct {
	Waits    []time.Duration // of all callers, from order.At on
	Tokens   []string        // different ones, hashed
	Creates  uint64          // until now
	Commands int64           // until now
}

// serveProcess is a process whose callers ask for the rooms that it is told.
func serveProcess(ctx context.Context, s settings, in io.Reader, out io.Writer) error {
	t := &traffic{prefix: s.Prefix}
	p, err := startProcess(s, t, &source{latency: s.Latency, lifetime: time.Hour, size: plainToken}, roomtoken.Config{IdleAfter: -1})
	if err != nil {
		return err
	}
	orders, answers := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var o order
		if err := orders.Decode(&o); errors.Is(err, io.EOF) {
			return p.close()
		} else if err != nil {
			return errors.Join(err, p.close())
		}
		at := time.Unix(0, o.At)
		if err := wait(ctx, time.Until(at)); err != nil {
			return errors.Join(err, p.close())
		}
		waits, tokens, err := askAll(ctx, []sharer{p}, s.Callers, at, o.Room)
		if err != nil {
			return errors.Join(err, p.close())
		}
		a := answer{Waits: waits, Creates: p.Stats().Creates, Commands: t.commands.Load()}
		for token := range tokens {
			sum := sha256.Sum256([]byte(token))
			a.Tokens = append(a.Tokens, hex.EncodeToString(sum[:]))
		}
		if err := answers.Encode(a); err != nil {
			return errors.Join(err, p.close())
		}
	}
}

func startChild(ctx context.Context, s settings) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	c := &child{command: exec.CommandContext(ctx, self, "-process", string(text))} //nolint:gosec // this program
	c.command.Stderr = os.Stderr
	stdout, err := c.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if c.stdin, err = c.command.StdinPipe(); err != nil {
		return nil, err
	}
	c.orders, c.answers = json.NewEncoder(c.stdin), json.NewDecoder(stdout)
	return c, c.command.Start()
}

// stop ends the process.
func (c *child) stop() error { return errors.Join(c.stdin.Close(), c.command.Wait()) }

func (b *bench) processRows(ctx context.Context) error {
	r, err := b.realProcesses(ctx)
	if err != nil {
		return err
	}
	b.coldRow("real processes", r, true)
	return nil
}

// realProcesses does what cold does, in real processes.
func (b *bench) realProcesses(ctx context.Context) (r coldResult, err error) {
	s := b.settings()
	s.Latency, s.Callers = sourceLatency, b.sizes.callers
	var children []*child
	defer func() {
		for _, c := range children {
			err = errors.Join(err, c.stop())
		}
	}()
	for range b.sizes.processes {
		c, err := startChild(ctx, s)
		if err != nil {
			return r, err
		}
		children = append(children, c)
	}
	for i := range 3 { // as in cold
		if _, err := orderAll(children, fmt.Sprint("first-", i), time.Second); err != nil {
			return r, err
		}
	}
	before, err := orderAll(children, "first-0", 0) // costs nothing
	if err != nil {
		return r, err
	}
	last := before
	for i := range b.sizes.coldRooms {
		if last, err = orderAll(children, fmt.Sprint("room-", i), 10*time.Millisecond); err != nil {
			return r, err
		}
		r.waits = append(r.waits, last.Waits...)
		r.tokens += len(last.Tokens)
	}
	r.rooms = b.sizes.coldRooms
	r.creates = int(last.Creates - before.Creates)
	r.commands = float64(last.Commands-before.Commands) / float64(r.rooms)
	slices.Sort(r.waits)
	return r, nil
}

// orderAll lets all processes ask for a room, in a moment, and adds their answers up.
func orderAll(children []*child, room string, in time.Duration) (sum answer, err error) {
	o := order{Room: room, At: time.Now().Add(in).UnixNano()}
	for _, c := range children {
		if err := c.orders.Encode(o); err != nil {
			return sum, err
		}
	}
	for _, c := range children {
		var a answer
		if err := c.answers.Decode(&a); err != nil {
			return sum, fmt.Errorf("reading the answer of a process: %w", err)
		}
		sum.Waits = append(sum.Waits, a.Waits...)
		for _, token := range a.Tokens {
			if !slices.Contains(sum.Tokens, token) {
				sum.Tokens = append(sum.Tokens, token)
			}
		}
		sum.Creates += a.Creates
		sum.Commands += a.Commands
	}
	return sum, nil
}
