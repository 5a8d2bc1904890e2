package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/bench/internal/child"
	"github.com/roomtoken/roomtoken/bench/internal/cpu"
	"github.com/roomtoken/roomtoken/bench/internal/roomid"
	"github.com/roomtoken/roomtoken/bench/internal/stat"
	"github.com/roomtoken/roomtoken/bench/internal/steady"
	"github.com/roomtoken/roomtoken/bench/internal/table"
	"github.com/roomtoken/roomtoken/telnyx"
)

const (
	concurrent = 64 // calls at a time, the default of a Manager
	apiKey     = "KEY-of-nobody"
	room       = "0ccc7b54-4df3-4bca-a65a-3da1ecc777f0"
	rounds     = 5
)

// client is one way to get tokens from the API.
type client struct {
	name  string
	calls func(context.Context) error // makes calls for a while
}

// manyCalls measures the cost of calls with each protocol. rooms is the number of
// rooms of the Manager.
func manyCalls(ctx context.Context, out io.Writer, span time.Duration, rooms int) error {
	fmt.Fprintf(out, "\n%d calls at a time over TLS, to a server in another process on this machine\n\n", concurrent)
	table.Heading(out, "protocol", "client", "calls", "connections", "calls per second", "processor time per call (ratio to a plain POST)", "calls per second per core")
	var perRenewal time.Duration
	for _, protocol := range []string{"http1", "http2"} {
		api, err := child.StartAPI(ctx, "-serve", protocol)
		if err != nil {
			return err
		}
		perRenewal, err = callsOver(ctx, out, protocol, api, span, rooms)
		if err := errors.Join(err, api.Stop()); err != nil {
			return err
		}
	}
	fmt.Fprintf(out, "\nA renewal through the Manager over HTTP/2 takes %v of processor time. So half a core keeps this many rooms fresh, if nothing else is the limit:\n\n", perRenewal.Round(time.Microsecond))
	table.Heading(out, "lifetime of the tokens", "rooms")
	for _, lifetime := range []time.Duration{time.Minute, 10 * time.Minute, time.Hour} {
		table.Row(out, lifetime, int(0.5*steady.RenewedAt*float64(lifetime)/float64(perRenewal)))
	}
	return ctx.Err()
}

// callsOver measures each client for a span, all on one server, and returns the
// processor time of a renewal through the Manager.
func callsOver(ctx context.Context, out io.Writer, protocol string, api *child.API, span time.Duration, rooms int) (perRenewal time.Duration, err error) {
	span /= rounds
	source, err := telnyx.NewSource(telnyx.Config{APIKey: apiKey, BaseURL: api.URL})
	if err != nil {
		return 0, err
	}
	defer source.CloseIdleConnections()
	plain := plainClient()
	defer plain.CloseIdleConnections()
	grant, err := source.Create(ctx, room)
	if err != nil {
		return 0, err
	}
	clients := []client{
		{"plain POST", func(ctx context.Context) error {
			return repeat(ctx, span, func(ctx context.Context) error { return plainPost(ctx, plain, api.URL) })
		}},
		{"Source.Create", func(ctx context.Context) error {
			return repeat(ctx, span, func(ctx context.Context) error { _, err := source.Create(ctx, room); return err })
		}},
		{"Source.Refresh", func(ctx context.Context) error {
			return repeat(ctx, span, func(ctx context.Context) error { _, err := source.Refresh(ctx, room, grant.RefreshToken); return err })
		}},
		{"renewals through the Manager", func(ctx context.Context) error { return renew(ctx, span, rooms, source) }},
	}
	all := make([]costs, len(clients))
	for range rounds { // alternate, so that noise affects all of them
		for i, c := range clients {
			if err := all[i].add(ctx, api, c.calls); err != nil {
				return 0, fmt.Errorf("%s, %s: %w", protocol, c.name, err)
			}
		}
	}
	for i, c := range clients {
		perCall := stat.Median(all[i].perCall)
		table.Row(out, protocol, c.name, all[i].calls, all[i].connections, int(float64(all[i].calls)/all[i].took.Seconds()),
			fmt.Sprintf("%.1f µs (%.2f)", perCall, stat.Median(stat.Ratios(all[i].perCall, all[0].perCall))), int(1e6/perCall))
	}
	last := stat.Median(all[len(all)-1].perCall)
	return time.Duration(last * float64(time.Microsecond)), nil
}

// costs is the cost of a client's calls, over several rounds.
type costs struct {
	calls, connections int64
	took               time.Duration
	perCall            []float64 // processor time in us, by round
}

// add measures one more round.
func (c *costs) add(ctx context.Context, api *child.API, calls func(context.Context) error) error {
	var before, after traffic
	if err := api.Ask(struct{}{}, &before); err != nil {
		return err
	}
	used, begun := cpu.Time(), time.Now()
	if err := calls(ctx); err != nil {
		return err
	}
	took, used := time.Since(begun), cpu.Time()-used
	if err := api.Ask(struct{}{}, &after); err != nil {
		return err
	}
	seen := after.since(before)
	c.calls += seen.Requests
	c.connections += seen.Connections
	c.took += took
	c.perCall = append(c.perCall, float64(used)/float64(time.Microsecond)/float64(max(seen.Requests, 1)))
	return nil
}

// repeat makes concurrent calls until span has passed.
func repeat(ctx context.Context, span time.Duration, call func(context.Context) error) error {
	var running sync.WaitGroup
	var failed atomic.Pointer[error]
	until := time.Now().Add(span)
	for range concurrent {
		running.Go(func() {
			for time.Now().Before(until) && failed.Load() == nil {
				ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
				if err := call(ctx); err != nil {
					failed.CompareAndSwap(nil, &err)
				}
				cancel()
			}
		})
	}
	running.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}

// renew lets a Manager renew rooms that are always due.
func renew(ctx context.Context, span time.Duration, rooms int, source roomtoken.TokenSource) error {
	m, err := roomtoken.NewManager(source, roomtoken.Config{RefreshAfter: 1e-9, MaxConcurrentCalls: concurrent})
	if err != nil {
		return err
	}
	if err := m.Warm(ctx, roomid.New(rooms)...); err != nil {
		return errors.Join(err, m.Close())
	}
	select {
	case <-time.After(span):
	case <-ctx.Done():
	}
	stats := m.Stats()
	if err := m.Close(); err != nil {
		return err
	}
	// The API's times are in whole seconds: of two tokens of the same second the second may
	// end a moment before the first, and is refused.
	if stats.RefreshFailures > stats.Refreshes/100 {
		return fmt.Errorf("%d renewals failed: %w", stats.RefreshFailures, stats.LastError)
	}
	return nil
}

// plainClient returns a client with enough idle connections: by default, net/http
// keeps two, and dials for most calls.
func plainClient() *http.Client {
	return &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true, MaxIdleConnsPerHost: concurrent}}
}

// plainPost is the minimum that a careful program would write.
func plainPost(ctx context.Context, client *http.Client, url string) error {
	body, err := json.Marshal(map[string]int{"token_ttl_secs": 600})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/rooms/"+room+"/actions/generate_join_client_token", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+apiKey)
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	var answer struct {
		Data struct {
			Token                 string    `json:"token"`
			TokenExpiresAt        time.Time `json:"token_expires_at"`
			RefreshToken          string    `json:"refresh_token"`
			RefreshTokenExpiresAt time.Time `json:"refresh_token_expires_at"`
		} `json:"data"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, resp.Body) // so that the connection is reused
	return err
}
