package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/bench/internal/child"
)

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
	err = child.Serve(in, out, func(o order) (answer, error) {
		at := time.Unix(0, o.At)
		if err := wait(ctx, time.Until(at)); err != nil {
			return answer{}, err
		}
		waits, tokens, err := askAll(ctx, []sharer{p}, s.Callers, at, o.Room)
		if err != nil {
			return answer{}, err
		}
		a := answer{Waits: waits, Creates: p.Stats().Creates, Commands: t.commands.Load()}
		for token := range tokens {
			sum := sha256.Sum256([]byte(token))
			a.Tokens = append(a.Tokens, hex.EncodeToString(sum[:]))
		}
		return a, nil
	})
	return errors.Join(err, p.close())
}

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
	text, err := json.Marshal(s)
	if err != nil {
		return r, err
	}
	var children []*child.Process
	defer func() {
		for _, c := range children {
			err = errors.Join(err, c.Stop())
		}
	}()
	for range b.sizes.processes {
		c, err := child.Start(ctx, "-process", string(text))
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
func orderAll(children []*child.Process, room string, in time.Duration) (sum answer, err error) {
	o := order{Room: room, At: time.Now().Add(in).UnixNano()}
	for _, c := range children {
		if err := c.Orders.Encode(o); err != nil {
			return sum, err
		}
	}
	for _, c := range children {
		var a answer
		if err := c.Answers.Decode(&a); err != nil {
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
