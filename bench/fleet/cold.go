package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/roomtoken/roomtoken/bench/internal/hist"
)

const sourceLatency = 50 * time.Millisecond

// sharer is a way for one process to share tokens with others. get may be called from many
// goroutines.
type sharer interface {
	get(ctx context.Context, room string) (token string, err error)
	close() error
}

// contender is a way for processes to share tokens.
type contender struct {
	name  string
	slow  bool // a cold room takes it a second
	start func(s settings, t *traffic, src *source) (sharer, error)
}

// contenders are roomtoken, and what programs do without it.
var contenders = []contender{
	{"roomtoken", false, startRoomtoken},
	{"redislock", true, startRedislock},
	{"rueidisaside", false, startRueidis},
}

// coldResult is what cold rooms cost.
type coldResult struct {
	rooms, tokens int // tokens: different ones
	creates       int
	commands      float64 // for each room
	waits         []time.Duration
}

// quantile returns a quantile of the waits, which are sorted.
func (r coldResult) quantile(q float64) time.Duration {
	return hist.Round(r.waits[min(int(q*float64(len(r.waits))), len(r.waits)-1)])
}

// coldRow prints the rows of one contender, with the targets only for ours.
func (b *bench) coldRow(name string, r coldResult, ours bool) {
	targets := []string{"", "", ""}
	if ours {
		targets = []string{"1; at most 20", "at most 55 ms", "at most 65 ms"}
	}
	what := fmt.Sprintf("a cold room, %d processes x %d callers, source %v, %s: ", b.sizes.processes, b.sizes.callers, sourceLatency, name)
	b.row(what+"creates; commands, news excluded", fmt.Sprintf("%.2f; %.1f", float64(r.creates)/float64(r.rooms), r.commands), targets[0])
	b.row(what+"median wait", r.quantile(0.5).String(), targets[1])
	b.row(what+"99 %", r.quantile(0.99).String(), targets[2])
}

func (b *bench) coldRows(ctx context.Context) error {
	for _, c := range contenders {
		r, err := b.cold(ctx, c)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		b.coldRow(c.name, r, c.name == "roomtoken")
	}
	return nil
}

// cold lets all callers of all processes ask for one room after the other.
func (b *bench) cold(ctx context.Context, c contender) (r coldResult, err error) {
	s := b.settings()
	t := &traffic{prefix: s.Prefix}
	src := &source{latency: sourceLatency, lifetime: time.Hour, size: plainToken}
	var fleet []sharer
	defer func() {
		for _, p := range fleet {
			err = errors.Join(err, p.close())
		}
	}()
	for range b.sizes.processes {
		p, err := c.start(s, t, src)
		if err != nil {
			return r, err
		}
		fleet = append(fleet, p)
	}
	for i := range 3 { // scripts are loaded, connections open, and inboxes heard from
		if _, _, err := askAll(ctx, fleet, b.sizes.callers, time.Now(), fmt.Sprint("first-", i)); err != nil {
			return r, err
		}
	}
	r.rooms = b.sizes.coldRooms
	if c.slow {
		r.rooms = b.sizes.slowRooms
	}
	creates, commands := src.creates.Load(), t.commands.Load()
	for i := range r.rooms {
		waits, tokens, err := askAll(ctx, fleet, b.sizes.callers, time.Now(), fmt.Sprint("room-", i))
		if err != nil {
			return r, err
		}
		r.waits = append(r.waits, waits...)
		r.tokens += len(tokens)
	}
	r.creates = int(src.creates.Load() - creates)
	r.commands = float64(t.commands.Load()-commands) / float64(r.rooms)
	slices.Sort(r.waits)
	return r, nil
}

// askAll lets all callers of some processes ask for a room, and returns how long each waited
// from an instant on, and the different tokens that they have got.
func askAll(ctx context.Context, fleet []sharer, callers int, from time.Time, room string) (waits []time.Duration, tokens map[string]bool, err error) {
	var mu sync.Mutex
	var running sync.WaitGroup
	tokens = map[string]bool{}
	for _, p := range fleet {
		for range callers {
			running.Go(func() {
				token, problem := p.get(ctx, room)
				took := time.Since(from)
				mu.Lock()
				defer mu.Unlock()
				waits, tokens[token] = append(waits, took), true
				err = errors.Join(err, problem)
			})
		}
	}
	running.Wait()
	time.Sleep(10 * time.Millisecond) // what goes on in the background
	return waits, tokens, err
}
