package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/bench/internal/child"
	"github.com/roomtoken/roomtoken/bench/internal/cpu"
	"github.com/roomtoken/roomtoken/bench/internal/memory"
	"github.com/roomtoken/roomtoken/bench/internal/program"
	"github.com/roomtoken/roomtoken/bench/internal/table"
	"github.com/roomtoken/roomtoken/telnyx"
	"github.com/roomtoken/roomtoken/telnyx/telnyxtest"
)

// run warms the rooms, and measures that and an outage.
func (b benchmark) run(ctx context.Context) (err error) {
	text, err := json.Marshal(b.api)
	if err != nil {
		return err
	}
	api, err := child.StartAPI(ctx, "-serve", string(text))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, api.Stop()) }()
	source, err := telnyx.NewSource(telnyx.Config{
		APIKey: telnyxtest.DefaultAPIKey, BaseURL: api.URL,
		TokenTTL: b.lifetime(), RefreshTokenTTL: max(b.lifetime(), minRefreshLifetime),
	})
	if err != nil {
		return err
	}
	defer source.CloseIdleConnections()
	manager, err := roomtoken.NewManager(source, b.config)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, manager.Close()) }()

	limit := "has no limit"
	if b.api.Limit > 0 {
		limit = fmt.Sprintf("answers 429 beyond %d calls per second", b.api.Limit)
	}
	fmt.Fprintf(b.out, "%d rooms, %v calls per second of %v over TLS to another process, which %s; tokens of %v\n\n",
		len(b.ids), b.config.CallsPerSecond, b.api.Latency, limit, b.lifetime())
	table.Heading(b.out, "phase", "took", "ratio to the ideal", "until the first token", "ratio without that",
		"calls", "of these refreshes", "answered 429", "failed otherwise", "connections",
		"processor time", "per call", "peak resident memory", "live heap")
	if err := (measurement{b, api, manager}).run(ctx); err != nil {
		return err
	}
	fmt.Fprintf(b.out, "\nThe ideal is %v. The first token after an outage waits for the next probe.\n", b.ideal())
	return nil
}

// measurement measures a Manager.
type measurement struct {
	benchmark
	api     *child.API
	manager *roomtoken.Manager
}

func (m measurement) run(ctx context.Context) error {
	warm, err := m.start(ctx)
	if err != nil {
		return err
	}
	if m.only != "outage" {
		m.row("start", warm)
	}
	if m.only == "start" {
		return nil
	}
	down, err := m.down(ctx)
	if err != nil {
		return err
	}
	m.row("outage", down)
	back, err := m.back(ctx)
	if err != nil {
		return err
	}
	m.row("after it", back)
	return nil
}

// phase is what happened in a phase.
type phase struct {
	took    time.Duration
	first   time.Duration // until the first token; 0: there is none
	stats   roomtoken.Stats
	traffic traffic
	used    time.Duration // processor time
	live    uint64
}

// start warms all rooms.
func (m measurement) start(ctx context.Context) (phase, error) {
	return m.measure(ctx, false, func(ctx context.Context) (first time.Duration, err error) {
		ctx, stop := context.WithCancelCause(ctx)
		defer stop(nil)
		go func() {
			if err := m.manager.Warm(ctx, m.ids...); err != nil {
				stop(err)
			}
		}()
		return m.await(ctx)
	})
}

// down lets the outage pass.
func (m measurement) down(ctx context.Context) (phase, error) {
	return m.measure(ctx, true, func(ctx context.Context) (time.Duration, error) {
		if !program.Sleep(ctx, m.outage) {
			return 0, ctx.Err()
		}
		if left := m.tokens(); left > 0 {
			return 0, fmt.Errorf("%d rooms still have a token at the end of the outage of %v", left, m.outage)
		}
		return 0, nil
	})
}

// back measures from the moment that the API is back.
func (m measurement) back(ctx context.Context) (phase, error) {
	return m.measure(ctx, false, m.await)
}

// measure tells the API to be up or down, and measures work, which returns how long it took
// to the first token.
func (m measurement) measure(ctx context.Context, down bool, work func(context.Context) (time.Duration, error)) (p phase, err error) {
	var before, after traffic
	stats, used, begun := m.manager.Stats(), cpu.Time(), time.Now()
	if err := m.api.Ask(order{Down: down}, &before); err != nil {
		return p, err
	}
	if p.first, err = work(ctx); err != nil {
		return p, err
	}
	p.took, p.used = time.Since(begun), cpu.Time()-used
	p.stats = since(m.manager.Stats(), stats)
	if err := m.api.Ask(order{Down: down}, &after); err != nil {
		return p, err
	}
	p.traffic = after.since(before)
	p.live = memory.Live()
	return p, nil
}

// since returns the calls since before.
func since(s, before roomtoken.Stats) roomtoken.Stats {
	return roomtoken.Stats{
		Creates: s.Creates - before.Creates, CreateFailures: s.CreateFailures - before.CreateFailures,
		Refreshes: s.Refreshes - before.Refreshes, RefreshFailures: s.RefreshFailures - before.RefreshFailures,
	}
}

// await waits until all rooms have a token, and returns how long it took to the first.
func (m measurement) await(ctx context.Context) (first time.Duration, err error) {
	begun := time.Now()
	for {
		s := m.manager.Stats()
		if first == 0 && s.LastSuccessAt.After(begun) {
			first = s.LastSuccessAt.Sub(begun)
		}
		if s.States[roomtoken.RoomValid] == len(m.ids) {
			break
		}
		if !program.Sleep(ctx, 10*time.Millisecond) {
			return 0, context.Cause(ctx)
		}
	}
	if have := m.tokens(); have < len(m.ids) {
		return 0, fmt.Errorf("%d of %d rooms have a token, although all are said to have one", have, len(m.ids))
	}
	return first, nil
}

// tokens returns how many rooms have a token.
func (m measurement) tokens() (n int) {
	for _, id := range m.ids {
		if _, ok := m.manager.Cached(id); ok {
			n++
		}
	}
	return n
}

// row prints what happened in a phase.
func (m measurement) row(name string, p phase) {
	calls := p.stats.Creates + p.stats.Refreshes
	ratio, first, rest := "", "", ""
	if p.first > 0 {
		ideal := m.ideal().Seconds()
		ratio, rest = fmt.Sprintf("%.3f", p.took.Seconds()/ideal), fmt.Sprintf("%.3f", (p.took-p.first).Seconds()/ideal)
		first = fmt.Sprintf("%.2f s", p.first.Seconds())
	}
	perCall := p.used / time.Duration(max(calls, 1))
	table.Row(m.out, name, fmt.Sprintf("%.1f s", p.took.Seconds()), ratio, first, rest,
		calls, p.stats.Refreshes, p.traffic.RateLimited,
		int(p.stats.CreateFailures+p.stats.RefreshFailures)-p.traffic.RateLimited, p.traffic.Connections,
		fmt.Sprintf("%.1f s", p.used.Seconds()), perCall.Round(time.Microsecond),
		fmt.Sprintf("%.0f MB", memory.MB(memory.Peak())), fmt.Sprintf("%.0f MB", memory.MB(p.live)))
}
